"""What every search space keeps to."""

from typing import Any

import pytest
import torch
from torch import nn

from zcfast.nets.inputs import call_net
from zcfast.spaces import Decisions, Enumerated, NeighbourGraph, Neighbourhood, SearchSpace, Sizes


def check_space(space: SearchSpace[Any]) -> None:
    """Draws, texts, networks, and the capabilities that the space gives."""
    for test in (_draws, _texts, _networks, _bad_texts, _enumerated, _decisions, _neighbourhood, _sizes):
        test(space)


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _draws(space: SearchSpace[Any]) -> None:
    """Draws depend on the generator alone, torch's own by default, are valid, and any number can be asked for."""
    first, again = space.sample(6, _seeded()), space.sample(6, _seeded())
    assert len(first) == 6
    assert first == again
    assert space.is_valid(first).all()
    assert space.reasons(first) == [""] * 6
    assert len(space.sample(0)) == 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = space.sample(20)
        assert (len(set(space.format(first))) > 1) == (len(set(space.format(space.sample(20, _seeded())))) > 1)
        torch.manual_seed(0)
        assert space.sample(20) == first


def _texts(space: SearchSpace[Any]) -> None:
    """Texts are read back, one or many, and any part of a batch has its own."""
    cells = space.sample(6, _seeded(1))
    written = space.format(cells)
    assert all(isinstance(text, str) and text and "\n" not in text for text in written)
    assert space.format(space.parse(written)) == written
    assert space.parse(written[2]) == cells[2] == cells[[2]]
    assert space.format(cells[torch.tensor([4, 1])]) == [written[4], written[1]]


def _bad_texts(space: SearchSpace[Any]) -> None:
    """What is no architecture is a ValueError."""
    for text in ("", "no architecture of any space", "{", "\x00"):
        with pytest.raises(ValueError, match=r"."):
            space.parse(text)


def _networks(space: SearchSpace[Any]) -> None:
    """A network's weights depend on the generator's seed and the architecture alone, and it takes the example."""
    cells = space.sample(2, _seeded(2))
    before = torch.get_rng_state()
    weights = [_weights(space, cells[0]), _weights(space, cells[1])]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert _equal(_weights(space, cells[1]), weights[1])
    assert _equal(_weights(space, cells[0]), weights[0])
    assert _equal(_weights(space, space.format(cells[0])[0]), weights[0])
    module = space.build(cells[0])
    call_net(module, space.example.inputs)
    with pytest.raises(ValueError, match="expected one, got 2"):
        space.build(cells)
    with pytest.raises(ValueError, match="unknown option 'no_option'"):
        space.build(cells[0], no_option=1)


def _weights(space: SearchSpace[Any], architecture: Any) -> dict[str, torch.Tensor]:
    module = space.build(architecture, generator=_seeded(3))
    assert isinstance(module, nn.Module)
    return {name: value.clone() for name, value in module.state_dict().items()}


def _equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _enumerated(space: SearchSpace[Any]) -> None:
    """Rows and architectures belong together, one by one."""
    listed = space.offers(Enumerated)
    if listed is None:
        return
    everything = listed.enumerate()
    assert len(everything) == len(listed) == len(set(space.format(everything)))
    rows = torch.randint(len(listed), (20,), generator=_seeded(4))
    assert torch.equal(listed.index(everything[rows]), rows)
    assert space.is_valid(everything).all()
    canonical = listed.canonical(everything[rows])
    assert listed.canonical(canonical) == canonical
    assert len(listed.keys(everything[rows])) == 20


def _decisions(space: SearchSpace[Any]) -> None:
    """Choices make architectures, whose choices are these where they count."""
    chosen = space.offers(Decisions)
    if chosen is None:
        return
    assert all(size >= 1 for size in chosen.sizes)
    choices = torch.stack([torch.randint(size, (64,), generator=_seeded(5)) for size in chosen.sizes], 1)
    cells = chosen.encode(choices)
    cells = cells[space.is_valid(cells)]
    read = chosen.decode(cells)
    assert read.shape == (len(cells), len(chosen.sizes))
    assert read.dtype == torch.int64
    assert ((read >= -1) & (read < torch.tensor(chosen.sizes))).all()
    again, listed = chosen.encode(read.clamp(min=0)), space.offers(Enumerated)
    if listed is None:
        assert space.format(again) == space.format(cells)
    else:
        assert torch.equal(listed.index(again), listed.index(cells))
        some = space.sample(50, _seeded(9))
        assert torch.equal(listed.index(chosen.encode(chosen.decode(some).clamp(min=0))), listed.index(some))
    assert chosen.available.shape == (len(chosen.sizes), max(chosen.sizes))


def _neighbourhood(space: SearchSpace[Any]) -> None:
    """Neighbours are other architectures of the space."""
    near = space.offers(Neighbourhood)
    cells = space.sample(5, _seeded(6))
    if near is not None:
        mutated = near.mutate(cells, _seeded(7))
        assert space.is_valid(mutated).all()
        assert mutated == near.mutate(cells, _seeded(7))
    if isinstance(near, NeighbourGraph):
        lists = near.neighbours(cells)
        rows = space.capability(Enumerated).index(cells)
        assert len(lists) == 5
        assert all(row not in lists[i] for i, row in enumerate(rows))


def _sizes(space: SearchSpace[Any]) -> None:
    """Parameters are those of the network."""
    counted = space.offers(Sizes)
    if counted is None:
        return
    cell = space.sample(1, _seeded(8))
    built = sum(parameter.numel() for parameter in space.build(cell).parameters())
    assert counted.params(cell).tolist() == [built]
    assert counted.flops(cell).shape == (1,)
