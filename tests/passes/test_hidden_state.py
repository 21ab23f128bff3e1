"""What a forward pass changes comes back before the next, or the passes behind it are refused."""

import array
import collections
import contextvars
import dataclasses
import functools
import itertools
import random
import threading
import types
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx.immutable_collections import immutable_dict, immutable_list
from torch.utils.checkpoint import checkpoint

from zcfast.scoring import score

BATCH = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double(), torch.arange(6) % 3
ALL = ("grad_norm", "snip", "grasp", "fisher", "jacob_cov", "synflow", "synflow_bn")


class Slotted:
    __slots__ = ("t",)

    def __init__(self):
        self.t = 1.0


class Schedule:
    t = 1.0

    def step(self):
        return halve(self, "t")


class Tagged(list):
    pass


class OneSlot:
    __slots__ = "t"

    def __init__(self):
        self.t = 1.0


class PrivateSlot:
    __slots__ = ("__t",)

    def __init__(self):
        self.__t = 1.0

    def step(self):
        self.__t *= 0.5
        return self.__t


class LateSlot:
    __slots__ = ("t",)

    def step(self):
        self.t = 0.5 * getattr(self, "t", 1.0)
        return self.t


@dataclasses.dataclass(slots=True)
class Record:
    t: float = 1.0


CALLS = itertools.count()
SEEN = {"t": 1.0}


def halve(holder, name):
    setattr(holder, name, 0.5 * getattr(holder, name))
    return getattr(holder, name)


def closure():
    t = 1.0

    def step():
        nonlocal t
        t *= 0.5
        return t

    return step


def write(array):
    array *= 0.5
    return float(array.flat[0])


def pop(container):
    container.append(0.5 * container.pop())
    return container[-1]


def turn(ordered):
    ordered.move_to_end(next(iter(ordered)))
    return ordered[next(iter(ordered))]


def grow(values):
    values.append(1)
    return len(values)


def halve_entry(values):
    values[Schedule] *= 0.5
    return values[Schedule]


def halve_item(values):
    values[0] = values[0] // 2 if isinstance(values, bytearray) else 0.5 * values[0]
    return values[0]


def mask(masked):
    masked[masked.count() - 1] = np.ma.masked
    return float(masked.count() + 1)


def reshape(values):
    values.shape = values.shape[::-1]
    return values.shape[0]


def narrow(tensor):
    tensor.data = tensor.data.to({torch.float32: torch.float64, torch.float64: torch.int8}[tensor.dtype])
    return tensor.element_size()


def convert(layer):
    size = layer.weight.element_size()
    layer.double()
    return size


def move(tensor):
    tensor.data = 0.5 * tensor.data
    return float(tensor[0])


def corner():
    return torch.sparse_coo_tensor([[0], [1]], [1.0], (3, 3))


def tagged(held):
    held.t = 1.0
    return held


def halve_keyword(held):
    held.keywords["t"] *= 0.5
    return held()["t"]


def counted():
    def step():
        return halve(step, "t")

    step.t = 1.0
    return step


def default():
    def step(values=[1.0]):  # noqa: B006
        return pop(values)

    return step


VARIABLE = contextvars.ContextVar("t", default=1.0)


def step_variable(variable):
    variable.set(0.5 * variable.get(1.0))
    return variable.get()


def optimizer():
    return torch.optim.SGD([torch.ones(1, requires_grad=True)], 1.0)


def step_scheduler(scheduler):
    scheduler.optimizer.step()
    scheduler.step()
    return scheduler.get_last_lr()[0]


def draw(held):
    return 1 + float(held.random())


