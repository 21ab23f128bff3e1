"""Passes and proxies of the user's: what they can do, and that nothing they do reaches the net or other scores."""

import math
import random
import re

import numpy as np
import pytest
import torch
import torch.nn as nn

from tests.passes.test_restoration import fingerprint
from tests.proxies.example_nets import ANY_NET, SMALL_NET, image_batch, small_cnn
from zcfast.passes import Forward, InputJacobian, LossGradient, Pass, ProxyError, ReluPatterns, Weights
from zcfast.proxies import Proxy, base, register, registered
from zcfast.scoring import score

ALL = SMALL_NET


def proxy_of(*passes, value=lambda results: 1.0, name="own"):
    """A proxy of some passes, as a user writes one."""
    kind = type("Own", (Proxy,), {"name": name, "source": "this test", "needs": passes, "value": lambda _, r: value(r)})
    return kind()


def pass_of(run, **attributes):
    return type("OwnPass", (Pass,), {"run": lambda self, net, batch, done: run(net, batch, done), **attributes})


def the_net(dtype=torch.float32):
    torch.manual_seed(0)
    net = small_cnn().to(dtype)
    net.insert(3, nn.Dropout(0.2))
    net[0].weight.grad = torch.ones_like(net[0].weight)
    net[4].eval()
    net[1].register_forward_hook(lambda *_: None)
    return net


def values(result):
    return {name: (each.value, each.status, each.reason) for name, each in result.items()}


def change_weights(net, batch, done):
    for parameter in net.module.parameters():
        parameter.data.mul_(2)
        parameter.grad = torch.ones_like(parameter)
        parameter.requires_grad_(False)


def change_modes(net, batch, done):
    net.module.eval()
    for module in net.modules:
        module.register_forward_hook(lambda *_: torch.zeros(1))
        module.register_forward_pre_hook(lambda *_: 1 / 0)
        module.extra = "left"
        module.forward = None


def change_buffers(net, batch, done):
    for buffer in net.module.buffers():
        buffer.data.add_(3)
    net.module[1].register_buffer("own", torch.ones(3))
    net.module[1].running_mean = None


def change_structure(net, batch, done):
    del net.module[2]
    net.module.add_module("late", nn.Linear(3, 3))
    net.module.__class__ = nn.ModuleList
    net.module.half()


def change_results(net, batch, done):
    for each in done[LossGradient].gradients, done[LossGradient].own_gradients, done[LossGradient].weights:
        for tensor in each:
            tensor.zero_()
    done[LossGradient].gradients.clear()
    done[LossGradient].saliency = None
    done[Forward].output.data.zero_()
    done[Forward].weights[0].data.zero_()
    done.clear()


def change_batch(net, batch, done):
    batch.inputs.zero_()
    batch.targets.data.add_(1)


def change_process(net, batch, done):
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)


def run_backward(net, batch, done):
    batch.loss_of(net.forward(batch.inputs)).backward()
    net.module(batch.inputs).sum().backward()
    done[Forward].logits.sum().backward()


def raise_at_once(net, batch, done):
    raise RuntimeError("no such thing\nsecond line")


KEPT = []


def keep(net, batch, done):
    KEPT.append((net, batch, done, net.module, dict(net.module.named_parameters())))


DEEDS = [
    change_weights,
    change_modes,
    change_buffers,
    change_structure,
    change_results,
    change_batch,
    change_process,
    run_backward,
    raise_at_once,
    keep,
]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("deed", DEEDS)
def test_a_hostile_pass_harms_nothing(deed, train):
    """It runs between two others of the user's, and twice."""
    net, batch = the_net(), image_batch(dtype=torch.float32)
    expected = values(score(net, batch, ALL, train=train))
    state, kept = fingerprint(net), [each.clone() for each in batch]
    reading = pass_of(lambda net, batch, done: done[Forward].logits.sum().item(), requires=(Forward,))
    hostile = [pass_of(deed, requires=(Forward, LossGradient)) for _ in range(2)]
    own = [proxy_of(reading, value=lambda r, p=reading: r[p], name="before")]
    own += [proxy_of(each, name=f"hostile{place}") for place, each in enumerate(hostile)]
    after = pass_of(lambda net, batch, done: own_gradient(net, batch), requires=(Forward,))
    own += [proxy_of(after, LossGradient, value=lambda r: r[after] - norm_of(r), name="after")]
    for proxies in ([*own, *ALL], [*ALL, *own]):
        result = score(net, batch, proxies, train=train)
        assert {name: values(result)[name] for name in ALL} == expected
        assert fingerprint(net) == state
        assert all(map(torch.equal, batch, kept))
        assert torch.get_default_dtype() is torch.float32
        assert torch.is_grad_enabled()
        assert result["before"].status == "ok"
        assert result["after"].value == pytest.approx(0, abs=1e-5), result["after"].reason
        if deed is raise_at_once:
            assert (result["hostile0"].status, result["hostile0"].reason) == ("failed", "RuntimeError: no such thing")
    KEPT.clear()


