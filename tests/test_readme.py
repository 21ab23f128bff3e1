"""The first Python of the README runs as it stands there; the other blocks read files that the reader brings."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_first_python_block(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)[1]
    exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "scores.parquet").exists()
