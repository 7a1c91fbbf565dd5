"""The parts of a pretraining config: model, data, objective, optimisation and run, each a frozen object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from eqmodels.arguments import check_arguments
from eqmodels.backbones.registry import resolve
from eqmodels.checks import check_count
from eqmodels.data import READING, SOURCES
from eqmodels.errors import shown
from eqmodels.objectives import OBJECTIVES, objective_options
from eqmodels.options import Option, Suggested, check_options, options_of
from eqmodels.storage import LARGEST_NUMBER, LONGEST_LOG
from eqmodels.training.models import model_options
from eqmodels.training.optimisers import OPTIMISERS, optimiser_options

__all__ = [
    "DataConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimisationConfig",
    "Options",
    "RunConfig",
    "check_kinds",
    "data_options",
]


class Options(Mapping[str, Any]):
    """Options by name that cannot be changed: words, numbers, True, False, None, and tuples and mappings of these.

    Args:
        values: by name; lists become tuples.

    Raises:
        TypeError: if a value is of another type, which could not be written into a file.
        ValueError: if a number is too large for a file.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        check_arguments(Options, {"values": values})
        self._values = {name: _frozen(name, value) for name, value in (values or {}).items()}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (each option has its own type)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for JSON."""
        return {name: _plain(value) for name, value in self._values.items()}


@dataclass(frozen=True)
class ModelConfig:
    """The backbone.

    Args:
        name: the backbone, ``<group>_<architecture>[_<parts>][_w<width>]``; see `create_model` and eqmodels models.
        options: of the backbone, beside its name; those at their default are left out.
        init: weights that it begins with: a name of the zoo, the folder of a run or a network, or hub:...; heads begin
            with those of the run where they fit, other channels get its filters summed or repeated, and a width that is
            a multiple of its own gets each of its fields so many times, see `with_width`.
        init_sha256: of the file of these weights, as a run notes it; None for that of the file that is there.

    Raises:
        TypeError: if the name is no string, it has no such option (gives the nearest), or a value is of another type.
        ValueError: if the name is unknown (gives the nearest), or a value is none of the choices.
    """

    name: str = "c4_resnet18s_w16"
    options: Mapping[str, Any] = field(default_factory=Options)
    init: str | None = None
    init_sha256: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(
                f"model must be a name, such as 'c4_resnet18s_w16'; got {shown(self.name)}. list_models() gives all "
                "names."
            )
        for name, value in (("init", self.init), ("init_sha256", self.init_sha256)):
            if value is not None and not (isinstance(value, str) and value):
                raise TypeError(
                    f"{name} must be a string or None; got {shown(value)}. Leave it out for random weights."
                )
        if self.init is None and self.init_sha256 is not None:
            raise ValueError(
                "init_sha256 is of the weights that init names; got no init. Name them (--init), or leave it out."
            )
        _check_options(self)
        known = model_options(self.name, backend=self.options.get("backend"))
        given = check_options(known, self.options, subject=f"model {self.name!r}")
        own = {name: value for name, value in given.items() if value != known[name].default}
        object.__setattr__(self, "options", Options(own))


@dataclass(frozen=True)
class DataConfig:
    """The training images.

    Args:
        name: the images: a data set, see `load_data`.
        limit: number of training images, equally many of every class, the same for every `seed`; None for all.
        coloured: give grey images random colours that do not depend on the class (see `eqmodels.data.coloured`).
        to_rgb: repeat a grey channel three times, for tasks about colour.
        options: of the data set, such as the ``size`` of a folder's images.

    Raises:
        TypeError: if a value is of another type.
        ValueError: if a number is below 1.
    """

    name: Annotated[str, Suggested(SOURCES)] = "fashion_mnist_mini"
    limit: int | None = None
    coloured: bool = False
    to_rgb: bool = False
    options: Mapping[str, Any] = field(default_factory=Options)

    def __post_init__(self) -> None:
        _check_types(self)
        _check_options(self)
        if self.limit is not None:
            check_count("limit", self.limit)
        # A run is loaded without the source that it was trained on, which alone knows its options, and checks them.
        is_known, subject = self.name in SOURCES, f"data {self.name!r}"
        given = check_options(data_options(self.name), self.options, subject=subject) if is_known else self.options
        own = {name: value for name, value in given.items() if value is not None}
        object.__setattr__(self, "options", Options(own))


@dataclass(frozen=True)
class ObjectiveConfig:
    """What the network is pretrained for.

    Args:
        name: the objective.
        options: of the objective; those that are left out have their defaults.

    Raises:
        TypeError: if it has no such option (gives the nearest), or a value is of another type.
        ValueError: if the name is unknown (gives the nearest), or a value breaks its rule; the sentence names it.
    """

    name: Annotated[str, OBJECTIVES] = "prediction"
    options: Mapping[str, Any] = field(default_factory=Options)

    def __post_init__(self) -> None:
        _check_options(self)
        known = objective_options(self.name)
        given = check_options(known, self.options, subject=f"objective {self.name!r}")
        complete = {name: given.get(name, option.default) for name, option in known.items()}
        OBJECTIVES.find(self.name).check_options(complete)
        object.__setattr__(self, "options", Options(complete))


@dataclass(frozen=True)
class OptimisationConfig:
    """How long, in which steps, by which rule.

    Args:
        epochs: passes over the training images, at most 10,000.
        batch_size: images of one step, over all processes and accumulated parts; a last, smaller batch is left out.
        accumulate: parts that a step's images are cut into on each process, to save memory.
        optimiser: ``"sgd"`` (Nesterov, momentum 0.9), ``"adamw"``, or whatever else is registered.
        learning_rate: the largest learning rate.
        final_learning_rate: of the cosine schedule, what it falls to.
        schedule: ``"cosine"``, or ``"multistep"`` (times 0.2 after 30, 60 and 80% of the steps).
        warmup_epochs: epochs of linear growth of the learning rate from 0, at the start, at most all of them.
        weight_decay: L2 penalty of ``"sgd"``, decoupled decay of ``"adamw"``.
        clip_norm: largest norm of the gradient; None for no clipping.
        order: of the images of an epoch: ``"shuffled"`` is drawn at its start, and takes 8 bytes an image; ``"keyed"``
            is computed where it is asked for, and takes none; ``"auto"`` is what the images ask for (`Source`), such as
            a streamed folder of more than four million, else shuffled.
        average: decay of an exponential mean of the weights over the steps, such as 0.999, which is kept when the run
            is done in the place of the last weights; 0 for these.
        options: of the optimiser, beside its learning rate and decay.

    Raises:
        TypeError: if a count is not an integer, another number no number, or the optimiser has no such option.
        ValueError: if a value breaks its rule; the sentence names it.
    """

    epochs: int = 15
    batch_size: int = 128
    accumulate: int = 1
    optimiser: Annotated[str, OPTIMISERS] = "sgd"
    learning_rate: float = 0.05
    final_learning_rate: float = 0.0
    schedule: Literal["cosine", "multistep"] = "cosine"
    warmup_epochs: float = 1.0
    weight_decay: float = 5e-4
    clip_norm: float | None = None
    order: Literal["auto", "shuffled", "keyed"] = "auto"
    average: float = 0.0
    options: Mapping[str, Any] = field(default_factory=Options)

    def __post_init__(self) -> None:
        _check_types(self)
        _check_options(self)
        for name in ("epochs", "batch_size", "accumulate"):
            check_count(name, getattr(self, name))
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size must be a multiple of accumulate; got {self.batch_size} and {self.accumulate}. "
                f"Pass batch_size={self.accumulate * max(self.batch_size // self.accumulate, 1)}."
            )
        self._check_rates()
        if self.epochs > LONGEST_LOG:
            raise ValueError(f"epochs must be at most {LONGEST_LOG}; got {self.epochs}. Pass {LONGEST_LOG} or less.")
        _check_largest(self)
        known = optimiser_options(self.optimiser)
        given = check_options(known, self.options, subject=f"optimiser {self.optimiser!r}")
        own = {name: value for name, value in given.items() if value != known[name].default}
        object.__setattr__(self, "options", Options(own))

    def _check_rates(self) -> None:
        for name in ("learning_rate", "weight_decay", "warmup_epochs"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be a finite number of at least 0; got {shown(getattr(self, name))}. "
                    f"Pass {getattr(type(self), name)}."
                )
        if not 0 <= self.average < 1:
            raise ValueError(f"average must be at least 0 and below 1; got {shown(self.average)}. Pass 0.999.")
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                "warmup_epochs must be at most epochs, or learning_rate is never reached; got "
                f"{shown(self.warmup_epochs)} and {self.epochs}. Pass warmup_epochs={self.epochs}, or more epochs."
            )
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise ValueError(
                "final_learning_rate must lie between 0 and learning_rate; got "
                f"{shown(self.final_learning_rate)}. Pass 0."
            )
        if self.clip_norm is not None and not 0 < self.clip_norm < float("inf"):
            raise ValueError(
                f"clip_norm must be a positive finite number; got {shown(self.clip_norm)}. Pass 1, or leave it out."
            )


@dataclass(frozen=True)
class RunConfig:
    """How it is computed, and from which seed.

    Args:
        precision: ``"bfloat16"`` runs the networks under autocast, ``"auto"`` only where the device multiplies such
            numbers itself; elsewhere that is several times as slow as ``"float32"``. Weights are always float32.
        channels_last: memory format of images and filters.
        compile: run through torch.compile.
        seed: of weights, order, augmentation, labels, dropout and random colours, below 2**32.

    Raises:
        TypeError: if the seed is not an integer, or a switch neither True nor False.
        ValueError: if a value breaks its rule; the sentence names it.
    """

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _check_types(self)
        check_count("seed", self.seed, 0, bits=64)
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below 2**32; got {shown(self.seed)}. Pass 0.")


def data_options(name: str) -> dict[str, Option]:
    """The options of a data set, by name; none of images of one's own, which have a name that is not registered."""
    return options_of(SOURCES.find(name), without=READING) if name in SOURCES else {}


