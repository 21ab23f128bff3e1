"""Designs from accuracies that the user has."""

import shutil
import sqlite3
import sys

import optuna
import pytest
import torch

import zcfast
from tests.designing import own_space
from tests.designing.own_space import EXAMPLE, space
from zcfast import search
from zcfast.designing.found import summary

ROWS = torch.randperm(15_625, generator=torch.Generator().manual_seed(0))[:30]


@pytest.fixture(scope="module")
def known():
    """Rows of NAS-Bench-201, their texts, and what is to stand for their accuracies."""
    listed = zcfast.space("nasbench201")
    cells = listed.enumerate()[ROWS]
    return listed, listed.format(cells), listed.params(cells).double() / 1e4


def column(listed, rows, values):
    found = torch.full((len(listed),), torch.nan, dtype=torch.float64)
    found[rows] = values
    return zcfast.tables.Metric(found[None], dataset="", split="", epochs=None, unit="")


def test_tables_and_texts_rank_by_the_predictor(known):
    listed, texts, reached = known
    limits = {"flops": 60e6}
    expected = search.predictor(listed, ROWS, reached)
    allowed = (listed.flops(listed.enumerate()) <= 60e6).nonzero()[:, 0]
    ranked = expected.rank(listed, listed.enumerate()[allowed])
    metric = column(listed, ROWS, reached)
    one = zcfast.tables.Table("nasbench201", {"mine": metric}, ("mine",), "")
    two = zcfast.tables.Table("nasbench201", {"mine": metric, "other": metric}, ("mine",), "")
    for trained in (one, (two, "mine"), dict(zip(texts, reached.tolist(), strict=True))):
        found = zcfast.design(listed, trained=trained, limits=limits)
        assert found.scores["rank"].tolist() == ranked.sort(descending=True).values.tolist()
    assert found.protocol["trained"] == "Predictor(nasbench201: 30 trained)"
    assert summary(found).endswith("ranked by Predictor(nasbench201: 30 trained)")
    with pytest.raises(ValueError, match=r"trained: expected \(table, metric\) of a table with several: mine, other"):
        zcfast.design(listed, trained=two)
    with pytest.raises(ValueError, match="unknown metric 'mien': did you mean mine"):
        zcfast.design(listed, trained=(two, "mien"))
    with pytest.raises(ValueError, match="trained: expected a table of build, got one of nasbench201"):
        zcfast.design(space, trained=one)


def trained_study(storage=None, direction="maximize", name="mine"):
    study = optuna.create_study(
        storage=storage, direction=direction, study_name=name, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    sign = 1 if direction == "maximize" else -1

    def train(trial):
        trial.suggest_float("rate", 1e-3, 1e-1)
        net = own_space.build(trial)
        return sign * float(sum(p.numel() for p in net.parameters()))

    study.optimize(train, n_trials=25, catch=RuntimeError)
    return study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_training_study_has_other_parameters_and_failed_trials(direction):
    study = trained_study(direction=direction)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "FAIL"}
    found = zcfast.design(space, trained=study, evaluations=60, sampler="random", limits={"params": 1e5})
    sizes = found.scores["params"].double()
    assert zcfast.analysis.spearman(found.scores["rank"], sizes) > 0.8