# What a net holds, and what a pass reads and changes in it.
SEEN_BY_SNAPSHOTS = {
    "number": (lambda: None, lambda net: halve(net, "t")),
    "list": (lambda: [1.0], lambda net: pop(net.held)),
    "deque": (lambda: collections.deque([1.0], maxlen=1), lambda net: pop(net.held)),
    "tensor in a tuple": (lambda: (torch.ones(1),), lambda net: write(net.held[0].numpy())),
    "tensor in a list in a tuple": (lambda: ([torch.ones(1)],), lambda net: write(net.held[0][0].numpy())),
    "namespace": (lambda: types.SimpleNamespace(t=1.0), lambda net: halve(net.held, "t")),
    "object": (Schedule, lambda net: halve(net.held, "t")),
    "slots": (Slotted, lambda net: halve(net.held, "t")),
    "object in a tuple": (lambda: (Schedule(),), lambda net: halve(net.held[0], "t")),
    "object in an object": (lambda: types.SimpleNamespace(a=Schedule()), lambda net: halve(net.held.a, "t")),
    "array": (lambda: np.ones(3), lambda net: write(net.held)),
    "array in a dictionary": (lambda: {"a": np.ones(3)}, lambda net: write(net.held["a"])),
    "numpy's generator": (lambda: np.random.default_rng(0), lambda net: draw(net.held)),
    "numpy's old generator": (lambda: np.random.RandomState(0), lambda net: draw(net.held)),
    "python's generator": (lambda: random.Random(0), lambda net: draw(net.held)),
    "torch's generator": (
        lambda: torch.Generator().manual_seed(0),
        lambda net: 1 + float(torch.rand((), generator=net.held)),
    ),
    "new attribute": (lambda: None, lambda net: net.__dict__.setdefault("late", [2.0]) and pop(net.late)),
    "counter": (lambda: collections.Counter(a=1), lambda net: net.held.update("a") or net.held["a"]),
    "ordered dictionary": (lambda: collections.OrderedDict(a=1.0, b=0.5), lambda net: turn(net.held)),
    "default dictionary": (lambda: collections.defaultdict(list), lambda net: grow(net.held["a"])),
    "dictionary of weak keys": (lambda: weakref.WeakKeyDictionary({Schedule: 1.0}), lambda net: halve_entry(net.held)),
    "set": (lambda: {1.0}, lambda net: net.held.add(len(net.held) + 1.0) or len(net.held)),
    "bytes": (lambda: bytearray(b"\x40"), lambda net: halve_item(net.held)),
    "bytes that grow": (lambda: bytearray(b"a"), lambda net: net.held.append(1) or len(net.held)),
    "array of python": (lambda: array.array("d", [1.0]), lambda net: halve_item(net.held)),
    "structured array": (lambda: np.ones(3, [("a", float), ("b", int)]), lambda net: write(net.held["a"])),
    "array of objects": (lambda: np.array([[1.0], None], dtype=object), lambda net: pop(net.held[0])),
    "masked array": (lambda: np.ma.ones(3), lambda net: mask(net.held)),
    "array of another shape": (lambda: np.ones((2, 1)), lambda net: reshape(net.held)),
    "sparse tensor": (lambda: torch.eye(3).to_sparse(), lambda net: float(net.held.mul_(0.5).sum())),
    "sparse tensor that grows": (lambda: torch.eye(3).to_sparse(), lambda net: float(net.held.add_(corner()).sum())),
    "sparse rows": (lambda: torch.eye(3).to_sparse_csr(), lambda net: write(net.held.values().numpy())),
    "sparse columns": (lambda: torch.eye(3).to_sparse_csc(), lambda net: write(net.held.values().numpy())),
    "complex tensor": (
        lambda: torch.ones(2, dtype=torch.complex64).conj(),
        lambda net: float(net.held.mul_(0.5).real.sum()),
    ),
    "tensor of half precision": (
        lambda: torch.ones(2, dtype=torch.bfloat16),
        lambda net: float(net.held.mul_(0.5).sum()),
    ),
    "tensor with NaN": (lambda: torch.tensor([1.0, torch.nan]), lambda net: float(net.held.mul_(0.5)[0])),
    "tensor of another type": (lambda: torch.ones(2), lambda net: narrow(net.held)),
    "layer of another type": (lambda: [nn.Linear(1, 1).float()], lambda net: convert(net.held[0])),
    "tensor of another size": (lambda: torch.ones(2), lambda net: len(net.held.resize_(len(net.held) + 1))),
    "tensor of another place": (lambda: torch.ones(2), lambda net: move(net.held)),
    "sign of zero": (lambda: torch.zeros(1), lambda net: 2 + float(net.held.neg_().copysign(net.held).signbit())),
    "attribute of a tensor": (lambda: tagged(torch.ones(1)), lambda net: halve(net.held, "t")),
    "attribute of a list": (lambda: tagged(Tagged([1])), lambda net: halve(net.held, "t")),
    "arguments of a partial": (lambda: functools.partial(pop, [1.0]), lambda net: net.held()),
    "keywords of a partial": (lambda: functools.partial(dict, t=1.0), lambda net: halve_keyword(net.held)),
    "object of a method": (lambda: Schedule().step, lambda net: net.held()),
    "read-only view": (lambda: types.MappingProxyType({"a": [1.0]}), lambda net: pop(net.held["a"])),
    "one slot": (OneSlot, lambda net: halve(net.held, "t")),
    "private slot": (PrivateSlot, lambda net: net.held.step()),
    "slot that is filled late": (LateSlot, lambda net: net.held.step()),
    "data class": (Record, lambda net: halve(net.held, "t")),
    "context variable": (lambda: VARIABLE, lambda net: step_variable(VARIABLE)),
    "scheduler": (
        lambda: torch.optim.lr_scheduler.ExponentialLR(optimizer(), 0.5),
        lambda net: step_scheduler(net.held),
    ),
    "numpy's bits": (lambda: np.random.PCG64(0), lambda net: 1 + net.held.random_raw() % 7),
}
UNSEEN = {
    "iterator": (lambda: iter([1.0, 0.5, 0.25, 0.1, 0.05, 0.01, 2, 3, 4, 5, 6, 7, 8]), lambda net: next(net.held)),
    "iterator that ends": (lambda: iter([0.25]), lambda net: next(net.held, 1.0)),
    "count": (lambda: itertools.count(1), lambda net: next(net.held)),
    "generator function": (lambda: (2.0**-n for n in range(99)), lambda net: next(net.held)),
    "closure": (closure, lambda net: net.held()),
    "class attribute": (lambda: None, lambda net: halve(Schedule, "t")),
    "list's iterator": (lambda: iter([2.0**-n for n in range(99)]), lambda net: next(net.held)),
    "cycle": (lambda: itertools.cycle([1.0, 0.5, 0.25]), lambda net: next(net.held)),
    "zip": (lambda: zip([2.0**-n for n in range(99)]), lambda net: next(net.held)[0]),
    "context variable that had no value": (lambda: contextvars.ContextVar("late"), lambda net: step_variable(net.held)),
    "function's attribute": (lambda: counted(), lambda net: net.held()),
    "default argument": (lambda: default(), lambda net: net.held()),
    "global": (lambda: None, lambda net: SEEN.update(t=0.5 * SEEN["t"]) or SEEN["t"]),
}


