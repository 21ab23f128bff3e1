"""Runs the operators' tests of hostile arguments under AddressSanitizer.

    python tools/asan.py [pytest arguments]

Builds the operators once into build/asan and runs the tests on a view of this checkout whose package has that build.
Needs g++ with libasan, and what a build needs (pip install '.[asan]').
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "asan"
FLAGS = "-O1 -g1 -fsanitize=address -fno-omit-frame-pointer"
TESTS = ("tests/test_ops_hostile.py", "tests/test_search_ops.py")


def run(*command: str | Path, **options: object) -> None:
    """Ends the program where a command fails."""
    done = subprocess.run([*map(str, command)], **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(done.returncode)


def build() -> None:
    """The operators, without the kernels of CUDA."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    configure = ["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=None", "-DZCFAST_CUDA=off"]
    configure += [f"-DPython_EXECUTABLE={sys.executable}", f"-DCMAKE_CXX_FLAGS={FLAGS}"]
    run(*configure, env={**os.environ, "PATH": path})
    run("cmake", "--build", BUILD, "--target", "_C", "_tables", env={**os.environ, "PATH": path})


def view() -> Path:
    """A folder of links to this checkout, but for the compiled modules."""
    folder = BUILD / "view"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "zcfast").mkdir(parents=True)
    for name in ("tests", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    for path in (ROOT / "zcfast").iterdir():
        if path.suffix != ".so":
            (folder / "zcfast" / path.name).symlink_to(path)
    for path in BUILD.glob("_*.so"):
        (folder / "zcfast" / path.name).symlink_to(path)
    return folder


def main() -> None:
    build()
    libraries = [subprocess.check_output(["g++", f"-print-file-name={name}"], text=True).strip()
                 for name in ("libasan.so", "libstdc++.so")]  # fmt: skip
    # Python keeps what it allocated, and one allocation may be larger than any machine has.
    options = "detect_leaks=0:allocator_may_return_null=1:abort_on_error=1"
    environment = {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": options, "OMP_NUM_THREADS": "2"}
    tests = sys.argv[1:] or list(TESTS)
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=view(),
        env={**os.environ, **environment})  # fmt: skip


if __name__ == "__main__":
    main()
