"""Files of weights: safetensors, whose header is read and compared before any weight is."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.storage.errors import StorageError, printable, reason_of
from eqmodels.storage.regular import open_regular, read_regular

__all__ = [
    "WEIGHTS",
    "Layout",
    "check_layout",
    "pack_weights",
    "read_layout",
    "read_weights",
    "sha256_of",
    "sha256_of_tensors",
]

WEIGHTS = "model.safetensors"
"""The name of the file of weights in a folder."""

Layout = dict[str, tuple[torch.dtype, tuple[int, ...]]]
"""The type and the shape of every tensor, by name."""

LARGEST_HEADER = 2**26
"""Bytes; a network of a million tensors would have a header of about this size."""

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def sha256_of(file: Path) -> str:
    """The sha256 of a file, 64 hexadecimal digits.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if it cannot be read.
    """
    check_arguments(sha256_of, locals())
    try:
        with open_regular(file) as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(2**20):
                digest.update(chunk)
    except OSError as error:
        raise StorageError(f"{file} cannot be read ({reason_of(error)}). Fetch it again.") from error
    return digest.hexdigest()


def sha256_of_tensors(state: Mapping[str, Tensor]) -> str:
    """The sha256 of what tensors hold, whatever file they lie in, 64 hexadecimal digits.

    It is that of, for each tensor in the order of the names, the line ``name type [d1, d2, ...]`` in UTF-8, such as
    ``conv1.weight float32 [64, 3, 7, 7]``, and its elements in row-major order, little-endian. Floating-point ones are
    hashed in float32, as files of this package hold them.

    Args:
        state: dense tensors by name, such as a state dict, on any device.

    Raises:
        TypeError: if they are no tensors by name.
    """
    check_arguments(sha256_of_tensors, locals())
    digest = hashlib.sha256()
    for name in sorted(state):
        value = (state[name].float() if state[name].is_floating_point() else state[name]).detach().to("cpu")
        kind = str(value.dtype).removeprefix("torch.")
        digest.update(f"{name} {kind} {list(value.shape)}\n".encode())
        array = value.contiguous().numpy()
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def pack_weights(state: Mapping[str, Tensor]) -> bytes:
    """Tensors as the content of a safetensors file, floating-point ones in float32, as a network is built.

    Tensors that share memory, such as tied weights, are all written, each as if it were alone.

    Raises:
        TypeError: if they are no dense tensors by name.
        StorageError: if one holds NaN or infinity, also if it is too large for float32, or has no values.
    """
    check_arguments(pack_weights, {"state": _with_values(state)})
    # Stock PyTorch strides: what is channels-last in memory is an ordinary tensor on the disk.
    packed = {
        name: (value.float() if value.is_floating_point() else value).detach().to("cpu").contiguous()
        for name, value in state.items()
        if not value.is_meta
    }
    if broken := [name for name in state if name not in packed or not packed[name].isfinite().all()]:
        raise StorageError(
            f"weights must be finite; {len(broken)} of {len(state)} tensors hold NaN, infinity or no values, the first "
            f"is {printable(broken[0])}. Nothing was written: use weights from before the divergence."
        )
    return save(_apart(packed))


def _with_values(state: Any) -> Any:  # noqa: ANN401 (anything may be given)
    """What is no tensor on the device ``meta``, of which a sentence of its own is to be said."""
    if not isinstance(state, Mapping):
        return state
    return {name: value for name, value in state.items() if not getattr(value, "is_meta", False)}


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, none of which lies in the memory of another, which the file cannot say."""
    apart: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, value in tensors.items():
        apart[name] = value.clone() if value.untyped_storage().data_ptr() in taken else value
        taken.add(apart[name].untyped_storage().data_ptr())
    return apart


def read_layout(file: Path) -> Layout:
    """Names, types and shapes of the tensors of a file, from its header alone.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if it is no safetensors file, or its header does not agree with its size.
    """
    check_arguments(read_layout, locals())
    # Not `safetensors.safe_open`: it parses 100 MB of header before anyone can object, and maps the file, so that one
    # that shrinks meanwhile ends the process. The tensors themselves are read by `safetensors`.
    try:
        with open_regular(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size - 8, LARGEST_HEADER):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(stream.read(length))
        layout: Layout = {}
        end = 0
        for name, entry in header.items():
            if name != "__metadata__":
                start, stop = entry["data_offsets"]
                # Nothing but integers, as the parser of the weights has it: 4.0, "4" and true are none.
                if broken := [n for n in (start, stop, *entry["shape"]) if type(n) is not int or n < 0]:
                    raise ValueError(f"a shape or an offset that is no count, {broken[0]!r}")
                layout[name] = (_DTYPES[entry["dtype"]], tuple(entry["shape"]))
                end = max(end, stop)
        if 8 + length + end != size:
            raise ValueError(f"{size} bytes instead of {8 + length + end}")
    except (OSError, struct.error, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"{file} is no whole safetensors file ({type(error).__name__}: {reason_of(error)}). Fetch it again."
        ) from error
    return layout


def check_layout(file: Path, layout: Layout, expected: Mapping[str, Tensor]) -> None:
    """Refuses a file whose tensors are not exactly the expected ones, which may be on the meta device.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if names, types or shapes differ; names the first of each.
    """
    check_arguments(check_layout, {"file": file, "layout": layout})
    if not isinstance(expected, Mapping):  # its tensors may be without values
        raise TypeError(f"expected must be tensors by name; got {shown(expected)}. Pass a state dict.")
    wanted: Layout = {name: (value.dtype, tuple(value.shape)) for name, value in expected.items()}
    faults = [
        f"{len(names)} {words} ({printable(names[0])}{', ...' if len(names) > 1 else ''})"
        for words, names in (
            ("missing", sorted(wanted.keys() - layout.keys())),
            ("unknown", sorted(layout.keys() - wanted.keys())),
            ("of another shape or type", sorted(n for n in wanted.keys() & layout.keys() if wanted[n] != layout[n])),
        )
        if names
    ]
    if faults:
        raise StorageError(
            f"{file} holds the weights of another network: of its tensors, {', '.join(faults)}. Nothing was loaded; "
            "use the config.json that was published with it."
        )


def read_weights(file: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a file with this sha256, on the CPU.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if the file has another sha256, is no safetensors file, or a value is no finite number.
    """
    check_arguments(read_weights, locals())
    try:
        content = read_regular(file)
    except OSError as error:
        raise StorageError(f"{file} cannot be read ({reason_of(error)}). Fetch it again.") from error
    return parse_weights(content, file, sha256, hashlib.sha256(content).hexdigest())


def parse_weights(content: bytes, file: Path, sha256: str, found: str) -> dict[str, Tensor]:
    """The tensors of a file with this sha256, from its bytes.

    Args:
        content: of the file.
        file: its path, for the sentence.
        sha256: that it is to have.
        found: that it has.

    Raises:
        StorageError: if these differ, it is no safetensors file, or a value is no finite number.
    """
    if found != sha256:
        raise StorageError(
            f"{file} is damaged or of another network: its sha256 is {found[:12]}..., not "
            f"{printable(sha256[:12])}... as it should be. Fetch it again."
        )
    try:
        state = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise StorageError(f"{file} is no whole safetensors file ({reason_of(error)}). Fetch it again.") from error
    if broken := sorted(name for name, value in state.items() if not value.isfinite().all()):
        raise StorageError(
            f"{file} holds numbers that are not finite, in {len(broken)} of {len(state)} tensors "
            f"({printable(broken[0])}, ...). Nothing was loaded: use weights from before the divergence."
        )
    return state