def check_kinds(model: ModelConfig, objective: ObjectiveConfig) -> None:
    """Refuses an objective of images for a network of points, and the other way round.

    Raises:
        ValueError: if it is such.
    """
    theirs, asked = resolve(model.name)[1].takes, OBJECTIVES.find(objective.name).takes
    if theirs != asked:
        fitting = [name for name in OBJECTIVES.names() if OBJECTIVES.find(name, plugins=False).takes == theirs]
        raise ValueError(
            f"objective={objective.name!r} is about {asked}; got model={model.name!r}, which takes {theirs}. Use "
            f"objective={fitting[-1]!r}, or a network of {asked}."
        )


def _check_options(part: ModelConfig | DataConfig | ObjectiveConfig | OptimisationConfig) -> None:
    """Raises a `TypeError` unless the options of a part are names and values."""
    check_arguments(type(part), {"options": part.options})


def _check_types(part: object) -> None:
    """Raises unless every field is of the type, or one of the choices, that the class declares."""
    for name, option in options_of(type(part), without=("options",)).items():
        option.check(getattr(part, name))


def _check_largest(part: object) -> None:
    """What could not be written when the run is done is refused before it starts."""
    for name in options_of(type(part), without=("options",)):
        _frozen(name, getattr(part, name))


def _frozen(name: str, value: Any) -> Any:  # noqa: ANN401
    """A value that cannot be changed, of those that a file can hold."""
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, int | float):
        if not abs(value) <= LARGEST_NUMBER:
            raise ValueError(f"{name} must be at most 2**32; got {shown(value)}. Pass a smaller number.")
        return value
    if isinstance(value, list | tuple):
        return tuple(_frozen(name, part) for part in value)
    if isinstance(value, Mapping):
        return Options(value)
    raise TypeError(
        f"{name} must be a word, a number, True, False, None or a list of these, as it is written into a file; got "
        f"{type(value).__name__}. Pass the name of what you mean."
    )


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A value as JSON has it: lists for tuples."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value.to_dict() if isinstance(value, Options) else value
