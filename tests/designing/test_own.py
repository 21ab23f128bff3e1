"""Designs on spaces whose architectures have to be built."""

import json
import subprocess
import sys

import optuna
import pytest
import torch
from torch import nn

import zcfast
from tests.designing import own_space
from tests.designing.own_space import EXAMPLE, space
from tests.shared import environment
from tests.spaces.own import TwoLayers
from zcfast.designing import Design, DesignInterrupted, Stages
from zcfast.errors import Notice

LIMITS = {"flops": 1e6, "params": 2e4}
SIZED = {"by": ["params", "flops"], "limits": LIMITS}


def text_of(found):
    return str(found.table().to_pydict())


def true_sizes(text):
    net = own_space.build(optuna.trial.FixedTrial(json.loads(text)))
    return sum(p.numel() for p in net.parameters())


@pytest.fixture(scope="module")
def found():
    return zcfast.design(space, **SIZED, evaluations=150, seed=3)


def test_limits_are_never_exceeded_and_every_architecture_is_counted_once(found):
    assert len(found.tried) == 150
    assert len(set(space.format(found.tried.cells))) == 150
    for each in found.top(10):
        assert each.values["params"] == true_sizes(each.architecture) <= 2e4
        assert each.values["flops"] <= 1e6
    assert (found.scores["flops"] <= 1e6).all()
    assert len(found) == found.protocol["within"] < 150
    assert found.best.build()(EXAMPLE[0]).shape == (4, 10)


def test_builds_that_fail_are_counted_and_shown(found):
    failed = [text for text in found.tried.reasons["design"] if "no eight" in text]
    assert found.protocol["failed"] == len(failed) > 0
    assert failed[0].startswith("build raised RuntimeError for")
    with pytest.raises(
        ValueError, match="none of 64 architectures can be built and measured: build raised RuntimeError"
    ):
        zcfast.design(zcfast.Space(_sometimes(), EXAMPLE), evaluations=64)


def _sometimes():
    """A function that builds while the space is made and never after."""
    calls = []

    def build(trial):
        trial.suggest_float("share", 0, 1)
        calls.append(1)
        if len(calls) > 20:
            raise RuntimeError("no more")
        return torch.nn.Linear(3, 3)

    return build


def test_the_same_seed_gives_the_same_design(found):
    assert text_of(zcfast.design(space, **SIZED, evaluations=150, seed=3)) == text_of(found)
    assert text_of(zcfast.design(space, **SIZED, evaluations=150, seed=4)) != text_of(found)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_design():
    by = Stages("grad_norm", ["jacob_cov", "-grad_norm"], keep=4)
    made = [zcfast.design(space, by=by, limits=LIMITS, evaluations=70, workers=workers) for workers in (1, 2)]
    assert text_of(made[0]) == text_of(made[1])


def test_the_study_is_the_users_to_keep(found, tmp_path):
    assert len(found.study.trials) >= 150
    best = max(found.study.best_trials, key=lambda trial: trial.values)
    assert best.user_attrs["architecture"] in space.format(found.scores.cells)
    url = f"sqlite:///{tmp_path}/study.db"
    stored = zcfast.design(space, **SIZED, evaluations=70, seed=3, storage=url, study_name="mine")
    again = zcfast.design(space, **SIZED, evaluations=150, seed=3, storage=url, study_name="mine")
    assert text_of(again) == text_of(found)
    assert len(optuna.load_study(study_name="mine", storage=url).trials) == len(found.study.trials)
    assert stored.study.study_name == "mine"
    with pytest.raises(ValueError, match="storage: expected an earlier run of the same design in study 'mine'"):
        zcfast.design(space, **SIZED, evaluations=70, seed=4, storage=url, study_name="mine")
    with pytest.raises(ValueError, match="storage: expected a study of 1 objectives, got one of 2"):
        zcfast.design(space, by="params", evaluations=70, storage=url, study_name="mine")


