"""What a study of synergy runs: every pretraining, by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from eqmodels.arguments import check_arguments
from eqmodels.backbones.names import current_name
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.tasks import create_task
from eqmodels.training import PretrainConfig
from eqmodels.training.parts import Options

__all__ = ["Cell", "Kind", "SynergyPlan"]

FORMAT = 3
"""Of the file of a plan; the first one said no format, and ``resnet18`` in it had the small stem; up to the second one
``size`` was the only option of the images."""

Kind = Literal["classifier", "random", "brief", "pretrained", "dose", "film", "epochs"]
"""What a cell is for:

* ``classifier``: a network that learns the class of images transformed by a task, to replace the true class;
* ``random``: a network as it is initialised, the null;
* ``brief``: one epoch, by which tasks are ranked;
* ``pretrained``: the grid of tasks, augmentations and backbones;
* ``dose``: class information added or eliminated while a rotation is learned;
* ``film``: a network as it is initialised, measured once more by a richer family of predictors;
* ``epochs``: all terms after every epoch.
"""

ROTATION = "rotation"
BRIEF_EPOCHS = 1


@dataclass(frozen=True)
class Cell:
    """One network that is trained, or not, and measured.

    Attributes:
        name: its folder within that of the study.
        kind: what it is for.
        config: of its training; of a random one, of the training that it does not get.
    """

    name: str
    kind: Kind
    config: PretrainConfig

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.config.run.seed

    @property
    def model(self) -> str:
        """The backbone's name."""
        return self.config.model.name

    @property
    def task(self) -> str:
        """What is predicted."""
        return str(self.config.objective.options["task"])

    @property
    def augment(self) -> str:
        """The augmentation before the task."""
        return str(self.config.objective.options["augment"])

    @property
    def class_weight(self) -> float:
        """The dose of class information; 0 without a class head."""
        return float(self.config.objective.options["class_weight"] or 0.0)


