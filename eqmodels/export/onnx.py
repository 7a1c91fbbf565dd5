"""A network as an ONNX file."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone
from eqmodels.checks import check_count
from eqmodels.export.plain import to_plain
from eqmodels.export.sizes import Size, channels_of, check_any_size, fixed_size, kind_of
from eqmodels.groups import PlanarGroup
from eqmodels.transforms import Preprocessing

__all__ = ["metadata_of", "stock_or_itself", "to_onnx"]

OPSET = 18
"""The operator set that current versions of PyTorch write without converting."""

OPEN = (192, 256)
"""The size of the example where the graph is for any: no map of a network that halves six times is of one pixel."""

AXES = {0: "batch", 2: "height", 3: "width"}
"""What the axes of images are called in the graph."""


def to_onnx(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | Literal["any"] | None = None,
    in_chans: int | None = None,
    opset: int = OPSET,
    batch: int | Literal["dynamic"] = "dynamic",
    classes: Sequence[str] = (),
) -> Path:
    """Writes a network, in eval mode, as one self-contained ONNX file.

    Of an encoder of this package, or a module around one, the graph is that of `to_plain`, with batch-norm folded. Any
    other module that takes images, and what `to_plain` refuses, such as a feature extractor of torchvision, is exported
    as it is. The input is called ``images``, ``(batch, in_chans, height, width)``; the output ``output`` or, where a
    module returns several tensors, by their names or as ``output_0``, ``output_1``, ... The file appears under its name
    when it is complete; an older one of that name is replaced.

    Height and width are fixed, or with ``size="any"`` open; the graph of an encoder of this package is then exact at
    every size, for some more time.

    The file's metadata say, as JSON, what its user has to know, as far as the module says it: ``size`` (height and
    width, or "any"), ``num_classes`` (0 for features), ``classes`` (their names), ``group``, ``out_field`` (what the
    output means; null if it is a learned function of the pose), ``mean`` and ``std`` of each channel, of pixels in
    [0, 1], and ``resize``, the rule of `Preprocessing` by which pictures get their size.

    Args:
        model: any module that takes images, which is not changed.
        path: the file to write; its folder must exist.
        size: pixels of the images, one number or (height, width); ``"any"``; None for the size of the images that the
            network was trained on, 32 if nothing is known of them.
        in_chans: channels of the images, of a module that does not say so itself; None for its attribute `in_chans`.
        opset: version of the ONNX operator set.
        batch: number of images in a batch, or ``"dynamic"`` for any.
        classes: names of the classes, for the metadata.

    Returns:
        The path of the file.

    Raises:
        ModuleNotFoundError: if the packages of the extra ``peers`` are missing.
        FileNotFoundError: if the folder does not exist.
        TypeError: if `model` is no module, `size` is refused by `to_plain`, or a number is no integer.
        ValueError: if `size`, `in_chans`, `opset` or `batch` is not positive, the channels are not known or not those
            of the module, the installed PyTorch does not write that operator set for this network, or has no graph of
            it for any size, or a network that is exact at some sizes alone is to be for any.
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
    channels = channels_of(model, in_chans)
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path must lie in a folder that exists; got {str(target)!r}. Create {target.parent} first."
        )
    own = copy.deepcopy(model).eval()
    pixels = fixed_size(own, size)
    if pixels is None:
        check_any_size(own, channels)
    own = stock_or_itself(own, pixels, channels)
    # A dimension that is 1 in the example, in whatever layer, would be taken for a constant.
    images = torch.zeros(2 if batch == "dynamic" else batch, channels, *(pixels or OPEN), **kind_of(own))
    program = _program(own, images, opset, {0: batch == "dynamic", 2: pixels is None, 3: pixels is None})
    notes = metadata_of(model, pixels) | ({"classes": list(classes)} if classes else {})
    program.model.metadata_props.update({name: json.dumps(value) for name, value in notes.items()})
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        program.save(str(unfinished), external_data=False)
        unfinished.replace(target)
    return target


