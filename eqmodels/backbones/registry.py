"""Architectures by their names: registered beside their classes, found, built and listed."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args

from eqmodels.arguments import check_arguments
from eqmodels.backbones.named import NamedNetwork, Takes
from eqmodels.backbones.names import ModelName, is_architecture, parse_name
from eqmodels.backbones.network import StagedNetwork, built, later_options
from eqmodels.errors import is_one_of, shown
from eqmodels.options import REQUIRED, check_options, options_of
from eqmodels.registry import Registry, UnknownNameError, check_free

__all__ = [
    "BACKBONES",
    "Architecture",
    "build",
    "build_for_images",
    "check_name",
    "checked_names",
    "list_models",
    "not_of_images",
    "register_backbone",
    "resolve",
]

GROUPS = ("c1", "c4", "d4", "c8", "d8")
"""The groups whose models are listed; other groups can be named too, as in ``c6_resnet18s_w96``."""

NATIVE = "native"

Builder = Callable[..., NamedNetwork]
B = TypeVar("B", bound=Builder)


class Architecture:
    """What is registered under one name: the class that builds it with a group, without one, and by each backend."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.builders: dict[tuple[bool, str], Builder] = {}
        self.groups: tuple[str, ...] = GROUPS

    def __call__(self, group: str | None = None, *, backend: str = NATIVE, **options: Any) -> NamedNetwork:  # noqa: ANN401
        """The network, with random weights."""
        return built(self.builder(group is not None, backend), {**self.named(group, backend), **options})

    def named(self, group: str | None, backend: str) -> dict[str, Any]:
        """The arguments that the class takes of a name: the architecture, if it has several, and the group."""
        known = options_of(self.builder(group is not None, backend))
        return {k: v for k, v in {"architecture": self.name, "group": group}.items() if k in known and v is not None}

    @property
    def takes(self) -> Takes:
        """What its networks are asked about; of what a function builds, images."""
        return getattr(next(iter(self.builders.values())), "takes", "images")

    def named_alone(self) -> set[bool]:
        """With a group, without one, or both: for what the class needs no option that no name says."""
        return {groups for (groups, _), builder in self.builders.items() if not _needed(builder)}

    def builder(self, with_group: bool, backend: str = NATIVE) -> Builder:
        """The class that builds it.

        Raises:
            ValueError: if there is none with (or without) a group, or by this backend.
        """
        backends = sorted({own for _, own in self.builders})
        if not is_one_of(backend, backends):
            raise ValueError(
                f"{self.name} has the backends {', '.join(map(repr, backends))}; got {shown(backend)}. "
                f"Use {backends[0]!r}."
            )
        if (found := self.builders.get((with_group, backend))) is not None:
            return found
        if with_group:
            raise ValueError(
                f"{self.name} has no group with backend={backend!r}; got one in the name. Use {self.name!r}."
            )
        plain = f", or 'c1_{self.name}' for the plain network" if "c1" in self.groups else ""
        way_out = f"Use '{'c4' if plain else self.groups[0]}_{self.name}'{plain}."
        raise ValueError(f"{self.name} with backend={backend!r} needs a group; the name has none. {way_out}")


def _needed(builder: Builder) -> list[str]:
    """The options that a builder has no default for, and that are not said by a name."""
    known = options_of(builder, without=("architecture", "group"))
    return [name for name, option in known.items() if option.default is REQUIRED]


BACKBONES: Registry[Architecture] = Registry("backbone")
"""Every architecture. Other distributions announce theirs as entry points of the group ``eqmodels.backbones``."""


def register_backbone(
    *architectures: str, groups: bool | tuple[str, ...] = True, backend: str = NATIVE
) -> Callable[[B], B]:
    """Registers a class under the names of its architectures, so that ``c4_<architecture>_w16`` builds it.

    The class is called with its options by name: `group` if it has groups, and `architecture` if it takes one.

    Args:
        *architectures: lower-case words, which a name may have between the group and its parts.
        groups: whether names have a group in front; of other groups than those of the plane, those that are listed, the
            first of them in examples.
        backend: the word by which ``create_model(name, backend=...)`` chooses this class instead of another.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is none, could be read as a group, or another class has it.

    Example::

        @register_backbone("one_layer")
        class OneLayer(Backbone):
            def __init__(self, group="c4", *, width=16, in_chans=3, num_classes=10):
                super().__init__(group, in_chans, num_classes)
                lifting = SteerableConv2d(group, in_chans, width // self.group.order, 3, lifting=True)
                self.add_stage("stem", lifting, width, 1)
                self.finish()


        create_model("c4_one_layer_w8")
    """
    check_arguments(register_backbone, locals())

    def add(target: B) -> B:
        for name in architectures:
            if not is_architecture(name):
                raise ValueError(
                    "an architecture is named by lower-case letters, digits and '_', without a group in front or a "
                    f"part, such as 'k5', behind; got {name!r}. Use, for instance, 'two_stage'."
                )
        for name in architectures:
            architecture = _architecture(name)
            key = (groups is not False, backend)
            check_free(BACKBONES.kind, name, architecture.builders.get(key), target)
            architecture.builders[key] = target
            architecture.groups = groups if isinstance(groups, tuple) else architecture.groups
        if isinstance(target, type) and issubclass(target, NamedNetwork):
            # Of the class itself: a subclass that is not registered has no name.
            target.architectures = (*vars(target).get("architectures", ()), *architectures)
            target.backend = backend
        return target

    return add


def _architecture(name: str) -> Architecture:
    try:
        return BACKBONES.find(name, plugins=False)
    except UnknownNameError:
        return BACKBONES.register(name)(Architecture(name))