def own_gradient(net, batch):
    """The norm of the gradient, by a pass of one's own."""
    gradients = torch.autograd.grad(batch.loss_of(net.forward(batch.inputs)), net.parameters)
    return sum(each.norm().item() for each in gradients)


def norm_of(results):
    return results[LossGradient].saliency("square").sqrt().sum().item()


PROXY_DEEDS = [change_results, change_process, raise_at_once]


@pytest.mark.parametrize("deed", PROXY_DEEDS)
def test_a_hostile_proxy_harms_nothing(deed):
    net, batch = the_net(), image_batch(dtype=torch.float32)
    expected = values(score(net, batch, ALL))
    state = fingerprint(net)

    def vandalise(results):
        for parameter in net.parameters():
            parameter.data.zero_()
        net.register_buffer("extra", torch.ones(1))
        deed(None, None, results)
        return 1.0

    proxies = [proxy_of(LossGradient, Forward, value=vandalise, name=f"hostile{place}") for place in range(2)]
    benign = proxy_of(LossGradient, value=norm_of, name="benign")
    result = score(net, batch, [*proxies, benign, *ALL])
    assert {name: values(result)[name] for name in ALL} == expected
    assert result["benign"].value == result["grad_norm"].value
    assert fingerprint(net) == state


def raise_in_hook(output):
    raise RuntimeError("no such thing")


def write_to_output(output):
    output.zero_()
    output.data.fill_(3)


def draw(output):
    torch.rand(7), random.random(), np.random.rand()
    torch.set_default_dtype(torch.float64)


@pytest.mark.parametrize("function", [raise_in_hook, write_to_output, draw, lambda output: torch.zeros(1)])
def test_what_watches_changes_nothing_that_flows(function):
    net, batch = the_net(), image_batch(dtype=torch.float32)
    expected = values(score(net, batch, ALL))
    state = fingerprint(net)
    watching = pass_of(
        lambda net, batch, done: 1.0,
        requires=(Forward,),
        observe=lambda self, forward: forward.watch(function, nn.Module) and None,
    )
    result = score(net, batch, [proxy_of(watching), *ALL])
    assert {name: values(result)[name] for name in ALL} == expected
    assert result["own"].status == ("failed" if function is raise_in_hook else "ok")
    assert fingerprint(net) == state


def pulling(function):
    """A pass that asks for the derivatives at the activations, and gives what a function made of them."""

    def observe(self, forward):
        self.pulls = forward.pull_rectified(function)

    run = {"run": lambda self, net, batch, done: list(self.pulls.seen)}
    return type("Pulling", (Pass,), {"requires": (Forward, LossGradient), "observe": observe, **run})


@pytest.mark.parametrize("others", [["grad_norm"], ALL])
@pytest.mark.parametrize("function", [raise_in_hook, write_to_output, draw, lambda gradient: gradient.sum()])
def test_pulls_change_nothing_that_flows(function, others):
    net, batch = the_net(), image_batch(dtype=torch.float32)
    expected = values(score(net, batch, others))
    state = fingerprint(net)
    own = pulling(function)
    result = score(net, batch, [proxy_of(own, value=lambda r: 1.0 * len(r[own])), *others])
    assert {name: values(result)[name] for name in others} == expected
    assert result["own"].status == ("failed" if function is raise_in_hook else "ok")
    assert fingerprint(net) == state
    assert torch.get_default_dtype() is torch.float32


