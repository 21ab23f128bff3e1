"""The extension in place: built for one card alone, or taken out of a wheel."""

import os
import re
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path
from typing import Any

from bench.device.machine import find_nvcc, refuse

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "build" / "device.log"
CUDA_BUILT = "import zcfast._native, torch; print(torch.ops.zcfast.cuda_built())"
LAUNCH = "import torch; from zcfast import search_ops; search_ops.stream_bits(torch.arange(3).cuda(), 0, 2).cpu()"
# torch before 2.13 gives its stream through libtorch_cuda.so: without a card, that the extension will find it there.
FIND_STREAM = (
    "import os, ctypes, torch; ctypes.CDLL('libtorch_cuda.so', os.RTLD_NOLOAD).aoti_torch_get_current_cuda_stream"
)


def build(capability: str) -> dict[str, Any]:
    """By the tools of this Python, without a network: seconds and the compilers' warnings."""
    architecture = capability.replace(".", "")
    arguments = f"-DZCFAST_CUDA_ARCHS={architecture}-real {os.environ.get('ZCFAST_CMAKE_ARGS', '')}"
    environment = {**os.environ, "ZCFAST_CUDA": "on", "ZCFAST_CMAKE_ARGS": arguments, "CUDACXX": find_nvcc() or ""}
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = time.perf_counter() - started
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text(done.stdout)
    if done.returncode:
        print("\n".join(done.stdout.splitlines()[-30:]), file=sys.stderr)
        refuse(f"expected the extension to compile, got the errors above and in {LOG}")
    warnings = sorted({line.strip() for line in done.stdout.splitlines() if re.search(r"\bwarning\b.*:", line)})
    return {"architectures": architecture, "build_seconds": round(seconds, 1), "warnings": warnings, "ok": not warnings}


def unpack(wheel: Path) -> dict[str, Any]:
    """The compiled files of a wheel of this package, for this Python."""
    tables = f"zcfast/_tables{sysconfig.get_config_var('EXT_SUFFIX')}"
    wanted = ["zcfast/_C.abi3.so", tables]
    try:
        with zipfile.ZipFile(wheel) as archive:
            lacks = [name for name in wanted if name not in archive.namelist()]
            if lacks:
                refuse(f"--wheel: expected {lacks[0]} in {wheel}, got a wheel without it")
            archive.extractall(ROOT, wanted)
    except (OSError, zipfile.BadZipFile) as error:
        refuse(f"--wheel: expected a wheel of zcfast, got {wheel}: {error}")
    return {"wheel": wheel.name, "ok": True}


def asked(program: str) -> tuple[str, str]:
    """What a short program prints, and the last line of its error."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done.stdout.strip(), lines[-1] if done.returncode else ""


def is_built() -> bool:
    """Whether an extension with CUDA lies here already."""
    return asked(CUDA_BUILT)[0] == "True"


def check_built(machine: dict[str, Any], rehearsal: bool) -> dict[str, Any]:
    """That the extension has CUDA code and that the card runs it; without a card, that torch's stream can be found."""
    printed, error = asked(CUDA_BUILT)
    if printed != "True":
        refuse(f"expected an extension built with CUDA, got {error or 'one for the CPU only'}")
    error = asked(FIND_STREAM if rehearsal else LAUNCH)[1]
    if error and not rehearsal:
        needed = f"compute capability {machine['capability']} and a driver for CUDA {machine['driver']}"
        refuse(f"expected an extension for {needed}, got {error}")
    return {"error": error, "ok": not error} if error else {}
