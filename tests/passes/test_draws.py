"""Random draws of proxies: from streams of their own, on stand-ins, and means over rounds."""

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.passes.test_restoration import fingerprint
from tests.proxies.example_nets import image_batch, small_cnn
from zcfast.passes import Draws, Repeated, redrawn, with_options
from zcfast.passes.redraw import kaiming_fan_in, kaiming_fan_out, unit
from zcfast.proxies import RepeatedProxy
from zcfast.scoring import score


class Drawn(Repeated):
    """The logits of normal weights for normal inputs, and the weights."""

    stream = "drawn"

    def once(self, net, batch, draws):
        inputs = draws.normal("noise", "x", batch.inputs.shape).to(batch.inputs)
        with torch.no_grad(), redrawn(net, draws, unit):
            return net.forward(inputs), [p.detach().clone() for p in net.module.parameters()]


@dataclass(frozen=True)
class Spread(RepeatedProxy):
    name, source = "spread", "this test"
    repeats: int = 3

    @property
    def needs(self):
        return (with_options(Drawn, repeats=self.repeats),)

    def rounds(self, results):
        return torch.stack([logits.double().std() for logits, _ in results[self.needs[0]]])


def rounds_of(net, batch, seed, repeats):
    """By hand."""
    values = []
    for each in range(repeats):
        draws = Draws(seed, "drawn", each)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                kind = net.get_submodule(name.rpartition(".")[0])
                if isinstance(kind, nn.BatchNorm2d):
                    parameter.fill_(name.endswith("weight"))
                elif name.endswith("bias"):
                    parameter.zero_()
                else:
                    parameter.copy_(draws.normal("weights", name, parameter.shape))
            values.append(net(draws.normal("noise", "x", batch[0].shape).to(batch[0])).double().std())
    return torch.stack(values)


@pytest.mark.parametrize("others", [[], ["snip", "grasp", "synflow", "naswot"]], ids=["alone", "beside others"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 7])
def test_mean_and_standard_error(dtype, seed, others):
    torch.manual_seed(3)
    net, batch = small_cnn().to(dtype), image_batch(5, dtype)
    before, random = fingerprint(net), torch.get_rng_state()
    alone = score(net, batch, [*others, "l2_norm"], seed=seed)
    result = score(net, batch, [*others, Spread(), "l2_norm"], seed=seed)
    assert fingerprint(net) == before
    assert torch.equal(torch.get_rng_state(), random)
    expected = rounds_of(net, batch, seed, 3)
    assert result["spread"].value == pytest.approx(
        expected.mean().item(), rel=1e-5 if dtype == torch.float32 else 1e-12
    )
    assert result["spread"].standard_error == pytest.approx(expected.std().item() / math.sqrt(3), rel=1e-4)
    assert result["spread"].protocol.seed == seed
    for name in (*others, "l2_norm"):
        assert (result[name].value, result[name].standard_error) == (alone[name].value, None)


def test_one_round_has_no_standard_error():
    result = score(small_cnn(), image_batch(dtype=torch.float32), [Spread(repeats=1)])["spread(repeats=1)"]
    assert (result.status, result.standard_error) == ("ok", None)


def test_nets_share_the_draws_of_layers_of_one_name_and_shape():
    seen = []

    @dataclass(frozen=True)
    class Keep(Spread):
        def rounds(self, results):
            seen.append(results[self.needs[0]][0][1])
            return super().rounds(results)

    for net in (small_cnn(), nn.Sequential(*list(small_cnn())[:3], nn.Flatten(), nn.Linear(256, 5))):
        assert score(net, image_batch(dtype=torch.float32), [Keep()])["spread"].status == "ok"
    assert torch.equal(seen[0][0], seen[1][0])
    assert seen[0][0].std() == pytest.approx(1, abs=0.3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**70),
    shape=st.lists(st.integers(1, 6), max_size=4).map(tuple),
    names=st.lists(st.text(max_size=5), min_size=2, max_size=2, unique=True),
)
def test_streams_are_functions_of_their_keys(seed, shape, names):
    one, other = (Draws(seed, "a", 0).normal("weights", name, shape) for name in names)
    assert one.shape == other.shape == shape
    assert one.dtype == torch.float32
    assert torch.equal(one, Draws(seed, "a", 0).normal("weights", names[0], shape))
    for different in (Draws(seed + 1, "a", 0), Draws(seed, "b", 0), Draws(seed, "a", 1)):
        assert not torch.equal(one, different.normal("weights", names[0], shape))
    assert not torch.equal(one, other)
    assert not torch.equal(one, Draws(seed, "a", 0).normal("noise", names[0], shape))


def test_numbers_are_those_of_their_distributions():
    draws = Draws(0, "a", 0)
    normal, signs = draws.normal("x", "", (200, 500)), draws.signs("x", "", (200, 500))
    assert normal.mean().abs() < 0.02
    assert normal.std() == pytest.approx(1, abs=0.01)
    assert signs.unique().tolist() == [-1, 1]
    assert signs.mean().abs() < 0.02
    chosen = [Draws(0, "a", each).choice("channels", "", 20, 8) for each in range(200)]
    assert all(len(set(each.tolist())) == 8 and each.tolist() == sorted(each.tolist()) for each in chosen)
    assert torch.cat(chosen).bincount().float().std() < 20


def test_deviations():
    shape = torch.Size((8, 4, 3, 3))
    assert unit(shape) == 1
    assert kaiming_fan_in(shape) == pytest.approx(math.sqrt(2 / 36))
    assert kaiming_fan_out(shape) == pytest.approx(math.sqrt(2 / 72))


def test_tied_weights_are_drawn_once():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 192), nn.ReLU(), nn.Linear(192, 192), nn.Linear(192, 5))
    net[3].weight = net[1].weight

    class Weights(Drawn):
        def once(self, net, batch, draws):
            with redrawn(net, draws, unit):
                return torch.equal(net.module[1].weight, net.module[3].weight)

    @dataclass(frozen=True)
    class Equal(RepeatedProxy):
        name, source, needs = "equal", "this test", (Weights,)

        def rounds(self, results):
            return torch.tensor(results[Weights]).double()

    assert score(net, image_batch(dtype=torch.float32), [Equal()])["equal"].value == 1


@pytest.mark.parametrize("repeats", [0, -1, 1.5])
def test_wrong_repeats(repeats):
    with pytest.raises(ValueError, match="repeats: expected"):
        Spread(repeats=repeats)


def test_wrong_seeds():
    with pytest.raises(ValueError, match="seed: expected a number >= 0, got -1"):
        score(small_cnn(), image_batch(dtype=torch.float32), ["snip"], seed=-1)
