"""Everything that only a machine with a GPU can say, into one JSON file; the network is not needed.

    python -m bench.device [--only kernels cells] [--wheel FILE] [--out FILE]
    python -m bench.device --rehearse

From the root of a checkout, with this Python's torch 2.10 or newer, numpy, scipy, pyarrow, typer, rich, pytest,
pytest-xdist, hypothesis and, but for --wheel, setuptools, cmake, ninja, pybind11 and nvcc. Builds for the card that is
there, then runs the parts, the most valuable first: kernels (against the CPU, plain PyTorch and the copy bandwidth),
tests, calls (beside the published scheme), cells (TF32 off and on), processes, sanitizer. Every row is in the file as
soon as it is there. --rehearse runs all of it where there is no card, on a device that the CPU computes.
"""

import argparse
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bench.device import machine
from bench.device.build import build, check_built, is_built, unpack
from bench.device.parts import LIMITS, run_part
from bench.device.report import Report
from bench.device.session import attempted
from bench.device.table import table

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench.device", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=["build", *LIMITS], help="parts; the extension is built if missing"
    )
    parser.add_argument("--wheel", type=Path, help="take the extension from it and build nothing")
    parser.add_argument("--out", type=Path, help="default: bench/results/NAME.json; other parts in it stay")
    parser.add_argument("--cells", type=int, help="architectures to score, by default 200")
    parser.add_argument("--minutes", type=float, default=8, help="for all of it; what does not fit is cut off")
    parser.add_argument("--rehearse", action="store_true", help="without a card")
    return parser.parse_args()


def out_for(device: str, rehearsal: bool) -> Path:
    name = re.sub(r"\W+", "-", device).strip("-").lower()
    return ROOT / "build" / "rehearsal.json" if rehearsal else ROOT / "bench" / "results" / f"{name}.json"


def extension(options: argparse.Namespace, found: dict[str, Any], report: Report) -> None:
    """Build or unpack it, and see that it runs."""
    started = time.monotonic()
    report.begin("build")
    made = unpack(options.wheel) if options.wheel else build(found["capability"])
    report.put("build", 0, {"name": "extension", **made})
    report.put("build", 1, attempted("launch", lambda: check_built(found, options.rehearse)))
    report.end("build", time.monotonic() - started)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an error, so that the part's processes end
    options, started = parsed(), time.monotonic()
    machine.check(options.wheel, options.rehearse)
    found = machine.describe(options.rehearse)
    report = Report(options.out or out_for(found["device"], options.rehearse))
    report.content["machine"] = found
    parts = ["build", *LIMITS]
    if options.only:
        needs_build = "build" in options.only or options.wheel is not None or not is_built()
        parts = [part for part in parts if part in options.only or (part == "build" and needs_build)]
    passed = ["--cells", str(options.cells or (2 if options.rehearse else 200))]
    passed += ["--rehearse"] if options.rehearse else []
    for part in parts:
        print(f"device: {part}", file=sys.stderr, flush=True)
        if part == "build":
            extension(options, found, report)
        else:
            left = started + 60 * options.minutes - time.monotonic()
            run_part(part, report, HOUR if options.rehearse else min(left, LIMITS[part]), passed)
    print(table(report.content, parts))
    print(f"written to {report.path}")
    wrong = report.wrong(parts)
    if wrong:
        sys.exit(f"device: wrong: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
