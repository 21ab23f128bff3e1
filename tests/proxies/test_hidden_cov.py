"""hidden_cov: a plain computation by cells, and where it has none."""

import pytest
import torch
import torch.nn as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxies.example_nets import image_batch, small_cnn
from zcfast.proxies import hidden_cov
from zcfast.scoring import score


def formula(states):
    """Of [steps] states [N, units], the spec's: rows are units, columns samples and steps."""
    rows = torch.stack([state.double() for state in states], -1).permute(1, 0, 2).flatten(1)
    values = torch.linalg.eigvalsh(torch.corrcoef(rows)).clamp(min=-9e-6)
    return -(torch.log(values + 1e-5) + 1 / (values + 1e-5)).sum().item()


CELLS = {nn.RNN: nn.RNNCell, nn.GRU: nn.GRUCell, nn.LSTM: nn.LSTMCell}


class Stack(nn.Module):
    def __init__(self, kind, layers, **options):
        super().__init__()
        self.batch_first = options.get("batch_first", False)
        self.rnn = kind(5, 4, layers, **options)
        self.head = nn.Linear(4 * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, x):
        output = self.rnn(x if self.batch_first else x.transpose(0, 1))[0]
        return self.head(output.mean(1 if self.batch_first else 0))


def by_cells(rnn, x):
    """The states of each layer before each step, by cells with the layers' weights; x [N, T, features]."""
    found = []
    for layer in range(rnn.num_layers):
        cell = CELLS[type(rnn)](x.shape[2], rnn.hidden_size).double()
        cell.load_state_dict({name: getattr(rnn, f"{name}_l{layer}") for name in cell.state_dict()})
        state, outputs = None, []
        states = [x.new_zeros(len(x), rnn.hidden_size)]
        for step in range(x.shape[1]):
            state = cell(x[:, step], state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        found.append(states + outputs[:-1])
        x = torch.stack(outputs, 1)
    return found


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(list(CELLS)),
    layers=st.integers(1, 3),
    samples=st.integers(2, 5),
    steps=st.integers(2, 6),
    batch_first=st.booleans(),
)
def test_stacks_against_cells(kind, layers, samples, steps, batch_first):
    torch.manual_seed(layers)
    net = Stack(kind, layers, batch_first=batch_first, dropout=0.5 if layers > 1 else 0.0).double()
    x = torch.randn(samples, steps, 5).double()
    expected = by_cells(net.rnn, x)
    proxies = [hidden_cov(layer=layer) for layer in range(layers + 1)]
    found = score(net, (x, torch.arange(samples) % 3), [*proxies, "params"])
    for proxy, states in zip(proxies, expected, strict=False):
        assert found[proxy.label].value == pytest.approx(formula(states), rel=1e-6)
    assert f"{layers} recurrent layers ran" in found[proxies[-1].label].reason


def test_both_directions_show_the_first():
    torch.manual_seed(0)
    net, x = Stack(nn.LSTM, 1, bidirectional=True, batch_first=True).double(), torch.randn(3, 6, 5).double()
    result = score(net, (x, torch.arange(3)), ["hidden_cov"])["hidden_cov"]
    assert result.value == pytest.approx(formula(by_cells(net.rnn, x)[0]), rel=1e-6)
    two = Stack(nn.LSTM, 2, bidirectional=True, batch_first=True).double()
    result = score(two, (x, torch.arange(3)), [hidden_cov(layer=1)])["hidden_cov(layer=1)"]
    above, single = two.rnn, nn.LSTM(8, 4, batch_first=True).double()
    single.load_state_dict({name: getattr(above, name.replace("l0", "l1")) for name in single.state_dict()})
    first = nn.LSTM(5, 4, batch_first=True, bidirectional=True).double()
    first.load_state_dict({name: getattr(above, name) for name in first.state_dict()})
    states = by_cells(single, first(x)[0])[0]
    assert result.value == pytest.approx(formula(states), rel=1e-6)