def test_pulls_of_several_passes():
    net, (inputs, targets) = small_cnn().double(), image_batch()
    kinds = [pulling(lambda gradient, power=power: gradient.abs().pow(power).sum().item()) for power in (1, 2)]
    own = [proxy_of(kind, value=lambda r, kind=kind: sum(r[kind]), name=str(n)) for n, kind in enumerate(kinds)]
    result = score(net, (inputs, targets), [*own, "wrcor"])
    kept = []
    for module in net:
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    loss = nn.functional.cross_entropy(net(inputs), targets)
    for name, power in ("0", 1), ("1", 2):
        gradients = torch.autograd.grad(loss, kept, retain_graph=True)
        assert result[name].value == pytest.approx(sum(each.abs().pow(power).sum().item() for each in gradients))
    assert result["wrcor"].status == "ok"


def test_who_changes_weights_while_pulling():
    net, batch = the_net(), image_batch(dtype=torch.float32)
    state = fingerprint(net)
    own = pulling(lambda gradient: net[0].weight.data.mul_(2) and None)
    result = score(net, batch, [proxy_of(own), "snip", "flops"])
    assert [each.status for each in result.values()] == ["refused", "refused", "ok"]
    assert fingerprint(net) == state


def test_who_changes_weights_while_watching_watches_no_more():
    net, batch = the_net(), image_batch(dtype=torch.float32)
    expected = values(score(net, batch, ALL))
    state = fingerprint(net)

    def function(output):
        net[0].weight.data.mul_(2)

    watching = pass_of(
        lambda net, batch, done: 1.0,
        requires=(Forward,),
        observe=lambda self, forward: forward.watch(function, nn.ReLU) and None,
    )
    result = score(net, batch, [proxy_of(watching), *ALL])
    assert {name: values(result)[name] for name in ALL} == expected
    assert (result["own"].status, "a weight changed" in result["own"].reason) == ("refused", True)
    assert fingerprint(net) == state


@pytest.mark.parametrize("hostile", ["__init__", "observe"])
def test_what_raises_before_it_runs_fails_alone(hostile):
    def raising(self, *_):
        net[0].weight.data.zero_()
        net.eval()
        raise RuntimeError("no such thing")

    net, batch = the_net(), image_batch(dtype=torch.float32)
    expected = values(score(net, batch, ALL))
    state = fingerprint(net)
    own = pass_of(lambda net, batch, done: 1.0, requires=(Forward,), **{hostile: raising})
    result = score(net, batch, [proxy_of(own), *ALL])
    assert {name: values(result)[name] for name in ALL} == expected
    assert (result["own"].status, result["own"].reason) == ("failed", "RuntimeError: no such thing")
    assert fingerprint(net) == state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_own_passes_share_the_forward_pass(dtype):
    runs = []
    net, batch = the_net(dtype), image_batch(dtype=dtype)
    net[0].register_forward_hook(lambda module, args, output: runs.append(len(output)))
    one = pass_of(
        lambda net, batch, done: len(done[Forward].logits),
        requires=(Forward,),
        observe=lambda self, forward: forward.watch(lambda output: output.shape, nn.ReLU) and None,
    )
    two = pass_of(
        lambda net, batch, done: done[Forward].differentiate(done[Forward].logits.sum(), done[Forward].weights)[0],
        requires=(Forward,),
        observe=lambda self, forward: forward.need_gradients(),
    )
    own = [proxy_of(one, name="one"), proxy_of(two, name="two")]
    result = score(net, batch, [*own, "snip", "jacob_cov", "naswot", "flops"])
    assert {name: each.reason for name, each in result.items()} == dict.fromkeys(result, "")
    assert runs == [len(batch[0]), 2]  # the second one for naswot, which has to know that it sees all


def test_a_pass_runs_once_and_a_failure_reaches_those_that_build_on_it():
    ran = []
    first = pass_of(lambda net, batch, done: ran.append("first"))
    second = pass_of(lambda net, batch, done: raise_at_once(net, batch, done), requires=(first,))
    third = pass_of(lambda net, batch, done: ran.append("third"), requires=(second, first))
    own = [proxy_of(each, name=str(place)) for place, each in enumerate((third, second, first, third))]
    result = score(the_net(), image_batch(dtype=torch.float32), own)
    assert [result[name].status for name in "0123"] == ["failed", "failed", "ok", "failed"]
    assert {result[name].reason for name in "013"} == {"RuntimeError: no such thing"}
    assert ran == ["first"]


def test_a_status_of_ones_own():
    def run(net, batch, done):
        raise ProxyError("undefined", "not for this net")

    own = score(the_net(), image_batch(dtype=torch.float32), [proxy_of(pass_of(run))])["own"]
    assert (own.status, own.reason, math.isnan(own.value)) == ("undefined", "not for this net", True)


