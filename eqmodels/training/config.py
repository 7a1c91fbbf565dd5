"""Everything that decides a pretraining run, in one frozen object of five parts.

No library for dataclasses, command lines and validation together (jsonargparse, tyro, pydantic, cattrs) is used. What
they offer is a schema that is known when a class is written; here the options of a part are those of whatever its name
chooses from a registry that users add to, types and defaults are signatures, helps are docstrings, and every rule
answers in a sentence with a way out. `eqmodels.options` reads signatures and docstrings in 200 lines; a library would
be a dependency more, and its errors and subclass mechanisms would have to be rewritten for all this.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.objectives import OBJECTIVES, objective_options
from eqmodels.options import Option, options_of
from eqmodels.registry import without_imports
from eqmodels.training.formats import FORMAT, nested, unknown_key
from eqmodels.training.models import model_options
from eqmodels.training.optimisers import optimiser_options
from eqmodels.training.parts import (
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimisationConfig,
    Options,
    RunConfig,
    check_kinds,
    data_options,
)

__all__ = ["PretrainConfig", "config_options", "flat_fields"]

BEGINNING = ("init", "init_sha256")
"""Fields that a file has only where they are said."""

PART_TYPES: dict[str, type] = {
    "model": ModelConfig,
    "data": DataConfig,
    "objective": ObjectiveConfig,
    "optimisation": OptimisationConfig,
    "run": RunConfig,
}

LATER = {("optimisation", "order"): "auto", ("optimisation", "average"): 0.0}
"""Fields that the format got later, by part and name, with their defaults: at these they are not written, so that files
and the names of folders stay what they were."""


@dataclass(frozen=True)
class PretrainConfig:
    """A pretraining run: two runs of one config give the same weights, bit for bit, on one machine's CPU.

    (On as many threads and processes: a sum depends, in its last bits, on how it is cut into parts.)

    The folder that holds the data is not part of it, nor the folder of the run. No number may be above ``2**32``, which
    is the largest that a file of a finished run holds.

    Args:
        model: the backbone and its options.
        data: the training images.
        objective: what the network is pretrained for, and its options.
        optimisation: how long, in which steps, by which rule.
        run: how it is computed, and from which seed.

    Raises:
        TypeError: if a part is of another type.
        ValueError: if the objective is one of images and the network one of points, or the other way round.

    Example:
        >>> config = PretrainConfig.of(model="c4_resnet18s_w16", task="rotation", epochs=5, kernel_size=5)
        >>> config.model.options["kernel_size"], config.objective.options["task"], config.optimisation.epochs
        (5, 'rotation', 5)
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        check_arguments(PretrainConfig, vars(self))
        check_kinds(self.model, self.objective)

    @classmethod
    def of(cls, base: Mapping[str, Any] | None = None, /, **values: Any) -> PretrainConfig:  # noqa: ANN401
        """A config of values side by side, each brought to the part that has it.

        ``model``, ``data``, ``objective`` and ``optimiser`` are names; all else is a field of a part, or an option of
        the model, the data, the objective or the optimiser that is named. An objective that is named here without an
        optimiser brings the optimisation that fits it (`Objective.optimisation`), if `base` has none.

        Args:
            base: a config as a file has it, of any format, whose values hold where none is given here; None for the
                defaults. Where another objective, data set or optimiser is named, the options of the base's are left.
            **values: by name.

        Raises:
            TypeError: if nothing has such a name (gives the nearest), or a value is of a wrong type.
            ValueError: if a value breaks its rule, a name is unknown, or several parts have an option of the name.
        """
        # What stands in a file causes no import; what somebody passed may.
        passed = [value for value in values.values() if isinstance(value, str)]
        with contextlib.nullcontext() if base is None else without_imports(*passed):
            return _built(_merged({part: {} for part in PART_TYPES} if base is None else nested(base), values))

    def replaced(self, **values: Any) -> PretrainConfig:  # noqa: ANN401
        """The same config with other values, see `of`.

        Raises:
            TypeError, ValueError: as `of`.
        """
        return type(self).of(self.to_dict(), **values)

    def flat(self) -> dict[str, Any]:
        """All values side by side, by the names that `of` takes; options at their defaults too, but for the model's."""
        values: dict[str, Any] = {}
        for part in PART_TYPES:
            for one in fields(chosen := getattr(self, part)):
                if one.name == "options":
                    values |= Options(chosen.options).to_dict()
                else:
                    values[_flat_name(part, one.name)] = getattr(chosen, one.name)
        return values

    def to_dict(self) -> dict[str, Any]:
        """The parts by name and the format, ready for JSON."""
        content: dict[str, Any] = {"format": FORMAT}
        for part in PART_TYPES:
            values = {one.name: getattr(getattr(self, part), one.name) for one in fields(getattr(self, part))}
            # Configs that begin with random weights are written as they always were.
            values = {name: value for name, value in values.items() if value is not None or name not in BEGINNING}
            content[part] = {
                name: value.to_dict() if isinstance(value, Options) else value
                for name, value in values.items()
                if LATER.get((part, name), ...) != value
            }
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PretrainConfig:
        """The config that `to_dict` wrote, or that an earlier version wrote flat; what is left out has its default.

        Nothing is imported because of it: what it names must be registered already.

        Raises:
            ValueError: if a name is unknown, a value breaks its rule, or the format is another.
            TypeError: if a value is of a wrong type.
        """
        with without_imports():
            return _built(nested(content))

    def differences(self, other: PretrainConfig) -> dict[str, tuple[Any, Any]]:
        """The values that differ, own and other's, by their flat names; None for an option that one does not have."""
        own, others = self.flat(), other.flat()
        names = dict.fromkeys((*own, *others))
        return {name: (own.get(name), others.get(name)) for name in names if own.get(name) != others.get(name)}


