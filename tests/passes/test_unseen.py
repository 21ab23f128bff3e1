"""What runs below torch's functions, in torch.jit's code or other libraries' operators: seen, or refused."""

import itertools
import warnings

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.proxies.example_nets import image_batch
from zcfast.passes.unseen import hidden_operations, missed
from zcfast.scoring import score

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.* is (deprecated|not supported)")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    @torch.jit.script
    def scripted_relu(x):
        return torch.relu(x)

    @torch.jit.script
    def scripted_relu_in_place(x):
        return torch.relu_(x)

    @torch.jit.script
    def scripted_gelu(x):
        return torch.nn.functional.gelu(x)

    @torch.jit.script
    def scripted_half(x):
        return x * 0.5

    @torch.jit.script
    def scripted_pool(x):
        return torch.nn.functional.avg_pool2d(x, 2)

    @torch.jit.script
    def scripted_convolution(x, weight: Tensor):
        return torch.nn.functional.conv2d(x, weight, padding=1)

    @torch.jit.script
    def scripted_norm(x):
        return torch.nn.functional.batch_norm(x, None, None, None, None, True)

    @torch.jit.script
    def scripted_product(x, weight: Tensor):
        return torch.matmul(x, weight)

    @torch.jit.script
    def scripted_softmax(x):
        return torch.softmax(x, -1)

    @torch.jit.script
    def scripted_attention(q, k, v):
        return torch.matmul(torch.softmax(torch.matmul(q, k.transpose(-2, -1)), -1), v)

    traced_relu = torch.jit.trace(torch.relu, torch.randn(2, 3))
    LIST = [torch.jit.script(nn.ReLU())]


@torch.library.custom_op("zcfast_tests::relu", mutates_args=())
def custom_relu(x: Tensor) -> Tensor:
    return torch.relu(x)


