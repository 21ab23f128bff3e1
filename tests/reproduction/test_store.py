import dataclasses
import re
from types import SimpleNamespace

import pytest
import torch

import zcfast
from reproduction.store import ScoreStore
from tests.reproduction.shared import CIFAR10, SPACE, context, representatives, with_seed, write_scores
from zcfast.data.provenance import Meaning


@pytest.fixture
def protocol(data):
    return context(data).protocol(CIFAR10)


def test_twins_have_the_score_of_their_representative(tmp_path, protocol):
    rows = torch.arange(300)
    chosen = representatives(rows)
    assert len(chosen) < 300
    columns = write_scores(tmp_path / "a" / "b.parquet", protocol, chosen)
    values, scored = ScoreStore(tmp_path).column(protocol, "snip")
    place = {row: number for number, row in enumerate(chosen.tolist())}
    for row in rows.tolist():
        representative = int(SPACE.index(SPACE.canonical(SPACE.enumerate()[row])))
        assert values[row] == columns["snip"][place[representative]]
    assert bool(scored[rows].all())
    assert not bool(scored.all())
    assert torch.equal(values.isnan(), ~scored)


def test_protocols_are_kept_apart(tmp_path, protocol):
    rows = torch.tensor([5, 9])
    first = write_scores(tmp_path / "a.parquet", protocol, rows)
    write_scores(tmp_path / "b.parquet", with_seed(protocol, 1), rows, {"snip": torch.tensor([1.0, 2.0]).double()})
    store = ScoreStore(tmp_path)
    assert store.protocols() == [protocol, with_seed(protocol, 1)]
    assert store.column(protocol, "snip")[0][rows].tolist() == first["snip"].tolist()
    assert store.column(with_seed(protocol, 1), "snip")[0][rows].tolist() == [1, 2]
    assert not store.column(with_seed(protocol, 2), "snip")[1].any()


def test_one_file_is_a_store(tmp_path, protocol):
    write_scores(tmp_path / "a.parquet", protocol, torch.tensor([3]))
    assert ScoreStore(tmp_path / "a.parquet").protocols() == [protocol]


def test_closed_forms_are_passed_over(tmp_path):
    zcfast.score_space("nasbench201", ["params"]).save(tmp_path / "closed.parquet")
    assert ScoreStore(tmp_path).protocols() == []


def test_a_sample_ends_before_the_first_architecture_without_a_score(tmp_path, data, protocol):
    rows = context(data).drawn(CIFAR10, 50)
    chosen = representatives(rows)
    write_scores(tmp_path / "a.parquet", protocol, torch.cat([chosen[:20], chosen[21:]]))
    sample = context(data, tmp_path, sample=50).sampled(CIFAR10)
    classes = SPACE.index(SPACE.canonical(SPACE.enumerate()[rows])).tolist()
    length = classes.index(int(chosen[20]))
    assert sample.rows.tolist() == rows[:length].tolist()
    assert sample.reason == f"{50 - length} of 50 drawn architectures have no scores; --workers scores them"


def test_a_score_of_nan_is_a_score(tmp_path, data, protocol):
    rows = context(data).drawn(CIFAR10, 10)
    chosen = representatives(rows)
    columns = write_scores(tmp_path / "a.parquet", protocol, chosen)
    columns["jacob_cov"][0] = torch.nan
    write_scores(tmp_path / "a.parquet", protocol, chosen, columns)
    sample = context(data, tmp_path, sample=10).sampled(CIFAR10)
    assert len(sample.rows) == 10
    assert sample.reason == ""
    assert sample.columns["jacob_cov"].isnan()[0]


@pytest.mark.parametrize("damage", [lambda content: content[:200], lambda content: b""])
def test_a_damaged_file_is_named(tmp_path, protocol, damage):
    write_scores(tmp_path / "a.parquet", protocol, torch.tensor([3]))
    (tmp_path / "a.parquet").write_bytes(damage((tmp_path / "a.parquet").read_bytes()))
    with pytest.raises(ValueError, match=r"a\.parquet: expected a Parquet file of scores"):
        ScoreStore(tmp_path)


def test_two_definitions_of_one_name_are_refused(tmp_path, protocol):
    write_scores(tmp_path / "a.parquet", protocol, torch.tensor([3]))
    write_scores(tmp_path / "b.parquet", protocol, torch.tensor([4]))
    scores = zcfast.Scores.load(tmp_path / "b.parquet")
    columns = {**scores.provenance.columns, "snip": Meaning("another", "score", "this test")}
    provenance = dataclasses.replace(scores.provenance, columns=columns)
    dataclasses.replace(scores, provenance=provenance).save(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet: snip: expected the definition of the files before"):
        ScoreStore(tmp_path)


def test_what_is_made_is_kept_and_a_damaged_file_of_it_made_again(tmp_path, data, monkeypatch, capsys):
    scored = []

    def score(module, batch, proxies, *, seed):
        scored.append(len(proxies))
        value = sum(each.detach().double().abs().sum().item() for each in module.parameters())
        return {each.label: SimpleNamespace(value=value, log_value=None, status="ok", reason="") for each in proxies}

    monkeypatch.setattr("zcfast.scoring.task.score", score)
    options = {"sample": 3, "workers": 1, "new_scores": tmp_path / "new", "progress": lambda *at: seen.append(at)}
    seen = []
    made = context(data, **options).sampled(CIFAR10)
    assert made.reason == ""
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert scored == [5, 1] * 3
    (file,) = (tmp_path / "new").iterdir()
    again = context(data, **options).sampled(CIFAR10)
    assert len(scored) == 6
    file.write_bytes(file.read_bytes()[:-9])
    third = context(data, tmp_path, **options).sampled(CIFAR10)
    assert re.search(rf"{file.name}: not used \(.*\): now {file.name}\.1\.aside", capsys.readouterr().err)
    assert len(scored) == 12
    for other in (again, third):
        assert all(torch.equal(other.columns[name], made.columns[name]) for name in made.columns)
