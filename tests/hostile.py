"""A right call of every operator, and ways to spoil its arguments."""

from functools import cache

import torch
from hypothesis import strategies as st

import zcfast._native  # noqa: F401  registers torch.ops.zcfast
from zcfast import _tables

TABLES = ("lookup", "orders", "class_first", "class_orbits", "orbits")
DTYPES = (torch.int8, torch.uint8, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32,
          torch.float64, torch.bool, torch.complex64)  # fmt: skip
INTEGERS = (-(2**63), -1, 0, 1, 3, 2**32, 2**61, 2**63 - 1)
NUMBERS = (torch.nan, torch.inf, -torch.inf, -1.0, 0.0, 1e308, 5e-324)
SHAPES = ((), (0,), (1,), (4,), (0, 3), (3, 0), (3, 5), (1, 1, 1), (2, 3, 4, 5), (2, 0, 4, 5), (2, 1, 3, 4, 5),
          (2**32, 0), (2**31, 2**31, 0))  # fmt: skip


@cache
def tables():
    return {name: torch.from_numpy(array) for name, array in _tables.nasbench101().items() if name in TABLES}


def calls():
    """Keyword arguments of every operator, made anew."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape, dtype=torch.float32):
        return torch.randn(shape, generator=generator).to(dtype)

    cells = {
        "vertices": torch.tensor([3, 7, 2, 4], dtype=torch.int8),
        "edges": torch.tensor([0b101, 0b100011000010100001001, 1, 0b110011], dtype=torch.int32),
        "operations": torch.tensor(
            [[0, -1, -1, -1, -1], [0, 1, 2, 0, 1], [-1] * 5, [0, 1, -1, -1, -1]], dtype=torch.int8
        ),
    }
    network = {"stem_channels": 16, "stacks": 2, "modules": 2, "classes": 10, "resolution": 16, "image_channels": 3}
    initial = {"init_scale": 0.5, "init_fan_out": False, "init_linear_mean": 0.0}
    keys, pool = torch.arange(3), torch.arange(4).repeat(3, 1)
    images = normal(2, 3, 4, 5).to(memory_format=torch.channels_last)
    flow = {"stride_height": 1, "stride_width": 1, "pad_height": 1, "pad_width": 1}
    return {
        "nasbench101_index": {**cells, **tables()},
        "nasbench101_neighbours": {**cells, **tables(), "relation": 2},
        "nasbench101_expected_synflow": {**cells, **network, **initial, "double_precision": True},
        "nasbench201_expected_synflow": {
            "operations": torch.tensor([[0, 1, 2, 3, 4, 0]] * 3, dtype=torch.int8),
            **{name: value for name, value in network.items() if name != "stacks"},
            **initial, "init_bias_scale": 0.5, "double_precision": False,
        },
        "nasbench101_size": {**cells, **network},
        "nasbench101_keys": cells,
        "stream_bits": {"keys": keys, "step": 2, "draws": 5},
        "evolve": {
            "keys": keys, "asked": 2, "steps": 20, "initial": pool, "rows": pool.clone(),
            "accuracies": normal(3, 4, dtype=torch.float64), "tournament": 2,
            "offsets": torch.tensor([0, 2, 3, 5, 6]), "ids": torch.tensor([1, 2, 0, 1, 3, 2]),
            "moves": torch.tensor([1, 2, 3, 0]), "ratio": 0.5, "values": normal(4, dtype=torch.float64),
        },
        "saliency_reduce": {
            "weights": [normal(5, 7), normal(3)], "grads": [normal(5, 7), normal(3)], "kinds": ["square", "product"],
        },
        "fisher_reduce": {"activation": normal(2, 3, 4, 5), "gradient": normal(2, 3, 4, 5), "channel_dim": 1},
        "batch_norm": {"input": images, "weight": normal(3), "bias": normal(3), "eps": 1e-5},
        "batch_norm_backward": {
            "gradient": images.clone(), "input": images, "weight": normal(3), "mean": normal(3),
            "inverse_deviation": normal(3).abs(),
        },
        "flow_convolution": {
            "input": normal(2, 1, 3, 4, 5, dtype=torch.float64), "weight": normal(7, 3, 3, 2), "count": 1, **flow,
        },
        "jacobian_correlation": {"jacobian": normal(9, 20), "k": 1e-5},
    }  # fmt: skip


def spoiled_call(data, operator):
    """Calls the operator with some of its arguments spoiled: it answers, or says in one line what it got."""
    call = calls()[operator]
    for name in data.draw(st.lists(st.sampled_from(sorted(call)), min_size=1, max_size=3, unique=True)):
        call[name] = spoil(data, call[name])
    on_meta = any(t.is_meta for v in call.values() for t in (v if isinstance(v, list) else [v]) if is_tensor(t))
    try:
        getattr(torch.ops.zcfast, operator)(**call)
    except (MemoryError, NotImplementedError):
        pass
    except Exception as error:
        line = str(error)
        clear = line.startswith(f"zcfast::{operator}: ") and "\n" not in line and ("expected" in line)
        assert clear or on_meta or "allocate" in line or "overflow" in line, line


def is_tensor(value):
    return isinstance(value, torch.Tensor)


def spoil(data, value):
    """Another value of the argument's type."""
    if isinstance(value, list):
        if data.draw(st.booleans()):
            return value[: data.draw(st.integers(0, 1))]
        return [spoil(data, value[0]), *value[1:]]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return data.draw(st.sampled_from(INTEGERS))
    if isinstance(value, float):
        return data.draw(st.sampled_from(NUMBERS))
    if isinstance(value, str):
        return "cube"
    return spoil_tensor(data, value)


KINDS = ("contents", "contents", "contents", "strides", "dtype", "shape", "memory", "meta")


def spoil_tensor(data, tensor):
    """Other contents, strides, dtype, shape or device, or no memory."""
    kind = data.draw(st.sampled_from(KINDS))
    if kind == "contents":
        return with_contents(data, tensor)
    if kind == "strides":
        return with_strides(data, tensor)
    if kind == "dtype":
        return tensor.to(data.draw(st.sampled_from(DTYPES)))
    if kind == "shape":
        return tensor.new_ones(data.draw(st.sampled_from(SHAPES)))
    if kind == "meta":
        return tensor.to("meta")
    freed = tensor.clone()
    freed.untyped_storage().resize_(0)
    return freed


def with_strides(data, tensor):
    """With gaps, transposed, or one element many times."""
    if data.draw(st.booleans()):
        return tensor[:1].expand_as(tensor)
    if tensor.dim() > 1 and data.draw(st.booleans()):
        return tensor.mT.clone().mT
    spread = tensor.new_zeros([2 * size for size in tensor.shape])
    return spread[(slice(None, None, 2),) * tensor.dim()].copy_(tensor)


def with_contents(data, tensor):
    """Some of the numbers replaced by the ends of their type and what lies about the ends of tables."""
    if tensor.dtype.is_floating_point:
        numbers = NUMBERS
    elif tensor.dtype == torch.bool:
        return ~tensor
    else:
        info = torch.iinfo(tensor.dtype)
        numbers = (info.min, -2, -1, 0, 1, 4, 6, 7, 127, info.max)
    drawn = torch.tensor(data.draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=9))).to(tensor.dtype)
    chosen = torch.rand(tensor.shape, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    others = drawn[torch.arange(tensor.numel()) % len(drawn)].reshape(tensor.shape)
    return torch.where(chosen < data.draw(st.sampled_from((0.01, 0.5, 1.1))), others, tensor)
