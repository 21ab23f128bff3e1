"""Parameters that PyTorch does not know: no score counts them, so nets that use them are refused."""

import functools
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from tests.proxies.plain_torch import check
from zcfast.scoring import score

BATCH = torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 5
OF_WEIGHTS = ["grad_norm", "snip", "plain", "grasp", "fisher", "synflow", "synflow_bn"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def weight():
    return nn.Parameter(torch.randn(5, 8))


class Net(nn.Module):
    """A linear layer, and a second one whose weight a subclass keeps somewhere."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(5, 8)

    def forward(self, x):
        return F.linear(self.body(x).relu(), self.second().to(x.dtype))


class Listed(Net):
    def __init__(self):
        super().__init__()
        self.kept = {"deep": [(weight(),)]}

    def second(self):
        return self.kept["deep"][0][0]


class LayerInList(Net):
    def __init__(self):
        super().__init__()
        self.kept = [nn.Sequential(nn.Linear(8, 5))]

    def second(self):
        return self.kept[0][0].weight


class InObject(Net):
    def __init__(self):
        super().__init__()
        self.kept = SimpleNamespace(w=weight())

    def second(self):
        return self.kept.w


class OfClass(Net):
    kept = weight()

    def second(self):
        return OfClass.kept


GLOBAL = torch.randn(5, 8, requires_grad=True)


class Global(Net):
    def second(self):
        return GLOBAL


class InLambda(Net):
    def __init__(self):
        super().__init__()
        kept = torch.randn(5, 8, requires_grad=True)
        self.function = functools.partial(lambda scale: kept * scale, 2)

    def second(self):
        return self.function()


class Slotted:
    __slots__ = ("kept",)


class InSlot(Net):
    def __init__(self):
        super().__init__()
        self.hidden = Slotted()
        self.hidden.kept = torch.randn(5, 8, requires_grad=True)

    def second(self):
        return self.hidden.kept


class FromCaller(Net):
    def second(self, kept=weight()):  # noqa: B008
        return kept


KEPT = {
    Listed: "kept['deep'][0][0]",
    LayerInList: "kept[0].0.weight",
    InObject: "kept.w",
    OfClass: "OfClass.kept",
    Global: "Global.second: GLOBAL",
    InLambda: "InLambda.__init__.<locals>.<lambda>: kept",
    InSlot: "a list, a global or a closure",
    FromCaller: "FromCaller.second: defaults",
}


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize("per_layer", [False, True])
def test_they_are_refused_and_where_they_are_is_named(kind, per_layer):
    for name, found in score(kind(), BATCH, OF_WEIGHTS, per_layer=per_layer).items():
        assert found.status == "refused", name
        assert "uses a parameter that it keeps outside of its modules: " in found.reason
        assert KEPT[kind] in found.reason


@pytest.mark.parametrize("kind", KEPT)
def test_what_does_not_hang_on_them_has_its_score(kind):
    check(kind(), BATCH, ["jacob_cov", "flops", "l2_norm", "params"])


class Unused(Net):
    """Keeps parameters that no output hangs on, as those of a teacher or of its optimiser."""

    def __init__(self):
        super().__init__()
        self.kept, self.own = [weight()], nn.Linear(8, 5)
        self.of_optimiser = [self.body.weight]

    def second(self):
        return self.own.weight


class Constant(Net):
    """A kept tensor that wants no gradient is a constant; one that is used under no_grad becomes one."""

    def __init__(self):
        super().__init__()
        self.kept = [weight().detach(), weight()]

    def second(self):
        with torch.no_grad():
            return self.kept[1] + self.kept[0]


@pytest.mark.parametrize("kind", [Unused, Constant])
def test_what_is_no_parameter_of_the_output_is_no_matter(kind):
    check(kind(), BATCH)
    assert score(kind(), BATCH, ["synflow"])["synflow"].status == "ok"


class Lazy(Net):
    def second(self):
        if not hasattr(self, "made"):
            self.made = weight()
        return self.made


class LazyLayer(Net):
    def second(self):
        if not hasattr(self, "made"):
            self.made = nn.Linear(8, 5)
        return self.made.weight


@pytest.mark.parametrize("kind", [Lazy, LazyLayer])
def test_what_a_first_pass_makes(kind):
    net = kind()
    for name, found in score(net, BATCH, OF_WEIGHTS).items():
        assert found.status == "refused", name
        assert "was made in the forward pass (run the net once first)" in found.reason
    assert list(net._modules) == ["body"]
    net(BATCH[0])
    check(net, BATCH)
    assert score(net, BATCH, ["synflow"])["synflow"].status == "ok"


class Forces(nn.Module):
    """Differentiates its energy by its input, as models of molecules do."""

    def __init__(self, of_its_own):
        super().__init__()
        self.of_its_own = of_its_own
        self.body, self.head = nn.Linear(5, 8), nn.Linear(8, 5)

    def forward(self, x):
        place = x.detach().requires_grad_() if self.of_its_own else x if x.requires_grad else x.requires_grad_()
        energy = self.head(self.body(place).tanh())
        return torch.autograd.grad(energy.square().sum(), place, create_graph=True)[0]


@pytest.mark.parametrize("of_its_own", [True, False])
def test_nets_that_differentiate_by_their_inputs(of_its_own):
    check(Forces(of_its_own), BATCH, ["grad_norm", "snip", "plain", "fisher", "flops"])


class Buffered(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("second_weight", torch.randn(5, 8).requires_grad_())

    def second(self):
        return self.second_weight


def test_a_buffer_that_wants_a_gradient_is_known():
    net = Buffered()
    found = score(net, BATCH, ["grad_norm", "synflow"])
    net.second_weight.requires_grad_(False)
    expected = score(net, BATCH, ["grad_norm", "synflow"])
    assert {k: s.value for k, s in found.items()} == {k: s.value for k, s in expected.items()}


def test_parameters_of_the_loss_are_none_of_the_net():
    centres, net = torch.rand(6, 5).requires_grad_(), nn.Linear(5, 5)
    check(
        net, BATCH, ["grad_norm", "snip", "grasp"], loss_fn=lambda out, _: (out - centres.to(out.dtype)).square().mean()
    )
    penalty = list(net.parameters())
    found = score(net, BATCH, ["snip"], loss_fn=lambda out, _: out.mean() + penalty[0].sum())["snip"]
    assert found.status == "refused"


def test_inputs_and_targets_that_want_a_gradient():
    inputs, targets = BATCH[0].clone().requires_grad_(), torch.rand(6, 5).softmax(1).requires_grad_()
    made = inputs * 2
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 5))
    names = ["grad_norm", "grasp", "fisher", "jacob_cov", "synflow"]
    found, expected = (score(net, b, names) for b in ((made, targets), (made.detach(), targets.detach())))
    assert {k: s.value for k, s in found.items()} == {k: s.value for k, s in expected.items()}
    made.sum().backward()  # the graph behind them is the caller's
