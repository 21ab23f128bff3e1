"""What the tests of the reductions share: drawn shapes, element types and memory layouts."""

import torch
from hypothesis import strategies as st

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def channels_last(tensor):
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1) if tensor.dim() > 2 else tensor


def with_gaps(tensor):
    padded = torch.zeros([2 * size for size in tensor.shape], dtype=tensor.dtype)
    return padded[tuple(slice(0, 2 * size, 2) for size in tensor.shape)].copy_(tensor)


def reversed_dims(tensor):
    dims = tuple(reversed(range(tensor.dim())))
    return tensor.permute(dims).contiguous().permute(dims)


def unaligned(tensor):
    return torch.cat([torch.zeros(1, dtype=tensor.dtype), tensor.flatten()])[1:].view(tensor.shape)


def expanded(tensor):
    return tensor[..., :1].expand(tensor.shape) if tensor.dim() else tensor


# Each gives a tensor of the same shape in another place of memory; `expanded` has other values too.
layouts = {
    "contiguous": torch.Tensor.contiguous,
    "channels_last": channels_last,
    "with_gaps": with_gaps,
    "reversed_dims": reversed_dims,
    "unaligned": unaligned,
    "expanded": expanded,
}


def shapes(min_dims=0, max_dims=4, max_side=12):
    return st.lists(st.integers(0, max_side), min_size=min_dims, max_size=max_dims).map(tuple)


@st.composite
def tensors(draw, shape, dtype):
    generator = torch.Generator(torch.get_default_device()).manual_seed(draw(st.integers(0, 2**31)))
    values = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    return layouts[draw(st.sampled_from(sorted(layouts)))](values)


def same_on_any_thread_count(compute):
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            results.append(compute())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], result) for result in results)
