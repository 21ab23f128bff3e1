"""Compiles the programs of this folder, once for every change of a source, as plain code and under the sanitizers."""

import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
FLAGS = (
    "-std=c++20",
    "-O1",
    "-g1",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
    f"-I{CSRC}",
    "-include",
    str(HERE / "simt.h"),
)
SANITIZERS = {
    "plain": (),
    "asan": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "tsan": ("-fsanitize=thread",),
}
# The machine itself is compiled without sanitizers and told which of them the program has.
MACHINE = {"plain": (), "asan": ("-DSIMT_ASAN",), "tsan": ("-DSIMT_TSAN",)}
# With the switch of stacks that other processors than x86-64 have.
PORTABLE = "portable-"
SANITIZERS |= {PORTABLE + variant: flags for variant, flags in SANITIZERS.items()}
MACHINE |= {PORTABLE + variant: (*flags, "-DSIMT_UCONTEXT") for variant, flags in MACHINE.items()}
# An abandoned kernel leaves what its stack frames own: no leaks are looked for.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "halt_on_error=1"}


@functools.cache
def compiler() -> str:
    """g++ or whatever CXX names; a skip where there is none."""
    found = shutil.which(os.environ.get("CXX", "g++"))
    if not found:
        pytest.skip("needs g++, or another C++20 compiler that CXX names")
    return found


@functools.cache
def sources_digest() -> str:
    """Of every file that a program may be made of, the compiler and the flags."""
    digest = hashlib.sha256(repr((compiler(), FLAGS, SANITIZERS, MACHINE)).encode())
    for path in sorted([*HERE.iterdir(), *CSRC.rglob("*")]):
        if path.suffix in (".cpp", ".h", ".cuh"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def compile_once(target: Path, *arguments: str | Path) -> Path:
    """The file that g++ makes of the arguments, unless it is there."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(".new")
        command = [compiler(), *FLAGS, *map(str, arguments), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        made.rename(target)
    return target


@functools.cache
def sanitizer_works(variant: str, cache: Path) -> bool:
    """Whether a program with these sanitizers links and runs here."""
    source = cache / "empty.cpp"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text("int main() {}\n")
    program = cache / f"empty_{variant}"
    command = [compiler(), *SANITIZERS[variant], str(source), "-o", str(program)]
    return all(subprocess.run(c, capture_output=True).returncode == 0 for c in (command, [str(program)]))


def run(name: str, variant: str, case: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Runs one case of the program `name`; a skip where this machine lacks a sanitizer."""
    folder = cache / sources_digest()
    if not sanitizer_works(variant, folder):
        pytest.skip(f"needs {' '.join(SANITIZERS[variant])} of {compiler()}")
    machine = compile_once(folder / f"simt_{variant}.o", *MACHINE[variant], "-c", HERE / "simt.cpp")
    program = compile_once(folder / f"{name}_{variant}", *SANITIZERS[variant], HERE / f"{name}.cpp", machine)
    return subprocess.run(
        [str(program), case], capture_output=True, text=True, timeout=300, env={**os.environ, **ENVIRONMENT}
    )
