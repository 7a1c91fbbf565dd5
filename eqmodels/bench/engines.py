"""The ways in which a network is run: as it is, in stock layers, by ONNX Runtime, compiled, and in training."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels.export import export_int8, to_onnx, to_plain

__all__ = ["BY_ONNX", "EAGER", "HOWS", "TRAINING", "can_run", "running"]

EAGER, COMPILED, TRAINING = "eager", "compiled", "training"
"""As it is, by `torch.compile`, and a step of its training."""
BY_ONNX = ("onnxruntime", "int8")
"""The ways that take images as they lie in memory of numpy."""
ONNX = ("onnx", "onnxruntime", "onnxscript")


Running = Callable[[Tensor], Any]
"""From images, of the size and type of those that it was made for, to what is computed of them."""


def _forward(network: Callable[[Tensor], Any], images: Tensor) -> Running:  # noqa: ARG001
    @torch.inference_mode()
    def run(given: Tensor) -> Any:  # noqa: ANN401
        return network(given)

    return run


def _exported(network: nn.Module, images: Tensor) -> Running:
    size = (images.shape[2], images.shape[3])
    return _forward(to_plain(network, size=size, fold_batch_norm=True), images)


def _compiled(network: nn.Module, images: Tensor) -> Running:
    def run(given: Tensor) -> Any:  # noqa: ANN401
        return network(given)

    # What is compiled is remembered by the code, eight times at most: each network has a code of its own.
    own = FunctionType(run.__code__.replace(), run.__globals__, closure=run.__closure__)
    return _forward(torch.compile(own, fullgraph=True), images)


def _by_onnxruntime(network: nn.Module, images: Tensor) -> Running:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says of its own export
        file = Path(folder) / "network.onnx"
        to_onnx(network, file, size=(images.shape[2], images.shape[3]))
        return _session(file)


def _session(file: Path) -> Running:
    """A file of ONNX as it is run, with as many threads as PyTorch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda given: torch.from_numpy(session.run(None, {name: given.numpy()})[0])


def _in_bfloat16(network: nn.Module, images: Tensor) -> Running:
    """As it is, under autocast: products and convolutions of 16 bits, where the machine has them."""
    computed = _forward(network, images)

    def run(given: Tensor) -> Any:  # noqa: ANN401
        with torch.autocast(given.device.type, dtype=torch.bfloat16):
            return computed(given)

    return run


def _in_int8(network: nn.Module, images: Tensor) -> Running:
    """The file whose convolutions are of 8 bits, with ranges of these images, by ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says of its own export
        file = Path(folder) / "small.onnx"
        export_int8(network, file, images.contiguous())  # type: ignore[arg-type]
        return _session(file)


def _training(network: nn.Module, images: Tensor) -> Running:  # noqa: ARG001
    """Forward, backward and a step of SGD with momentum, of the mean square of the features."""
    learner = copy.deepcopy(network).train()
    optimiser = torch.optim.SGD([one for one in learner.parameters() if one.requires_grad], lr=1e-4, momentum=0.9)

    def run(given: Tensor) -> None:
        optimiser.zero_grad()
        learner(given).square().mean().backward()
        optimiser.step()

    return run


HOWS: dict[str, tuple[Callable[[nn.Module, Tensor], Running], tuple[str, ...], float]] = {
    EAGER: (_forward, (), 1.0),
    "exported": (_exported, (), 1.0),
    "onnxruntime": (_by_onnxruntime, ONNX, 2.0),
    "bfloat16": (_in_bfloat16, (), 1.0),
    "int8": (_in_int8, ONNX, 2.0),
    COMPILED: (_compiled, (), 10.0),
    TRAINING: (_training, (), 4.0),
}
"""What makes a network run on images like given ones, packages that it needs, its time beside a forward pass."""


def can_run(how: str) -> bool:
    """Whether what a way needs is installed: packages, and a C++ compiler to compile with."""
    if how == COMPILED and shutil.which(os.environ.get("CXX", "g++")) is None:
        return False
    return all(find_spec(package) is not None for package in HOWS[how][1])


def running(how: str, network: nn.Module, images: Tensor) -> Running:
    """A network as it is run in one of the ways of `HOWS`, on images of the size of these.

    Args:
        how: the way.
        network: in eval mode; it is not changed.
        images: of the size, channels and number that it will be given.
    """
    return HOWS[how][0](network, images)