def test_only_what_is_named_is_given():
    undeclared = pass_of(lambda net, batch, done: done[Forward])
    own = [proxy_of(undeclared, name="pass"), proxy_of(Weights, value=lambda r: r[InputJacobian], name="proxy")]
    result = score(the_net(), image_batch(dtype=torch.float32), [*own, "jacob_cov"])
    assert [each.status for each in result.values()] == ["failed", "failed", "ok"]


@pytest.mark.parametrize("train", [True, False])
def test_a_forward_pass_of_ones_own_obeys_the_mode(train):
    def run(net, batch, done):
        first, second = (net.forward(batch.inputs) for _ in range(2))
        assert torch.equal(first, second)  # random numbers and running statistics begin anew
        return first

    own = pass_of(run)
    net, batch = the_net(torch.float64).eval(), image_batch()
    result = score(net, batch, [proxy_of(own, value=lambda r: r[own].square().sum().item())], train=train)["own"]
    assert result.status == "ok", result.reason
    expected = net.train(train)(batch[0]).square().sum().item()
    assert result.value == pytest.approx(expected, rel=1e-12)


def test_hooks_of_a_forward_pass_of_ones_own():
    def run(net, batch, done):
        relus = [module for module in net.modules if isinstance(module, nn.ReLU)]
        seen = []
        net.forward(batch.inputs, hooks=[(each, lambda m, args, output: seen.append(output.sum())) for each in relus])
        net.forward(batch.inputs)
        return len(seen)

    own = pass_of(run)
    result = score(the_net(), image_batch(dtype=torch.float32), [proxy_of(own, value=lambda r: r[own])])["own"]
    assert result.value == 2


def test_gradients_of_single_samples():
    """Their mean is the gradient of the mean."""

    def run(net, batch, done):
        rows = []
        for one in batch.split(len(batch.inputs)):
            gradients = torch.autograd.grad(one.loss_of(net.forward(one.inputs)), net.parameters)
            rows.append(torch.cat([each.flatten() for each in gradients]))
        return torch.stack(rows)

    own = pass_of(run, reads="batches")

    def distance(results):
        whole = torch.cat([each.flatten() for each in results[LossGradient].gradients])
        return (results[own].mean(0) - whole).abs().max().item()

    torch.manual_seed(0)
    net = small_cnn(batchnorm=False).double()
    result = score(net, image_batch(), [proxy_of(own, LossGradient, value=distance)])
    assert result["own"].value < 1e-12, result["own"].reason


def test_two_minibatches_are_parts_of_one():
    own = pass_of(lambda net, batch, done: [len(part.inputs) for part in batch.split(4)], reads="batches")
    proxy = proxy_of(own, value=lambda results: sum(10**i * n for i, n in enumerate(results[own])))
    assert score(the_net(), image_batch(dtype=torch.float32), [proxy])["own"].value == 1122
    few = score(the_net(), image_batch(3, torch.float32), [proxy])["own"]
    assert (few.status, few.reason) == ("undefined", "4 minibatches take as many samples, got 3")


class Looping(Pass):
    def run(self, net, batch, done):
        return None


Looping.requires = (Looping,)


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ((3,), "needs: expected classes of passes, got 3"),
        ((Looping,), "requires: expected passes without a circle, got Looping"),
        ((LossGradient(),), "needs: expected classes of passes, got <"),
        (LossGradient, "needs: expected a tuple of classes of passes, got <class"),
        (None, "needs: expected a tuple of classes of passes, got None"),
    ],
)
def test_needs_that_are_none(needs, message):
    proxy = proxy_of()
    type(proxy).needs = needs
    with pytest.raises(TypeError, match=message):
        score(the_net(), image_batch(dtype=torch.float32), [proxy])


def test_passes_that_cannot_be_made():
    class Argument(Pass):
        def __init__(self, size):
            self.size = size

        def run(self, net, batch, done):
            return self.size

    class Abstract(Pass):
        pass

    own = [proxy_of(Argument, name="argument"), proxy_of(Abstract, name="abstract")]
    result = score(the_net(), image_batch(dtype=torch.float32), [*own, "snip"])
    assert [each.status for each in result.values()] == ["failed", "failed", "ok"]
    assert "TypeError" in result["argument"].reason


