"""Scores of sets of architectures beside the columns that they are made of."""

import math

import pytest
import torch

import zcfast
from zcfast import analysis
from zcfast.proxies.populations import AZ_NAS, Population, with_parts

PARTS = ["az_expressivity", "az_progressivity", "az_trainability", "flops"]
SMALL = {"stem_channels": 4, "modules": 1}


def scored(proxies, rows=6, **options):
    space = zcfast.space("nasbench201")
    cells = space.sample(rows, torch.Generator().manual_seed(0))
    images = zcfast.random_images(4, (3, 8, 8), classes=5, seed=0)
    return zcfast.score_architectures(space, proxies, cells, images, **SMALL, **options)


def test_columns_and_their_order(tmp_path):
    scores = scored(["az_nas", "params", "flops"])
    assert list(scores.columns) == ["az_nas", *PARTS[:3], "params", "flops"]
    expected = analysis.az_nas(*(scores[part] for part in PARTS))
    assert torch.equal(scores["az_nas"], expected)
    assert list(scored(["params", "az_nas"]).columns) == ["params", *PARTS, "az_nas"]
    scores.save(tmp_path / "s.parquet")
    assert torch.equal(zcfast.Scores.load(tmp_path / "s.parquet")["az_nas"], expected)
    assert scores.top(1, by="az_nas").tolist() == [expected.argmax().item()]


def test_two_scores_of_sets_share_their_parts():
    scores = scored(["vkdnw_agg", "az_nas"])
    assert set(scores.columns) == {"vkdnw_agg", "az_nas", "vkdnw_entropy", *PARTS}
    columns = [scores[part].nan_to_num(-math.inf, math.inf, -math.inf) for part in ("vkdnw_entropy", *PARTS)]
    torch.testing.assert_close(scores["vkdnw_agg"], analysis.log_rank_sum(*columns))
    assert torch.equal(scores["az_nas"], scored(["az_nas"])["az_nas"])


def test_workers_change_nothing():
    one, two = (scored(["az_nas"], workers=workers) for workers in (1, 2))
    for name in one.columns:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=0, equal_nan=True)


def test_draws_are_those_of_the_seed():
    one, again, other = (scored(["az_expressivity"], rows=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one["az_expressivity"], again["az_expressivity"])
    assert not torch.equal(one["az_expressivity"], other["az_expressivity"])


def test_ranks_by_hand():
    first, second = torch.tensor([3.0, math.nan, 1.0, -math.inf]), torch.tensor([1, 5, 1, 0])
    ranks = [[4, 1.5, 3, 1.5], [2.5, 4, 2.5, 1]]
    expected = [sum(math.log(rank[row] / 4) for rank in ranks) for row in range(4)]
    found = Population("pair", ("a", "b"), "", "").score([first, second])
    assert found.tolist() == pytest.approx(expected)


def test_constant_columns_move_no_rank():
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randn(20, generator=generator) for _ in range(3)]
    whole = AZ_NAS.score([*columns, torch.ones(20)])
    assert torch.equal(whole.argsort(), analysis.log_rank_sum(*columns).argsort())


def test_parts_are_listed_once():
    assert with_parts(["az_nas"]) == PARTS
    assert with_parts(["flops", "az_nas", "az_trainability"]) == ["flops", *PARTS[:2], "az_trainability"]
    assert with_parts(["snip"]) == ["snip"]


def test_unknown_names_may_be_populations():
    with pytest.raises(ValueError, match="unknown proxy 'az_nass': did you mean az_nas"):
        scored(["az_nass"])


def test_no_score_of_sets_without_one_of_its_parts():
    """What is left would be the rank by the other parts, under its name."""
    nets = {str(width): torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, width)) for width in (4, 8)}
    scores = zcfast.score_modules(nets, (torch.randn(4, 3, 4, 4), torch.arange(4)), ["az_nas"])
    assert scores["az_nas"].isnan().all()
    assert scores.reasons["az_nas"] == scores.reasons["az_expressivity"]
    assert scores["flops"].isfinite().all()
