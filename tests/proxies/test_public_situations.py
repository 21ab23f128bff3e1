"""What people have reported about comparable tools, with nets and numbers of our own, against the formulas."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.proxies.plain_torch import ALL, check
from zcfast.scoring import score

IMAGES, CLASSES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4)
ROWS, TOKENS = IMAGES.flatten(1)[:, :5], IMAGES.flatten(1)[:, :28].view(4, 7, 4)
WITHOUT_CALLS = tuple(name for name in ALL if name not in ("fisher", "flops"))


class Mean(nn.Module):
    """The mean over places behind some layers, and a classifier."""

    def __init__(self, *layers, channels=8, places_last=True):
        super().__init__()
        self.body, self.head, self.places_last = nn.Sequential(*layers), nn.Linear(channels, 5), places_last

    def forward(self, x):
        x = self.body(x)
        return self.head(x.flatten(2).mean(2) if self.places_last else x.mean(1))


class First(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x):
        return self.recurrent(x)[0]


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(20, 6, mode="mean"), nn.Linear(6, 5)

    def forward(self, tokens):
        return self.head(self.bag(tokens.reshape(-1), torch.arange(0, tokens.numel(), tokens.shape[1])))


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.alias = self.conv

    def forward(self, x):
        for _ in range(3):
            x = torch.relu(self.conv(x)) + self.alias(x)
        return x


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.head = nn.Sequential(nn.Linear(5, 8), nn.ReLU()), nn.Linear(8, 5)

    def forward(self, x):
        return self.head((self.net(x) - self.net(x.flip(0))).abs())


class Adapted(nn.Module):
    """A frozen layer and an adapter of low rank (Hu et al. 2022)."""

    def __init__(self, layer):
        super().__init__()
        self.base = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, 2, bias=False)
        self.up = nn.Linear(2, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


class Checkpointed(Mean):
    def forward(self, x):
        return self.head(checkpoint(self.body, x, use_reentrant=False).mean((2, 3)))


class ChannelNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def rows():
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 5))


def conv(*arguments, **options):
    return nn.Conv2d(3, 8, 3, *arguments, **options)


SITUATIONS = {
    "DataParallel around a net": (lambda: nn.DataParallel(rows()), ROWS, {}),
    "a net traced by fx": (lambda: torch.fx.symbolic_trace(rows()), ROWS, {}),
    "adapters on frozen layers": (
        lambda: nn.Sequential(Adapted(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 5)),
        ROWS,
        {},
    ),
    "checkpointed parts": (
        lambda: Checkpointed(conv(), nn.BatchNorm2d(8), nn.ReLU()),
        IMAGES,
        {"names": tuple(name for name in ALL if name != "flops")},
    ),
    "second derivative of an LSTM": (
        lambda: Mean(First(nn.LSTM(4, 8, batch_first=True)), places_last=False),
        TOKENS,
        {},
    ),
    "second derivative of a GRU": (
        lambda: Mean(First(nn.GRU(4, 4, 2, batch_first=True, bidirectional=True)), places_last=False),
        TOKENS,
        {},
    ),
    "fused path of an encoder": (
        lambda: Mean(nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), channels=4, places_last=False),
        TOKENS,
        {"names": WITHOUT_CALLS, "train": False},
    ),
    "depthwise": (
        lambda: Mean(conv(), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1, groups=2)),
        IMAGES,
        {},
    ),
    "dilated, reflected, circular": (
        lambda: Mean(
            conv(padding="same", dilation=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=2, padding_mode="circular"),
        ),
        IMAGES,
        {},
    ),
    "transposed beside": (
        lambda: Mean(conv(stride=2), nn.ReLU(), nn.ConvTranspose2d(8, 8, 4, 2, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 1)),
        IMAGES,
        {},
    ),
    "one dimension": (
        lambda: Mean(
            nn.Conv1d(7, 8, 3, padding=2, dilation=2), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 8, 2, groups=4)
        ),
        TOKENS,
        {},
    ),
    "three dimensions": (
        lambda: Mean(nn.Conv3d(3, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.Conv3d(8, 8, (1, 3, 3), groups=2)),
        IMAGES.unsqueeze(2).expand(4, 3, 3, 8, 8).contiguous(),
        {},
    ),
    "a layer in a loop, under two names": (lambda: Mean(conv(), Loop()), IMAGES, {}),
    "two branches of one net": (Siamese, ROWS, {}),
    "normalised by groups and samples": (
        lambda: Mean(
            conv(), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.GELU()
        ),
        IMAGES,
        {},
    ),
    "normalised by channels": (lambda: Mean(nn.Conv2d(3, 8, 2, 2), ChannelNorm(8), nn.GELU()), IMAGES, {}),
    "tracked statistics of samples": (
        lambda: Mean(conv(), nn.InstanceNorm2d(8, track_running_stats=True), nn.ReLU(), nn.Conv2d(8, 8, 3)),
        IMAGES,
        {},
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_networks(name):
    make, inputs, options = SITUATIONS[name]
    torch.manual_seed(0)
    check(make(), (inputs, CLASSES), **options)


@pytest.mark.parametrize(
    ("targets", "loss_fn", "outputs"),
    [
        (torch.rand(4, 1), F.binary_cross_entropy_with_logits, 1),
        (torch.rand(4, 3), F.mse_loss, 3),
        (torch.rand(4, 5).softmax(1), F.cross_entropy, 5),
        (torch.tensor([0, 1, -100, 3]), F.cross_entropy, 5),
    ],
    ids=["logistic", "regression", "probabilities", "ignored class"],
)
def test_losses(targets, loss_fn, outputs):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, outputs))
    check(net, (ROWS, targets), loss_fn=loss_fn)


def test_bags_of_tokens_with_offsets():
    torch.manual_seed(0)
    names = tuple(name for name in ALL if name != "jacob_cov")
    check(Bag(), (torch.arange(20).view(4, 5), CLASSES), names)


def test_snip_is_the_derivative_by_masks():
    torch.manual_seed(0)
    net = rows().double()
    layers = copy.deepcopy([net[0], net[2]])
    masks = [torch.ones_like(layer.weight, requires_grad=True) for layer in layers]
    h = torch.relu(F.linear(ROWS.double(), layers[0].weight * masks[0], layers[0].bias))
    loss = F.cross_entropy(F.linear(h, layers[1].weight * masks[1], layers[1].bias), CLASSES)
    expected = sum(gradient.abs().sum().item() for gradient in torch.autograd.grad(loss, masks))

    assert score(net, (ROWS.double(), CLASSES), ["snip"])["snip"].value == pytest.approx(expected, rel=1e-9)