def test_own_passes_of_nets_that_cannot_be_repeated_are_refused():
    class Counting(nn.Sequential):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return super().forward(x) * type(self).calls

    own = pass_of(lambda net, batch, done: net.forward(batch.inputs))
    result = score(Counting(*small_cnn()).double(), image_batch(), ["snip", proxy_of(own)])
    assert result["snip"].status == "ok"
    assert result["own"].status == "refused"


@pytest.mark.parametrize("other", ANY_NET)
def test_built_in_results_are_there_for_own_proxies(other):
    needs = registered()[other]().needs
    result = score(the_net(), image_batch(dtype=torch.float32), [proxy_of(*needs, ReluPatterns), other])
    assert result["own"].status == "ok"


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize(
    ("shares", "came"),
    [(torch.ones(7), r"\[7\]"), (torch.ones(()), r"\[\]"), (torch.ones(3, 1), r"\[3, 1\]"), ([1.0, 2.0, 3.0], "list")],
)
def test_shares_that_are_not_one_a_layer_are_no_score(shares, came, per_layer):
    kind = type("Own", (Proxy,), {"name": "own", "needs": (), "layerwise": lambda self, results: shares})
    result = score(small_cnn(), image_batch(dtype=torch.float32), [kind(), "snip"], per_layer=per_layer)
    assert (result["own"].status, result["snip"].status) == ("failed", "ok")
    assert re.search(
        rf"expected layerwise to give a tensor \[\d\], one number a layer, got {came}$", result["own"].reason
    )


@pytest.mark.parametrize("name", [3, "", "two words", "snip,synflow"])
def test_a_name_that_no_list_can_have_is_refused(name):
    with pytest.raises(TypeError, match="proxy: expected a name of letters, digits and _, got"):
        register(type("Own", (Proxy,), {"name": name, "source": "this test", "needs": ()}))
    assert name not in registered()


def test_a_result_that_nobody_asked_for():
    class Reading(Proxy):
        name, source, needs = "reading", "a test", (Weights,)

        def value(self, results):
            return float(results[Forward].logits.sum())

    net, batch = the_net(), image_batch(dtype=torch.float32)
    result = score(net, batch, [Reading(), "snip"])
    reason = "expected a pass that `needs` or `requires` names (Weights), got Forward"
    assert (result["reading"].status, result["reading"].reason, result["snip"].status) == ("failed", reason, "ok")
    careless = pass_of(lambda net, batch, done: done[Forward], requires=(Weights,))
    assert score(net, batch, [proxy_of(careless)])["own"].reason == reason


@pytest.mark.parametrize("taken", ["paper", "modern", "cheap", "all", "recommended", "az_nas", "vkdnw_agg", "snip"])
def test_a_name_that_stands_for_something_else(taken):
    class Named(Proxy):
        name, source, needs = taken, "a test", (Weights,)

    with pytest.raises(ValueError, match=f"proxy: .*'{taken}'"):
        register(Named)


def defined_again(name, number):
    class Again(Proxy):
        source, needs = "a test", (Weights,)

        def value(self, results):
            return number

    Again.name = name
    return Again


def test_a_proxy_that_is_defined_again_takes_its_own_place(monkeypatch):
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))
    register(defined_again("again", 1.0))
    register(defined_again("again", 2.0))
    assert score(the_net(), image_batch(dtype=torch.float32), ["again"])["again"].value == 2
    with pytest.raises(ValueError, match=r"expected a name that no other proxy has, got 'snip': zcfast\.proxies\.snip"):
        register(defined_again("snip", 1.0))


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        (3, "proxy: expected a class of zcfast.proxies.Proxy, got 3"),
        (type("Nameless", (Proxy,), {"needs": ()}), "proxy: expected a name of letters, digits and _, got None"),
        (type("Empty", (Proxy,), {"name": "empty", "needs": ()}), "proxy: expected empty to have layerwise or value"),
    ],
)
def test_what_is_no_proxy_is_not_registered(proxy, message):
    with pytest.raises(TypeError, match=message):
        register(proxy)


def test_a_class_in_a_list_is_the_proxy_with_its_defaults():
    scores = score(the_net(), image_batch(dtype=torch.float32), [defined_again("again", 3.0), "params"])
    assert scores["again"].value == 3


def test_a_score_of_sets_is_none_of_one_network():
    with pytest.raises(ValueError, match="expected scores of one network, got az_nas, of a set of networks"):
        score(the_net(), image_batch(dtype=torch.float32), ["az_nas"])