def test_an_interrupted_design_goes_on_where_it_ended(found, tmp_path):
    def stop(done, of, error):
        if done == 100:
            raise error

    def progress(done, of):
        stop(done, of, KeyboardInterrupt())

    with pytest.raises(DesignInterrupted) as interrupted:
        zcfast.design(space, **SIZED, evaluations=150, seed=3, parts=tmp_path / "parts", progress=progress)
    assert len(interrupted.value.found.tried) == 95
    looked = []
    again = zcfast.design(
        space, **SIZED, evaluations=150, seed=3, parts=tmp_path / "parts", progress=lambda done, of: looked.append(done)
    )
    assert text_of(again) == text_of(found)
    assert looked[0] == 61  # the first generation is there


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", optuna.samplers.RandomSampler(seed=1)])
def test_samplers_by_name_and_object(sampler):
    found = zcfast.design(space, by="params", minimise=["flops"], evaluations=20, sampler=sampler)
    assert len(found.tried) == 20
    assert [each.name for each in found.study.directions] == ["MAXIMIZE"] * 2
    with pytest.raises(ValueError, match="unknown sampler 'nsga': did you mean"):
        zcfast.design(space, by="params", evaluations=20, sampler="nsga")


def test_all_of_a_small_space():
    space = zcfast.Space(own_space.small, EXAMPLE)
    found = zcfast.design(space, by="params", evaluations=10_000)
    assert sorted(found.rows.tolist()) == list(range(8))
    assert found.best.choices == {"kernel": 3, "width": 7}
    with pytest.warns(Notice, match="sampler: no effect, as all 8 architectures of small are considered"):
        brute = zcfast.design(space, by="params", evaluations=10_000, sampler="brute_force")
    assert sorted(brute.rows.tolist()) == list(range(8))
    assert len(zcfast.design(space, by="params", evaluations=7, sampler="brute_force")) == 7
    drawn = zcfast.design(space, by="params", evaluations=4)
    assert len(drawn) == 4


def test_a_storage_gets_all_of_a_space_once(tmp_path):
    space, url = zcfast.Space(own_space.small, EXAMPLE), f"sqlite:///{tmp_path / 'study.db'}"
    found = zcfast.design(space, by="params", evaluations=100_000, storage=url)
    texts = [trial.user_attrs["architecture"] for trial in found.study.trials]
    assert sorted(texts) == sorted(space.format(space.enumerate()))
    assert [trial.values for trial in found.study.trials] == [
        [found.tried["params"][row]] for row in _rows(found, texts)
    ]
    assert len(zcfast.design(space, by="params", evaluations=100_000, storage=url).study.trials) == 8


def _rows(found, texts):
    known = found.space.format(found.tried.cells)
    return [known.index(text) for text in texts]


def test_a_benchmark_gives_all_to_a_storage():
    from zcfast.designing.look import questions
    from zcfast.designing.studies import in_order

    listed = zcfast.space("nasbench201")
    asked = questions(listed)
    answers = in_order(listed, asked)._answers
    digits = torch.tensor([[each[name] for name in asked] for each in answers])
    cells = listed.capability(zcfast.spaces.Decisions).encode(digits)
    assert listed.index(cells).equal(torch.arange(15_625))


class Few(zcfast.spaces.SearchSpace):
    """Two networks that are drawn and not listed."""

    name = "few"
    example = zcfast.spaces.Example(*EXAMPLE)

    def sample(self, n, generator=None):
        return zcfast.spaces.Texts(tuple("ab"[int(each)] for each in torch.randint(2, (n,), generator=generator)))

    def format(self, cells):
        return list(cells.texts)

    def parse(self, architecture):
        return zcfast.spaces.Texts((architecture,) if isinstance(architecture, str) else tuple(architecture))

    def _network(self, cell, **options):
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 4))


def test_a_space_that_has_no_more_is_said():
    with pytest.warns(Notice, match="evaluations: 2 architectures of 50 are considered, as no others were proposed"):
        found = zcfast.design(Few(), by="params", evaluations=50)
    assert len(found) == 2


def raising(space, cells):
    raise OSError("no phone is attached")


def test_a_function_of_the_users_own_that_raises_names_its_limit():
    expected = "none of 8 architectures can be built and measured: limits: ms: OSError: no phone is attached"
    with pytest.raises(ValueError, match=expected):
        zcfast.design(zcfast.Space(own_space.small, EXAMPLE), limits={"ms": (raising, 3.0)})


def test_numbers_without_steps():
    space = zcfast.Space(own_space.uncounted, EXAMPLE)
    found = zcfast.design(space, by="params", limits={"params": 8000}, evaluations=70)
    assert 7000 < found.best.values["params"] <= 8000


