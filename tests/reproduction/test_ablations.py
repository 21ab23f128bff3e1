import dataclasses

import pytest
import scipy.stats
import torch

from reproduction import ablations
from tests.reproduction.shared import CIFAR10, SPACE, accuracies, context, representatives, with_seed, write_scores


def test_seeds_are_compared_on_the_same_architectures(tmp_path, data):
    run = context(data, sample=40)
    protocol = run.protocol(CIFAR10)
    drawn = run.drawn(CIFAR10, 40)
    chosen = representatives(drawn)
    many = write_scores(tmp_path / "0.parquet", protocol, chosen)
    few = write_scores(tmp_path / "1.parquet", with_seed(protocol, 1), chosen[:25])
    write_scores(tmp_path / "init.parquet", dataclasses.replace(protocol, initialisation="kaiming_fan_in"), chosen)
    result = ablations.reproduce(context(data, tmp_path, sample=40), "table14")
    classes = SPACE.index(SPACE.canonical(SPACE.enumerate()[drawn])).tolist()
    length = classes.index(int(chosen[25])) if len(chosen) > 25 else 40
    place = {row: number for number, row in enumerate(chosen.tolist())}
    own = {}
    for seed, columns in ((0, many), (1, few)):
        row = next(row for row in result.rows if row.benchmark.startswith(f"seed {seed},") and row.proxy == "snip")
        values = [float(columns["snip"][place[each]]) for each in classes[:length]]
        own[seed] = scipy.stats.spearmanr(values, accuracies()[drawn[:length]]).statistic
        assert row.ours == pytest.approx(own[seed])
        assert row.rows == length
    mean = next(row for row in result.rows if row.benchmark.startswith("mean of 2") and row.proxy == "snip")
    assert mean.ours == pytest.approx(sum(own.values()) / 2)
    deviation = float(torch.tensor(list(own.values())).std())
    assert mean.note == f"standard deviation over the settings {deviation:.3f}"
    missing = [row for row in result.rows if row.benchmark.startswith("seed 2,")]
    assert [row.proxy for row in missing] == ["all"]
    assert "have no scores" in missing[0].note
    assert not any("kaiming" in row.benchmark for row in result.rows)


@pytest.mark.slow
def test_initialisations_and_batch_sizes_are_found(tmp_path, data):
    run = context(data, sample=20)
    protocol = run.protocol(CIFAR10)
    chosen = representatives(run.drawn(CIFAR10, 20))
    write_scores(tmp_path / "0.parquet", protocol, chosen)
    write_scores(tmp_path / "1.parquet", run.protocol(CIFAR10, initialisation="kaiming_fan_in"), chosen)
    write_scores(tmp_path / "2.parquet", run.protocol(CIFAR10, batch_size=16), chosen)
    for target, labels in (
        ("table15", {"initialisation pytorch", "initialisation kaiming_fan_in"}),
        ("table16", {"64 images", "16 images"}),
    ):
        result = ablations.reproduce(context(data, tmp_path, sample=20), target)
        assert {row.benchmark for row in result.rows if row.rows == 20} == labels
