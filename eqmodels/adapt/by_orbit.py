"""Any network made equivariant by the orbit of its images, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from eqmodels.adapt.described import described, resolved
from eqmodels.adapt.maps import SymmetrisedMaps
from eqmodels.adapt.weights import PRETRAINED, Original
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Symmetrised
from eqmodels.errors import is_one_of, shown
from eqmodels.groups import PlanarGroup

__all__ = ["Output", "symmetrise"]

Output = Literal["mean", "max", "weighted", "regular", "maps"]


def symmetrise(
    network: Callable[[Tensor], object] | str | Original,
    group: PlanarGroup | str = "d4",
    *,
    output: Output = "mean",
    source: str | None = None,
    weights: str | Path = PRETRAINED,
    in_chans: int | None = None,
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    at_a_time: int | None = None,
    drawn: int | None = None,
) -> Symmetrised | SymmetrisedMaps:
    """A network of others, as it is, made exactly equivariant: it is asked about all moved copies of its images.

    It costs ``|G|`` passes and no training. With all outputs but one the result is a backbone of this package: heads,
    tasks, canonical pooling, `evaluate`, `finetune`, `export_network` take it, and `save_pretrained` and `load` if the
    network has a source. With ``"maps"``, for segmentation and other dense tasks,
    it is a module whose maps turn with the image.

    Args:
        network: a module or a function from normalised images ``(B, in_chans, H, W)`` to vectors, or to maps, which are
            averaged over space unless ``output="maps"``; or its source, such as ``"timm:resnet18"``, or what `original`
            gave. A module is held as it is, not copied: it is put into eval mode, and follows the encoder's mode, type
            and device from then on; what trains the encoder trains it.
        group: whose elements permute pixels, C1, C2, C4, D1, D2 or D4, or its name.
        output: ``"mean"`` or ``"max"`` over the orbit, invariant features; ``"weighted"``, the mean with weights that
            training learns (Basu et al. 2023, arXiv 2305.09900), until then the plain one; ``"regular"``, all of it,
            features that permute as those of our backbones do; or ``"maps"``, the mean of maps whose pixels are turned
            back.
        source: of a module, the word by which files name it, ``timm:<name>``: it must have the tensors of that network,
            which then are copied.
        weights: of a network that is named, see `original`.
        in_chans: channels of the images; None for what the network says.
        size: pixels of the images, one number or (height, width); None for what the network says.
        mean: of each channel, of pixels in [0, 1]; None for what the network says.
        std: standard deviation of each channel.
        at_a_time: copies of each image in one batch, which bounds the memory; None for what `Orbit` chooses.
        drawn: copies, drawn anew at each call, that the network is asked about in train mode; None for all.

    Raises:
        TypeError: if the network can neither be called nor is a name, or another argument is of another type.
        ValueError: if an argument breaks its rule, the network does not run on its images, or a module is not what its
            source names.
        ModuleNotFoundError: if the package that has the network is not installed.
        StorageError: if its weights cannot be had, or are not the network's.

    Example:
        >>> import torch
        >>> encoder = symmetrise(lambda images: images[:, :, 0, 0], "c4", output="regular", in_chans=3, size=8)
        >>> images = torch.rand(2, 3, 8, 8)
        >>> turned = encoder(images.rot90(1, (-2, -1)))
        >>> torch.equal(turned, encoder.group.permute_fibre(1, encoder(images)))
        True
    """
    check_arguments(symmetrise, {name: value for name, value in locals().items() if name not in ("network", "group")})
    if not is_one_of(output, get_args(Output)):
        raise ValueError(f"output must be one of {', '.join(get_args(Output))}; got {shown(output)}. Use 'mean'.")
    known = resolved(network, source, weights, in_chans)
    channels, images = described(known.network, in_chans=in_chans, size=size, mean=mean, std=std)
    options: dict[str, Any] = {"in_chans": channels, "at_a_time": at_a_time, "drawn": drawn}
    options["size"] = (size, size) if isinstance(size, int) else size
    if output == "maps":
        return SymmetrisedMaps(known.network, group, preprocessing=images, **options).eval()
    pooling: dict[str, Any] = {"group_pool": output}
    if output in ("regular", "weighted"):
        pooling = {"global_pool": output}
    built = Symmetrised(group, source=known.network, **pooling, **options)
    known.note_in(built, images)
    return built.eval()
