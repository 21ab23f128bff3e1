"""The built extension and the lowest torch that it says it runs on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from bench.device import machine
from zcfast import _native

ROOT = Path(__file__).parents[1]
TEXT = ".".join(map(str, _native.OLDEST_TORCH))


def test_every_place_names_the_same_oldest_torch():
    assert f'"torch>={TEXT}"' in (ROOT / "pyproject.toml").read_text()
    major, minor = machine.OLDEST_TORCH
    assert (major, minor) == _native.OLDEST_TORCH
    assert f"TORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000" in (ROOT / "CMakeLists.txt").read_text()


def newer_functions() -> set[str]:
    """The stable C functions that the installed torch's headers guard by a version above the oldest."""
    include = Path(torch.__file__).parent / "include" / "torch" / "csrc"
    found, guards = set(), []
    for header in ("stable/c/shim.h", "inductor/aoti_torch/c/shim.h"):
        for line in (include / header).read_text().splitlines():
            if line.startswith("#if"):
                version = re.search(r"FEATURE_VERSION >= TORCH_VERSION_(\d+)_(\d+)", line)
                guards.append(version is not None and tuple(map(int, version.groups())) > _native.OLDEST_TORCH)
            elif line.startswith("#endif"):
                guards.pop()
            elif any(guards):
                found |= set(re.findall(r"\b(?:aoti_)?torch_\w+(?=\()", line))
    return found


def test_the_extension_needs_stable_functions_of_the_oldest_torch_alone():
    if shutil.which("nm") is None:
        pytest.skip("needs nm")
    library = next(Path(_native.__file__).parent.glob("_C*.so"))
    listing = subprocess.run(
        ["nm", "--dynamic", "--undefined-only", "--demangle", library], capture_output=True, text=True, check=True
    ).stdout
    needed = [line.split(maxsplit=1)[1].partition("@")[0] for line in listing.splitlines()]
    assert "torch_call_dispatcher" in needed
    assert not newer_functions().intersection(needed)
    assert not [name for name in needed if re.match(r"(at|c10|torch)::", name)], "C++ of torch is not stable"


def test_newer_functions_are_found():
    if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 13):
        assert "torch_stream_native_handle" in newer_functions()


@pytest.mark.parametrize("version", ["2.9.1", "2.9.1+cu128", "1.13.0"])
def test_an_older_torch_is_one_line(version):
    with pytest.raises(
        ImportError, match=rf"^zcfast: expected torch {re.escape(TEXT)} or newer, got {re.escape(version)}$"
    ):
        _native.check_torch(version)


@pytest.mark.parametrize("version", [TEXT + ".0", TEXT + ".0a0+git123", "2.15.0", "3.0.0"])
def test_other_versions_are_let_through(version):
    _native.check_torch(version)
