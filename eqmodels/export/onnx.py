"""A network as an ONNX file."""

from __future__ import annotations

import copy
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Literal

import torch

from eqmodels.backbones import Backbone
from eqmodels.export.plain import to_plain

__all__ = ["to_onnx"]

OPSET = 18
"""The operator set that current versions of PyTorch write without converting."""


def to_onnx(
    model: Backbone,
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] = 32,
    opset: int = OPSET,
    batch: int | Literal["dynamic"] = "dynamic",
) -> Path:
    """Writes the network, in eval mode and with batch-norm folded, as one self-contained ONNX file.

    The graph is that of `to_plain`. Its input is called ``images``, ``(batch, in_chans, height, width)``; its output
    ``output``, ``(batch, num_classes or num_features)``. Height and width are fixed. The file appears under its name
    when it is complete; an older one of that name is replaced.

    Args:
        model: an encoder of this package, which is not changed.
        path: the file to write; its folder must exist.
        size: pixels of the images, one number or (height, width).
        opset: version of the ONNX operator set.
        batch: number of images in a batch, or ``"dynamic"`` for any.

    Returns:
        The path of the file.

    Raises:
        ModuleNotFoundError: if the packages of the extra ``export`` are missing.
        FileNotFoundError: if the folder does not exist.
        TypeError: if `model` or `size` is refused by `to_plain`.
        ValueError: if `size` or `batch` is not positive.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"exporting to ONNX needs the packages onnx and onnxscript; {' and '.join(missing)} cannot be imported. "
            f"Run: pip install {' '.join(missing)}"
        )
    if batch != "dynamic" and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise ValueError(f"batch must be a positive integer or 'dynamic'; got {batch!r}. Use 'dynamic' for any batch.")
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
    program = torch.onnx.export(
        plain,
        (images,),
        dynamo=True,
        opset_version=opset,
        input_names=["images"],
        output_names=["output"],
        dynamic_shapes=({0: torch.export.Dim("batch")},) if batch == "dynamic" else None,
        verbose=False,
    )
    if program is None:
        raise RuntimeError(
            f"torch.onnx.export returned nothing; got PyTorch {torch.__version__}. Use PyTorch 2.6 or later."
        )
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        program.save(str(unfinished), external_data=False)
        unfinished.replace(target)
    return target
