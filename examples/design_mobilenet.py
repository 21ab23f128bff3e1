"""The best network of a MobileNetV2-like family under a limit of 450 million multiply-adds, as a module and as ONNX.

python design_mobilenet.py --evaluations 10000 --workers 2
zcfast design design_mobilenet:space --limit flops=450M --evaluations 10000 --workers 2 --out found.parquet
"""

import argparse

from torch import nn

import zcfast

STAGES = ((16, 1), (24, 2), (40, 2), (80, 2), (112, 1), (192, 2), (320, 1))  # width and stride of each


def convolution(inputs, outputs, kernel=1, stride=1, groups=1, act=True):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class Inverted(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion, kernel):
        super().__init__()
        hidden = inputs * expansion
        middle = convolution(hidden, hidden, kernel, stride, groups=hidden)
        self.body = nn.Sequential(convolution(inputs, hidden), middle, convolution(hidden, outputs, act=False))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


def build(trial):
    layers, width = [convolution(3, 32, 3, 2)], 32
    for stage, (base, stride) in enumerate(STAGES):
        factor = trial.suggest_categorical(f"width{stage}", [0.5, 0.75, 1.0, 1.25, 1.5])
        kernel = trial.suggest_categorical(f"kernel{stage}", [3, 5, 7])
        expansion = trial.suggest_categorical(f"expansion{stage}", [1, 2, 4, 6])
        for block in range(trial.suggest_int(f"depth{stage}", 1, 5)):
            outputs = 8 * round(base * factor / 8)
            layers.append(Inverted(width, outputs, 1 if block else stride, expansion, kernel))
            width = outputs
    return nn.Sequential(
        *layers, convolution(width, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)
    )


space = zcfast.Space(build, example=tuple(zcfast.random_images(8, (3, 224, 224), classes=1000, seed=0)))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--keep", type=int, default=64, help="how many the second stage scores")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--onnx", help="a file to write; needs pip install 'zcfast[onnx]'")
    arguments = parser.parse_args()
    by = zcfast.designing.Stages(("flops", "params"), ("jacob_cov", "-grad_norm"), arguments.keep)
    limits = {"flops": 450e6, "params": 5e6}
    given = {"evaluations": arguments.evaluations, "workers": arguments.workers}
    found = zcfast.design(space, by=by, limits=limits, **given)
    print(zcfast.designing.summary(found))
    print(f"best: {found.best}")
    if arguments.onnx:
        found.best.export(arguments.onnx)  # compared with onnxruntime
        print(f"written to {arguments.onnx}")
