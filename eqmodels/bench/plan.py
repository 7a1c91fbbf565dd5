"""What a benchmark measures: the cells of a suite, of chosen networks and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from eqmodels.arguments import check_arguments
from eqmodels.backbones import Encoder
from eqmodels.backbones.network import StagedNetwork
from eqmodels.bench.capacity import capacity_cells
from eqmodels.bench.cells import FORMAT, KINDS, BenchCell, Kind, cell_of
from eqmodels.bench.contenders import RANDOM, Contender, chosen_models
from eqmodels.bench.engines import EAGER, HOWS, TRAINING, can_run
from eqmodels.bench.longer import longer_cells, scaling_cells
from eqmodels.bench.rotated import rotated_cells
from eqmodels.bench.suites import Suite
from eqmodels.bench.throughput import seconds_an_image
from eqmodels.data import Source, at_most, at_size, list_data, load_data, to_grey, to_rgb
from eqmodels.errors import shown
from eqmodels.evaluation.encoding import Subject
from eqmodels.groups import PlanarGroup

__all__ = ["BenchCell", "BenchPlan", "Kind", "planned"]

FOLDER_SIDE = 64
"""Pixels of the images of a folder for a network that does not say what its own are."""
OF_ANY = (EAGER, "bfloat16", TRAINING)
"""The ways in which anybody's network is run."""
LONG = ("angles", "growth", "supervised", "rotated", "capacity")
TIMED_ALIKE = 8
"""Images of the pass by which the time of a plan is estimated."""


@dataclass(frozen=True, eq=False)
class BenchPlan:
    """Cells, and what they are measured with.

    Attributes:
        suite: how much is measured.
        cells: of all kinds; those that are timed come last.
        encoders: that were built for the plan, of the first seed, by name.
        data: a name of a set of images, a folder, or None for what the suite has for the channels of a network.
        root: the folder of the data.
        left_out: networks of the suite that are built of a package that is not installed, and which.
    """

    suite: Suite
    cells: tuple[BenchCell, ...]
    encoders: Mapping[str, Encoder]
    data: str | None = None
    root: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """That all cells may take."""
        return sum(cell.expected for cell in self.cells)

    def encoder(self, name: str, seed: int) -> Encoder:
        """A network, with the weights of a seed if it has random ones."""
        contender = Contender(name)
        if contender.is_random and seed != self.suite.seeds[0]:
            return contender.build(seed, self.encoders[name].in_chans)
        return self.encoders[name]

    def images(self, name: str, seed: int) -> tuple[Source, Source]:
        """Training images of a network, of a choice that the seed makes, and test images, which are the same for all.

        Raises:
            ValueError: if there are none of its channels.
            FileNotFoundError: if they are nowhere.
        """
        train, test = _images(self.encoders[name], name, self.suite, self.data, self.root)
        return at_most(train, self.suite.train_limit, seed=seed), at_most(test, self.suite.test_limit)


