"""Every block of Python in the README and in docs/ runs as it stands there, those of a page one after the other.

A block that reads what only the reader has stands under the comment `<!-- with your own files -->`.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import zcfast
from zcfast.proxies import base

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OWN_FILES = "<!-- with your own files -->\n"


def blocks(page):
    """Pairs of the first line's number and the code."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if not text[: found.start()].endswith(OWN_FILES):
            yield text[: found.start(1)].count("\n"), found[1]


def given():
    """What a reader has: a network, a minibatch of pictures, and both as files and loaders."""
    images, targets = zcfast.random_images(8, (3, 16, 16), classes=10, seed=0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    )
    np.savez("cifar10.npz", images=np.zeros((64, 32, 32, 3), np.uint8), labels=np.arange(64) % 10)
    loader = [(images, targets)]
    return {**{"net": net, "model": net, "graph": net}, **locals(), "train_loader": loader, "device": "cpu"}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if list(blocks(page))], ids=lambda page: page.name)
def test_blocks_of_python(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))  # pages register proxies
    pytest.importorskip("optuna")
    names = {"__name__": "__main__", **given()}
    for line, code in blocks(page):
        exec(compile("\n" * line + code, str(page), "exec"), names)


def anchors(page):
    """What links to parts of a page say, as GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / "docs").glob("*/*.md")], ids=lambda page: page.name)
def test_links(page):
    for path, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        if not path.startswith("http"):
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), path
            assert not anchor or anchor in anchors(target), anchor
