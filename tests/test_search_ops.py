import itertools

import pytest
import torch

from zcfast import search_ops

pytestmark = pytest.mark.usefixtures("default_device")


def random_keys(runs):
    generator = torch.Generator(torch.get_default_device()).manual_seed(0)
    return torch.randint(-(2**63), 2**63 - 1, (runs,), generator=generator)


@pytest.mark.parametrize("draws", [0, 1, 13])
@pytest.mark.parametrize("step", [0, 1, 2**40])
def test_bits_equal_the_plain_ones(draws, step):
    keys = random_keys(500)
    assert torch.equal(search_ops.stream_bits(keys, step, draws), search_ops.plain_stream_bits(keys, step, draws))


def test_every_subset_is_equally_likely():
    """Of 5 members 2 compete: member k wins over the k less accurate ones, in k of 10 pairs."""
    accuracies = torch.arange(5.0, dtype=torch.float64).repeat(20_000, 1)
    counts = torch.bincount(search_ops.tournament(random_keys(20_000), 0, accuracies, 2), minlength=5)
    expected = torch.tensor([sum(max(pair) == k for pair in itertools.combinations(range(5), 2)) for k in range(5)])
    assert (counts - expected * 2000).abs().max() < 5 * 8000**0.5
    assert counts[0] == 0


def test_errors():
    keys, accuracies = random_keys(3), torch.zeros(3, 4, dtype=torch.float64)
    pool = torch.zeros(3, 4, dtype=torch.int64)
    graph = (torch.tensor([0, 1, 2]), torch.tensor([1, 0]))
    values = torch.tensor([1.0, 2.0], dtype=torch.float64)
    with pytest.raises(RuntimeError, match="evolve: tournament: expected 1 to 4, got 5"):
        search_ops.evolve(keys, 0, 1, (pool, pool, accuracies), 5, graph, None, 0.0, values)
    with pytest.raises(RuntimeError, match=r"evolve: accuracies: expected shape \[3, 4\], got \[2, 4\]"):
        search_ops.evolve(keys, 0, 1, (pool, pool, accuracies[:2]), 2, graph, None, 0.0, values)
    with pytest.raises(RuntimeError, match="stream_bits: keys: expected dtype Long, got Double"):
        search_ops.stream_bits(keys.double(), 0, 2)