def test_spaces_of_classes_and_of_modules():
    found = zcfast.design(TwoLayers(), by="synflow", sampler="random", evaluations=5)
    assert found.best.values["synflow"] == found.scores["synflow"].max()
    modules = zcfast.spaces.of(
        {"small": torch.nn.Linear(5, 3), "none": torch.nn.Linear(4, 3)}, example=TwoLayers.example
    )
    named = zcfast.design(modules, by="params", limits={"flops": 20})
    assert named.best.architecture == "small"
    assert named.protocol["failed"] == 1
    with pytest.raises(ValueError, match=r"sampler: expected a space with choices"):
        zcfast.design(modules, by="params", sampler="random")


def test_a_sampler_is_an_object_or_a_name():
    with pytest.raises(ValueError, match=r"sampler: expected one of Optuna's as an object, got the class TPESampler"):
        zcfast.design("nasbench201", sampler=optuna.samplers.TPESampler)


def test_the_best_start_a_training_study():
    study = optuna.create_study(direction="maximize")
    found = zcfast.optuna.enqueue_best(study, zcfast.Space(own_space.small, EXAMPLE), 2, by="params")
    seen = []

    def train(trial):
        seen.append(sum(p.numel() for p in own_space.small(trial).parameters()))
        return 0.0

    study.optimize(train, n_trials=2)
    assert seen == found.scores["params"][:2].tolist()
    with pytest.raises(ValueError, match=r"expected a zcfast\.Space, whose choices"):
        zcfast.design("nasbench201", by="params").enqueue(study, 1)


def with_lists(trial):
    shape = trial.suggest_categorical("shape", [(4, 1), (6, 3)])
    widths = trial.suggest_categorical("widths", [[5], [5, 7], [9]])
    flag = trial.suggest_categorical("flag", [True, 1, None])
    assert isinstance(shape, tuple)
    assert isinstance(widths, list)
    layers = [nn.Conv2d(3, shape[0], shape[1], bias=flag is True), nn.Flatten()]
    channels = shape[0] * (9 - shape[1]) ** 2
    for width in widths:
        layers += [nn.Linear(channels, width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.Linear(channels, 4))


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_tuples_and_lists_are_options():
    space = zcfast.Space(with_lists, EXAMPLE)
    assert len(space) == 18
    study = optuna.create_study(direction="maximize")
    found = zcfast.optuna.enqueue_best(study, space, 3, by="params")
    seen = []

    def train(trial):
        seen.append(sum(p.numel() for p in with_lists(trial).parameters()))
        return 0.0

    study.optimize(train, n_trials=3)
    assert seen == found.scores["params"][:3].tolist()
    searched = zcfast.design(space, by="params", sampler="random", evaluations=17)
    assert len(searched) == 17
    assert space.answers(found.best.architecture)["shape"] == (4, 1)


def test_limits_that_exclude_everything_say_how_near_it_came():
    with pytest.raises(ValueError, match=r"none of 59 architectures considered has params <= 10: the least is \d+"):
        zcfast.design(space, by="params", limits={"params": 10}, evaluations=64)


def run_elsewhere(tmp_path, *arguments):
    """What a Python prints that does not start in the checkout, where nothing is compiled."""
    command = [sys.executable, "-c", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=200, cwd=tmp_path, env=environment()
    )
    return done.stdout.strip()


def test_a_missing_optuna_is_one_clear_error(tmp_path):
    code = "import sys; sys.modules['optuna'] = None; import zcfast; from tests.designing.own_space import space\n"
    code += "try: zcfast.design(space, by='params')\nexcept ImportError as error: print(error)"
    assert run_elsewhere(tmp_path, code).endswith("pip install 'zcfast[design]'")


def test_a_file_of_an_own_space(found, tmp_path):
    found.save(tmp_path / "found.parquet")
    again = Design.load(tmp_path / "found.parquet", space)
    assert text_of(again) == text_of(found)


def test_a_storage_with_rows_of_another_design_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    asked = {"evaluations": 4, "storage": url, "sampler": "random", "by": "grad_norm"}
    first = zcfast.design(space, **asked)
    assert torch.equal(zcfast.design(space, **asked).scores["grad_norm"], first.scores["grad_norm"])
    inputs, targets = EXAMPLE
    for other in ({"images": (inputs + 1, targets)}, {"by": "snip"}, {"limits": {"params": 1e9}}):
        with pytest.raises(ValueError, match="storage: expected an earlier run of the same design"):
            zcfast.design(space, **asked | other)


@pytest.mark.parametrize(("one", "other"), [({"by": "params"}, {"by": "-params"}), ({"by": "flops"}, {"by": "params"})])
def test_a_storage_that_was_told_something_else_is_refused(one, other, tmp_path):
    given = {"evaluations": 4, "storage": f"sqlite:///{tmp_path / 'study.db'}", "sampler": "random"}
    zcfast.design(space, **given, **one)
    with pytest.raises(ValueError, match="storage: expected an earlier run of the same design"):
        zcfast.design(space, **given, **other)


def test_a_storage_that_was_told_by_other_accuracies_is_refused(tmp_path):
    small_one = zcfast.Space(own_space.small, EXAMPLE)
    rising = dict(zip(small_one.format(small_one.enumerate()), range(8), strict=True))
    falling = {text: -value for text, value in rising.items()}
    given = {"evaluations": 4, "storage": f"sqlite:///{tmp_path / 'study.db'}", "sampler": "random"}
    first = zcfast.design(small_one, **given, trained=rising)
    assert text_of(zcfast.design(small_one, **given, trained=rising)) == text_of(first)
    with pytest.raises(ValueError, match="storage: expected an earlier run of the same design"):
        zcfast.design(small_one, **given, trained=falling)


@pytest.mark.parametrize("url", ["nothing://x", "no URL", "sqlite:////nowhere/study.db", "sqlite:///{path}"])
def test_a_storage_that_does_not_open_is_one_error(url, tmp_path):
    (tmp_path / "study.db").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ValueError, match=r"^storage: "):
        zcfast.design(space, by="params", evaluations=4, storage=url.format(path=tmp_path / "study.db"))


