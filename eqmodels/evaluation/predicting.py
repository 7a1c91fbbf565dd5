"""Classes of pictures in files: from paths to one table that other programs read."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count
from eqmodels.data.pictures import BadFile
from eqmodels.evaluation.feature_table import Embedding
from eqmodels.evaluation.in_parts import Making, made_in_parts
from eqmodels.evaluation.reading import files_of, outputs_of_pictures
from eqmodels.storage import write_atomically

__all__ = ["PredictedFile", "Predictions", "check_table", "predict", "predict_to_file"]

ENDINGS = (".csv", ".json")
"""Of the names of files of predictions."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The likeliest classes of pictures, in the order of their files.

    Attributes:
        paths: of the files.
        classes: the names of all classes.
        labels: ``(N, K)``, the numbers of the K likeliest classes of each picture, the likeliest first.
        probabilities: ``(N, K)``, of these, as the network has them (softmax of its scores); float32.
        skipped: files that could not be read.
    """

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    labels: Int[Tensor, "N K"]
    probabilities: Float[Tensor, "N K"]
    skipped: tuple[BadFile, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """For each picture `path`, `class` and `probability`, and under `top` the names and probabilities of all K."""
        found = []
        for path, labels, chances in zip(self.paths, self.labels.tolist(), self.probabilities.tolist(), strict=True):
            top = [
                {"class": self.classes[label], "probability": round(chance, 6)}
                for label, chance in zip(labels, chances, strict=True)
            ]
            found.append({"path": path, **top[0], "top": top})
        return found

    def save(self, file: str | Path) -> None:
        """Writes them as ``.csv`` or ``.json``, by the ending of the name.

        A CSV file has the columns `path`, `class`, `probability`, and for the next ones `class_2`, `probability_2` and
        so on; a JSON file what `rows` gives.

        Args:
            file: its place, in a folder that exists.

        Raises:
            ValueError: if the name has another ending.
            StorageError: if it cannot be written; a file that was there is then what it was.
        """
        check_arguments(Predictions.save, {"file": file})
        place = check_table(Path(file))
        rows = self.rows()
        if place.suffix == ".json":
            write_atomically(place, json.dumps(rows, indent=1) + "\n")
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        behind = [f"_{number}" if number > 1 else "" for number in range(1, self.labels.shape[1] + 1)]
        writer.writerow(["path", *(f"{name}{which}" for which in behind for name in ("class", "probability"))])
        for row in rows:
            writer.writerow([row["path"], *(one[name] for one in row["top"] for name in ("class", "probability"))])
        # A path may hold bytes that are no letters.
        write_atomically(place, text.getvalue().encode("utf-8", "surrogateescape"))


@dataclass(frozen=True)
class PredictedFile:
    """A file of predictions.

    Attributes:
        file: its place.
        images: how many pictures have a class there.
        counts: how many are of each class that occurs, the most frequent first.
        skipped: files that could not be read.
        resumed: files that were done when it was begun.
    """

    file: Path
    images: int
    counts: Mapping[str, int]
    skipped: tuple[BadFile, ...]
    resumed: int


def check_table(file: Path) -> Path:
    """The path itself, if predictions can be written to a file of its ending.

    Raises:
        ValueError: if they cannot.
    """
    if file.suffix not in ENDINGS:
        raise ValueError(f"predictions are written as {' or '.join(ENDINGS)}; got {file.name}. Name such a file.")
    return file


def predict(
    network: StagedNetwork,
    paths: Sequence[str | Path],
    *,
    top: int = 1,
    size: tuple[int, int] | None = None,
    batch_size: int = 64,
    grey: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Predictions:
    """The classes of the pictures in some files, as a network with a classifier has them.

    Pictures go through ``network.transform(size)``: one that was turned by quarters or mirrored, or that lies on its
    side as a camera noted it, has the class of the upright one, if the features that are classified are invariant. What
    a picture gets does not depend on the others in its batch.

    Args:
        network: with a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the files.
        top: how many of the likeliest classes are kept, at most all.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time, all that lie in memory at once, together with those that are read ahead.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called with a number of files whenever so many are done.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has no classifier or knows nothing of its images, there are no files, or a picture
            has colours and the network takes none.
        BadFilesError: if files cannot be read; lists all of them, and nothing is predicted.
    """
    files = files_of(paths)
    given = {"network": network, "paths": paths, "size": size, "grey": grey, "skip_bad": skip_bad}
    check_arguments(predict, given)
    check_count("top", top)
    _check_has_classifier(network)
    good, found, bad = outputs_of_pictures(
        network,
        files,
        partial(scores_of, network),
        caller="predict",
        size=size,
        batch_size=batch_size,
        grey=grey,
        skip_bad=skip_bad,
        progress=progress,
    )
    return _named(network, top, good, torch.cat([scores for scores, _ in found]), bad)


def predict_to_file(
    network: StagedNetwork,
    paths: Sequence[str | Path],
    file: str | Path,
    *,
    top: int = 1,
    size: tuple[int, int] | None = None,
    batch_size: int = 64,
    grey: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], object] | None = None,
    report: Callable[[str], object] = lambda _: None,
) -> PredictedFile:
    """Writes what `predict` gives into a file, as `Predictions.save` does; or goes on where the same call was stopped.

    Parts that are done are kept in the folder ``FILE.parts`` until the file is there, as `embed_to_file` does; of
    several processes of ``torchrun`` each asks for its share, and the first writes the file.

    Args:
        network: with a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the pictures.
        file: its place; its ending, ``.csv`` or ``.json``, says what it is.
        top: how many of the likeliest classes are kept, at most all.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called on the first process with a number of files whenever so many are done.
        report: called there with a sentence where it goes on.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: as `predict`, or if the file's name has another ending.
        BadFilesError: if files cannot be read; lists all of them, and no file is written.
        StorageError: if another process writes this file, or one cannot be written; a file that was there is then what
            it was.
        ProcessError: if another process was killed.
    """
    files = files_of(paths)
    given = {"network": network, "paths": paths, "file": file, "size": size, "grey": grey, "skip_bad": skip_bad}
    check_arguments(predict_to_file, given | {"report": report})
    check_count("top", top)
    check_count("batch_size", batch_size)
    _check_has_classifier(network)
    place = check_table(Path(file))
    if not files:
        raise ValueError("predict needs images; got no file. Name images, or a folder of them.")
    making = Making(network, scores_of, size, batch_size, grey, skip_bad, progress, report)

    def become(parts: Sequence[Embedding]) -> dict[str, int]:
        named = [_named(network, top, part.paths, part.features, ()) for part in parts if part.paths]
        labels = torch.cat([one.labels for one in named])
        chances = torch.cat([one.probabilities for one in named])
        good = tuple(path for one in named for path in one.paths)
        Predictions(good, named[0].classes, labels, chances).save(place)
        return dict(Counter(named[0].classes[label] for label in labels[:, 0].tolist()).most_common())

    counts, skipped, resumed = made_in_parts(making, files, place, become, work="predicts")
    return PredictedFile(place, len(files) - len(skipped), counts, skipped, resumed)


def _check_has_classifier(network: StagedNetwork) -> None:
    if not network.num_classes:
        raise ValueError(
            "predict takes a network with a classifier; this one gives features. Fine-tune it first (eqmodels "
            "finetune), and name the folder that this wrote."
        )


def _named(
    network: StagedNetwork, top: int, paths: Sequence[str], scores: Float[Tensor, "N K"], bad: Sequence[BadFile]
) -> Predictions:
    """The likeliest classes by the scores of all."""
    classes = network.classes or tuple(map(str, range(network.num_classes)))
    found = scores.double().softmax(1).topk(min(top, network.num_classes), dim=1)
    return Predictions(tuple(paths), classes, found.indices, found.values.float(), tuple(bad))


@torch.inference_mode()
def scores_of(network: StagedNetwork, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, None]:
    """The scores of all classes, on the CPU."""
    reference = next(network.parameters())
    scores: Tensor = network(images.to(reference.device, reference.dtype)).cpu()
    return scores, None
