"""A network as an ONNX file whose convolutions are of 8 bits, and what that costs: accuracy, and equivariance."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.checks import check_tensor
from eqmodels.errors import is_one_of, shown
from eqmodels.export.files import place_of
from eqmodels.export.onnx import OPSET, to_onnx
from eqmodels.storage import write_atomically

__all__ = ["Int8Kind", "Int8Report", "export_int8"]

Int8Kind = Literal["static", "dynamic"]
"""Ranges of the maps that were found beforehand, or that are found anew for every image, which takes longer."""

BATCH = 16
"""Images at a time."""


@dataclass(frozen=True)
class Int8Report:
    """What a file of 8 bits computes beside its network, on the images that it was given.

    Attributes:
        file: its path.
        kind: ``"static"`` or ``"dynamic"``.
        metadata: that are in the file, as `to_onnx` writes them.
        images: their number.
        agreement: of a network with classes, the share of images whose largest output is of the same class, else the
            mean cosine between the features of file and network.
        equivariance: ``|q(g x) - rho(g) q(x)| / |q(x)|`` of the file, the largest of all elements that permute pixels;
            None if there is none, or nothing is known of its output.
        accuracy: shares of images whose class is right, of the network and of the file; None without labels.
    """

    file: str
    kind: str
    metadata: dict[str, Any]
    images: int
    agreement: float
    equivariance: float | None
    accuracy: tuple[float, float] | None


def export_int8(
    model: Backbone,
    file: str | Path,
    images: Float[Tensor, "N C H W"],
    *,
    kind: Int8Kind = "static",
    labels: Int[Tensor, " N"] | None = None,
    classes: Sequence[str] = (),
    opset: int = OPSET,
) -> Int8Report:
    """Writes a network, in eval mode, as an ONNX file with convolutions of 8 bits, and measures it beside the network.

    Weights have a scale an output channel and one bit less than eight, as products of eight bits overflow on processors
    without instructions for them. What is not a convolution stays as it is. A network that permutes or pools the fibre
    stays as equivariant as its rounding is: where a channel and the same of another element have one scale, exactly.

    Source: Jacob et al. 2018, arXiv 1712.05877, by ONNX Runtime's quantiser.

    Args:
        model: an encoder of this package, which is not changed.
        file: its place, in a folder that exists.
        images: normalised, as the network takes them: of these the ranges of the maps are taken, and on these it is
            measured; a hundred of the kind that it will see are enough.
        kind: ``"static"`` or ``"dynamic"``.
        labels: classes of the images, if they are known.
        classes: names of the classes, for the metadata.
        opset: version of the ONNX operator set.

    Raises:
        ModuleNotFoundError: if the packages of the extra ``peers`` are missing.
        FileNotFoundError: if the folder does not exist.
        TypeError: if an argument is of another type.
        ValueError: if the kind is unknown, there are no images, or not as many labels; or as `to_onnx`.
        StorageError: if the file cannot be written.
    """
    check_arguments(export_int8, {"model": model, "file": file, "classes": classes})
    place = place_of(file)
    if not is_one_of(kind, get_args(Int8Kind)):
        raise ValueError(f"kind must be one of {', '.join(get_args(Int8Kind))}; got {shown(kind)}. Use 'static'.")
    if check_tensor("images", images).dim() != 4 or not len(images) or images.shape[1] != model.in_chans:
        raise ValueError(
            f"images must be some of the shape (N, {model.in_chans}, H, W); got {tuple(images.shape)}. Pass a hundred "
            "as encoder.transform() makes them."
        )
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"labels must be one an image; got {len(labels)} of {len(images)}. Leave them out.")
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "files of 8 bits are made by onnxruntime, which is not installed; run: pip install onnx onnxruntime",
            name=error.name,
        ) from error
    size = (images.shape[2], images.shape[3])
    with tempfile.TemporaryDirectory(prefix="eqmodels-") as folder:
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        to_onnx(model, whole, size=size, classes=classes, opset=opset)
        with _quiet():
            _quantise(whole, small, kind, images)
        program, properties = onnx.load(small), onnx.load(whole).metadata_props
        del program.metadata_props[:]
        program.metadata_props.extend(properties)
        content = program.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def computed(batch: Tensor) -> Tensor:
        parts = [session.run(["output"], {"images": some.contiguous().numpy()})[0] for some in batch.split(BATCH)]
        return torch.cat([torch.from_numpy(part) for part in parts])

    notes = {one.key: json.loads(one.value) for one in properties}
    agreement, equivariance, accuracy = _measured(model, images, labels, computed)
    write_atomically(place, content)
    return Int8Report(str(file), kind, notes, len(images), agreement, equivariance, accuracy)


def _quantise(whole: Path, small: Path, kind: str, images: Float[Tensor, "N C H W"]) -> None:
    """Writes the second file, of the first."""
    from onnxruntime import quantization as ort

    common = {
        "per_channel": True,
        "reduce_range": True,
        "weight_type": ort.QuantType.QInt8,
        "op_types_to_quantize": ["Conv"],
    }
    if kind == "dynamic":
        ort.quantize_dynamic(whole, small, **common)
        return

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter(images.split(BATCH))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch.numpy()}

    ort.quantize_static(
        whole, small, Reader(), quant_format=ort.QuantFormat.QDQ, activation_type=ort.QuantType.QUInt8, **common
    )


@torch.no_grad()
def _measured(
    model: Backbone,
    images: Float[Tensor, "N C H W"],
    labels: Int[Tensor, " N"] | None,
    computed: Callable[[Tensor], Tensor],
) -> tuple[float, float | None, tuple[float, float] | None]:
    """Agreement, equivariance error and accuracy of what the file computes, beside the network in eval mode."""
    was_training, place = model.training, next(model.parameters()).device
    model.eval()
    try:
        own = torch.cat([model(some.to(place)).float().cpu() for some in images.split(BATCH)])
    finally:
        model.train(was_training)
    found, field = computed(images), model.out_field
    errors = []
    if field is not None:
        for g in list(model.group.exact_elements)[1:]:
            moved = model.group.act(g, images)
            if moved.shape == images.shape:
                gap = computed(moved) - field.transform(model.group, g, found)
                errors.append(float(gap.norm() / found.norm().clamp(min=1e-12)))
    same = own.argmax(1) == found.argmax(1) if model.num_classes else F.cosine_similarity(own, found)
    right = None
    if labels is not None and model.num_classes:
        right = (_share(own.argmax(1) == labels), _share(found.argmax(1) == labels))
    return _share(same), max(errors, default=None), right


def _share(values: Tensor) -> float:
    return float(values.double().mean())


@contextmanager
def _quiet() -> Iterator[None]:
    """A context without the advice to pre-process, which the root logger of Python is given at every call."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger().setLevel(level)
