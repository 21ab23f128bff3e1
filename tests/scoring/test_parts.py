"""Finished parts of `score_architectures`: what a call leaves for the next one."""

import hashlib
import json
import os
import warnings
from pathlib import Path

import pytest
import torch

import zcfast
from tests.scoring.shared import NONE, SPACE, assert_same, cells, images, rows_of, score
from zcfast.errors import Notice
from zcfast.passes import Forward
from zcfast.proxies import Proxy, fisher
from zcfast.scoring import fingerprint
from zcfast.scoring.architectures import ScoringInterrupted
from zcfast.scoring.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")


def interrupted(at: int, **options):
    """Scores as far as a call gets that is interrupted."""

    def progress(done, total):
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(ScoringInterrupted) as caught:
        score(workers=1, progress=progress, **options)
    return caught.value.scores


def counted(**options):
    """Scores, and how many were found rather than made."""
    done = []
    return score(workers=1, progress=lambda *at: done.append(at[0]), **options), done[0]


def test_a_call_goes_on_where_it_was_interrupted(tmp_path):
    kept, expected = interrupted(2, parts=tmp_path), score()
    assert kept.cells == cells()[:2]
    assert all(torch.equal(kept[name].nan_to_num(7.5), expected[name][:2].nan_to_num(7.5)) for name in kept.columns)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(rows_of(tmp_path)) == 2
    # As after kill -9 while a part was written.
    (tmp_path / ".part_0.json.0123.tmp").write_bytes(b"half")
    done = []
    found = score(workers=2, parts=tmp_path, progress=lambda *at: done.append(at))
    assert_same(found, expected)
    assert done == [(2, 3), (3, 3)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(rows_of(tmp_path)) == 3
    assert not list(tmp_path.glob("*.tmp"))


def test_other_architectures_of_a_run_are_found_in_any_order(tmp_path):
    interrupted(2, parts=tmp_path)
    reversed_cells = SPACE.enumerate()[[9, *reversed(SPACE.index(cells()).tolist())]]
    found, kept = counted(cells=reversed_cells, parts=tmp_path)
    assert kept == 2
    assert_same(found, score(cells=reversed_cells))


def test_a_store_is_cleared_of_what_is_safe_elsewhere(tmp_path):
    interrupted(1, parts=tmp_path / "parts", seed=1)
    (tmp_path / "parts" / "mine.txt").write_text("")
    score(workers=1, parts=tmp_path / "parts")
    with Store(tmp_path / "parts") as store:
        score(workers=1, parts=store)
        assert store.clear() == 2
    assert len(rows_of(tmp_path / "parts")) == 1
    with Store(tmp_path / "parts") as store:
        score(workers=1, parts=store, seed=1)
        (tmp_path / "parts" / "mine.txt").unlink()
        assert store.clear() == 0
    assert not (tmp_path / "parts").exists()


def drawn(trial):
    return torch.nn.Linear(3, trial.suggest_int("width", 2, 5))


def test_parts_of_a_space_with_another_example_are_said(tmp_path):
    spaces = [zcfast.Space(drawn, (torch.full((2, 3), each), torch.tensor([0, 1]))) for each in (1.0, 2.0)]
    given = {"images": (torch.ones(2, 3), torch.tensor([0, 1])), "workers": 1, "parts": tmp_path}
    zcfast.score_architectures(spaces[0], ["snip"], spaces[0].enumerate()[:1], **given)
    with pytest.warns(Notice, match="kept scores are of another space: .* wherever it is drawn without a seed"):
        zcfast.score_architectures(spaces[1], ["snip"], spaces[1].enumerate()[:1], **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zcfast.score_architectures(spaces[1], ["snip"], spaces[1].enumerate(), **given)
        zcfast.score_architectures(spaces[1], ["grad_norm"], spaces[1].enumerate(), **given)


class Own(Proxy):
    """Whatever it is told to be."""

    name = "own"
    source = "none"
    needs = (Forward,)

    def value(self, trace):
        return 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"images": images(1)},
        {"images": (images().inputs, images().targets.flip(0))},
        {"stem_channels": 8},
        {"initialisation": "kaiming_fan_in"},
        {"batch_norm": False},
        {"proxies": ["snip", "jacob_cov"]},
        {"proxies": ["snip", fisher(weighting="channel")]},
    ],
)
def test_parts_of_another_run_are_not_taken_and_stay(tmp_path, changes):
    base = {"proxies": ["snip", "fisher"]}
    interrupted(2, parts=tmp_path, **base)
    before = rows_of(tmp_path)
    found, kept = counted(**{**base, "parts": tmp_path, **changes})
    assert kept == 0
    assert_same(found, score(**{**base, **changes}))
    assert len(list(tmp_path.glob("part_*.json"))) > 1
    assert before.items() <= {**rows_of(tmp_path), **before}.items()


def test_another_program_or_torch_makes_other_scores(tmp_path, monkeypatch):
    interrupted(2, parts=tmp_path)
    monkeypatch.setattr(torch, "__version__", "9")
    assert counted(parts=tmp_path)[1] == 0
    monkeypatch.setattr("zcfast.scoring.architectures.package", lambda: "9")
    assert counted(parts=tmp_path)[1] == 0


def test_a_proxy_whose_code_changed_is_scored_again(tmp_path, monkeypatch):
    interrupted(2, proxies=[Own()], parts=tmp_path)
    assert counted(proxies=[Own()], parts=tmp_path)[1] == 2
    monkeypatch.setattr(Own, "value", lambda self, trace: 2.0)
    found, kept = counted(proxies=[Own()], parts=tmp_path)
    assert kept == 0
    assert found["own"].tolist() == [2, 2, 2]


