"""Nets of the tests, written here so that no model library is needed."""

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from zcfast.proxies import registered

# Those that need no activation, norm or map of a net.
ANY_NET = (
    *("fisher", "flops", "grad_norm", "grasp", "jacob_cov", "l2_norm", "multiply_adds", "params", "plain", "snip"),
    *("synflow", "synflow_bn"),
)
# Without those that need 8 channels, two blocks, attention or recurrence.
_MORE = {"meco_opt", "head_confidence", "dss", "hidden_cov"}
SMALL_NET = tuple(name for name in registered() if name not in _MORE and not name.startswith("az_"))


class Bottleneck(nn.Module):
    """ResNet's block of three convolutions, with in-place activations and sums."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """depths (3, 8, 36, 3) and width 64: ResNet-152."""

    def __init__(self, depths, width=64, classes=1000):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        blocks, inputs = [], width
        for stage, depth in enumerate(depths):
            for block in range(depth):
                blocks.append(Bottleneck(inputs, width << stage, 2 if stage and not block else 1))
                inputs = 4 * (width << stage)
        self.blocks = nn.Sequential(*blocks)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(inputs, classes)
        for child in self.modules():
            if isinstance(child, nn.Conv2d):
                nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(self.blocks(x)), 1))


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features):
        x = torch.cat(features, 1)
        x = self.conv1(F.relu(self.norm1(x), inplace=True))
        return self.conv2(F.relu(self.norm2(x), inplace=True))


class DenseNet(nn.Module):
    """depths (6, 12, 48, 32) and growth 32: DenseNet-201."""

    def __init__(self, depths, growth=32, classes=1000):
        super().__init__()
        channels = 2 * growth
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 7, 2, 3, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        for depth in depths:
            self.blocks.append(nn.ModuleList(DenseLayer(channels + i * growth, growth) for i in range(depth)))
            channels += depth * growth
            if len(self.blocks) < len(depths):
                conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
                self.transitions.append(nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv, nn.AvgPool2d(2)))
                channels //= 2
        self.norm, self.classifier = nn.BatchNorm2d(channels), nn.Linear(channels, classes)
        for child in self.modules():
            if isinstance(child, nn.Conv2d):
                nn.init.kaiming_normal_(child.weight)

    def forward(self, x):
        x = self.stem(x)
        for index, block in enumerate(self.blocks):
            features = [x]
            for layer in block:
                features.append(layer(features))
            x = torch.cat(features, 1)
            if index < len(self.transitions):
                x = self.transitions[index](x)
        return self.classifier(F.relu(self.norm(x)).mean((2, 3)))


class Tokens(nn.Module):
    """A small transformer encoder; it returns what a Hugging Face model does, a mapping with logits."""

    def __init__(self, vocabulary=11, width=8, classes=3):
        super().__init__()
        self.position = nn.Embedding(16, width)
        self.word = nn.Embedding(vocabulary, width)
        self.encoder = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        hidden = self.encoder(self.position(places)[None] + self.word(tokens))
        return {"hidden": hidden, "logits": self.head(hidden.mean(1))}


def small_cnn(batchnorm=True, inplace=False):
    """Two convolutions and a linear layer on [N, 3, 8, 8], five classes."""
    norms = (nn.BatchNorm2d(4), nn.BatchNorm2d(6)) if batchnorm else (nn.Identity(), nn.Identity())
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        norms[0],
        nn.ReLU(inplace),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, bias=False),
        norms[1],
        nn.ReLU(inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )


CONVOLUTIONAL = {
    "small": small_cnn,
    "in place": lambda: small_cnn(inplace=True),
    "resnet": lambda: ResNet((1, 1, 1, 1), width=4, classes=5),
}


def image_batch(size=6, dtype=torch.float64, classes=5):
    """Images [size, 3, 8, 8] and targets."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, 8, 8, generator=generator, dtype=torch.float64).to(dtype)
    return images, torch.randint(classes, (size,), generator=generator)
