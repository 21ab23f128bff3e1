"""What every proxy keeps to."""

import math

import torch
from torch import Tensor, nn

from zcfast.proxies import Proxy, resolve
from zcfast.scoring import Score, score


def check_proxy(
    proxy: str | Proxy, module: nn.Module | None = None, batch: tuple[Tensor, Tensor] | None = None
) -> None:
    """Scores are the same twice, alone and beside others, and leave the net as it was.

    Args:
        proxy: its name, or itself.
        module: a net that it has a score for; by default convolutions, BatchNorm, a recurrence and attention.
        batch: its minibatch of inputs and targets.
    """
    module = _net() if module is None else module
    batch = _batch() if batch is None else batch
    before, rng = _state(module), torch.get_rng_state()
    alone = _only(score(module, batch, [proxy]))
    again = _only(score(module, batch, [proxy]))
    assert (alone.status, alone.reason) == ("ok", "")
    assert not math.isnan(alone.value)
    assert alone.value == again.value
    label = resolve(proxy).label
    others = [name for name in ("snip", "fisher", "synflow") if name != label]
    assert math.isclose(score(module, batch, [proxy, *others])[label].value, alone.value, rel_tol=1e-4)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        assert _only(score(module, batch, [proxy])).value == alone.value
    assert torch.equal(torch.get_rng_state(), rng)
    after = _state(module)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in module.parameters())
    layers = _only(score(module, batch, [proxy], per_layer=True))
    if layers.per_layer is not None:
        assert len(layers.per_layer) == len(layers.layer_names)


def _net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _Net()


class _Net(nn.Module):
    """Of all that proxies ask for something."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((2, 4)),
        )
        self.recurrence = nn.GRU(8, 6, batch_first=True)
        self.queries, self.rest, self.classifier = nn.Linear(6, 6), nn.Linear(6, 12), nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        steps, _ = self.recurrence(self.maps(images).flatten(2).transpose(1, 2))
        keys, values = self.rest(steps).chunk(2, -1)
        shares = (self.queries(steps) @ keys.transpose(1, 2)).softmax(-1)
        logits: Tensor = self.classifier((shares @ values).mean(1))
        return logits


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 3, 8, 8, generator=generator), torch.arange(6) % 4


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _only(scores: dict[str, Score]) -> Score:
    (each,) = scores.values()
    return each