@torch.library.custom_op("zcfast_tests::product", mutates_args=())
def custom_product(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


custom_relu.register_autograd(
    lambda ctx, gradient: gradient * (ctx.saved_tensors[0] > 0),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(output),
)
custom_product.register_autograd(
    lambda ctx, g: (g @ ctx.saved_tensors[1].mT, ctx.saved_tensors[0].flatten(0, -2).mT @ g.flatten(0, -2)),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)
LIBRARY = torch.library.Library("zcfast_tests", "FRAGMENT")
LIBRARY.define("composite_relu(Tensor x) -> Tensor")
LIBRARY.impl("composite_relu", lambda x: torch.relu(x), "CompositeImplicitAutograd")


class OwnRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


def convolved(x, weight):
    return F.conv2d(x, weight, padding=1)


class Pictures(nn.Module):
    """A function in place of each of two activations, of a convolution, and of what stands before the pool."""

    def __init__(self, activation=F.relu, convolution=convolved, last=torch.clone):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.two = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.weight, self.relu, self.head = nn.Parameter(torch.randn(8, 8, 3, 3)), nn.ReLU(), nn.Linear(8, 5)
        self.functions = activation, convolution, last

    def forward(self, x):
        activation, convolution, last = self.functions
        x = convolution(activation(self.two(activation(self.one(x)))), self.weight)
        return self.head(last(self.relu(x)).mean((2, 3)))


class Sequences(nn.Module):
    """Attention, behind a product that is no layer."""

    def __init__(self, attention=None, product=torch.matmul, softmax=None):
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v, self.out, self.first = (nn.Linear(8, 8) for _ in range(5))
        self.weight, self.relu, self.head = nn.Parameter(torch.randn(8, 8)), nn.ReLU(), nn.Linear(8, 5)
        softmax = softmax or (lambda x: F.softmax(x, -1))
        self.attention = attention or (lambda q, k, v: softmax(q @ k.mT) @ v)
        self.product = product

    def forward(self, x):
        x = self.product(self.first(x), self.weight)
        return self.head(self.relu(x + self.out(self.attention(self.q(x), self.k(x), self.v(x)))).mean(1))


BN = lambda x: F.batch_norm(x, None, None, None, None, True)  # noqa: E731
RECTIFIED = {"naswot", "linear_regions", "swap", "swap_universal", "wrcor", "wrcor_weighted", "zen"}
NORMED = {"synflow", "logsynflow", "synflow_bn", "vkdnw", "vkdnw_entropy", "zen"}
ATTENDED = {"head_confidence", "dss"}
UNKNOWN = RECTIFIED | NORMED | {"multiply_adds"}
# The net, the same in plain words, and the proxies that are refused.
NETS = {
    "script": (lambda: Pictures(scripted_relu), Pictures, RECTIFIED),
    "script in place": (lambda: Pictures(scripted_relu_in_place), Pictures, RECTIFIED),
    "script of gelu": (lambda: Pictures(scripted_gelu), lambda: Pictures(F.gelu), RECTIFIED),
    "trace": (lambda: Pictures(traced_relu), Pictures, RECTIFIED),
    "scripted module in a list": (lambda: Pictures(lambda x: LIST[0](x)), Pictures, RECTIFIED),
    "operator by its name": (lambda: Pictures(torch.ops.aten.relu), Pictures, RECTIFIED),
    "operator that is made of others": (lambda: Pictures(torch.ops.zcfast_tests.composite_relu), Pictures, RECTIFIED),
    "operator of another library": (lambda: Pictures(custom_relu), Pictures, UNKNOWN),
    "own derivative": (lambda: Pictures(OwnRelu.apply), Pictures, {"wrcor", "wrcor_weighted"}),
    "script of no activation": (lambda: Pictures(scripted_half), lambda: Pictures(lambda x: x * 0.5), {"zen"}),
    "script of a convolution": (lambda: Pictures(convolution=scripted_convolution), Pictures, {"zen"}),
    "script of a norm": (lambda: Pictures(last=scripted_norm), lambda: Pictures(last=BN), NORMED),
    "script of a pool": (
        lambda: Pictures(last=scripted_pool),
        lambda: Pictures(last=lambda x: F.avg_pool2d(x, 2)),
        {"wrcor_weighted", "zen"},
    ),
    "script of attention": (lambda: Sequences(scripted_attention), Sequences, ATTENDED),
    "script of a softmax": (lambda: Sequences(softmax=scripted_softmax), Sequences, ATTENDED),
    "script of a product": (lambda: Sequences(product=scripted_product), Sequences, ATTENDED),
    "product of another library": (
        lambda: Sequences(product=custom_product),
        Sequences,
        (ATTENDED | UNKNOWN) - {"swap", "zen"},
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_seen_or_refused(name):
    make, make_plain, refused = NETS[name]
    hidden, plain = make().double(), make_plain().double()
    batch = (torch.randn(8, 5, 8).double(), torch.arange(8) % 5) if make_plain is Sequences else image_batch(8)
    expected = score(plain, batch, "all")
    for _ in range(2):  # torch compiles scripted functions once they have run
        found = score(hidden, batch, "all")
        without = {each for each in found if (found[each].status, expected[each].status) != ("ok", "ok")}
        assert {each for each in without if expected[each].status == "ok"} == refused
        for each in set(found) - without:
            assert found[each].value == pytest.approx(expected[each].value, rel=1e-7), each


def test_the_reason_names_what_ran():
    found = score(Pictures(scripted_relu), image_batch(dtype=torch.float32), ["naswot", "snip"])
    assert found["naswot"].status == "refused"
    assert found["naswot"].reason.startswith("aten::relu runs where it cannot be watched")
    assert found["snip"].status == "ok"


def test_an_activation_of_torchs_own_layers():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, activation=scripted_gelu, batch_first=True)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(40, 3), nn.ReLU(), nn.Linear(3, 3))
    batch = torch.randn(6, 5, 8), torch.arange(6) % 3
    assert score(net, batch, ["naswot"])["naswot"].status == "refused"
    layer.activation = F.gelu
    assert score(net, batch, ["naswot"])["naswot"].status == "ok"


def test_a_net_of_one_size_of_minibatch():
    class Fixed(Pictures):
        def forward(self, x):
            return super().forward(x.view(6, 3, 8, 8))

    batch = image_batch(6, dtype=torch.float32)
    assert score(Fixed(), batch, ["naswot"])["naswot"].status == "ok"
    assert score(Fixed(scripted_relu), batch, ["naswot"])["naswot"].status == "refused"


def test_a_net_that_does_not_run_while_it_is_watched():
    calls = []

    class Raising(Pictures):
        def forward(self, x):
            calls.append(len(x))
            if len(calls) > 1:
                raise RuntimeError("once is enough")
            return super().forward(x)

    result = score(Raising(), image_batch(6, dtype=torch.float32), ["naswot"])["naswot"]
    assert (result.status, "once is enough" in result.reason) == ("refused", True)
    assert calls == [6, 2, 6]


def test_the_graph_of_the_pass_is_left_alone():
    class Scaled(Pictures):
        def forward(self, x):
            return super().forward(x) * self.two[1].running_var.mean()  # moved in this pass, and a part of its graph

    batch = image_batch(6, dtype=torch.float32)
    alone, beside = score(Scaled(), batch, ["snip"]), score(Scaled(), batch, ["naswot", "wrcor", "snip"])
    assert beside["snip"].value == alone["snip"].value


class Elsewhere(nn.Module):
    """A norm that is scripted in one way of running alone."""

    def __init__(self, way):
        super().__init__()
        self.way, self.conv, self.head = way, nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        x = self.conv(x)
        return self.head((scripted_norm(x) if self.way(self, x) else x).relu().mean((2, 3)))


@pytest.mark.parametrize("names", itertools.permutations(["naswot", "synflow", "vkdnw_entropy"]))
@pytest.mark.parametrize(
    ("way", "refused"),
    [(lambda net, x: not net.training, "vkdnw_entropy"), (lambda net, x: x.dtype == torch.float64, "synflow")],
    ids=["evaluation mode", "float64"],
)
def test_what_hides_in_one_way_of_running_alone(way, refused, names):
    found = score(Elsewhere(way), image_batch(dtype=torch.float32), names)
    assert {name: each.status for name, each in found.items()} == {**dict.fromkeys(names, "ok"), refused: "refused"}


def test_known_nets_are_not_run_for_it(monkeypatch):
    monkeypatch.setattr("zcfast.passes.net.hidden_operations", lambda call: pytest.fail("watched"))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    assert score(net, image_batch(6, dtype=torch.float32), ["naswot"])["naswot"].status == "ok"


def test_the_work_of_another_librarys_operator_may_be_told():
    from torch.utils.flop_counter import flop_registry, register_flop_formula

    net, batch = Sequences(product=custom_product), (torch.randn(8, 5, 8), torch.arange(8) % 5)
    result = score(net, batch, ["multiply_adds"])["multiply_adds"]
    assert (result.status, "zcfast_tests::product are not known" in result.reason) == ("refused", True)
    register_flop_formula(torch.ops.zcfast_tests.product)(lambda x, weight, out_shape: 2 * x[0] * x[1] * x[2] * 8)
    try:
        found = score(net, batch, ["multiply_adds"])["multiply_adds"].value
    finally:
        del flop_registry[torch.ops.zcfast_tests.product]
    assert found == score(Sequences(), batch, ["multiply_adds"])["multiply_adds"].value


def profiled():
    with torch.profiler.record_function("by an operator of its own"):
        torch.ones(2)


def test_what_is_hidden():
    x = torch.randn(3, 4, requires_grad=True)
    assert hidden_operations(lambda: F.gelu(nn.Linear(4, 4)(x)).sum().backward()) == []
    assert hidden_operations(lambda: nn.Parameter(OwnRelu.apply(x).detach())) == []
    assert hidden_operations(profiled) == []
    assert hidden_operations(lambda: scripted_half(x)) == ["aten::mul"]
    assert hidden_operations(lambda: custom_relu(x)) == ["zcfast_tests::relu"]
    names = ["aten::relu", "aten::mul", "other::anything"]
    assert missed(names, ("elu", "silu")) == ["aten::relu", "other::anything"]
    assert missed(names, ("",)) == names
