"""A network in a file for other programs, and what the file computes beside the network itself."""

from __future__ import annotations

import copy
import io
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.errors import EqmodelsError, is_one_of, shown
from eqmodels.evaluation import smooth_images
from eqmodels.export.onnx import OPSET, metadata_of, stock_or_itself, to_onnx
from eqmodels.export.plain import to_plain
from eqmodels.export.sizes import AnySize, Size, channels_of, fixed_size, is_own
from eqmodels.groups import PlanarGroup
from eqmodels.storage import write_atomically

__all__ = ["ENDINGS", "ExportFormat", "Parity", "export_network", "place_of"]

ExportFormat = Literal["onnx", "torch.export", "torchscript", "plain"]
"""ONNX; a graph of `torch.export`; a traced TorchScript; or a pickled `nn.Sequential` of stock modules."""

ENDINGS: dict[str, ExportFormat] = {".onnx": "onnx", ".pt2": "torch.export", ".ts": "torchscript", ".pt": "plain"}
"""Of files whose format is not said."""

NOTES = "eqmodels.json"
"""What the metadata are called inside files of `torch.export` and TorchScript."""

TOLERANCE = 1e-4
"""The largest difference between file and network, as a share of the largest output."""

OPEN_SIZE = (40, 56)
"""Pixels of the images by which a graph for any size is compared."""


@dataclass(frozen=True)
class Parity:
    """What a file computes beside the network that it was made of, on images that both were given.

    Attributes:
        file: its path.
        format: of the file.
        metadata: that are in the file.
        upright: the largest difference of an output.
        turned: the same of images that were moved by every other element of the group that keeps pixels; None if there
            is none.
        scale: the largest output.
    """

    file: str
    format: str
    metadata: dict[str, Any]
    upright: float
    turned: float | None
    scale: float


def export_network(
    model: nn.Module,
    file: str | Path,
    *,
    format: ExportFormat | None = None,
    size: AnySize = None,
    in_chans: int | None = None,
    classes: Sequence[str] = (),
    opset: int | None = None,
) -> Parity:
    """Writes a network, in eval mode, into one file for other programs, and compares what the file computes.

    The network is an encoder of this package, an adapted or a dense one, a module around one, or what gives the maps of
    several stages (`stage_maps`, timm's ``features_only``), whose outputs then have names. The file appears only if it
    computes what the network does, on upright and on turned images. It takes any number of images. Its metadata say how
    images become its input and what its output means, see `to_onnx`: as those of ONNX; in files of ``"torch.export"``
    (``torch.export.load``) and ``"torchscript"`` (``torch.jit.load``) as the extra file ``eqmodels.json``; of
    ``"plain"`` (``torch.load(file, weights_only=False)``, a pickle, for which this package need not be installed, but
    that whose network was adapted) as the attribute `metadata`.

    Args:
        model: an encoder of this package or, but for ``"plain"``, any module that takes images, which is not changed.
        file: its place, in a folder that exists.
        format: of the file; None for that of its ending: ``.onnx``, ``.pt2``, ``.ts`` or ``.pt``.
        size: pixels of the images, one number or (height, width); ``"any"``, of ONNX and plain networks alone; None for
            the size of the images that the network was trained on.
        in_chans: channels of the images, of a module that does not say so itself; None for its attribute `in_chans`.
        classes: names of the classes, for the metadata.
        opset: version of the ONNX operator set, of ONNX alone; None for that of `to_onnx`.

    Raises:
        TypeError: if an argument is of another type, or stock modules are asked for of what `to_plain` refuses.
        FileNotFoundError: if the folder does not exist.
        ValueError: if the format is unknown or the ending is, the size is refused, the channels are not known, PyTorch
            does not write the operator set, or a part of this package would be left in stock modules.
        ModuleNotFoundError: if the packages of the extra ``peers`` are missing, of ONNX alone.
        EqmodelsError: if the file computes something else than the network; it is not written then.
        StorageError: if it cannot be written; a file that was there is then what it was.
    """
    check_arguments(export_network, {"model": model, "file": file, "classes": classes})
    place = place_of(file)
    kind = _format_of(place, format)
    channels = channels_of(model, in_chans)
    own = copy.deepcopy(model).cpu().eval()
    pixels = fixed_size(own, size)
    if pixels is None and kind in ("torch.export", "torchscript"):
        raise ValueError(f"size='any' is for ONNX and plain networks; got format {kind!r}. Name the size.")
    if opset is not None and kind != "onnx":
        raise ValueError(f"opset is of ONNX files; got {shown(opset)} and format {kind!r}. Leave it out.")
    notes: dict[str, Any] = metadata_of(own, pixels) | ({"classes": list(classes)} if classes else {})
    with warnings.catch_warnings():
        # What PyTorch says of its own ways of export, to people who did not choose them.
        warnings.simplefilter("ignore")
        asked = _Asked(pixels, channels, notes, OPSET if opset is None else opset)
        content = _WRITERS[kind](own, asked)
        found = _compared(own, _READERS[kind](content), channels, pixels or OPEN_SIZE)
    parity = Parity(str(place), kind, notes, *found)
    if max(parity.upright, parity.turned or 0.0) > TOLERANCE * max(parity.scale, 1e-6):
        raise EqmodelsError(
            f"the exported network differs by {parity.upright:.2g} on upright and {parity.turned or 0.0:.2g} on turned "
            f"images, of outputs up to {parity.scale:.2g}; {place} was not written. Choose another format."
        )
    write_atomically(place, content)
    return parity


