"""Maps of single stages, groups of parameters and sizes of images: what timm's functions ask of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count, check_images
from eqmodels.errors import shown
from eqmodels.fields import Regular

__all__ = ["IntermediateNetwork"]

Indices: TypeAlias = int | Sequence[int] | None
"""The last so many stages, stages by their numbers (negative ones from the end), or None for all."""

Intermediates: TypeAlias = list[Tensor] | tuple[Tensor, list[Tensor]] | dict[str, Any]


class IntermediateNetwork(StagedNetwork):
    """A `StagedNetwork` with the methods of timm's networks, by their names and with their arguments."""

    def forward_intermediates(
        self,
        images: Float[Tensor, "B C H W"],
        indices: Indices = None,
        norm: bool = False,  # noqa: ARG002 (timm's: there is no norm behind the last stage)
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        output_dict: bool = False,
    ) -> Intermediates:
        """Maps of stages, and the last one, each regular fields of its stage's group.

        Args:
            images: as the network takes them.
            indices: the last so many stages, stages by their numbers, or None for all.
            norm: changes nothing: no norm stands behind the stages.
            stop_early: whether stages behind the last one that is asked for are left out.
            output_fmt: ``"NCHW"``.
            intermediates_only: whether the list alone is returned.
            output_dict: whether timm's dictionary is returned instead, of `image_intermediates` and `image_features`.

        Returns:
            The last map and the list of maps, in the order of the stages.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they have another shape, there is no such stage, or the format is another.
        """
        if output_fmt != "NCHW":
            raise ValueError(
                f"output_fmt must be 'NCHW', (batch, channels, height, width); got {shown(output_fmt)}. Permute the "
                "maps yourself."
            )
        taken = _taken(len(self.stages), indices)
        maps, found = check_images(images, self.in_chans), []
        for index, name in enumerate(self.stages[: max(taken) + 1] if stop_early else self.stages):
            maps = self._run(name, maps)
            if index in taken:
                found.append(maps)
        if output_dict:
            return {"image_intermediates": found} | ({} if intermediates_only else {"image_features": maps})
        return found if intermediates_only else (maps, found)

    def prune_intermediate_layers(
        self,
        indices: Indices = 1,
        prune_norm: bool = False,  # noqa: ARG002 (timm's: there is no norm behind the last stage)
        prune_head: bool = True,
    ) -> list[int]:
        """Takes away what the maps of these stages do not need, in place; a pruned network has no file.

        Args:
            indices: the last so many stages, stages by their numbers, or None for all.
            prune_norm: changes nothing: no norm stands behind the stages.
            prune_head: whether pooling and classifier are taken away too; they are if a stage is.

        Returns:
            The numbers of the stages that were asked for, in their order.

        Raises:
            ValueError: if there is no such stage.
        """
        taken = _taken(len(self.stages), indices)
        for name in self.stages[max(taken) + 1 :]:
            delattr(self, name)
        pruned = max(taken) + 1 < len(self.feature_info)
        del self.feature_info[max(taken) + 1 :]
        last = [getattr(module, "out_field", None) for module in self.get_submodule(self.stages[-1]).modules()]
        if pruned and (fields := [field for field in last if isinstance(field, Regular)]):
            self.group = fields[-1].group  # a network may restrict its group along the depth
        if prune_head or pruned:
            self.reset_classifier(0, "")
        return sorted(taken)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Which parameters belong to which layer, as regular expressions, for timm's decay of learning rates by depth.

        Args:
            coarse: whether each stage is one layer, or else each block of it.
        """
        groups: dict[str, Any] = {}
        for name in self.stages:
            whole = rf"^{name}\."
            groups[name] = whole if coarse else [(rf"^{name}\.(\d+)\.", None), (whole, None)]
        return groups

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that no decay is for, beside scales, shifts and biases, which optimisers leave out."""
        return set()

    def set_input_size(
        self,
        img_size: int | Sequence[int] | None = None,
        **_: Any,  # noqa: ANN401 (timm's: of patches, windows and so on, which a convolutional network does not have)
    ) -> None:
        """Notes the size of images to come, for transforms; the network takes any that its strides allow.

        Args:
            img_size: pixels, one number or (height, width); None changes nothing.

        Raises:
            TypeError: if a size is no integer.
            ValueError: if it is below 1, or not one or two numbers.
        """
        if img_size is None:
            return
        sides = [img_size] * 2 if isinstance(img_size, int) else list(img_size)
        if len(sides) != 2:
            raise ValueError(f"img_size must be one number or two; got {shown(img_size)}. Pass (height, width).")
        height, width = (check_count("img_size", side) for side in sides)
        if self.preprocessing is not None:
            self.preprocessing = self.preprocessing.with_size((height, width))
        # Where timm reads it, if it has built the network.
        self._traits = {**getattr(self, "_traits", {}), "img_size": (height, width)}
        if (known := getattr(self, "pretrained_cfg", None)) is not None:
            known |= {"input_size": (self.in_chans, height, width)}

    @overload
    def get_classifier(self, name_only: Literal[False] = False) -> nn.Module: ...

    @overload
    def get_classifier(self, name_only: Literal[True]) -> str: ...

    def get_classifier(self, name_only: bool = False) -> nn.Module | str:
        """The child `fc`: a ``Linear``, or an ``Identity`` if `num_classes` is 0; or its name."""
        return "fc" if name_only else self.fc


def _taken(count: int, indices: Indices) -> list[int]:
    """Numbers of stages.

    Raises:
        ValueError: if one is out of range, or there is none.
    """
    if indices is None:
        return list(range(count))
    numbers = list(range(-indices, 0)) if isinstance(indices, int) else list(indices)
    if not numbers or not all(isinstance(number, int) and -count <= number < count for number in numbers):
        raise ValueError(
            f"indices must be up to {count} stages from the end, or numbers of stages from 0 to {count - 1}; got "
            f"{shown(indices)}. Use None for all."
        )
    return [number % count for number in numbers]