def planned(
    suite: Suite,
    *,
    models: Sequence[str] | None = None,
    data: str | None = None,
    root: str | None = None,
    device: torch.device | None = None,
    kinds: Sequence[str] | None = None,
) -> BenchPlan:
    """The plan of a suite. Builds each network once, and looks at its images.

    Args:
        suite: how much is measured.
        models: names and patterns, see `chosen_models`; None for those of the suite.
        data: a name of a set of images, or a folder of them; None for what the suite has for the channels of a network.
        root: the folder of the data.
        device: where networks compute; None for the CPU.
        kinds: of cells, see `BenchCell`; None for all that the suite has.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no such network, data or kind, or they do not fit.
        StorageError: if a network's files cannot be had or are damaged.
        FileNotFoundError: if the images are nowhere.
        ModuleNotFoundError: if what a network is built of is not installed.
    """
    check_arguments(planned, {"suite": suite, "models": models, "data": data, "root": root, "kinds": kinds})
    if unknown := {*(kinds or ())} - {*KINDS}:
        raise ValueError(f"kinds must be of {', '.join(KINDS)}; got {shown(min(unknown))}. Leave out the others.")
    contenders = chosen_models(suite.models if models is None else models)
    if not contenders:
        raise ValueError("models must name at least one network; got none. Leave them out for those of the suite.")
    others = chosen_models(suite.beside) if models is None else ()
    left_out = {one.name: one.missing for one in others if one.missing}
    beside = [one for one in others if not one.missing and one not in contenders]
    encoders = {
        one.name: _built(one, suite.seeds[0], _channels(one, suite, data, root), device)
        for one in (*contenders, *beside)
    }
    shapes = {name: _images(encoder, name, suite, data, root) for name, encoder in encoders.items()}
    cells: list[BenchCell] = []
    pace = {}
    for contender in (*contenders, *beside):
        train, test = shapes[contender.name]
        network: Any = encoders[contender.name]
        pace[contender.name] = seconds_an_image(network, test.channels, test.size, TIMED_ALIKE)
        ours, place = network if isinstance(network, StagedNetwork) else None, {"named": data, "root": root}
        asked = replace(suite, forms=(), angles=0, growth=()) if contender in beside else suite
        cells += _cells(contender, asked, train, test, pace[contender.name], place, ours)
    if models is None:
        cells += scaling_cells(suite, contenders)
        cells += capacity_cells(suite) if data is None else ()
        grey = [name for name, (_, test) in shapes.items() if test.channels == 1]
        if grey and data is None:
            cells += rotated_cells(suite, suite.data[1], pace[grey[0]])
    for how in (EAGER, *filter(can_run, suite.hows)):
        cells += _throughput(contenders, encoders, shapes, suite, pace, how)
    # Each in cells of its own: what is not installed, or came later, changes no other cell.
    for one in beside:
        alike = [first for first in contenders if _shape(shapes[first.name]) == _shape(shapes[one.name])]
        plain = [first for first in alike if Subject.of(encoders[first.name]).group == PlanarGroup(1)][:1]
        cells += _throughput([*plain, one], encoders, shapes, suite, pace, EAGER, f"{one.name} beside the plain one")
    # What takes longest is measured with the first seed everywhere before the others.
    chosen = [cell for cell in cells if kinds is None or cell.kind in kinds]
    ordered = sorted(chosen, key=lambda cell: (KINDS.index(cell.kind), cell.seed * (cell.kind in LONG)))
    return BenchPlan(suite, tuple(ordered), encoders, data, root, left_out)


def _cells(
    contender: Contender,
    suite: Suite,
    train: Source,
    test: Source,
    pace: float,
    place: Mapping[str, str | None],
    ours: StagedNetwork | None,
) -> list[BenchCell]:
    """The cells of one network alone."""
    name, seeds = contender.name, suite.seeds
    known = {"format": FORMAT, "model": name, "weights": contender.weights()}
    counts = [len(part) if limit is None else min(limit, len(part)) for part, limit in _limited(suite, train, test)]
    images = {
        "data": test.name,
        **place,
        "train": counts[0],
        "test": counts[1],
        "of": [len(train), len(test)],
    }
    asked = {**known, **images, "channels": test.channels, "size": list(test.size), "labels": list(suite.labels)}
    found = []
    for seed in seeds:
        # Seven moved copies of the test images, and the fits.
        expected = 1 + pace * (counts[0] + 8 * counts[1]) + 2e-3 * counts[0]
        label = f"{name} on {test.name}, seed {seed}"
        found.append(cell_of("quality", label, seed, {**asked, "seed": seed}, expected))
    asked = {**known, **images, "channels": test.channels, "size": list(test.size)}
    found += longer_cells(suite, contender, asked, pace, counts, ours)
    size = {"channels": test.channels, "size": list(test.size)}
    # Eight passes of two images in three precisions, of which float64 takes twice as long, and bfloat16 more.
    expected = 2 + 200 * pace
    found += [
        cell_of("symmetry", f"{name}, seed {seed}", seed, {**known, **size, "seed": seed, "layers": True}, expected)
        for seed in (seeds if contender.is_random else seeds[:1])
    ]
    found.append(cell_of("cost", name, seeds[0], {**known, **size}, 1.5 + 80 * pace))
    return found


