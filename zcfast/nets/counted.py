"""What the published scores count: layers, at how many places each was applied, and parameters."""

from torch import Tensor, nn

COUNTABLE: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def channel_dim(layer: nn.Module, output: Tensor) -> int:
    """Dimension of the channels in a counted layer's output: before its places, of which a linear layer has none.

    It is 0 where the layer was called on one sample without a dimension for samples, as torch allows.

    Raises:
        ValueError: the output is not that of such a layer.
    """
    places = 0 if isinstance(layer, nn.Linear) else len(layer.kernel_size)  # type: ignore[arg-type]
    if not isinstance(output, Tensor) or output.dim() <= places or (places and output.dim() > places + 2):
        came = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"puts out no tensor [N, channels, ...]: {came}")
    return output.dim() - 1 - places


def trainable(module: nn.Module) -> int:
    """How many numbers the parameters have that are trained, tied ones once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
