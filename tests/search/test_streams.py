import pytest
import torch

from zcfast.search.streams import Streams

MASK = (1 << 64) - 1


def splitmix(state):
    """The published generator's output function in Python integers."""
    z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def test_bits_are_those_of_splitmix64():
    golden = 0x9E3779B97F4A7C15
    key = splitmix((3 * golden + splitmix((42 + 1) * golden & MASK)) & MASK)
    at_step = splitmix((key + splitmix((9 + 1) * golden & MASK)) & MASK)
    expected = [splitmix((at_step + draw * golden) & MASK) for draw in (1, 2)]
    assert [number & MASK for number in Streams.of(42, 5).bits(9, 2)[3].tolist()] == expected
    assert splitmix(golden) == 0xE220A8397B1DCDAF  # the first output of the published generator for the seed 0


def test_streams_do_not_depend_on_the_others():
    all_runs = Streams.of(5, 100)
    alone = Streams.of(5, 1, first_run=37)
    assert torch.equal(all_runs.bits(3, 4)[37:38], alone.bits(3, 4))
    assert torch.equal(all_runs.fork("x").bits(3, 4)[37:38], alone.fork("x").bits(3, 4))
    assert torch.equal(all_runs.permutation(15_625, 5, 80)[37:38], alone.permutation(15_625, 5, 80))
    assert (
        len(torch.cat([all_runs.bits(0, 50), all_runs.bits(1, 50), all_runs.fork("x").bits(0, 50)]).unique()) == 15000
    )


def test_numbers_are_uniform():
    streams = Streams.of(0, 2000)
    uniform = streams.uniform(1, 100)
    assert 0 <= uniform.min() < 1e-4 < 1 - 1e-4 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.003
    counts = torch.bincount(streams.below(2, 100, 7).flatten(), minlength=7)
    assert (counts - 200_000 / 7).abs().max() < 5 * (200_000 / 7) ** 0.5
    bounds = torch.tensor([1, 2, 3]).repeat(1000, 1)
    drawn = Streams.of(1, 1000).below(0, 3, bounds)
    assert drawn.amax(0).tolist() == [0, 1, 2]
    assert drawn.amin(0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 1000, 15_625])
def test_permutations_hold_every_number_once(n):
    order = Streams.of(0, 3).permutation(n, 0, n)
    assert torch.equal(order.sort(1).values, torch.arange(n).expand(3, -1))
    parts = [Streams.of(0, 3).permutation(n, start, min(start + 100, n)) for start in range(0, n, 100)]
    assert torch.equal(torch.cat(parts, 1), order)


def test_every_order_of_three_is_equally_likely():
    orders = Streams.of(0, 12_000).permutation(3, 0, 3)
    counts = torch.bincount(orders[:, 0] * 3 + orders[:, 1], minlength=9)
    counts = counts[counts > 0]
    assert len(counts) == 6
    assert (counts - 2000).abs().max() < 5 * 2000**0.5


def test_first_places_are_uniform_and_pairs_independent():
    first = Streams.of(3, 40_000).permutation(50, 0, 2)
    counts = torch.bincount(first[:, 0] * 50 + first[:, 1], minlength=2500).reshape(50, 50)
    assert counts.diagonal().sum() == 0
    expected = 40_000 / (50 * 49)
    off = counts[~torch.eye(50, dtype=torch.bool)]
    chi2 = ((off - expected) ** 2 / expected).sum() / len(off)
    assert 0.85 < chi2 < 1.15


def test_places_out_of_range_are_refused():
    with pytest.raises(ValueError, match="places: expected 0 <= start <= stop <= 10, got 0 and 11"):
        Streams.of(0, 1).permutation(10, 0, 11)