def _throughput(
    contenders: Sequence[Contender],
    encoders: Mapping[str, Encoder],
    shapes: Mapping[str, tuple[Source, Source]],
    suite: Suite,
    pace: Mapping[str, float],
    how: str,
    words: str = "",
) -> list[BenchCell]:
    """A cell for all networks of the same images, and each batch, that are run in one way."""
    alike: dict[tuple[int, tuple[int, int]], list[Contender]] = {}
    for contender in contenders:
        # What others made may not be exported; that is no fault of theirs, and no figure.
        if how not in OF_ANY and not isinstance(encoders[contender.name], StagedNetwork):
            continue
        alike.setdefault(_shape(shapes[contender.name]), []).append(contender)
    found: list[BenchCell] = []
    for (channels, (height, width)), own in alike.items():
        names = [contender.name for contender in own]
        reference = next((name for name in names if Subject.of(encoders[name]).group == PlanarGroup(1)), names[0])
        # The statistics of a batch of one image are none to train on.
        for batch in (one for one in suite.batches if one > 1 or how != TRAINING):
            settings: dict[str, Any] = {
                "format": FORMAT,
                "models": names,
                "weights": [contender.weights() for contender in own],
                "reference": reference,
                "channels": channels,
                "size": [height, width],
                "batch": batch,
                "rounds": suite.rounds,
                "threads": torch.get_num_threads(),
            }
            settings |= {} if how == EAGER else {"how": how}
            expected = (suite.rounds + 2) * HOWS[how][2] * sum(max(batch * pace[name], 5e-3) for name in names)
            label = f"{words or f'{len(names)} networks'}, {channels} x {height} x {width}, batch {batch}"
            label += "" if how == EAGER else f", {how}"
            found.append(cell_of("throughput", label, suite.seeds[0], settings, expected))
    return found


def _limited(suite: Suite, train: Source, test: Source) -> tuple[tuple[Source, int | None], ...]:
    return (train, suite.train_limit), (test, suite.test_limit)


def _built(contender: Contender, seed: int, channels: int | None, device: torch.device | None) -> Encoder:
    encoder: Any = contender.build(seed, channels)
    return encoder.to(device) if device is not None else encoder  # type: ignore[no-any-return]


def _channels(contender: Contender, suite: Suite, data: str | None, root: str | None) -> int | None:
    """Of the images for a network as it is initialised, which takes any; None for one that has its own."""
    if not contender.is_random:
        return None
    if contender.origin.name.startswith(RANDOM):
        return 3  # as what others say of their images is of three
    if data is None:
        return min(suite.data)
    return 3 if _is_folder(data) else load_data(data, "test", root=root).channels


def _shape(parts: tuple[Source, Source]) -> tuple[int, tuple[int, int]]:
    """Channels and size of the images of a network."""
    return parts[1].channels, parts[1].size


def _is_folder(data: str) -> bool:
    return data not in list_data() and Path(data).is_dir()


def _images(encoder: Encoder, name: str, suite: Suite, data: str | None, root: str | None) -> tuple[Source, Source]:
    """All training and test images for a network, in its channels and, if it is pretrained, in the size that it knows.

    Raises:
        ValueError: if there are none.
    """
    channels = encoder.in_chans
    if data is None and channels not in suite.data:
        raise ValueError(
            f"{name} takes images of {channels} channels, and this suite has such of {_words(suite.data)} alone. Name "
            "others: --data."
        )
    wanted = suite.data[channels] if data is None else data
    if _is_folder(wanted):
        side = FOLDER_SIDE if encoder.preprocessing is None else min(encoder.preprocessing.size)
        parts = _read("image_folder", wanted, side, channels)
    else:
        parts = _read(wanted, root)
    for part in parts:
        if part.channels != channels and {part.channels, channels} != {1, 3}:
            raise ValueError(
                f"{name} takes images of {channels} channels; {part.name} has {part.channels}. Name data that has as "
                "many: --data."
            )
    fitting = [part if part.channels == channels else (to_grey if channels == 1 else to_rgb)(part) for part in parts]
    # What is drawn at random has learned at no size, whatever it says of pictures.
    if (seen := encoder.preprocessing) is not None and not Contender(name).is_random:
        fitting = [at_size(part, seen.size, seen.resize) for part in fitting]
    return fitting[0], fitting[1]


@lru_cache(maxsize=4)
def _read(name: str, root: str | None, size: int | None = None, channels: int | None = None) -> tuple[Source, Source]:
    """Both splits, which several networks are asked about."""
    options = {"root": root, "size": size, "channels": channels}
    return load_data(name, "train", **options), load_data(name, "test", **options)


def _words(data: Mapping[int, str]) -> str:
    return " and ".join(f"{channels} ({name})" for channels, name in sorted(data.items()))