def damaged(path: Path, kind: str, other: Path) -> None:
    """Do to a part what disks, kills and people do."""
    content = path.read_bytes()
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to(other)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)
    else:
        changed = bytearray(content)
        changed[len(content) // 2] ^= 1
        kinds = {
            "empty": b"",
            "half": content[: len(content) // 2],
            "flipped": bytes(changed),
            "random": os.urandom(99),
        }
        path.write_bytes({**kinds, "foreign": other.read_bytes()}[kind])


KINDS = ["empty", "half", "flipped", "random", "foreign", "directory", "symlink", "dangling", "pipe", "huge"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_is_not_what_it_claims_is_set_aside_at_the_start(tmp_path, kind):
    expected = score(proxies=["snip"])
    interrupted(2, proxies=["snip"], parts=tmp_path / "other", seed=1)
    interrupted(2, proxies=["snip"], parts=tmp_path / "parts")
    path = next((tmp_path / "parts").glob("part_*.json"))
    inside = len(json.loads(path.read_text())["rows"])
    damaged(path, kind, next((tmp_path / "other").glob("part_*.json")))
    with pytest.warns(Notice, match=rf"{path.name}: not used \(.*\): now {path.name}\.1\.aside") as warned:
        found, kept = counted(proxies=["snip"], parts=tmp_path / "parts")
    assert len(warned) == 1
    assert kept == 2 - inside
    assert_same(found, expected)
    assert os.path.lexists(path.with_name(f"{path.name}.1.aside"))
    assert counted(proxies=["snip"], parts=tmp_path / "parts")[1] == 3


def test_content_of_another_form_is_set_aside(tmp_path):
    score(proxies=["snip"], workers=1, parts=tmp_path)
    for content in (
        b"[]",
        b"{}",
        b'{"format": 2}',
        b"nothing",
        b"[" * 10**5,
        b'{"format": 1, "claims": {}, "rows": 3}',
        b'{"format": 1, "claims": {}, "rows": {"a": {"snip": [' + b"9" * 400 + b', ""]}}}',
    ):
        (tmp_path / f"part_{hashlib.sha256(content).hexdigest()[:40]}.json").write_bytes(content)
    with pytest.warns(Notice) as warned:
        _, kept = counted(proxies=["snip"], parts=tmp_path)
    assert (len(warned), kept) == (7, 3)


def test_a_row_that_lacks_a_score_is_made_again(tmp_path):
    whole = score(proxies=["snip"], workers=1, parts=tmp_path)
    path = next(tmp_path.glob("part_*.json"))
    part = json.loads(path.read_bytes())
    part["rows"][next(iter(part["rows"]))] = {}
    content = json.dumps(part).encode()
    path.unlink()
    (tmp_path / f"part_{hashlib.sha256(content).hexdigest()[:40]}.json").write_bytes(content)
    (tmp_path / ".part_x").mkdir()
    again, kept = counted(proxies=["snip"], parts=tmp_path)
    assert kept == 2
    assert torch.equal(again["snip"], whole["snip"])


def test_a_linked_directory(tmp_path):
    (tmp_path / "there").mkdir()
    for target in ("there", "elsewhere"):
        link = tmp_path / f"link to {target}"
        link.symlink_to(tmp_path / target)
        with Store(link) as store:
            score(proxies=["snip"], workers=1, parts=store)
        assert len(rows_of(tmp_path / target)) == 3
        with Store(link) as store:
            assert score(proxies=["snip"], workers=1, parts=store).cells == cells()
            assert store.clear() == 0
        assert link.is_symlink()
        assert not list((tmp_path / target).iterdir())


def test_ctrl_c_before_the_first_architecture_leaves_nothing(tmp_path):
    def progress(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        score(workers=1, parts=tmp_path / "parts", progress=progress)
    assert not isinstance(caught.value, ScoringInterrupted)
    assert not (tmp_path / "parts").exists()


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="unknown option"):
        score(workers=1, parts=tmp_path / "parts", no_such_option=1)
    assert not (tmp_path / "parts").exists()


def test_a_file_in_place_of_the_directory(tmp_path):
    (tmp_path / "parts").write_text("")
    with pytest.raises(ValueError, match="parts: expected a directory for finished scores, got a file"):
        score(workers=1, parts=tmp_path / "parts")


def test_a_directory_that_cannot_be_written_is_noticed_before_scoring(monkeypatch):
    monkeypatch.setattr("zcfast.scoring.task.score", lambda *_: pytest.fail("scored"))
    with pytest.raises(OSError, match="/proc/parts: cannot write: "):
        score(workers=1, parts="/proc/parts")


def test_a_full_disk_keeps_what_was_written(tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    interrupted(1, parts=tmp_path)
    with monkeypatch.context() as context:
        context.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"part_.*\.json: cannot write: No space left on device"):
            score(workers=1, parts=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    found, kept = counted(parts=tmp_path)
    assert kept == 1
    assert_same(found, score())


def test_one_run_at_a_time(tmp_path):
    with (
        Store(tmp_path / "parts"),
        pytest.raises(
            BlockingIOError,
            match=rf"parts: expected one run at a time, but process {os.getpid()} of .* is at work in it",
        ),
    ):
        score(workers=1, parts=tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with pytest.warns(Notice, match="no locks on this file system"), Store(tmp_path / "parts"):
        pass


def test_the_digest_of_the_package_is_that_of_its_files():
    assert fingerprint.package() == fingerprint.package.__wrapped__()
    assert NONE in SPACE.format(cells())
