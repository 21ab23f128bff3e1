"""What this installation runs on."""

from __future__ import annotations

import platform

import torch

from zcfast import _native  # noqa: F401 - registers the operators
from zcfast.version import __version__


def info() -> dict[str, str]:
    """Versions, the SIMD level that the kernels use, threads and CUDA, as texts by what they say."""
    return {
        "zcfast": __version__,
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "SIMD": torch.ops.zcfast.simd_level(),
        "threads": str(torch.get_num_threads()),
        "CUDA code": "built in" if torch.ops.zcfast.cuda_built() else "not built in",
        "CUDA device": torch.cuda.get_device_name() if torch.cuda.is_available() else "none visible",
    }