def place_of(file: str | Path) -> Path:
    """The path of a file that is to be written.

    Raises:
        FileNotFoundError: if its folder does not exist, or it has no name.
    """
    place = Path(file)
    if not place.name or not place.parent.is_dir():
        raise FileNotFoundError(
            f"file must be a name in a folder that exists; got {shown(str(file))}. Create {place.parent} first."
        )
    return place


def _format_of(file: Path, format: object) -> ExportFormat:
    """The format of a file, as asked for or by its ending.

    Raises:
        ValueError: if there is none such.
    """
    known = get_args(ExportFormat)
    if format is None:
        if file.suffix not in ENDINGS:
            raise ValueError(
                f"format is known by the endings {', '.join(ENDINGS)}; got {file.name}. Name the format, one of "
                f"{', '.join(known)}."
            )
        return ENDINGS[file.suffix]
    if not is_one_of(format, known):
        raise ValueError(f"format must be one of {', '.join(known)}; got {shown(format)}. Use 'onnx'.")
    chosen: ExportFormat = format  # type: ignore[assignment]
    return chosen


Function = Callable[[Float[Tensor, "B C H W"]], Any]


class _Asked(NamedTuple):
    """What a file is to hold beside the network."""

    pixels: Size | None
    channels: int
    notes: dict[str, Any]
    opset: int

    def images(self) -> Float[Tensor, "B C H W"]:
        """An example, of two images: one alone would be taken for a constant."""
        assert self.pixels is not None
        return torch.zeros(2, self.channels, *self.pixels)


def _write_onnx(model: nn.Module, asked: _Asked) -> bytes:
    with tempfile.TemporaryDirectory(prefix="eqmodels-") as folder:
        options: dict[str, Any] = {"in_chans": asked.channels, "classes": asked.notes.get("classes", ())}
        options |= {"size": asked.pixels or "any", "opset": asked.opset}
        return to_onnx(model, Path(folder) / "network.onnx", **options).read_bytes()


def _write_program(model: nn.Module, asked: _Asked) -> bytes:
    network = stock_or_itself(model, asked.pixels, asked.channels)
    batch = torch.export.Dim("batch", min=1, max=2**16)
    program = torch.export.export(network, (asked.images(),), dynamic_shapes=({0: batch},))
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={NOTES: json.dumps(asked.notes)})
    return content.getvalue()


def _write_script(model: nn.Module, asked: _Asked) -> bytes:
    network = stock_or_itself(model, asked.pixels, asked.channels)
    script = torch.jit.trace(network, asked.images(), strict=False)  # outputs by name are no constants to it
    content = io.BytesIO()
    torch.jit.save(script, content, _extra_files={NOTES: json.dumps(asked.notes)})
    return content.getvalue()


def _write_plain(model: nn.Module, asked: _Asked) -> bytes:
    network = to_plain(model, size=asked.pixels or "any", in_chans=asked.channels, fold_batch_norm=True)
    if left := [name for name, part in network.named_modules() if is_own(part)]:
        raise ValueError(
            f"format='plain' is for networks that become stock modules; in {left[0]} there is a function that torch.fx "
            "does not trace. Use the format 'onnx' or 'torch.export'."
        )
    # Modules declare that attributes are tensors or modules.
    vars(network)["metadata"] = asked.notes
    content = io.BytesIO()
    torch.save(network, content)
    return content.getvalue()


def _read_onnx(content: bytes) -> Function:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an ONNX file is compared with its network by onnxruntime, which is not installed; run: pip install "
            "onnxruntime",
            name="onnxruntime",
        ) from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: [torch.from_numpy(found) for found in session.run(None, {"images": images.numpy()})]


_WRITERS: dict[str, Callable[[nn.Module, _Asked], bytes]] = {
    "onnx": _write_onnx,
    "torch.export": _write_program,
    "torchscript": _write_script,
    "plain": _write_plain,
}
_READERS: dict[str, Callable[[bytes], Function]] = {
    "onnx": _read_onnx,
    "torch.export": lambda content: torch.export.load(io.BytesIO(content)).module(),
    "torchscript": lambda content: torch.jit.load(io.BytesIO(content)),
    # Written a moment ago, by this process.
    "plain": lambda content: torch.load(io.BytesIO(content), weights_only=False),
}


@torch.no_grad()
def _compared(model: nn.Module, exported: Function, channels: int, pixels: Size) -> tuple[float, float | None, float]:
    """The largest difference on upright images and on turned ones, and the largest output."""
    images = smooth_images(3, channels, pixels, seed=0).float()
    group = getattr(model, "group", None)
    if not isinstance(group, PlanarGroup):
        group = PlanarGroup(4)  # nothing is known: quarter turns
    # A quarter turn of what is not square has another size, which a graph may not take.
    moved = [group.act(g, images).contiguous() for g in group.exact_elements]
    gaps, largest = [], 0.0
    for one in moved:
        if one.shape == images.shape:
            gap = 0.0
            for found, expected in zip(tree_leaves(exported(one)), tree_leaves(model(one)), strict=True):
                gap = max(gap, float((found - expected).abs().max()))
                largest = max(largest, float(expected.abs().max()))
            gaps.append(gap)
    return gaps[0], max(gaps[1:], default=None), largest