class Stateful(nn.Module):
    def __init__(self, held, read):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
        self.held, self.read, self.t = held, read, 1.0

    def forward(self, x):
        return self.b(torch.relu(self.a(x))) * self.read(self)


def stateful(kinds, name):
    make, read = kinds[name]
    Schedule.t, SEEN["t"] = 1.0, 1.0
    torch.manual_seed(0)
    return Stateful(make(), read).double()


@pytest.mark.parametrize("name", SEEN_BY_SNAPSHOTS)
def test_what_a_snapshot_sees_comes_back(name):
    net = stateful(SEEN_BY_SNAPSHOTS, name)
    together = score(net, BATCH, ALL)
    for proxy in ALL:
        alone = score(stateful(SEEN_BY_SNAPSHOTS, name), BATCH, [proxy])[proxy]
        assert (together[proxy].status, together[proxy].value) == ("ok", alone.value), proxy
    again = score(net, BATCH, ALL)
    assert {k: s.value for k, s in again.items()} == {k: s.value for k, s in together.items()}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_snapshot_sees_is_never_scored_wrongly(name):
    together = score(stateful(UNSEEN, name), BATCH, ALL)
    for proxy in ALL:
        if together[proxy].status == "ok":
            alone = score(stateful(UNSEEN, name), BATCH, [proxy])[proxy]
            assert together[proxy].value == alone.value, proxy
        else:
            assert together[proxy].status == "refused", proxy
            assert "the net computes other logits in a second pass" in together[proxy].reason
    assert together["snip"].status == "ok"
    assert together["synflow"].status == together["grasp"].status == "refused"


class Hidden(Stateful):
    """Its state is a factor of what BatchNorm gets: in float32 no logit shows it, and synflow does."""

    def __init__(self, held, read, *, tracked):
        super().__init__(held, read)
        self.norm = nn.BatchNorm1d(8, track_running_stats=tracked)

    def forward(self, x):
        return self.b(torch.relu(self.norm(self.a(x) * self.read(self))))


def hidden(kinds, name, *, tracked):
    make, read = kinds[name]
    Schedule.t, SEEN["t"] = 1.0, 1.0
    torch.manual_seed(0)
    return Hidden(make(), read, tracked=tracked)


