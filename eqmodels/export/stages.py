"""Feature maps of several stages as the output of one module, for export."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.errors import shown

__all__ = ["stage_maps"]


def stage_maps(model: Backbone, stages: Sequence[str] | None = None) -> nn.Module:
    """A module that gives the maps of some stages of an encoder, by their names: ``{"layer2": (B, C, H, W), ...}``.

    What detectors and segmenters read, for `export_network` and `to_onnx`, whose outputs then have these names. It
    shares its layers with the encoder, and leaves out what the last of the stages does not need.

    Args:
        model: an encoder of this package.
        stages: names out of `model.stages`; None for those that `model.feature_info` lists.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no such stage, or none is named.

    Example:
        >>> import torch
        >>> from eqmodels import create_model
        >>> maps = stage_maps(create_model("c4_resnet18s_w8"), ["layer1", "layer4"])(torch.randn(2, 3, 32, 32))
        >>> {name: tuple(found.shape) for name, found in maps.items()}
        {'layer1': (2, 8, 32, 32), 'layer4': (2, 64, 4, 4)}
    """
    check_arguments(stage_maps, {"model": model, "stages": stages})
    wanted = [info["module"] for info in model.feature_info] if stages is None else list(stages)
    missing = [name for name in wanted if name not in model.stages]
    if missing or not wanted:
        raise ValueError(
            f"stages must be some of {', '.join(model.stages)}; got {shown(wanted)}. Pass, say, {model.stages[-1]!r}."
        )
    return _StageMaps(model, wanted)


class _StageMaps(nn.Module):
    """The stages of an encoder up to the last that is wanted."""

    def __init__(self, model: Backbone, wanted: list[str]) -> None:
        super().__init__()
        self.in_chans, self.group, self.preprocessing = model.in_chans, model.group, model.preprocessing
        last = max(model.stages.index(name) for name in wanted)
        self.wanted, self.stages = wanted, model.stages[: last + 1]
        for name in self.stages:
            self.add_module(name, model.get_submodule(name))
        self.train(model.training)

    def forward(self, images: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B C2 H2 W2"]]:
        """The maps by name, in the order of the network."""
        maps, found = images, {}
        for name in self.stages:
            maps = self.get_submodule(name)(maps)
            if name in self.wanted:
                found[name] = maps
        return found
