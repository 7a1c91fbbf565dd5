"""The images that a config trains on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.data import READING, Source, Split, at_most, coloured, load_data, statistics, to_rgb
from eqmodels.data.source import background_of, takes_of
from eqmodels.objectives import OBJECTIVES
from eqmodels.training.config import PretrainConfig
from eqmodels.transforms import Preprocessing
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["differing_images", "label_marks", "marks_of", "prepared_images", "preprocessing_of", "training_images"]


def training_images(
    config: PretrainConfig, root: str | Path | None = None, reading: Mapping[str, Any] | None = None
) -> Source:
    """The training images of a config.

    Args:
        config: names the data set, and says how many of its images there are and how they are coloured.
        root: the folder of the data, see `load_data`.
        reading: options of the data set that say how images are read and not which, such as the `cache` of
            ``"image_folder"``; they are no part of a config.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the data set is unknown, `limit` is below 1, or an option says which images there are, and so
            belongs into the config.
        FileNotFoundError: if its files are nowhere.
    """
    check_arguments(training_images, locals())
    chosen = config.data
    if odd := sorted(set(reading or {}) - set(READING)):
        raise ValueError(
            f"reading takes {', '.join(READING[2:])}; got {odd[0]!r}. Pass it to the config, which says which images "
            "there are."
        )
    data = load_data(chosen.name, "train", root=root, **chosen.options, **(reading or {}))
    return prepared_images(config, at_most(data, chosen.limit))


def prepared_images(config: PretrainConfig, data: Source, split: Split = "train") -> Source:
    """Images of a data set with the colours and channels that a config asks for.

    Args:
        config: says what is asked for.
        data: the images as they are loaded.
        split: where they are from: images of the two splits have different colours.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if images that have colours are to be coloured.
    """
    check_arguments(prepared_images, locals())
    if config.data.coloured:
        data = coloured(data, seed=2 * config.run.seed + (split == "test"))
    return to_rgb(data) if config.data.to_rgb else data


def preprocessing_of(config: PretrainConfig, data: Source) -> Preprocessing:
    """That of a network trained on such images: their statistics, and the size of what the objective makes of them.

    Args:
        config: names the objective.
        data: the training images.
    """
    # Encoders of points put clouds about their centroids, and to one size, themselves.
    is_cloud = takes_of(data) == "points"
    mean, deviation = ((0.0,) * data.channels, (1.0,) * data.channels) if is_cloud else statistics(data)
    objective = config.objective
    size = OBJECTIVES.find(objective.name).seen_size(objective.options, data.size)
    return Preprocessing(mean, deviation, size, background=background_of(data))


def marks_of(number: int | None, preprocessing: Preprocessing) -> dict[str, object]:
    """What tells so many images of such a preprocessing from others."""
    marks = {"number": number, **asdict(preprocessing)}
    if preprocessing.background == WHITE:  # which earlier files do not name
        del marks["background"]
    return marks


def label_marks(data: Source) -> dict[str, object]:
    """What tells the labels of images from others."""
    digest = hashlib.sha256()
    for part in data.labels.split(2**20):  # a copy of all may be larger than what the machine has left
        digest.update(part.long().contiguous().numpy().tobytes())
    return {"classes": len(data.classes), "labels": digest.hexdigest()[:16]}


def differing_images(there: Mapping[str, object], here: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """The marks that differ, those of a run and those of the images now given, by what a sentence calls them.

    The rule of resizing, which earlier files do not name, is left out: images that it changes have other statistics.
    """
    before, now = ({"background": WHITE, **marks} for marks in (there, here))
    compared = [name for name in now if name != "resize"]
    return {f"images' {name}": (before.get(name), now[name]) for name in compared if before.get(name) != now[name]}
