"""A network as an ONNX file."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone
from eqmodels.checks import check_count
from eqmodels.export.plain import to_plain

__all__ = ["to_onnx"]

OPSET = 18
"""The operator set that current versions of PyTorch write without converting."""


def to_onnx(
    model: Backbone,
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    opset: int = OPSET,
    batch: int | Literal["dynamic"] = "dynamic",
) -> Path:
    """Writes the network, in eval mode and with batch-norm folded, as one self-contained ONNX file.

    The graph is that of `to_plain`. Its input is called ``images``, ``(batch, in_chans, height, width)``; its output
    ``output``, ``(batch, num_classes or num_features)``. Height and width are fixed. The file appears under its name
    when it is complete; an older one of that name is replaced.

    Its metadata say, as JSON, what a user of the file has to know: ``size`` (height and width), ``num_classes`` (0 for
    features), ``group``, ``out_field`` (what the output means; null if it is a learned function of the pose) and, if
    the network knows its images, ``mean`` and ``std`` of each channel, of pixels in [0, 1].

    Args:
        model: an encoder of this package, which is not changed.
        path: the file to write; its folder must exist.
        size: pixels of the images, one number or (height, width); None for the size of the images that the network was
            trained on, 32 if nothing is known of them.
        opset: version of the ONNX operator set.
        batch: number of images in a batch, or ``"dynamic"`` for any.

    Returns:
        The path of the file.

    Raises:
        ModuleNotFoundError: if the packages of the extra ``export`` are missing.
        FileNotFoundError: if the folder does not exist.
        TypeError: if `model` or `size` is refused by `to_plain`, or `opset` is not an integer.
        ValueError: if `size`, `opset` or `batch` is not positive, or the installed PyTorch does not write that operator
            set for this network.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"exporting to ONNX needs the packages onnx and onnxscript; {' and '.join(missing)} cannot be imported. "
            f"Run: pip install {' '.join(missing)}"
        )
    if batch != "dynamic" and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise ValueError(f"batch must be a positive integer or 'dynamic'; got {batch!r}. Use 'dynamic' for any batch.")
    check_count("opset", opset)
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path must lie in a folder that exists; got {str(target)!r}. Create {target.parent} first."
        )
    plain = to_plain(copy.deepcopy(model).eval(), size=size, fold_batch_norm=True)
    reference = next(model.parameters())
    # A dimension that is 1 in the example would be taken for a constant.
    images = torch.zeros(
        2 if batch == "dynamic" else batch,
        model.in_chans,
        *vars(plain)["size"],
        dtype=reference.dtype,
        device=reference.device,
    )
    program = _program(plain, images, opset, any_batch=batch == "dynamic")
    program.model.metadata_props.update(_metadata(model, vars(plain)["size"]))
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        program.save(str(unfinished), external_data=False)
        unfinished.replace(target)
    return target


def _program(
    plain: nn.Module, images: Float[Tensor, "B C H W"], opset: int, *, any_batch: bool
) -> torch.onnx.ONNXProgram:
    """The graph of a network, of this very operator set.

    Raises:
        ValueError: if another one was written: torch keeps its own where it cannot convert, and warns at most.
    """
    program = torch.onnx.export(
        plain,
        (images,),
        dynamo=True,
        opset_version=opset,
        input_names=["images"],
        output_names=["output"],
        dynamic_shapes=({0: torch.export.Dim("batch")},) if any_batch else None,
        verbose=False,
    )
    if program is None:
        raise RuntimeError(
            f"torch.onnx.export returned nothing; got PyTorch {torch.__version__}. Use PyTorch 2.6 or later."
        )
    written = program.model.opset_imports.get("")
    if written != opset:
        raise ValueError(
            f"opset must be one that PyTorch {torch.__version__} writes for this network; got {opset}, and it wrote "
            f"{written}. Pass opset={written}, and convert the file with onnx.version_converter."
        )
    return program


def _metadata(model: Backbone, size: tuple[int, int]) -> dict[str, str]:
    """What belongs to the graph, by name, each as JSON."""
    field, images = model.out_field, model.preprocessing
    known: dict[str, Any] = {
        "size": size,
        "num_classes": model.num_classes,
        "group": model.group.name,
        "out_field": None if field is None else str(field),
    }
    if images is not None:
        known |= {"mean": images.mean, "std": images.deviation}
    return {name: json.dumps(value) for name, value in known.items()}
