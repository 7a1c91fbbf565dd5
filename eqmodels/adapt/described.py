"""What a module says of its images, and whether it is what its source names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from eqmodels.adapt.provenance import OF_A_MODULE, record_of
from eqmodels.adapt.weights import PRETRAINED, Original, original
from eqmodels.backbones import Backbone, as_encoder
from eqmodels.backbones.adapted import create_original, images_of, note_original, size_of
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.transforms import Preprocessing

__all__ = ["Resolved", "described", "resolved"]


@dataclass(frozen=True)
class Resolved:
    """A network that is to be adapted.

    Attributes:
        network: a module or a function.
        source: as files hold it; None if no file can be written.
        license: of the weights; None if nothing is known of it.
        record: where the weights are from, see `Original`; None of what has no source.
    """

    network: Callable[[Tensor], object]
    source: str | None = None
    license: str | None = None
    record: Mapping[str, str] | None = None

    def note_in(self, encoder: Backbone, images: Preprocessing | None) -> None:
        """Notes it, and what images go through, in the encoder that was made of it."""
        encoder.structure["source"] = self.source
        note_original(encoder.structure, self.record)
        encoder.preprocessing, encoder.license = images, self.license


def resolved(
    network: Callable[[Tensor], object] | str | Original,
    source: str | None,
    weights: str | Path,
    in_chans: int | None,
) -> Resolved:
    """A network that is given or named, with what is known of it.

    Args:
        network: a module or a function, its source, or what `original` gave.
        source: of a module; None for none.
        weights: of a network that is named.
        in_chans: channels of the images of a network that is named; None for 3.

    Raises:
        TypeError: if a source is given of what is no module.
        ValueError: if source and weights do not fit to the network.
        ModuleNotFoundError: if the package that has the network is not installed.
        StorageError: if its weights cannot be had, or are not the network's.
    """
    if isinstance(network, str | Original) and source is not None:
        raise ValueError(f"source names the network of a module; got it of {shown(network)} too. Leave it out.")
    if isinstance(network, str):
        network = original(network, weights, in_chans=3 if in_chans is None else in_chans)
    elif weights != PRETRAINED:
        raise ValueError(f"weights are for a network that is named; got {shown(weights)} for a module. Leave them out.")
    if isinstance(network, Original):
        return Resolved(network.network, network.source, network.license, network.record)
    if source is None:
        return Resolved(network)
    module = check_named(network, source)
    return Resolved(network, source, None, record_of(source, module, OF_A_MODULE))


def described(
    network: object,
    *,
    in_chans: int | None,
    size: int | tuple[int, int] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> tuple[int, Preprocessing | None]:
    """The channels of a network's images, and what these go through: as given, else as the network says.

    Args:
        network: a module or a function; of timm its `pretrained_cfg` is asked, of transformers its `config`.
        in_chans: channels of the images.
        size: pixels of the images, one number or (height, width).
        mean: of each channel, of pixels in [0, 1].
        std: standard deviation of each channel.

    Raises:
        TypeError: if the network cannot be called, or a number is none.
        ValueError: if the channels are not known, or some but not all of size, mean and standard deviation are.
    """
    if not callable(network):
        raise TypeError(f"network must be a module or a function of images, or its source; got {shown(network)}.")
    if in_chans is None and isinstance(network, nn.Module) and not hasattr(network, "pretrained_cfg"):
        # A module says it by the first layer that takes as many.
        layers = (getattr(module, "in_channels", None) for module in network.modules())
        in_chans = next((channels for channels in layers if isinstance(channels, int)), None)
    if mean is not None or std is not None:
        size = size if size is not None else size_of(network)
        encoder = as_encoder(network, in_chans=in_chans, size=size, mean=mean, std=std)
        return encoder.in_chans, encoder.preprocessing
    channels = as_encoder(network, in_chans=in_chans).in_chans if images_of(network, 1) is None else in_chans
    known = getattr(network, "pretrained_cfg", None)
    if channels is None:
        assert isinstance(known, dict)
        channels = int(known["input_size"][0])
    images = images_of(network, check_count("in_chans", channels))
    if images is not None and size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        images = replace(images, size=(check_count("size", height), check_count("size", width)))
    return channels, images


def check_named(network: object, source: str) -> nn.Module:
    """The module itself; refuses one that has other tensors than the network that a source names.

    Raises:
        TypeError: if it is no module.
        ValueError: if names or shapes differ, or there is no such network.
        ModuleNotFoundError: if the package that has it is not installed.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"source names the network of a module; got {shown(network)} and {source!r}. Leave it out.")
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    first = next((value for value in own.values() if len(value) == 4), (0, 3))
    with torch.device("meta"):
        named = create_original(source, first[1]).state_dict()
    theirs = {name: tuple(value.shape) for name, value in named.items()}
    if own != theirs:
        name = sorted({*own.items()} ^ {*theirs.items()})[0][0]
        raise ValueError(
            f"source must name the network that is given; {source!r} has another tensor {name!r}. It is built without "
            "a classifier: build yours with num_classes=0, or pass the source in the place of the network."
        )
    return network