class Ways(nn.Module):
    """One recurrent layer or cell, called in one of several ways."""

    def __init__(self, kind, way):
        super().__init__()
        self.kind, self.way, self.begin = kind, way, nn.Linear(5, 4)
        self.rnn, self.head = CELLS[kind](5, 4) if "cell" in way else kind(5, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        state, lstm = self.begin(x[:, 0]), self.kind is nn.LSTM
        state = state if "cell" in self.way else state[None]
        state = (state, state.tanh()) if lstm else state
        if self.way == "keywords":
            state = self.rnn(input=x, hx=state)[1]
        elif self.way == "positions":
            state = self.rnn(x, state)[1]
        else:
            for step in range(x.shape[1]):
                if self.way == "step by step":
                    state = self.rnn(x[:, step : step + 1], hx=state)[1]
                else:
                    state = self.rnn(x[:, step], hx=state) if "hx" in self.way else self.rnn(x[:, step], state)
        last = state[0] if lstm else state
        return self.head(last if "cell" in self.way else last[0])


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("way", ["positions", "keywords", "step by step", "cell", "cell hx"])
def test_ways_of_calling(kind, way):
    torch.manual_seed(0)
    net, x = Ways(kind, way).double(), torch.randn(3, 6, 5).double()
    cell = CELLS[kind](5, 4).double()
    parameters = zip(cell.state_dict(), net.rnn.parameters(), strict=True)  # in the same order
    cell.load_state_dict({name: parameter.detach() for name, parameter in parameters})
    state, states = net.begin(x[:, 0]), []
    state = (state, state.tanh()) if kind is nn.LSTM else state
    for step in range(6):
        states.append((state[0] if kind is nn.LSTM else state).detach())
        state = cell(x[:, step], state)
    result = score(net, (x, torch.arange(3)), ["hidden_cov"])["hidden_cov"]
    assert result.value == pytest.approx(formula(states), rel=1e-6), result.reason


def test_calls_of_different_sizes():
    class Buckets(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(torch.cat([self.rnn(part)[0][:, -1] for part in (x[:1], x[1:])]))

    torch.manual_seed(0)
    net, x = Buckets().double(), torch.randn(3, 6, 5).double()
    result = score(net, (x, torch.arange(3)), ["hidden_cov"])["hidden_cov"]
    assert result.value == pytest.approx(formula(by_cells(net.rnn, x)[0]), rel=1e-6), result.reason


class Looped(nn.Module):
    """Two cells one behind the other, step by step, with a state of its own to begin with."""

    def __init__(self, kind):
        super().__init__()
        self.first, self.second, self.head = kind(5, 4), kind(4, 3), nn.Linear(3, 3)
        self.begin = nn.Parameter(torch.randn(4))

    def forward(self, x):
        lstm = isinstance(self.first, nn.LSTMCell)
        state, other = self.begin.expand(len(x), 4), None
        state = (state, state) if lstm else state
        for step in range(x.shape[1]):
            state = self.first(x[:, step], state)
            other = self.second(state[0] if lstm else state, other)
        return self.head(other[0] if lstm else other)


@pytest.mark.parametrize("kind", CELLS.values())
def test_loops_of_cells(kind):
    torch.manual_seed(0)
    net, x = Looped(kind).double(), torch.randn(3, 6, 5).double()
    lstm, states = kind is nn.LSTMCell, [[], []]
    state, other = net.begin.expand(3, 4), torch.zeros(3, 3).double()
    state, other = ((state, state), (other, other)) if lstm else (state, other)
    with torch.no_grad():
        for step in range(6):
            states[0].append(state[0] if lstm else state)
            states[1].append(other[0] if lstm else other)
            state = net.first(x[:, step], state)
            other = net.second(state[0] if lstm else state, other)
    for layer in range(2):
        (result,) = score(net, (x, torch.arange(3)), [hidden_cov(layer=layer)]).values()
        assert result.value == pytest.approx(formula(states[layer]), rel=1e-6)


def test_given_states_and_one_sequence_without_samples():
    class Given(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 4, 2), nn.Linear(4, 3)

        def forward(self, x, h):
            steps = [self.rnn(one, own.contiguous())[0].mean(0) for one, own in zip(x, h, strict=True)]
            return self.head(torch.stack(steps))

    torch.manual_seed(0)
    net, inputs = Given().double(), (torch.randn(2, 6, 5).double(), torch.randn(2, 2, 4).double())
    for layer in range(2):
        (result,) = score(net, (inputs, torch.arange(2)), [hidden_cov(layer=layer)]).values()
        states = []
        for outputs, begin in zip(*inputs, strict=True):
            for each in range(layer + 1):
                single = nn.GRU(outputs.shape[1], 4).double()
                single.load_state_dict(
                    {name: getattr(net.rnn, name.replace("l0", f"l{each}")) for name in single.state_dict()}
                )
                outputs = single(outputs, begin[each : each + 1])[0].detach()
            states.append(torch.cat([begin[each : each + 1], outputs[:-1]]))
        assert result.value == pytest.approx(formula(list(torch.cat(states)[:, None])), rel=1e-6)


def test_modes_come_back():
    net = Stack(nn.LSTM, 2, dropout=0.5).double().train()
    score(net, (torch.randn(3, 4, 5).double(), torch.arange(3)), ["hidden_cov", "snip"])
    assert net.rnn.training


def test_nets_without_recurrence():
    result = score(small_cnn().double(), image_batch(), ["hidden_cov", "snip"])
    assert (result["hidden_cov"].status, "no recurrent layer" in result["hidden_cov"].reason) == ("undefined", True)
    assert result["snip"].status == "ok"


def test_constant_units():
    net = Stack(nn.RNN, 1).double()
    with torch.no_grad():
        for parameter in net.rnn.parameters():
            parameter.zero_()
    result = score(net, (torch.randn(3, 4, 5).double(), torch.arange(3)), ["hidden_cov"])["hidden_cov"]
    assert (result.status, "constant" in result.reason) == ("undefined", True)


def test_the_option():
    with pytest.raises(ValueError, match="layer: expected a number >= 0, got -1"):
        hidden_cov(layer=-1)
