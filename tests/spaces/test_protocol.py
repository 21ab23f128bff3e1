import functools
from typing import ClassVar

import pytest
import torch
from torch import nn

from tests.spaces.own import TwoLayers
from zcfast.spaces import Decisions, Enumerated, Graph, names, register, registry, space
from zcfast.testing import check_space

SPACES = (
    pytest.param("nasbench101", marks=pytest.mark.slow),
    "nasbench201",
    "nasbench_bert",
    "tests.spaces.own:TwoLayers",
    "tests.spaces.own:made",
)


@pytest.mark.parametrize("name", SPACES)
def test_contract(name):
    found = space(name)
    check_space(found)
    assert found.name == name
    assert space(name) is found
    assert repr(found) == f"zcfast.space({name!r})"


def test_a_missing_capability_is_one_error():
    own = TwoLayers()
    assert own.capability(Decisions) is own
    expected = (
        r"^two_layers: expected a space with a list of all its architectures \(zcfast.spaces.Enumerated\), got one "
    )
    with pytest.raises(ValueError, match=expected + r"without; draw some by space.sample\(n\)$"):
        own.capability(Enumerated)
    with pytest.raises(ValueError, match=r"two_layers: expected a space with architectures as graphs .*Decisions"):
        own.capability(Graph)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_such_module:space", "ModuleNotFoundError"),
        ("tests.spaces.own:nothing", "AttributeError"),
        ("tests.spaces.own:WIDTHS", "expected a search space or what makes one, got tuple"),
        ("two words:space", "expected MODULE:NAME"),
        ("tests.spaces.own:", "expected MODULE:NAME"),
        ("os:getcwd", "expected a search space or what makes one, got str"),
    ],
)
def test_import_paths_that_lead_to_no_space(path, reason):
    with pytest.raises(ValueError, match=f"^{path}: .*{reason}"):
        space(path)


def test_registered_spaces(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    own = TwoLayers()
    assert register(own) is own is space("two_layers")
    assert "two_layers" in names()
    assert register(own) is own
    for other, name in ((TwoLayers(), None), (TwoLayers(), "nasbench101")):
        with pytest.raises(ValueError, match=r"name: expected one that no other space has"):
            register(other, name)
    with pytest.raises(ValueError, match="without a colon"):
        register(own, "a:b")
    with pytest.raises(ValueError, match=r"expected a zcfast.spaces.SearchSpace, got 'two_layers'"):
        register("two_layers")


def test_spaces_of_installed_packages(monkeypatch):
    monkeypatch.setattr(registry, "_installed", lambda: {"packaged": "tests.spaces.own:TwoLayers"})
    assert "packaged" in names()
    assert space("packaged").name == "packaged"


def test_initialisation_is_honoured_or_refused():
    own = TwoLayers()
    module = own.build("16 relu", initialisation="kaiming_fan_in", generator=torch.Generator().manual_seed(0))
    assert all(not layer.bias.any() for layer in module if isinstance(layer, nn.Linear))
    own._network = lambda cell: nn.Embedding(3, 4)
    with pytest.raises(
        ValueError, match=r"initialisation: expected convolutions, linear layers and norms, got Embedding"
    ):
        own.build("16 relu", initialisation="pytorch")
    assert isinstance(own.build("16 relu"), nn.Embedding)


def test_what_builds_no_module():
    own = TwoLayers()
    own._network = lambda cell: None
    with pytest.raises(ValueError, match=r"two_layers: expected an nn.Module for 4 relu, got None"):
        own.build("4 relu")


class Raises(TwoLayers):
    """Its example takes what is not there, and its list what cannot be imported."""

    elsewhere: ClassVar = {Enumerated: "no.such.module:List"}

    @property
    def example(self):
        return self.missing

    @functools.cached_property
    def title(self):
        return self.absent


def test_a_property_raises_its_own_error():
    with pytest.raises(AttributeError, match=r"'Raises' object has no attribute 'missing'"):
        _ = Raises().example
    with pytest.raises(AttributeError, match=r"'Raises' object has no attribute 'absent'"):
        _ = Raises().title


def test_to_ask_for_an_attribute_makes_no_capability():
    assert not hasattr(Raises(), "index")
    with pytest.raises(AttributeError, match=r"expected space\.capability\(zcfast\.spaces\.Enumerated\)\.index, got"):
        _ = Raises().index