def stock_or_itself(model: nn.Module, pixels: Size | None, channels: int) -> nn.Module:
    """What `to_plain` gives; the network itself if it refuses what others have taken apart or written."""
    if isinstance(model, Backbone):
        return to_plain(model, size=pixels or "any", fold_batch_norm=True)
    try:
        return to_plain(model, size=pixels or "any", in_chans=channels, fold_batch_norm=True)
    except TypeError:
        return model


def _names(output: object) -> list[str]:
    """What the outputs of a network are called.

    Raises:
        TypeError: if they are no tensors.
    """
    named = output if isinstance(output, Mapping) else {}
    if isinstance(output, list | tuple):
        named = {f"output_{number}": value for number, value in enumerate(output)}
    found = {"output": output} if isinstance(output, Tensor) else named
    if not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise TypeError(
            f"model must return a tensor, or tensors in a list or by name; got a {type(output).__name__}. Wrap it in a "
            "module that does."
        )
    return [str(name) for name in found]


def _program(
    network: nn.Module, images: Float[Tensor, "B C H W"], opset: int, is_open: Mapping[int, bool]
) -> torch.onnx.ONNXProgram:
    """The graph of a network, of this very operator set.

    Args:
        network: in eval mode.
        images: an example.
        opset: version of the operator set.
        is_open: whether the graph is for any size along an axis.

    Raises:
        TypeError: if the network returns no tensors.
        ValueError: if another one was written: torch keeps its own where it cannot convert, and warns at most. If the
            graph is to be for any size, and does not hold at others than that of the example.
    """
    with torch.no_grad():
        names = _names(network(images))
    dimensions = {axis: torch.export.Dim(AXES[axis]) for axis, is_one in is_open.items() if is_one}
    try:
        program = torch.onnx.export(
            network,
            (images,),
            dynamo=True,
            opset_version=opset,
            input_names=["images"],
            output_names=names,
            dynamic_shapes=(dimensions,) if dimensions else None,
            verbose=False,
        )
        if program is not None and is_open[2]:
            _try_other_sizes(program, network, images)
    except (torch.onnx.errors.OnnxExporterError, _NotOpenError) as error:
        if not is_open[2]:
            raise
        raise ValueError(
            f"size must be a number for this network with PyTorch {torch.__version__}, which exports no graph of it "
            "that holds at every size; got 'any'. Pass the size, or use PyTorch 2.14 or later."
        ) from error
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


class _NotOpenError(Exception):
    """A graph that holds at the size of its example alone."""


def _try_other_sizes(program: torch.onnx.ONNXProgram, network: nn.Module, images: Float[Tensor, "B C H W"]) -> None:
    """Compares the graph with the network at even and odd sizes: earlier exporters closed sizes without a word.

    Raises:
        _NotOpenError: if they differ, or the graph does not run there.
    """
    assert program.exported_program is not None
    graph, generator = program.exported_program.module(), torch.Generator().manual_seed(0)
    for height, width in ((97, 66), (68, 83)):
        tried = torch.randn(len(images), images.shape[1], height, width, generator=generator).to(images)
        with torch.no_grad():
            expected = network(tried)
            try:
                found = graph(tried)
            except Exception as error:  # an assertion of the graph, or shapes that do not fit
                raise _NotOpenError(str(error)) from error
        for one, other in zip(tree_leaves(found), tree_leaves(expected), strict=True):
            if one.shape != other.shape or not torch.allclose(one, other, rtol=1e-3, atol=1e-4):
                raise _NotOpenError(f"another output of images of {height} x {width} pixels")


def metadata_of(model: nn.Module, size: tuple[int, int] | None) -> dict[str, Any]:
    """What belongs to a network in a file, by name, ready for JSON.

    Args:
        model: the network.
        size: height and width of its images; None for any.
    """
    known: dict[str, Any] = {"size": list(size) if size else "any"}
    if isinstance(num_classes := getattr(model, "num_classes", None), int):
        known["num_classes"] = num_classes
    if isinstance(group := getattr(model, "group", None), PlanarGroup):
        known["group"] = group.name
    if hasattr(model, "out_field"):
        known["out_field"] = None if model.out_field is None else str(model.out_field)
    if isinstance(images := getattr(model, "preprocessing", None), Preprocessing):
        known |= {"mean": list(images.mean), "std": list(images.deviation), "resize": images.resize}
        known |= {"background": images.background}
    return known
