"""What the machine must have, checked before anything is built: one line says what is there and what is needed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import torch

OLDEST_TORCH = (2, 10)
TOOLS = ("cmake", "ninja", "pybind11", "setuptools")  # Python packages


def refuse(text: str) -> NoReturn:
    sys.exit(f"device: {text}")


def check_torch(version: str, cuda: str | None) -> None:
    if tuple(map(int, version.split(".")[:2])) < OLDEST_TORCH:
        refuse(f"expected torch {'.'.join(map(str, OLDEST_TORCH))} or newer, got {version}; nothing was built or run")
    if cuda is None:
        refuse(f"expected a torch built with CUDA, got {version} for the CPU; nothing was built or run")


def check_card() -> None:
    """That PyTorch can use a GPU."""
    try:
        torch.cuda.init()
    except RuntimeError as error:
        old = re.search(r"too old \(found version (\d+)\)", str(error))
        if old:
            needed, found = torch.version.cuda, cuda_version(int(old[1]))
            refuse(f"expected a driver for CUDA {needed}, as this torch is, got one for CUDA {found}")
        refuse(f"expected a CUDA device, got none: {str(error).strip().splitlines()[0]}; nothing was built or run")


def find_nvcc() -> str | None:
    """CUDACXX, what PATH has, or the toolkit's usual place."""
    return shutil.which(os.environ.get("CUDACXX", "nvcc")) or shutil.which("/usr/local/cuda/bin/nvcc")


def check_builder(nvcc: str | None, missing: list[str]) -> None:
    """What compiles the extension."""
    if nvcc is None:
        refuse("expected nvcc on PATH, in CUDACXX or in /usr/local/cuda/bin, or --wheel FILE, got neither")
    if missing:
        refuse(f"expected the Python packages {', '.join(TOOLS)} to build with, or --wheel FILE, got no {missing[0]}")


def check_driver(toolkit: str, driver: int) -> None:
    """A program runs on drivers of its toolkit's major version and of later ones."""
    if int(toolkit.split(".")[0]) > driver // 1000:
        refuse(f"expected a driver for CUDA {toolkit}, as nvcc is, got one for CUDA {cuda_version(driver)}")


def cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def toolkit_of(nvcc: str) -> str:
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    release = re.search(r"release (\d+\.\d+)", text)
    return release[1] if release else "unknown"


def check(wheel: Path | None, rehearsal: bool) -> None:
    """Everything that can be known before the build."""
    check_torch(torch.__version__, "" if rehearsal else torch.version.cuda)
    if not rehearsal:
        check_card()
    if wheel is None:
        nvcc = find_nvcc()
        check_builder(nvcc, [name for name in TOOLS if importlib.util.find_spec(name) is None])
        if nvcc and not rehearsal:
            check_driver(toolkit_of(nvcc), torch._C._cuda_getDriverVersion())


def describe(rehearsal: bool) -> dict[str, Any]:
    """The machine's names and versions."""
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": sys.version.split()[0]}
    if rehearsal:
        return {"device": "none: a rehearsal, whose times say nothing", "capability": "9.0", **versions}
    card = torch.cuda.get_device_properties(0)
    return {
        "device": card.name,
        "capability": f"{card.major}.{card.minor}",
        "multiprocessors": card.multi_processor_count,
        "bytes": card.total_memory,
        "driver": cuda_version(torch._C._cuda_getDriverVersion()),
        "cores": os.cpu_count(),
        **versions,
    }