@dataclass(frozen=True)
class SynergyPlan:
    """A study of how class and transformation help each other, over tasks, augmentations and backbones.

    Every network has the head of the paper (an MLP), so that all tasks can be asked of all.

    Attributes:
        models: of the grid; the first one also for classifiers, doses and epochs.
        tasks: of the grid.
        augments: of the grid; the last one also for doses and epochs.
        groups: more models, compared by rotation alone, under the first augmentation.
        doses: weights of class information, see `class_information_loss`.
        seeds: of the grid; doses and epochs have the first one.
        data: see `load_data`.
        data_options: of the data set, such as the ``size`` of a folder's images.
        coloured: whether grey images get random colours, as tasks about colour need.
        limit: number of training images, a balanced subset; None for all.
        epochs: of pretraining.
        batch_size: images a step.
        precision: of pretraining, see `RunConfig`.
        test_limit: number of held-out images on which information and heads are measured; probes are tested on all.
        folds: of the cross-fitting.
        samples: of every exact model, for the calibration.

    Raises:
        TypeError: if a value is of another type.
        ValueError: if a number is too small or not finite, a list empty or with a value twice, or a task unknown.
    """

    models: tuple[str, ...] = ("c1_resnet18s_w16", "c4_resnet18s_w16")
    tasks: tuple[str, ...] = (
        "horizontal_flip",
        "vertical_flip",
        "rotation",
        "grayscale",
        "colour_inversion",
        "jigsaw",
        "blur",
    )
    augments: tuple[str, ...] = ("none", "simclr")
    groups: tuple[str, ...] = ("d4_resnet18s_w16", "d2_resnet18s_w16")
    doses: tuple[float, ...] = (-9.0, -3.0, -1.0, 0.0, 0.5)
    seeds: tuple[int, ...] = (0,)
    data: str = "fashion_mnist"
    data_options: Mapping[str, Any] = field(default_factory=Options)
    coloured: bool = True
    limit: int | None = 6000
    epochs: int = 8
    batch_size: int = 128
    precision: str = "auto"
    test_limit: int = 2000
    folds: int = 3
    samples: int = 10_000

    def __post_init__(self) -> None:
        check_arguments(SynergyPlan, vars(self))
        self._check_numbers()
        object.__setattr__(self, "data_options", Options(self.data_options))
        for name in ("models", "tasks", "augments", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(
                    f"{name} must be different and at least one; got {', '.join(map(str, values)) or 'none'}. Leave "
                    "them out for the usual ones."
                )
        for task in self.tasks:
            if "+" in task or create_task(task).num_labels < 2:
                raise ValueError(
                    f"tasks are asked one at a time, and have two labels or more; got {task!r}. Leave it out."
                )

    def _check_numbers(self) -> None:
        """Refuses counts that are too small, and doses that are not finite."""
        check_count("epochs", self.epochs, 0)  # a pretraining asks for one, a ranking of tasks has its own
        for name in ("batch_size", "test_limit", "folds", "samples"):
            check_count(name, getattr(self, name))
        if self.limit is not None:
            check_count("limit", self.limit)
        for seed in self.seeds:
            check_count("seeds", seed, 0, bits=32)
        for dose in self.doses:
            if not math.isfinite(dose):
                raise ValueError(f"doses must be finite; got {shown(dose)}. Leave it out.")

    @classmethod
    def quick(cls) -> SynergyPlan:
        """A few minutes on the embedded images: that everything runs, not what is true."""
        return cls(
            models=("c1_resnet18s_w8",),
            tasks=("vertical_flip", "rotation", "jigsaw"),
            augments=("none",),
            groups=("c4_resnet18s_w8",),
            doses=(-9.0, 0.0, 0.5),
            data="fashion_mnist_mini",
            limit=1000,
            epochs=2,
            batch_size=100,
            test_limit=400,
            folds=2,
            samples=2000,
        )

    def cells(self) -> tuple[Cell, ...]:
        """All cells, in the order in which they are run: what others need comes first."""
        made = [*self._classifiers(), *self._random(), *self._grid("brief"), *self._grid("pretrained")]
        return (*made, *self._doses(), *self._film(), *self._epochs())

    def impossible(self) -> dict[str, str]:
        """The cells of the grid that cannot be, such as a task whose labels the augmentation hides, and why."""
        return {name: reason for name, reason in self._tried("pretrained") if isinstance(reason, str)}

    def classifier_of(self, cell: Cell) -> str:
        """The name of the cell with the classifier for a cell."""
        return f"classifier/{cell.task}"

    def source_of(self, cell: Cell) -> str:
        """The name of the cell with the network that a cell of the kind ``film`` measures once more."""
        return cell.name.removeprefix("film/")

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for JSON, and the format in which they are written."""
        return {"format": FORMAT, **asdict(self), "data_options": Options(self.data_options).to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SynergyPlan:
        """What `to_dict` wrote, or an earlier version: a plan without a format has the names of networks of before.

        Raises:
            ValueError: if the format or a name is unknown, or a value is out of range.
        """
        names = {one.name for one in fields(cls)}
        content = dict(content)
        if (written := content.pop("format", 1)) not in range(1, FORMAT + 1):
            raise ValueError(f"a plan is of a format from 1 to {FORMAT}; got {written!r}. Update eqmodels.")
        if written < FORMAT and (size := content.pop("size", None)) is not None:
            content["data_options"] = {"size": size}
        if written == 1:
            content |= {name: [current_name(model) for model in content.get(name, ())] for name in ("models", "groups")}
        content.setdefault("precision", "bfloat16")  # of every study before there was a choice
        if unknown := set(content) - names:
            raise ValueError(f"a plan has the values {', '.join(sorted(names))}; got {min(unknown)!r}.")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        return cls(**values)

    def _config(self, **values: Any) -> PretrainConfig:  # noqa: ANN401 (the config checks them)
        common = {
            "head": "mlp",
            "head_hidden": 512,
            "class_hidden": 512,
            "data": self.data,
            **self.data_options,
            "coloured": self.coloured,
            "limit": self.limit,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "precision": self.precision,
        }
        return PretrainConfig.of(**common | values)

    def _classifiers(self) -> Iterator[Cell]:
        # Doses, epochs and groups are of rotation, whether the grid asks it or not.
        for task in dict.fromkeys((*self.tasks, ROTATION)):
            # Another seed than those of the networks that are measured; no augmentation, as they are measured without.
            config = self._config(
                model=self.models[0], task=task, augment="none", class_weight=1.0, seed=max(self.seeds) + 100
            )
            yield Cell(f"classifier/{task}", "classifier", config)

    def _random(self) -> Iterator[Cell]:
        for seed in self.seeds:
            for model, task in self._networks():
                config = self._config(model=model, task=task, augment="none", seed=seed)
                yield Cell(f"random/{model}/{task}/seed{seed}", "random", config)

    def _grid(self, kind: Literal["brief", "pretrained"]) -> Iterator[Cell]:
        for name, config in self._tried(kind):
            if isinstance(config, PretrainConfig):
                yield Cell(name, kind, config)

    def _tried(self, kind: Literal["brief", "pretrained"]) -> Iterator[tuple[str, PretrainConfig | str]]:
        """Names of the grid with their configs, or with the reason why there can be none."""
        more = {"epochs": BRIEF_EPOCHS} if kind == "brief" else {}
        for seed in self.seeds:
            for augment in self.augments:
                for model, task in self._networks(groups=augment == self.augments[0]):
                    name = f"{kind}/{augment}/{model}/{task}/seed{seed}"
                    try:
                        yield name, self._config(model=model, task=task, augment=augment, seed=seed, **more)
                    except ValueError as error:
                        yield name, str(error)

    def _networks(self, *, groups: bool = True) -> Iterator[tuple[str, str]]:
        """Models and tasks of the grid, and of the comparison of groups, if it is wanted."""
        for model in self.models:
            for task in self.tasks:
                yield model, task
        for model in self.groups if groups else ():
            if model not in self.models:
                yield model, ROTATION

    def _doses(self) -> Iterator[Cell]:
        for dose in self.doses:
            config = self._config(
                model=self.models[0], task=ROTATION, augment=self.augments[-1], class_weight=dose, seed=self.seeds[0]
            )
            yield Cell(f"dose/{dose:g}", "dose", config)

    def _film(self) -> Iterator[Cell]:
        # These predictors take twice as long. As it is initialised a network has the most synergy.
        for cell in self._random():
            if (cell.model, cell.config.run.seed) == (self.models[0], self.seeds[0]):
                yield Cell(f"film/{cell.name}", "film", cell.config)

    def _epochs(self) -> Iterator[Cell]:
        for model in self.models:
            config = self._config(model=model, task=ROTATION, augment=self.augments[-1], seed=self.seeds[0])
            yield Cell(f"epochs/{model}", "epochs", config)
