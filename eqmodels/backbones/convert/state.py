"""What a state dict from elsewhere must be before its weights are read, in one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from eqmodels.backbones.resnet import RESNET_DEPTHS

__all__ = ["check_names", "check_shape", "checked_tensors", "known_rank", "resnet_architecture"]

_BLOCK = re.compile(r"layer([1-4])\.([0-9]+)\.(conv3\.)?")


def checked_tensors(state: object, source: str) -> dict[str, Tensor]:
    """The tensors by their names, without the ``module.`` that `DataParallel` puts before all of them.

    Args:
        state: what should be a state dict.
        source: what it should be a state dict of, for the errors.

    Raises:
        ValueError: if it is not a mapping from names to tensors, or a tensor holds NaN, infinity or no values at all.
    """
    if not isinstance(state, Mapping):
        raise ValueError(
            f"state must be the state dict of {source}, a mapping from names to tensors; got {type(state).__name__}. "
            "Pass model.state_dict()."
        )
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            inside = f"state[{name!r}]" if isinstance(value, Mapping) else "model.state_dict()"
            raise ValueError(
                f"state must be the state dict of {source}, a mapping from names to tensors; {name!r} holds "
                f"{type(value).__name__}. Pass {inside}."
            )
    broken = [name for name, value in state.items() if value.is_meta or not value.isfinite().all()]
    if broken:
        raise ValueError(
            f"weights must be finite; {len(broken)} of {len(state)} tensors hold NaN, infinity or no values, the first "
            f"is {broken[0]!r}. Use a checkpoint from before the divergence."
        )
    parallel = all(name.startswith("module.") for name in state)
    return {name.removeprefix("module.") if parallel else name: value.detach() for name, value in state.items()}


def resnet_architecture(names: Iterable[str], source: str) -> str:
    """``"resnet18"``, ``"resnet34"`` or ``"resnet50"``, by the blocks ``layer1.0.`` .. of a state dict.

    Raises:
        ValueError: if the blocks are those of none of them.
    """
    matches = [match for name in names if (match := _BLOCK.match(name))]
    blocks = {(match[1], match[2]) for match in matches}
    depths = tuple(sum(stage == number for stage, _ in blocks) for number in "1234")
    bottleneck = any(match[3] for match in matches)
    for architecture, (block, expected) in RESNET_DEPTHS.items():
        if depths == expected and bottleneck == (block.expansion > 1):
            return architecture
    known = ", ".join(f"{name} {depths}" for name, (_, depths) in RESNET_DEPTHS.items())
    raise ValueError(
        f"state must be that of {source} with the blocks of one of {known}; got {depths} blocks of "
        f"{3 if bottleneck else 2} convolutions. Pass the whole state dict of such a network."
    )


def check_names(source: str, missing: Sequence[str], unknown: Sequence[str]) -> None:
    """Raises a `ValueError` if names are missing or unknown: the number of them, and the first."""
    for problem, names in (("lacks", missing), ("has beyond it", unknown)):
        if names:
            plural = "tensor" if len(names) == 1 else "tensors"
            raise ValueError(
                f"state must be that of {source}, name by name; it {problem} {len(names)} {plural}, the first is "
                f"{names[0]!r}. Pass the whole state dict of such a network and nothing else."
            )


def check_shape(source: str, name: str, tensor: Tensor, shape: Sequence[int]) -> None:
    """Raises a `ValueError` unless the tensor is floating point and has the shape."""
    if tuple(tensor.shape) != tuple(shape) or not tensor.is_floating_point():
        raise ValueError(
            f"{name!r} of {source} must be floating point and have the shape {tuple(shape)}, which the other layers "
            f"and the widths 1, 2, 4 and 8 times that of the stem ask for; got {tensor.dtype} and "
            f"{tuple(tensor.shape)}. Networks of other widths or grouped convolutions have no counterpart: train one."
        )


def known_rank(source: str, name: str, tensor: Tensor, rank: int) -> tuple[int, ...]:
    """The shape of a tensor from which sizes are read.

    Raises:
        ValueError: if it has another number of axes, or an empty one.
    """
    shape = tuple(tensor.shape)
    if len(shape) != rank or not all(shape):
        raise ValueError(
            f"{name!r} of {source} must have {rank} axes, none of them empty; got the shape {shape}. "
            "Pass the state dict as it was saved."
        )
    return shape