def test_from_the_command_line(run, tmp_path, monkeypatch):
    (tmp_path / "trainedspace.py").write_text(
        "import zcfast\nfrom tests.designing.own_space import EXAMPLE, build\nspace = zcfast.Space(build, EXAMPLE)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    journal = tmp_path / "study.log"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    study = trained_study(storage)
    texts = [dict(trial.params) for trial in study.trials if trial.state.name == "COMPLETE"]
    values = [trial.value for trial in study.trials if trial.state.name == "COMPLETE"]
    names = space.format(space.parse([{k: v for k, v in each.items() if k != "rate"} for each in texts]))
    reached = dict(zip(names, values, strict=True))  # equal ones have equal values
    lines = ['"{}",{}'.format(name.replace('"', '""'), value) for name, value in reached.items()]
    (tmp_path / "known.csv").write_text("architecture,reached\n" + "\n".join(lines) + "\n")
    ranks = []
    for source in (journal, tmp_path / "known.csv"):
        out = tmp_path / f"{source.stem}.parquet"
        arguments = ("--evaluations", "20", "--sampler", "random", "--out", str(out))
        status, printed, error = run("design", "trainedspace:space", "--trained", str(source), *arguments)
        assert (status, error) == (0, "")
        assert "ranked by Predictor(trainedspace:space: " in printed
        ranks.append(zcfast.designing.Design.load(out, zcfast.space("trainedspace:space")).scores["rank"].tolist())
    assert ranks[0] == ranks[1]
    trained_study(storage, name="other")
    status, _, error = run("design", "trainedspace:space", "--trained", str(journal), *arguments)
    assert status == 1
    assert "expected one study, or one called 'trainedspace:space', got mine, other" in error
    status, _, error = run("design", "trainedspace:space", "--metric", "reached", *arguments)
    assert "--metric: no effect without --trained" in error


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        ({}, "trained: expected 2 or more accuracies of build, got 0"),
        (3, r"trained: expected a zcfast.tables.Table, \(table, metric\), accuracies by text, or .*, got int"),
        ({"nonsense": 1.0}, "expected choices as JSON"),
        ({'{"bias0": true, "depth": 1, "kernel0": 1, "width": 4}': "good"}, "trained: expected accuracies by text"),
        (optuna.create_study(directions=["maximize"] * 2), "trained: expected a study of one objective, got one of 2"),
    ],
)
def test_what_is_none(trained, message):
    with pytest.raises((ValueError, TypeError), match=message):
        zcfast.design(space, trained=trained)


def test_one_way_at_a_time():
    small = zcfast.Space(own_space.small, EXAMPLE)
    trained = dict(zip(small.format(small.enumerate()), range(8), strict=True))
    with pytest.raises(ValueError, match="trained: expected it or by, got both"):
        zcfast.design(small, by="params", trained=trained)
    assert zcfast.design(small, trained=trained).best.architecture == small.format(small.enumerate()[7:])[0]
    with pytest.raises(ValueError, match=r"trained: expected a zcfast\.Space, which asks as a study's trials do"):
        zcfast.design("nasbench201", trained=trained_study())


DAMAGED = {
    "sqlite:////nonexistent/a.db": "expected a storage of Optuna's, got no file",
    "sqlite:///{path}/missing.db": "expected a storage of Optuna's, got no file",
    "sqlite:///{path}/other.db": "Error: ",
    "foo://x": "NoSuchModuleError",
    "{path}/damaged.log": "Error",
    "{path}/deep.log": "expected",
    "{path}/missing.log": "expected",
}


@pytest.mark.parametrize("source", DAMAGED)
def test_what_cannot_be_read_is_one_error_and_nothing_is_made(run, tmp_path, source):
    (tmp_path / "deep.log").write_text("[" * 60_000)
    (tmp_path / "damaged.log").write_text('{"op_code": 0, "worker_id": "x"}\n{"op_code": "y"\n{}\n')
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE mine (x)").connection.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    given = source.format(path=tmp_path)
    status, _, error = run("design", "nasbench201", "--trained", given, "--out", str(tmp_path / "f.parquet"))
    assert (status, error.count("\n")) == (1, 1)
    assert f"--trained: {given}: " in error
    assert DAMAGED[source] in error
    shutil.rmtree(tmp_path / "f.parquet.parts", ignore_errors=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_study_has_no_metric_and_needs_optuna(run, tmp_path, monkeypatch):
    journal = tmp_path / "study.log"
    trained_study(optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal))))
    call = ("design", "nasbench201", "--trained", str(journal), "--out", str(tmp_path / "f.parquet"))
    status, _, error = run(*call, "--metric", "m")
    assert status == 1
    assert "--metric: no effect on a study, which has one objective, got 'm'" in error
    monkeypatch.setitem(sys.modules, "optuna", None)
    status, _, error = run(*call)
    assert (status, error.count("\n")) == (1, 1)
    assert "a study needs Optuna, which is not installed: pip install 'zcfast[design]'" in error
