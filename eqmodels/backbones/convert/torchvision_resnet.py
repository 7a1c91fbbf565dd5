"""torchvision's ResNets, from a state dict alone: depth, widths, stem and classes are read off names and shapes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from eqmodels.backbones.convert.state import (
    check_names,
    check_shape,
    checked_tensors,
    known_rank,
    resnet_architecture,
)
from eqmodels.backbones.standard_resnet import StandardResNet

__all__ = ["from_torchvision"]

SOURCE = "a torchvision ResNet"

_STEMS: dict[tuple[int, ...], str] = {(7, 7): "", (3, 3): "s"}
"""What the name of an architecture ends in, by the pixels of its first filters."""


@torch.no_grad()
def from_torchvision(state: Mapping[str, Tensor]) -> StandardResNet:
    """The ResNet-18, -34, -50 or -101 that a torchvision state dict is of: same outputs, in train and in eval mode.

    A 7 x 7 ``conv1`` is the ImageNet stem, a 3 x 3 one the usual small stem: stride 1, no max-pooling. Without ``fc``
    the network puts out its features (`num_classes` 0); `reset_classifier` gives another ``fc``. All names may start
    with ``module.`` (`DataParallel`), and the counts of batches may be missing, as in the oldest checkpoints. Strides
    and dilations leave no trace in a state dict: those of torchvision's own ``resnet18``, ``34`` and ``50`` are taken.

    Args:
        state: names and tensors, as of ``torchvision.models.resnet18(weights=...).state_dict()``.

    Returns:
        A new network in train mode, with the dtype and on the device of ``conv1.weight``.

    Raises:
        ValueError: if the state is not a mapping of finite tensors, its blocks are those of no ResNet-18 to -101,
            a tensor is missing or unknown, or one has another shape than the rest asks for.

    Source: He et al. 2016, arXiv 1512.03385, as implemented by torchvision.

    Example:
        >>> import torchvision
        >>> model = from_torchvision(torchvision.models.resnet18(num_classes=10).state_dict())
        >>> model.num_classes, model.num_features
        (10, 512)
    """
    tensors = checked_tensors(state, SOURCE)
    architecture = resnet_architecture(tensors, SOURCE)
    # The names depend on the depth and the presence of a classifier alone.
    has_classifier = any(name.startswith("fc.") for name in tensors)
    names = _shapes(StandardResNet(architecture, width=1, num_classes=int(has_classifier)))
    # `BatchNorm2d` itself accepts a plain dict without its counts, which matter only to a cumulative average.
    missing = [name for name in names if name not in tensors and not name.endswith("num_batches_tracked")]
    check_names(SOURCE, missing, [name for name in tensors if name not in names])

    first = tensors["conv1.weight"]
    width, in_chans, *kernel = known_rank(SOURCE, "conv1.weight", first, 4)
    if tuple(kernel) not in _STEMS:
        raise ValueError(
            f"'conv1.weight' of {SOURCE} must have 7 x 7 (ImageNet) or 3 x 3 pixels (small images); got "
            f"{' x '.join(map(str, kernel))}. Other stems have no counterpart: train one."
        )
    classes = known_rank(SOURCE, "fc.weight", tensors["fc.weight"], 2)[0] if "fc.weight" in tensors else 0
    name = f"{architecture}{_STEMS[tuple(kernel)]}"
    model = StandardResNet(name, width=width, in_chans=in_chans, num_classes=classes)
    shapes = _shapes(model)
    for name, tensor in tensors.items():
        if not name.endswith("num_batches_tracked"):
            check_shape(SOURCE, name, tensor, shapes[name])
    model.to(first.device, first.dtype).load_state_dict(_renamed(tensors))
    return model


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state under the names of `StandardResNet`: ``conv1`` becomes ``stem.conv``, and so on."""
    stem = {"conv1": "stem.conv", "bn1": "stem.bn"}
    parts = ((*key.partition("."), value) for key, value in state.items())
    return {f"{stem.get(head, head)}{dot}{tail}": value for head, dot, tail, value in parts}


def _shapes(model: StandardResNet) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, under torchvision's name for it."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return {name.replace("stem.conv.", "conv1.").replace("stem.bn.", "bn1."): shape for name, shape in shapes.items()}