def plainly(net, *, without_norm):
    """synflow by plain torch, at the state in which the net is."""
    net = net.double()
    for parameter in net.parameters():
        parameter.data = parameter.data.abs()
    if without_norm:
        net.norm = nn.Identity()
    net(torch.ones(1, 5).double()).sum().backward()
    return sum((layer.weight * layer.weight.grad).sum().item() for layer in (net.a, net.b))


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize(
    "proxies", [ALL, ["synflow", "snip"], ["synflow", "grasp"], ["synflow", "naswot"], ["synflow", "flops", "snip"]]
)
def test_what_a_batchnorm_hides_is_no_synflow(name, tracked, proxies):
    batch = BATCH[0].float(), BATCH[1]
    found = score(hidden(UNSEEN, name, tracked=tracked), batch, proxies)["synflow"]
    assert found.status == "refused"
    assert "something that a pass changes does not come back" in found.reason


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("make", [stateful, functools.partial(hidden, tracked=True)])
@pytest.mark.parametrize("proxies", [["synflow"], ["synflow", "flops"], ["flops", "synflow", "params"]])
def test_synflow_is_that_of_the_state_which_the_caller_left(name, make, proxies):
    net = make(UNSEEN, name)
    batch = BATCH[0].to(net.a.weight.dtype), BATCH[1]
    found = score(net, batch, proxies)["synflow"]
    if proxies == ["synflow"] or found.status == "ok":
        expected = plainly(make(UNSEEN, name), without_norm=isinstance(net, Hidden))
        assert (found.status, found.value) == ("ok", pytest.approx(expected, rel=1e-6))
    else:
        assert found.status == "refused"


def test_batchnorms_hide_no_state_from_nets_without_any():
    torch.manual_seed(0)
    images = torch.randn(6, 3, 8, 8), BATCH[1]
    for norm in (nn.BatchNorm2d(8), nn.BatchNorm2d(8, momentum=None), nn.SyncBatchNorm(8), nn.BatchNorm2d(8).eval()):
        found = score(Named(norm), images, [*ALL, "flops", "multiply_adds"])
        assert {name: each.status for name, each in found.items() if each.status != "ok"} == {}


class Named(nn.Module):
    """Code of the user's around a BatchNorm, and maps that are constant but for rounding."""

    def __init__(self, norm):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3, padding=1), norm, nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        constant = self.norm(x.mean((2, 3), keepdim=True).expand_as(x))
        return self.fc((x + constant).mean((2, 3)))


def test_nets_that_draw_random_numbers_repeat_themselves():
    class Drawing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.drop, self.fc = nn.Conv2d(3, 8, 3), nn.Dropout(0.3), nn.Linear(8, 3)

        def forward(self, x):
            x = self.drop(torch.relu(self.conv(x)))
            return self.fc((x * torch.rand_like(x) + random.random() + np.random.rand()).mean((2, 3)))

    images = torch.randn(6, 3, 8, 8), BATCH[1]
    for net in (Drawing(), Drawing().double()):
        data = images if net.fc.weight.dtype == torch.float32 else (images[0].double(), images[1])
        assert {s.status for s in score(net, data, ALL).values()} == {"ok"}


class ReadOnly(dict):
    def refuse(self, *args, **keywords):
        raise TypeError("read-only")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = copy = refuse


class Loud(list):
    """Every method that writes leaves a trace."""

    calls = 0

    def clear(self):
        type(self).calls += 1
        super().clear()

    extend = append = clear


@pytest.mark.parametrize(
    "held",
    [
        ReadOnly(width=8),
        immutable_dict(width=8),
        immutable_list([5, 8]),
        types.MappingProxyType({"a": [1]}),
        frozenset({1}),
        collections.UserDict(a=1),
        collections.OrderedDict(a=1),
        collections.defaultdict(list, a=[1]),
        Loud([1, 2]),
        threading.Lock(),
        np.array(1.0),
        np.array([object()]),
    ],
    ids=lambda held: type(held).__name__,
)
def test_containers_that_refuse_to_be_written_are_left_alone(held):
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    expected = score(net, BATCH, ALL)
    net.held = held
    result = score(net, BATCH, ALL)
    assert {k: s.value for k, s in result.items()} == {k: s.value for k, s in expected.items()}
    assert net.held is held
    assert len(net) == 3
    assert Loud.calls == 0


