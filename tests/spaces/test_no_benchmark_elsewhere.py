from pathlib import Path

import zcfast

ROOT = Path(zcfast.__file__).parent
BENCHMARKS = ("nasbench", "NasBench")
# Text for readers alone: examples of commands, and where a rule was chosen.
READ_BY_PEOPLE = ("cli/", "expected/", "search/algorithm.py", "spaces/registry.py", "_tables.pyi")


def test_benchmarks_are_named_in_their_own_folders_alone():
    found = []
    for path in [*ROOT.rglob("*.py"), *ROOT.rglob("*.pyi"), *ROOT.rglob("*.html"), *ROOT.rglob("*.js")]:
        place = path.relative_to(ROOT).as_posix()
        own = place.startswith("spaces/") and place.count("/") > 1
        if own or place.startswith(READ_BY_PEOPLE):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [f"{place}:{n}: {line}" for n, line in enumerate(lines, 1) if any(name in line for name in BENCHMARKS)]
    assert found == []


def test_edge_bits_are_computed_in_one_place():
    formula = ("* (y - 1) // 2", "(target - 1) // 2", "(v - 1) // 2", "(vertex - 1) // 2")
    found = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if any(part in path.read_text(encoding="utf-8") for part in formula)
    ]
    assert found == ["expected/paths.py", "spaces/nasbench101/cells.py"]
