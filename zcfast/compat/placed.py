"""Nets on the device of their minibatch."""

import copy

import torch
from torch import nn


def placed(net: nn.Module, device: torch.device) -> nn.Module:
    """The net, or a copy of it on the device where it is on another one."""
    if all(parameter.device == device for parameter in net.parameters()):
        return net
    return copy.deepcopy(net).to(device)
