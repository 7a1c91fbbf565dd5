"""The ways in which a network is run: as it is, in stock layers, by ONNX Runtime, compiled, and in training."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from eqmodels.export import to_onnx, to_plain

__all__ = ["EAGER", "HOWS", "can_run", "step_of"]

EAGER = "eager"
"""As it is."""


def _forward(network: nn.Module, images: Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.inference_mode():
            network(images)

    return run


def _exported(network: nn.Module, images: Tensor) -> Callable[[], object]:
    size = (images.shape[2], images.shape[3])
    return _forward(to_plain(network, size=size, fold_batch_norm=True), images)


def _compiled(network: nn.Module, images: Tensor) -> Callable[[], object]:
    return _forward(torch.compile(network), images)  # type: ignore[arg-type]


def _by_onnxruntime(network: nn.Module, images: Tensor) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says of its own export
        file = Path(folder) / "network.onnx"
        to_onnx(network, file, size=(images.shape[2], images.shape[3]))
        session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    name, given = session.get_inputs()[0].name, images.contiguous().numpy()
    return lambda: session.run(None, {name: given})


def _training(network: nn.Module, images: Tensor) -> Callable[[], object]:
    """Forward, backward and a step of SGD with momentum, of the mean square of the features."""
    learner = copy.deepcopy(network).train()
    optimiser = torch.optim.SGD([one for one in learner.parameters() if one.requires_grad], lr=1e-4, momentum=0.9)

    def run() -> None:
        optimiser.zero_grad()
        learner(images).square().mean().backward()
        optimiser.step()

    return run


HOWS: dict[str, tuple[Callable[[nn.Module, Tensor], Callable[[], object]], tuple[str, ...], float]] = {
    EAGER: (_forward, (), 1.0),
    "exported": (_exported, (), 1.0),
    "onnxruntime": (_by_onnxruntime, ("onnx", "onnxruntime", "onnxscript"), 2.0),
    "compiled": (_compiled, (), 10.0),
    "training": (_training, (), 4.0),
}
"""By name: what makes a step of a network and images, the packages it needs, and its time beside a forward pass."""


def can_run(how: str) -> bool:
    """Whether what a way needs is installed."""
    return all(find_spec(package) is not None for package in HOWS[how][1])


def step_of(how: str, network: nn.Module, images: Tensor) -> Callable[[], object]:
    """What runs a network once on images, in one of the ways of `HOWS`."""
    return HOWS[how][0](network, images)