def flat_fields() -> dict[str, tuple[str, str, Option]]:
    """The values that every config has, by their flat names: part, field and what is known of it."""
    return {
        _flat_name(part, name): (part, name, option)
        for part, kind in PART_TYPES.items()
        for name, option in options_of(kind, without=("options",)).items()
    }


def config_options(values: Mapping[str, Any]) -> dict[str, dict[str, Option]]:
    """The options beside these that a config has, by part: those of the model, objective, data and optimiser named.

    Args:
        values: flat; those that are missing have their defaults.

    Raises:
        ValueError: if a name is unknown.
    """
    chosen = {name: values.get(name, option.default) for name, (_, _, option) in flat_fields().items()}
    return {
        "model": model_options(chosen["model"], backend=values.get("backend")),
        "data": data_options(chosen["data"]),
        "objective": objective_options(chosen["objective"]),
        "optimisation": optimiser_options(chosen["optimiser"]),
    }


def suggested_optimisation(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The optimisation that fits the objective named, if one is, and no optimiser: see `Objective.optimisation`.

    Args:
        values: flat.
    """
    name = values.get("objective")
    known = isinstance(name, str) and name in OBJECTIVES and "optimiser" not in values
    return OBJECTIVES.find(str(name)).optimisation if known else {}


def _flat_name(part: str, name: str) -> str:
    return part if name == "name" else name


def _merged(parts: dict[str, dict[str, Any]], values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts with flat values in their places."""
    fixed, rest = flat_fields(), dict(values)
    if parts["optimisation"].keys() <= {"options"}:
        parts["optimisation"] |= suggested_optimisation(values)
    for name in [name for name in values if name in fixed]:
        part, own, option = fixed[name]
        names_options = own == "name" or name == "optimiser"
        if names_options and part != "model" and parts[part].get(own, option.default) != rest[name]:
            parts[part]["options"] = {}
        parts[part][own] = rest.pop(name)
    named = {_flat_name(part, own): value for part, chosen in parts.items() for own, value in chosen.items()}
    owners = config_options(named | parts["model"].get("options", {}) | rest) if rest else {}
    for name, value in rest.items():
        having = [part for part, options in owners.items() if name in options]
        if len(having) > 1:
            raise ValueError(
                f"{name} is an option of the {' and of the '.join(having)}, and one word cannot be both; got "
                f"{value!r}. Pass PretrainConfig its parts, such as {PART_TYPES[having[0]].__name__}."
            )
        if not having:
            everything = [*fixed, *(option for options in owners.values() for option in options)]
            nearest = difflib.get_close_matches(name, everything, n=1) or everything[:1]
            chosen = ", ".join(str(named.get(part, fixed[part][2].default)) for part in ("model", "objective"))
            raise TypeError(
                f"a pretraining of {chosen} has no {name!r}; it has {', '.join(sorted(everything))}. Use "
                f"{nearest[0]!r}, or drop it."
            )
        parts[having[0]].setdefault("options", {})[name] = value
    return parts


def _built(parts: Mapping[str, Mapping[str, Any]]) -> PretrainConfig:
    """The config of such parts."""
    built = {}
    for part, kind in PART_TYPES.items():
        known = [one.name for one in fields(kind)]
        if unknown := sorted(set(parts[part]) - set(known)):
            raise TypeError(unknown_key(f"the {part} of a pretraining config", unknown[0], known))
        built[part] = kind(**parts[part])
    return PretrainConfig(**built)
