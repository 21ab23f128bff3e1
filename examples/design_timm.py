"""The best of some timm models under a latency that is measured here and then. Needs timm: pip install timm.

python design_timm.py --most 12 --models mobilenetv3_small_100 resnet18 efficientnet_b0
"""

import argparse
import sys
from functools import partial

import zcfast
from zcfast import latency

MODELS = ("lcnet_050", "tinynet_e", "mobilenetv3_small_100", "mobilenetv2_100", "regnetx_002", "resnet10t", "resnet18")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=MODELS, help="names that timm.create_model takes")
    parser.add_argument("--most", type=float, help="milliseconds; by default what the middle one of the models takes")
    parser.add_argument("--size", type=int, default=128, help="of the pictures")
    arguments = parser.parse_args()
    try:
        import timm
    except ImportError:
        sys.exit("design_timm.py needs timm, which is not installed: pip install timm")
    batch = zcfast.random_images(8, (3, arguments.size, arguments.size), classes=10, seed=0)
    space = zcfast.spaces.of(arguments.models, make=partial(timm.create_model, num_classes=10), example=batch)
    try:
        measured = latency.measure(space, range(len(space)))  # one picture at a time, on one thread
    except latency.TooNoisyError as noisy:
        print(f"to be taken with care, {noisy}")
        measured = noisy.measured
    most = arguments.most or measured.milliseconds.median().item()
    by = zcfast.designing.Stages(("flops", "params"), ("jacob_cov", "-grad_norm"), keep=3)
    found = zcfast.design(space, by=by, limits={"latency": (measured.milliseconds, most)})
    print(zcfast.designing.summary(found))
    for each in found.top(3):
        print(each)


if __name__ == "__main__":
    main()
