"""Small models of torchvision, timm and transformers: every proxy has a number, equal to plain PyTorch's."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from zcfast.passes.batch import find_logits
from zcfast.passes.layers import find_layers
from zcfast.proxies import registered
from zcfast.scoring import score

ALL = tuple(registered())
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TOKENS = torch.randint(3, 50, (3, 9), generator=torch.Generator().manual_seed(1))
TARGETS = torch.arange(3)


def check(net, inputs):
    """Score the net in float64 and compare what one backward pass gives."""
    net.double().train()
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(2)
    result = score(net, (inputs, TARGETS), ALL)
    missing = {name: s.status for name, s in result.items() if s.status != "ok"}
    assert missing.items() <= {"synflow_bn": "undefined"}.items()  # where a map has one position
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    torch.manual_seed(2)
    weights = [layer.weight for layer in find_layers(net)]
    loss = F.cross_entropy(find_logits(net(inputs)), TARGETS)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    pairs = [(w, g) for w, g in zip(weights, gradients, strict=True) if g is not None]
    assert result["grad_norm"].value == pytest.approx(sum(g.norm().item() for _, g in pairs), rel=1e-9)
    assert result["snip"].value == pytest.approx(sum((w * g).abs().sum().item() for w, g in pairs), rel=1e-9)
    torch.manual_seed(2)
    per_layer = score(net, (inputs, TARGETS), ["synflow"], per_layer=True)["synflow"].per_layer
    assert result["synflow"].value == pytest.approx(per_layer.sum().item(), rel=1e-5)  # some nets cast to float32


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_torchvision(name):
    models = pytest.importorskip(
        "torchvision.models", exc_type=(ImportError, RuntimeError)
    )  # a build for another torch
    check(models.get_model(name, weights=None, num_classes=5), IMAGES)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext"])
def test_timm(name):
    timm = pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    options = {"img_size": 32} if name == "test_vit" else {}
    check(timm.create_model(name, num_classes=5, **options), IMAGES)


SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "num_labels": 4}


@pytest.mark.parametrize("name", ["Bert", "Llama", "ViT"])
def test_transformers(name):
    transformers = pytest.importorskip("transformers")
    own = {"image_size": 32, "patch_size": 8} if name == "ViT" else {"vocab_size": 64, "pad_token_id": 0}
    task = "ForImageClassification" if name == "ViT" else "ForSequenceClassification"
    config = getattr(transformers, f"{name}Config")(**SIZES, **own)
    check(getattr(transformers, f"{name}{task}")(config), IMAGES if name == "ViT" else TOKENS)
