"""What every network of the registry is, whatever it takes: a name, options, a group, fields, finite weights."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from torch import Tensor, nn

from eqmodels.checks import check_count
from eqmodels.fields import Field
from eqmodels.groups import Group, PlanarGroup, SpaceGroup
from eqmodels.layers.scripting import NotScriptable
from eqmodels.options import Option
from eqmodels.transforms import Preprocessing

__all__ = ["CHANGEABLE", "NamedNetwork", "Noted", "Takes", "group_named"]

Takes = Literal["images", "points"]
"""What a network is asked about."""

CHANGEABLE = ("in_chans", "num_classes", "global_pool", "group_pool", "pose_hidden")
"""Arguments of which the network itself says what they are now."""

N = TypeVar("N", bound="Noted")


def group_named(name: str | Group) -> Group:
    """The group of a name, of the plane or of space; a group is returned as it is.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(name, Group):
        return name
    return SpaceGroup.parse(name) if name in ("so3", "o3") else PlanarGroup.parse(name)


class NamedNetwork(NotScriptable):
    """A network that the registry builds by a name, and a file describes: of images or of points.

    Args:
        group: the group under which the output is equivariant (C1: none).
        in_chans: channels of the images, or numbers of each point.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.

    Attributes:
        takes: what the network is asked about.
        structure: the arguments that fix the layers, by name, what was left out at what stands for it.
        usual: of `structure`, what arguments that were left out stand for, where that is not the signature's default.
        classes: the name of each output of `fc`, in their order; empty if nothing is known of them.
        license: of the weights, an SPDX identifier in lower case; None, as of weights that somebody trains,
            until their owner says it.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if a count is too small.
    """

    architectures: ClassVar[tuple[str, ...]] = ()
    backend: ClassVar[str] = "native"
    """What `register_backbone` has registered the class under."""
    takes: ClassVar[Takes] = "images"

    group: Group
    fc: nn.Module

    def __init__(self, group: Group, in_chans: int, num_classes: int) -> None:
        super().__init__()
        self.group = group
        self.in_chans = check_count("in_chans", in_chans, 1)
        self.num_classes = check_count("num_classes", num_classes, 0)
        self.structure: dict[str, Any] = {}
        self.usual: dict[str, Any] = {}
        self._preprocessing: Preprocessing | None = None
        self.classes: tuple[str, ...] = ()
        self.license: str | None = None

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What images went through in training; None if nothing is known of it."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, images: Preprocessing | None) -> None:
        self._preprocessing = images
        self.pass_on(images)

    def pass_on(self, images: Preprocessing | None) -> None:
        """Tells networks within this one what the images that they are given went through; here there are none.

        Args:
            images: the new value of `preprocessing`.
        """

    @classmethod
    def later_options(cls) -> dict[str, Option]:
        """The options that are set once a network is there, which every network of the kind has."""
        return {}

    def set_later(self, options: Mapping[str, Any]) -> None:
        """Sets such options.

        Raises:
            ValueError: if one breaks its rule.
        """
        assert not options, f"a {type(self).__name__} has no option {next(iter(options))!r}"

    @property
    @abstractmethod
    def num_features(self) -> int:
        """Channels of the features before pooling."""

    @property
    @abstractmethod
    def head_hidden_size(self) -> int:
        """The length of the pooled feature vector, which `fc` takes."""

    @property
    @abstractmethod
    def map_field(self) -> Field:
        """What the channels before pooling mean."""

    @property
    @abstractmethod
    def out_field(self) -> Field | None:
        """What the output means; None if nobody knows."""

    @abstractmethod
    def describe_output(self) -> str:
        """How features and scores change when what the network is asked about moves, in one paragraph."""

    @abstractmethod
    def pool_settings(self) -> dict[str, Any]:
        """The arguments that give the pooling that is there now."""

    def fixed_outputs(self, size: tuple[int, int]) -> dict[str, Tensor]:
        """What a network that takes no images computes of one fixed input, in eval mode in float32 on the CPU.

        Args:
            size: of the input, as `GOLDEN_SIDE` bounds it.

        Returns:
            Vectors by name: ``features`` before pooling, ``pooled``, and ``pose`` if one is predicted.
        """
        raise NotImplementedError(f"a {type(self).__name__} of images has golden features of its own")

    @abstractmethod
    def reset_classifier(self, num_classes: int, global_pool: Any = None) -> None:  # noqa: ANN401 (each kind has its own)
        """A fresh `fc` for another number of classes (0: features) and, if given, another pooling before it."""

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:  # noqa: ANN401
        # Called by every `load_state_dict`, of this module or of one that contains it, before any child has loaded.
        own = {key: value for key, value in state_dict.items() if key.startswith(prefix) and isinstance(value, Tensor)}
        broken = [key for key, value in own.items() if not value.is_meta and not value.isfinite().all()]
        if broken:
            raise ValueError(
                f"weights must be finite; {len(broken)} of {len(own)} tensors hold NaN or infinity, the first is "
                f"{broken[0]!r}. Nothing of the encoder was loaded: use a checkpoint from before the divergence."
            )
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class Noted:
    """A class whose instances know the arguments that they were made with, so that a file can hold them."""

    def __new__(cls: type[N], *arguments: Any, **options: Any) -> N:  # noqa: ANN401
        """Notes the arguments; the rest is `__init__`'s."""
        network: N = super().__new__(cls, *arguments, **options)
        # Copying and unpickling call this without any arguments, and bring the rest themselves.
        bound = inspect.signature(cls).bind_partial(*arguments, **options)
        bound.apply_defaults()
        network.__dict__["_given"] = {k: v for k, v in bound.arguments.items() if k not in CHANGEABLE}
        return network

    def noted(self) -> dict[str, Any]:
        """The arguments in plain values, groups by their names; asked once, in `__init__`."""
        found = {name: _plain(value) for name, value in self.__dict__.pop("_given").items()}
        if "group" in found:  # in whatever way it was written
            found["group"] = group_named(found["group"]).name
        return found


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Groups by their names, also in lists; the rest as it is."""
    if isinstance(value, Group):
        return value.name
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
