"""What the formatters do not hold of the layout of the code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("zcfast", "reproduction") for path in (ROOT / folder).rglob("*.py"))


def trees():
    assert len(FILES) > 100
    for path in FILES:
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_functions_have_at_most_40_lines_below_their_docstring():
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[ast.get_docstring(node) is not None :]
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                assert lines <= 40, f"{path}: {node.name} has {lines} lines"


def test_files_have_at_most_400_lines():
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_no_module_below_the_command_line_imports_the_package_as_a_whole():
    """What it is needed for stands somewhere, and an import of all hides where."""
    for path, tree in trees():
        if path.parts[0] == "zcfast" and path.parts[1] != "cli":
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    assert "zcfast" not in [name.name for name in node.names], path


@pytest.mark.parametrize("folder", ["zcfast", "reproduction"])
def test_folders_are_packages(folder):
    for directory in {path.parent for path in (ROOT / folder).rglob("*.py")}:
        assert (directory / "__init__.py").exists(), directory
