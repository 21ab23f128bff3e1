import stat

import pytest

from zcfast.files import check_writable, replace_file


def test_a_file_is_replaced_and_has_the_permissions_of_any_new_file(tmp_path):
    path, plain = tmp_path / "out", tmp_path / "plain"
    path.write_text("old")
    plain.write_text("")
    with replace_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == [path, plain]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(error), replace_file(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_keeps_pointing_where_it_did(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replace_file(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_check_writable_leaves_nothing(tmp_path):
    check_writable(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_output_may_not_be_an_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("kept")
    (tmp_path / "link").symlink_to("in")
    for out in ("in", "./in", "link"):
        with pytest.raises(ValueError, match="--out: expected another file than in, which is read"):
            check_writable(out, None, "no such file", "in")
    check_writable("out", "in")
    assert (tmp_path / "in").read_text() == "kept"


def test_an_output_may_not_replace_what_a_directory_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/batch", "in/deep/batch"):
        (tmp_path / name).write_bytes(b"pictures")
        with pytest.raises(ValueError, match="--out: expected another file than in, which is read"):
            check_writable(name, "in")
    (tmp_path / "in" / "scores.parquet").write_bytes(b"PAR1 of an earlier run")
    for name in ("in/scores.parquet", "in/new", "other"):
        check_writable(name, "in")
    assert (tmp_path / "in" / "batch").read_bytes() == b"pictures"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such/file", "no/such/file: cannot write: No such file or directory"),
        (".", "expected a file to write, got a directory"),
        ("/dev/null", "expected a regular file to write, got a device"),
        ("file/out", "cannot write: Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_check_writable_says_why_not(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=message):
        check_writable(name)
    with pytest.raises(OSError, match=message), replace_file(name):
        pass
