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
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.errors import EqmodelsError, is_one_of, shown
from eqmodels.evaluation import smooth_images
from eqmodels.export.onnx import OPSET, metadata_of, to_onnx
from eqmodels.export.plain import fixed_size, to_plain
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
    model: Backbone,
    file: str | Path,
    *,
    format: ExportFormat | None = None,
    size: int | tuple[int, int] | Literal["any"] | None = None,
    classes: Sequence[str] = (),
    opset: int | None = None,
) -> Parity:
    """Writes a network, in eval mode, into one file for other programs, and compares what the file computes.

    The file appears only if it computes what the network does, on upright and on turned images. It takes any number of
    images. Its metadata say how images become its input and what its output means, see `to_onnx`: as those of ONNX; in
    files of ``"torch.export"`` (``torch.export.load``) and ``"torchscript"`` (``torch.jit.load``) as the extra file
    ``eqmodels.json``; of ``"plain"`` (``torch.load(file, weights_only=False)``, a pickle, for which this package need
    not be installed) as the attribute `metadata`.

    Args:
        model: an encoder of this package, which is not changed.
        file: its place, in a folder that exists.
        format: of the file; None for that of its ending: ``.onnx``, ``.pt2``, ``.ts`` or ``.pt``.
        size: pixels of the images, one number or (height, width); ``"any"``, of ONNX and plain networks alone; None for
            the size of the images that the network was trained on.
        classes: names of the classes, for the metadata.
        opset: version of the ONNX operator set, of ONNX alone; None for that of `to_onnx`.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder does not exist.
        ValueError: if the format is unknown or the ending is, the size is refused, or PyTorch does not write the
            operator set.
        ModuleNotFoundError: if the packages of the extra ``export`` are missing, of ONNX alone.
        EqmodelsError: if the file computes something else than the network; it is not written then.
        StorageError: if it cannot be written; a file that was there is then what it was.
    """
    check_arguments(export_network, {"model": model, "file": file, "classes": classes})
    place = place_of(file)
    kind = _format_of(place, format)
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
        content = _WRITERS[kind](own, pixels, notes) if opset is None else _write_onnx(own, pixels, notes, opset)
        found = _compared(own, _READERS[kind](content), pixels or OPEN_SIZE)
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


Pixels = tuple[int, int]
Function = Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B F"]]


def _plain(model: Backbone, pixels: Pixels | None) -> nn.Module:
    return to_plain(model, size=pixels or "any", fold_batch_norm=True)


def _write_onnx(model: Backbone, pixels: Pixels | None, notes: dict[str, Any], opset: int = OPSET) -> bytes:
    with tempfile.TemporaryDirectory(prefix="eqmodels-") as folder:
        file, classes = Path(folder) / "network.onnx", notes.get("classes", ())
        return to_onnx(model, file, size=pixels or "any", classes=classes, opset=opset).read_bytes()


def _write_program(model: Backbone, pixels: Pixels | None, notes: dict[str, Any]) -> bytes:
    assert pixels is not None
    # Of two images: one alone would be taken for a constant.
    images = torch.zeros(2, model.in_chans, *pixels)
    program = torch.export.export(
        _plain(model, pixels), (images,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=2**16)},)
    )
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={NOTES: json.dumps(notes)})
    return content.getvalue()


def _write_script(model: Backbone, pixels: Pixels | None, notes: dict[str, Any]) -> bytes:
    assert pixels is not None
    images = torch.zeros(2, model.in_chans, *pixels)
    content = io.BytesIO()
    torch.jit.save(torch.jit.trace(_plain(model, pixels), images), content, _extra_files={NOTES: json.dumps(notes)})
    return content.getvalue()


def _write_plain(model: Backbone, pixels: Pixels | None, notes: dict[str, Any]) -> bytes:
    network, content = _plain(model, pixels), io.BytesIO()
    # Modules declare that attributes are tensors or modules.
    vars(network)["metadata"] = notes
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
    return lambda images: torch.from_numpy(session.run(["output"], {"images": images.numpy()})[0])


_WRITERS: dict[str, Callable[[Backbone, Pixels | None, dict[str, Any]], bytes]] = {
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
def _compared(model: Backbone, exported: Function, pixels: Pixels) -> tuple[float, float | None, float]:
    """The largest difference on upright images and on turned ones, and the largest output."""
    images = smooth_images(3, model.in_chans, pixels, seed=0).float()
    # A quarter turn of what is not square has another size, which a graph may not take.
    moved = [model.group.act(g, images).contiguous() for g in model.group.exact_elements]
    fit = [one for one in moved if one.shape == images.shape]
    gaps, outputs = [], [model(one) for one in fit]
    for one, output in zip(fit, outputs, strict=True):
        gaps.append(float((exported(one) - output).abs().max()))
    return gaps[0], max(gaps[1:], default=None), max(float(output.abs().max()) for output in outputs)
