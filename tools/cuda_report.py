"""What the compiled CUDA kernels use on each architecture, read from the machine code of the built extension.

    python tools/cuda_report.py [--library zcfast/_C.abi3.so] [--write]

Compares with docs/cuda_report.md and fails where a kernel touches local memory (spills), lost its 16-byte loads, or has
a lower occupancy than the committed table says. Needs nvcc, and cuobjdump and nvdisasm (pip install '.[cuda-report]').
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "cuda_report.md"
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)


@dataclass(frozen=True)
class Kernel:
    """How a kernel is launched, and whether its loops are to load 16 bytes at once."""

    wide_loads: bool = False
    dynamic_shared: int = 0  # bytes of the largest launch
    threads: int = 256


KERNELS = {
    "saliency_chunks_kernel": Kernel(wide_loads=True),
    "saliency_combine_kernel": Kernel(),
    "fisher_rows_kernel": Kernel(wide_loads=True),
    "fisher_positions_kernel": Kernel(wide_loads=True, dynamic_shared=16384),
    "fisher_combine_kernel": Kernel(),
    "centre_rows_kernel": Kernel(wide_loads=True),
    "small_correlation_kernel": Kernel(dynamic_shared=38016),
    "correlate_kernel": Kernel(),
    "panel_kernel": Kernel(),
    "update_kernel": Kernel(),
    "negate_sum_kernel": Kernel(),
    "nasbench101_index_kernel": Kernel(),
    "nasbench101_neighbours_kernel": Kernel(),
    "nasbench101_expected_synflow_kernel": Kernel(dynamic_shared=35088, threads=128),
    "stream_bits_kernel": Kernel(),
    "evolve_kernel": Kernel(threads=32),
}
# Local memory that is no spill: arrays indexed by what is known only at run time.
INDEXED_LOCALLY = tuple(name for name in KERNELS if name.startswith("nasbench101_"))


@dataclass
class Usage:
    """The largest use over the instances of one kernel on one architecture, and the least of what is wanted."""

    instances: int = 0
    registers: int = 0
    shared: int = 0
    stack: int = 0
    local_accesses: int = 0
    generic_loads: int = 0
    wide_loads: list[int] = field(default_factory=list)  # of the instances that have any, inside loops
    occupancy: int = 100


Usages = dict[tuple[str, int], Usage]


def fail(message: str) -> None:
    """One line on standard error, and the end."""
    sys.exit(f"cuda_report: {message}")


def find_tool(name: str) -> str:
    """The path of a CUDA tool: on PATH or in the PyPI package of this environment."""
    folders = [os.environ.get("PATH", "")]
    spec = importlib.util.find_spec("nvidia")
    for place in spec.submodule_search_locations or [] if spec else []:
        folders += map(str, Path(place).glob("*/bin"))
    found = shutil.which(name, path=os.pathsep.join(folders))
    if not found:
        fail(f"expected {name} on PATH or from PyPI (pip install '.[cuda-report]'), found none")
    return str(found)


def run(*command: str | Path, text: str | None = None) -> str:
    """Standard output of a command; its error ends the program."""
    tools = os.pathsep.join([str(Path(find_tool("nvdisasm")).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*map(str, command)], input=text, capture_output=True, text=True, env={**os.environ, "PATH": tools}
    )
    if done.returncode:
        fail(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def kernel_of(symbol: str) -> str:
    """The name of a mangled kernel of namespace zcfast."""
    match = re.match(r"_ZN6zcfast(\d+)(\w+)", symbol)
    if not match:
        fail(f"expected kernels of namespace zcfast alone, got {symbol}")
        raise AssertionError
    return match[2][: int(match[1])]


def read_resources(library: Path, usages: Usages) -> None:
    """Registers, stack and shared memory of every kernel."""
    architecture, name = 0, ""
    for line in run(find_tool("cuobjdump"), "-res-usage", library).splitlines():
        if match := re.search(r"arch = sm_(\d+)", line):
            architecture = int(match[1])
        elif match := re.search(r"Function (\S+):", line):
            name = kernel_of(match[1])
        elif match := re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", line):
            registers, stack, shared, local = map(int, match.groups())
            usage = usages[name, architecture]
            usage.instances += 1
            usage.registers = max(usage.registers, registers)
            usage.stack = max(usage.stack, stack + local)
            # From sm_90 on the driver's own 1024 bytes are counted in.
            usage.shared = max(usage.shared, shared - (1024 if architecture >= 90 else 0))


def read_instructions(library: Path, usages: Usages) -> None:
    """Kinds of loads of every kernel."""
    architecture, name = 0, ""
    instructions: list[tuple[int, str]] = []

    def finish() -> None:
        if instructions:
            count_instructions(instructions, usages[name, architecture])
            instructions.clear()

    for line in run(find_tool("cuobjdump"), "-sass", library).splitlines():
        if match := re.search(r"code for sm_(\d+)", line):
            finish()
            architecture = int(match[1])
        elif match := re.search(r"Function : (\S+)", line):
            finish()
            name = kernel_of(match[1])
        elif match := re.search(r"/\*([0-9a-f]{4,})\*/\s+(.*?);", line):
            instructions.append((int(match[1], 16), match[2]))
    finish()


def count_instructions(instructions: list[tuple[int, str]], usage: Usage) -> None:
    """Adds one kernel's instructions. A loop is what a branch backwards goes over."""
    loops = [
        (int(target[1], 16), address)
        for address, text in instructions
        if (target := re.search(r"\bBRA\b.*?(?:`\(\S+\)|0x([0-9a-f]+))", text))
        and target[1]
        and int(target[1], 16) < address
    ]
    wide = 0
    for address, text in instructions:
        if re.search(r"\b(LDL|STL)\b", text):
            usage.local_accesses += 1
        elif re.search(r"\bLD\.", text):
            usage.generic_loads += 1
        elif "LDG.E.128" in text and any(begin <= address <= end for begin, end in loops):
            wide += 1
    if wide:
        usage.wide_loads.append(wide)