def resolve(name: str, *, plugins: bool = True) -> tuple[ModelName, Architecture]:
    """The parts of a name, and the architecture that it names.

    Args:
        name: of a network.
        plugins: whether the module of another distribution may be imported for it; not for a name that stands in a
            file.

    Raises:
        TypeError: if the name is no string.
        ValueError: if it is unknown; gives the nearest ones.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"name must be a string such as 'c4_resnet18s'; got {shown(name)}. list_models() gives all names."
        )
    parsed = parse_name(name, BACKBONES.names())
    if parsed is None:
        nearest = difflib.get_close_matches(name[:200], list_models(), n=3, cutoff=0.0)
        named = repr(name if len(name) <= 80 else f"{name[:77]}...")
        raise UnknownNameError(
            f"no model is named {named}; the nearest names are {', '.join(nearest)}. A name is "
            "<group>_<architecture>[_<parts>][_w<width>]; list_models() gives all."
        )
    return parsed, BACKBONES.find(parsed.architecture, plugins=plugins)


def build(name: str, *, plugins: bool = True, **options: Any) -> NamedNetwork:  # noqa: ANN401 (each class has its own)
    """Builds a network by its name, with random weights, see `create_model`.

    Args:
        name: ``<group>_<architecture>[_<parts>][_w<width>]``.
        plugins: whether the module of another distribution may be imported for it.
        **options: of the class; and `backend`.

    Raises:
        TypeError: if the name is no string, or the network has no such option, or it is of another type.
        ValueError: if the name is unknown, an option is given twice, or breaks its rule.
    """
    parsed, architecture = resolve(name, plugins=plugins)
    backend = options.pop("backend", NATIVE)
    builder = architecture.builder(parsed.group is not None, backend)
    if twice := [option for option in parsed.options if option in options]:
        raise ValueError(
            f"the {twice[0]} is given twice, in the name {name!r} and as {twice[0]}={options[twice[0]]!r}; drop one."
        )
    subject = f"{name!r}" if backend == NATIVE else f"{name!r} with backend={backend!r}"
    given = {**parsed.options, **options}
    of_all = later_options(builder)
    later = {k: v for k, v in given.items() if k in of_all and k not in options_of(builder)}
    check_options(of_all, later, subject=subject)
    own = {k: v for k, v in given.items() if k not in later}
    check_options(builder, own, subject=subject, without=("architecture", "group"))
    return architecture(parsed.group, backend=backend, **given)


def build_for_images(name: str, *, plugins: bool = True, **options: Any) -> StagedNetwork:  # noqa: ANN401
    """As `build`, for those who have images.

    Raises:
        TypeError: as `build`.
        ValueError: as `build`; and if the name is one of a network of points, before it is built.
    """
    _, architecture = resolve(name, plugins=plugins)
    if architecture.takes == "images":
        network = build(name, plugins=plugins, **options)
        if isinstance(network, StagedNetwork):
            return network
    raise ValueError(not_of_images(name))


def not_of_images(name: str) -> str:
    """What is said of a network of points where images are asked for."""
    return (
        f"images are asked for, and {name!r} is an encoder of points of space, (batch, points, 3). Name an encoder of "
        "images, such as 'c4_resnet18s'."
    )


def check_name(name: str, takes: Takes = "images") -> None:
    """Refuses what `build` has no network for, without building any.

    Args:
        name: of a network.
        takes: what it is to be asked about.

    Raises:
        ValueError: if the name is unknown (gives the nearest ones), or of a network that takes something else.
        TypeError: if it is no string, or a part stands for an option that the class does not have.
    """
    parsed, architecture = resolve(name)
    if takes == "images" != architecture.takes:
        raise ValueError(not_of_images(name))
    builder = architecture.builder(parsed.group is not None)
    check_options(builder, parsed.options, subject=f"{name!r}", without=("architecture", "group"))


def checked_names(function: Callable[..., Any], names: Iterable[str]) -> list[str]:
    """The names of several networks, each of which `check_name` lets pass.

    Args:
        function: whose argument `names` they are.
        names: one after the other.

    Raises:
        TypeError: if `names` is one name, or one of them is no string.
        ValueError: if one of them is no architecture.
    """
    if isinstance(names, str):
        raise TypeError(f"names must be several names; got {names!r}. Pass [{names!r}].")
    check_arguments(function, {"names": names})
    names = list(names)
    for name in names:
        check_name(name)
    return names


def list_models(pattern: str = "*", *, takes: Takes | None = None) -> list[str]:
    """The names of the registered models that match a shell pattern, sorted.

    Each architecture that a name alone builds is listed with the groups C1, C4, D4, C8 and D8, or with SO(3) and O(3);
    those that other distributions announce too, without importing them.

    Args:
        pattern: of the names.
        takes: ``"images"`` or ``"points"``, for networks that take these; None for all. What other distributions
            announce is taken to be of images.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `takes` is none of these.

    Example:
        >>> list_models("*c4*resnet18s"), list_models("*vectors*", takes="points")
        (['c4_resnet18s'], ['o3_vectors_small', 'so3_vectors_small'])
    """
    check_arguments(list_models, locals())
    if takes is not None and takes not in get_args(Takes):
        raise ValueError(f"takes must be 'images', 'points' or None; got {shown(takes)}. Use 'images'.")
    names: list[str] = []
    for name in BACKBONES.names():
        try:
            found = BACKBONES.find(name, plugins=False)
            kinds, groups, of = found.named_alone(), found.groups, found.takes
        except UnknownNameError:
            kinds, groups, of = {True}, GROUPS, "images"
        if takes in (None, of):
            names += [f"{group}_{name}" for group in groups if True in kinds] + ([name] if False in kinds else [])
    return sorted(fnmatch.filter(names, pattern))
