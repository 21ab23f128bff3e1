"""A space whose listing takes long says so, once."""

import warnings

import pytest

import zcfast
from tests.designing.own_space import EXAMPLE, small
from zcfast.errors import Notice
from zcfast.spaces.own import space as own


def test_long_listings_say_how_long(monkeypatch):
    monkeypatch.setattr(own, "SILENT", 0.0)
    space = zcfast.Space(small, EXAMPLE)
    with pytest.warns(
        Notice, match=r"small: asks for each of its architectures, at most 8, which takes at most \d+ s more"
    ) as told:
        assert len(space) == 8
    assert len(told) == 1


def test_short_listings_are_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(zcfast.Space(small, EXAMPLE)) == 8