def test_a_storage_that_no_longer_takes_trials_is_one_error(tmp_path, monkeypatch):
    def full(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(optuna.Study, "add_trial", full)
    with pytest.raises(ValueError, match="storage: OSError: the disk is full"):
        zcfast.design(space, by="params", evaluations=4, storage=f"sqlite:///{tmp_path / 'study.db'}")


@pytest.mark.parametrize("changed", [3, [], "{", {"a": 3}])
def test_rows_of_a_storage_that_were_changed_are_one_error(changed, tmp_path):
    given = {"evaluations": 4, "storage": f"sqlite:///{tmp_path / 'study.db'}", "study_name": "mine"}
    zcfast.design(space, by="params", sampler="random", **given)
    study = optuna.load_study(study_name="mine", storage=given["storage"])
    for attribute, before in study.user_attrs.items():
        study.set_user_attr(attribute, changed)
        with pytest.raises(ValueError, match=r"^storage: "):
            zcfast.design(space, by="params", sampler="random", **given)
        study.set_user_attr(attribute, before)


ONE_RUN = """
import sys, zcfast
from tests.designing.own_space import space
from zcfast.scoring.execution import InProcess
class Counting(InProcess):
    looked = 0
    def map(self, task, items):
        items = list(items)
        Counting.looked += len(items)
        return super().map(task, items)
zcfast.score_architectures(space, ["snip"], space.parse(sys.argv[2:]), executor=Counting(), parts=sys.argv[1])
print(Counting.looked)
"""


def test_finished_parts_are_found_by_another_process(tmp_path):
    texts = space.format(space.sample(2, torch.Generator().manual_seed(0)))
    looked = [run_elsewhere(tmp_path, ONE_RUN, str(tmp_path / "parts"), *texts) for _ in range(2)]
    assert looked == ["2", "0"]


def test_a_second_stage_that_tells_nothing_is_an_error_and_one_that_tells_some_keeps_the_first_order():
    one = tuple(part[:1] for part in EXAMPLE)
    with pytest.raises(ValueError, match=r"by: none of the best 2 of .* has jacob_cov"):
        zcfast.design(space, by=Stages("params", "jacob_cov", keep=2), evaluations=4, images=one, sampler="random")