def add_occupancies(usages: Usages) -> None:
    """By cuda_occupancy.h, of the instance that uses most."""
    keys = list(usages)
    lines = [
        f"{arch} {usage.registers} {usage.shared + KERNELS[name].dynamic_shared} {KERNELS[name].threads}"
        for (name, arch), usage in usages.items()
    ]
    nvcc = shutil.which("nvcc")
    if not nvcc:
        fail("expected nvcc on PATH, found none")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "occupancy"
        run(str(nvcc), "-o", program, ROOT / "tools" / "occupancy.cpp")
        answers = run(program, text="\n".join(lines) + "\n").split()
    for key, answer in zip(keys, answers, strict=True):
        usages[key].occupancy = int(answer)


def measure(library: Path) -> Usages:
    """The use of every kernel on every architecture."""
    usages: Usages = defaultdict(Usage)
    read_resources(library, usages)
    read_instructions(library, usages)
    found, expected = set(usages), {(name, arch) for name in KERNELS for arch in ARCHITECTURES}
    if found != expected:
        fail(f"expected the kernels of KERNELS on every architecture, differing: {sorted(found ^ expected)[:4]}")
    add_occupancies(usages)
    return usages


def render(usages: Usages) -> str:
    """The table of docs/cuda_report.md."""
    lines = [
        "# What the CUDA kernels use",
        "",
        "Read from the machine code by `make cuda-report`, which fails where this gets worse; `tools/cuda_report.py",
        "--write` writes it anew. Entries are registers a thread and resident threads of a multiprocessor in per cent",
        "(cuda_occupancy.h), of the instance that uses most. 16-byte loads are those inside loops, and in how many",
        "instances: those for rows that lie at no multiple of 16 bytes have none. Stack is in bytes: arrays of cells",
        "that are indexed at run time. No other kernel has local memory.",
        "",
        "| kernel | instances | threads | shared bytes | 16-byte loads | local loads and stores | stack | "
        + " | ".join(f"sm_{arch}" for arch in ARCHITECTURES)
        + " |",
        "|---|" + "---:|" * (6 + len(ARCHITECTURES)),
    ]
    for name, kernel in KERNELS.items():
        of = [usages[name, arch] for arch in ARCHITECTURES]
        wide = [count for usage in of for count in usage.wide_loads]
        instances = min(len(usage.wide_loads) for usage in of)
        shared = max(usage.shared for usage in of) + kernel.dynamic_shared
        cells = [
            f"`{name}`",
            str(of[0].instances),
            str(kernel.threads),
            str(shared),
            f"{min(wide)} to {max(wide)} in {instances}" if wide else "0",
            str(max(usage.local_accesses for usage in of)),
            str(max(usage.stack for usage in of)),
            *(f"{usage.registers}, {usage.occupancy} %" for usage in of),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def problems(usages: Usages, committed: str) -> list[str]:
    """What breaks a rule, or is worse than the committed table."""
    found = []
    for (name, arch), usage in usages.items():
        where = f"{name} on sm_{arch}"
        if name not in INDEXED_LOCALLY and (usage.stack or usage.local_accesses):
            found.append(f"{where}: expected no local memory, got {usage.stack} bytes of stack")
        if usage.generic_loads:
            found.append(f"{where}: expected loads of known spaces alone, got {usage.generic_loads} generic ones")
    return found + regressions(usages, committed)


def regressions(usages: Usages, committed: str) -> list[str]:
    """What is worse than the committed table says."""
    found = []
    rows = {
        row[0].strip("` "): row
        for row in (line.strip("| ").split(" | ") for line in committed.splitlines())
        if len(row) > 7
    }
    for name in KERNELS:
        if name not in rows:
            found.append(f"{name}: expected a row in {TABLE.name}, found none")
            continue
        row, of = rows[name], [usages[name, arch] for arch in ARCHITECTURES]
        fewest = min((count for usage in of for count in usage.wide_loads), default=0)
        instances = min(len(usage.wide_loads) for usage in of)
        before = [int(number) for number in re.findall(r"\d+", row[4])]
        if fewest < before[0] or instances < before[-1] or (KERNELS[name].wide_loads and not instances):
            found.append(f"{name}: expected {row[4]} for loads of 16 bytes in loops, got {fewest} in {instances}")
        stack = max(usage.stack for usage in of)
        if stack > int(row[6]):
            found.append(f"{name}: expected at most {row[6]} bytes of stack, got {stack}")
        for arch, usage, cell in zip(ARCHITECTURES, of, row[7:], strict=True):
            before = int(re.findall(r"\d+", cell)[1])
            if usage.occupancy < before:
                found.append(
                    f"{name} on sm_{arch}: expected an occupancy of at least {before} %, got {usage.occupancy} %"
                )
    return found


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, default=ROOT / "zcfast" / "_C.abi3.so")
    parser.add_argument("--write", action="store_true", help="write the table instead of comparing with it")
    options = parser.parse_args()
    if not options.library.exists():
        fail(f"expected the built extension at {options.library}, found none")
    usages = measure(options.library)
    table = render(usages)
    if options.write:
        TABLE.write_text(table)
    found = problems(usages, TABLE.read_text() if TABLE.exists() else "")
    print(table)
    if found:
        fail("\n  ".join(["", *found]))


if __name__ == "__main__":
    main()
