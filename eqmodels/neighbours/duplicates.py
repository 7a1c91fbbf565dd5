"""Pictures that are the same one, turned or mirrored, resized or compressed anew."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
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
from eqmodels.evaluation.embedding import check_has_no_classifier, outputs_of
from eqmodels.evaluation.in_parts import Beside, Making, Part, made_in_parts
from eqmodels.evaluation.reading import files_of
from eqmodels.fields import Scalars
from eqmodels.neighbours.comparing import MOVES, Comparison, compare, miniature
from eqmodels.neighbours.miniatures import Miniatures, packed
from eqmodels.neighbours.search import CosineSearch, directions
from eqmodels.processes.world import joined_world

__all__ = ["DuplicatePair", "Duplicates", "find_duplicates", "is_same"]

FAINT, SHARE, WORST = 0.01, 0.2, 0.15
"""Of two pictures that are one: the difference, if it is below that of compression, or else its share of the contrast;
and that of the worst part. Measured by benchmarks/data/duplicates.py."""

ROWS = 8192
"""Pictures whose neighbours are sought at a time."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two files with one picture.

    Attributes:
        first: the path of one.
        second: the path of the other.
        element: of D4, that moves the first picture onto the second, from 0, none.
        move: the same in words, such as ``"90°"`` (anticlockwise) or ``"flip, then 90°"`` (left to right, then turned).
        difference: what is left between the pixels, root mean square, in [0, 1].
    """

    first: str
    second: str
    element: int
    move: str
    difference: float


@dataclass(frozen=True)
class Duplicates:
    """Pictures that are there several times.

    Attributes:
        pairs: of files whose pixels were compared and agree.
        groups: of files that such pairs connect, the largest first.
        images: number of pictures that were looked at.
        compared: number of pairs whose pixels were compared.
        skipped: files that could not be read.
    """

    pairs: tuple[DuplicatePair, ...]
    groups: tuple[tuple[str, ...], ...]
    images: int
    compared: int
    skipped: tuple[BadFile, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        content = asdict(self)
        return content | {"skipped": {str(one.path): one.reason for one in self.skipped}}


def find_duplicates(
    encoder: StagedNetwork,
    paths: Sequence[str | Path],
    *,
    candidates: int = 10,
    size: tuple[int, int] | None = None,
    batch_size: int = 64,
    grey: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], object] | None = None,
    kept: str | Path | None = None,
    finish: Callable[[Duplicates], object] = lambda _: None,
    report: Callable[[str], object] = lambda _: None,
) -> Duplicates:
    """The pictures among some files that are the same one, however it lies, and whatever its size and compression are.

    The nearest neighbours of each picture by its features are compared with it pixel by pixel, in all eight ways that
    it may lie. Features that are invariant under the network's group need one pass for its elements; for the others of
    the eight, pictures are moved first: under C4 they pass twice, under D4 once, without a group eight times. Files of
    one picture that are more than `candidates` still form one group, by way of each other.

    A picture that was cropped, or changed in a part, is another one; what is smaller than a few 64ths of its side is
    not seen. Pictures of 16 bits, of floats and of many channels, whose numbers may lie in a small part of their range,
    are compared in the range of both, channel by channel.

    In memory lie the features of all pictures, of each pass, and a batch and one part of the pictures; on the disk a
    miniature of each, 12 kB, or 16 kB a channel. Parts that are done are kept in the folder ``KEPT.parts``, and the
    same call goes on from there; of several processes of ``torchrun`` each looks at its share, and the first compares.

    Args:
        encoder: without a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the files.
        candidates: neighbours of each picture that are compared with it.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called on the first process with a number of files whenever so many are done.
        kept: the file beside which what is done is kept until duplicates are found; None for a temporary folder.
        finish: called on the first process with what was found, before what is kept is removed: to write it.
        report: called there with a sentence where it goes on, and when pixels are compared.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has a classifier or knows nothing of its images, or there are fewer than two files.
        BadFilesError: if files cannot be read, or have colours and the network takes none.
        StorageError: if another process works beside this file, or a part cannot be written.
        ProcessError: if another process was killed.
        ModuleNotFoundError: if faiss is not installed.
    """
    check_arguments(find_duplicates, {"encoder": encoder, "paths": paths, "size": size, "grey": grey})
    check_arguments(find_duplicates, {"skip_bad": skip_bad, "kept": kept, "finish": finish, "report": report})
    check_count("candidates", candidates)
    check_count("batch_size", batch_size)
    check_has_no_classifier(encoder)
    files = files_of(paths)
    if len(files) < 2:
        raise ValueError(f"duplicates are sought among at least two files; got {len(files)}. Name a folder of images.")
    seen = Beside("miniature", partial(miniature, channels=encoder.in_chans), packed)
    making = Making(encoder, moved_features, size, batch_size, grey, skip_bad, progress, report, seen)

    def become(parts: Sequence[Part]) -> Duplicates:
        found = _compared(parts, len(_unseen_moves(encoder)), candidates, place.parent, report)
        finish(found)
        return found

    with joined_world(next(encoder.parameters()).device) as world, contextlib.ExitStack() as stack:
        # One folder, of all processes.
        folder = world.from_writer(lambda: None if kept else stack.enter_context(tempfile.TemporaryDirectory()))
        place = Path(kept or Path(folder or "", "duplicates"))
        found, skipped, _ = made_in_parts(making, files, place, become, work="seeks duplicates", option="--out")
    return replace(found, skipped=skipped)


@torch.inference_mode()
def moved_features(encoder: StagedNetwork, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, None]:
    """The features of images, one behind the other of each way to move them that the network does not see past.

    They are moved as tensors, since preprocessing commutes with the moves.
    """
    return torch.cat([outputs_of(encoder, MOVES.act(g, images))[0] for g in _unseen_moves(encoder)], 1), None


def _compared(
    parts: Sequence[Part], passes: int, candidates: int, folder: Path, report: Callable[[str], object]
) -> Duplicates:
    """What is the same one of pictures that were looked at.

    Args:
        parts: of them, read when they are asked for.
        passes: rows of features of each, one behind the other.
        candidates: neighbours of each that are compared with it.
        folder: where there is room for their miniatures.
        report: called with a sentence on what is being done.
    """
    paths: list[str] = []
    features: list[Float[Tensor, "N F"]] = []
    with Miniatures(folder) as miniatures:
        for part in parts:
            if part.paths:
                paths += part.paths
                features.append(part.features)
                miniatures.add(part.beside)
        chosen = _candidates(torch.cat(features).unflatten(1, (passes, -1)).unbind(1), candidates)
        report(f"comparing the pixels of {len(chosen):,} pairs")
        pairs = [
            DuplicatePair(paths[a], paths[b], one.element, MOVES.describe(one.element), round(one.difference, 4))
            for a, b, one in _same(miniatures, chosen)
        ]
    return Duplicates(tuple(pairs), _groups(pairs), len(paths), len(chosen))


def _same(miniatures: Miniatures, chosen: Int[Tensor, "P 2"]) -> Iterator[tuple[int, int, Comparison]]:
    """Those of the pairs that are one picture."""
    for first, row in itertools.groupby(chosen.tolist(), key=lambda pair: pair[0]):
        own = miniatures[first]
        for _, second in row:
            if is_same(found := compare(own, miniatures[second])):
                yield first, second, found


def is_same(found: Comparison) -> bool:
    """Whether what is left between two pictures is no more than resizing and compression leave."""
    rest = max(0.0 if found.is_deep else FAINT, SHARE * found.contrast)
    return found.same_shape and found.difference <= rest and found.worst <= WORST


def _unseen_moves(encoder: StagedNetwork) -> list[int]:
    """Elements of D4, the identity first, one of each coset of those that the features do not change under."""
    group = encoder.group
    seen = [MOVES.identity]
    if isinstance(encoder.out_field, Scalars):
        matrices = [group.matrix(g) for g in group.exact_elements]
        seen = [g for g in MOVES.elements if any(torch.allclose(MOVES.matrix(g), one) for one in matrices)]
    left, chosen = set(MOVES.elements), []
    for g in MOVES.elements:
        if g in left:
            chosen.append(g)
            left -= {MOVES.compose(h, g) for h in seen}
    return chosen


def _candidates(features: Sequence[Float[Tensor, "N F"]], count: int) -> Int[Tensor, "P 2"]:
    """Pairs of numbers of pictures near each other, one of them moved in some way; each pair once, in order."""
    centre, total = features[0].mean(0, dtype=torch.float64).float(), len(features[0])
    search = CosineSearch(torch.cat([directions(part, centre) for part in features[0].split(ROWS)]))
    keys = torch.zeros(0, dtype=torch.int64)
    own = torch.arange(total)[:, None]
    for moved in features:
        for rows in torch.arange(total).split(ROWS):
            _, near = search.nearest(directions(moved[rows], centre), count + 1)
            low, high = torch.minimum(near, own[rows]), torch.maximum(near, own[rows])
            keys = torch.cat([keys, (low * total + high)[low != high]]).unique()
    return torch.stack([keys // total, keys % total], 1)


def _groups(pairs: Sequence[DuplicatePair]) -> tuple[tuple[str, ...], ...]:
    """Files that pairs connect, in the order of their names; the largest groups first."""
    group_of: dict[str, set[str]] = {}
    for pair in pairs:
        joined = group_of.get(pair.first, {pair.first}) | group_of.get(pair.second, {pair.second})
        group_of.update(dict.fromkeys(joined, joined))
    distinct = {tuple(sorted(group)) for group in group_of.values()}
    return tuple(sorted(distinct, key=lambda group: (-len(group), group)))