def test_a_read_only_container_that_the_net_changes_comes_back():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.config = nn.Linear(5, 3), ReadOnly(width=8)

        def forward(self, x):
            dict.__setitem__(self.config, "calls", self.config.get("calls", 0) + 1)
            return self.fc(x) * self.config["calls"]

    net = Net().double()
    assert {s.status for s in score(net, BATCH, ALL).values()} == {"ok"}
    assert dict(net.config) == {"width": 8}


def test_what_cannot_be_put_back_is_told_and_all_else_comes_back():
    class Stubborn:
        __slots__ = ("_t",)

        def __init__(self):
            object.__setattr__(self, "_t", np.zeros(3))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.held, self.fc = Stubborn(), nn.Linear(5, 3)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            self.held._t += 1
            self.held._t.flags.writeable = False
            return self.fc(x)

    net = Net().double()
    with pytest.warns(RuntimeWarning, match="module: a part of its state could not be put back: ValueError"):
        score(net, BATCH, ["snip"])
    assert net.calls == 0
    assert [name for name, _ in net.named_children()] == ["fc"]


class NormEval(nn.Module):
    """A train() of its own that keeps BatchNorm in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 3)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.fc(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential], ids=["whole", "part"])
def test_train_is_always_the_nets_own(wrap):
    images = torch.randn(6, 3, 8, 8), BATCH[1]
    torch.manual_seed(0)
    net = wrap(NormEval())
    expected = torch.autograd.grad(
        nn.functional.cross_entropy(net.train()(images[0]), images[1]), [p for p in net.parameters() if p.dim() > 1]
    )
    for prepare in (nn.Module.train, lambda net: net.train(), lambda net: net.eval()):
        prepare(net)
        modes = [child.training for child in net.modules()]
        result = score(net, images, ["grad_norm"])["grad_norm"]
        assert result.value == pytest.approx(sum(part.norm().item() for part in expected), rel=1e-5)
        assert [child.training for child in net.modules()] == modes


def test_a_train_that_raises_is_named():
    class Net(nn.Linear):
        def train(self, mode=True):
            raise RuntimeError("no training here")

    net = Net(5, 3).double()
    with pytest.raises(ValueError, match=r"module: train\(\) raised RuntimeError: no training here"):
        score(net, BATCH, ["snip"])
    assert score(net, BATCH, ["snip"], train=False)["snip"].status == "ok"


def test_wrong_logits_have_one_outcome_for_every_proxy():
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    wrong = {
        "expected a tensor, got NoneType": lambda output: None,
        "got one that raised AttributeError": lambda output: output.no_such_name,
        "got one that raised ZeroDivisionError": lambda output: 1 / 0,
        r"expected \[N, classes, ...\], got shape \(\)": lambda output: output.sum(),
        "expected two classes or more": lambda output: output[:, :1],
        r"expected shape \([61], 3\), got \([61], 3, 1\)": lambda output: output[..., None],
        r"expected shape \([61], 3\), got \([62], 6\)|\(12, 3\)|\(2, 3\)": lambda output: torch.cat([output, output]),
        "expected floats, got torch.int64": lambda output: output.argmax(1, keepdim=True),
        "gradient of the net's output, got one without": lambda output: output.detach(),
    }
    for message, logits in wrong.items():
        for proxy in (*ALL, "flops", "naswot", "multiply_adds"):
            with pytest.raises(TypeError, match=message):
                score(net, BATCH, [proxy], logits=logits)


class Pictures(nn.Module):
    """Float32 images, for which there are two memory formats to try."""

    def __init__(self, numbers, checkpointed=False):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 3)
        self.numbers, self.checkpointed = iter(numbers), checkpointed
        with torch.no_grad():
            self.fc.bias += 100  # beside which the rest is small

    def body(self, x):
        return torch.relu(self.norm(self.conv(x)))

    def forward(self, x):
        x = checkpoint(self.body, x, use_reentrant=False) if self.checkpointed else self.body(x)
        return self.fc(x.mean((2, 3))) * next(self.numbers, 1.0)


@pytest.mark.parametrize("numbers", [[2.0**-n for n in range(99)], [0.25]])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_another_memory_format_is_tried_from_the_same_state_only(numbers, checkpointed):
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)), BATCH[1]
    found = []
    for given in (numbers, itertools.repeat(numbers[0])):
        torch.manual_seed(0)
        found.append(score(Pictures(given, checkpointed), images, ALL))
    for name in ALL:
        one, right = (each[name] for each in found)
        assert one.status != "ok" or one.value == pytest.approx(right.value, rel=1e-3), name
