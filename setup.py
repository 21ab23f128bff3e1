"""Builds the native targets with CMake (CMakeLists.txt); everything else is in pyproject.toml."""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Configure, build and install into the package: in place for an editable install, else into build_lib."""

    def run(self):
        cuda = os.environ.get("ZCFAST_CUDA", "auto").lower()
        if cuda not in ("auto", "on", "off"):
            sys.exit(f"ZCFAST_CUDA: expected auto, on or off, got {cuda!r}")
        destination = ROOT if self.editable_mode or self.inplace else Path(self.build_lib).resolve()
        build = ROOT / "build" / f"cmake-{sys.implementation.cache_tag}"
        configure = ["cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "--fresh"]
        configure += ["-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}", f"-DZCFAST_CUDA={cuda}"]
        # The tools of this Python's environment go before those of the system, which may be older.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        for command in (
            [*configure, *os.environ.get("ZCFAST_CMAKE_ARGS", "").split()],
            ["cmake", "--build", build],
            ["cmake", "--install", build, "--prefix", destination],
        ):
            subprocess.run(command, check=True, env={**os.environ, "PATH": path})

    def get_outputs(self):
        return []

    def get_output_mapping(self):
        return {}


setup(ext_modules=[Extension("zcfast._native", [])], cmdclass={"build_ext": CMakeBuild})
