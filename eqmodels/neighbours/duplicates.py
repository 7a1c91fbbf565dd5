"""Pictures that are the same one, turned or mirrored, resized or compressed anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count
from eqmodels.data.pictures import BadFile, Picture, read_pictures
from eqmodels.evaluation.embedding import input_of, outputs_of
from eqmodels.evaluation.reading import files_of, opened_for, refuse_bad
from eqmodels.fields import Scalars
from eqmodels.neighbours.comparing import MOVES, Comparison, Miniature, compare, miniature
from eqmodels.neighbours.search import CosineSearch, directions

__all__ = ["DuplicatePair", "Duplicates", "find_duplicates", "is_same"]

FAINT, SHARE, WORST = 0.01, 0.2, 0.15
"""Of two pictures that are one: the difference, if it is below that of compression, or else its share of the contrast;
and that of the worst part. Measured by benchmarks/data/duplicates.py."""


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
) -> Duplicates:
    """The pictures among some files that are the same one, however it lies, and whatever its size and compression are.

    The nearest neighbours of each picture by its features are compared with it pixel by pixel, in all eight ways that
    it may lie. Features that are invariant under the network's group need one pass for its elements; for the others of
    the eight, pictures are moved first: under C4 they pass twice, under D4 once, without a group eight times. Files of
    one picture that are more than `candidates` still form one group, by way of each other.

    A picture that was cropped, or changed in a part, is another one; what is smaller than a few 64ths of its side is
    not seen.

    Args:
        encoder: without a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the files.
        candidates: neighbours of each picture that are compared with it.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called with a number of files whenever so many are done.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has a classifier, knows nothing of its images or takes neither 1 channel nor 3, or
            there are fewer than two files.
        BadFilesError: if files cannot be read, or have colours and the network takes none.
        ModuleNotFoundError: if faiss is not installed.
    """
    check_arguments(find_duplicates, {"encoder": encoder, "paths": paths, "size": size, "grey": grey})
    check_arguments(find_duplicates, {"skip_bad": skip_bad})
    if encoder.in_chans not in (1, 3):
        raise ValueError(
            f"encoder must take 1 channel or 3, as duplicates are compared as they are seen; got {encoder.in_chans}. "
            "Use a network of pictures."
        )
    check_count("candidates", candidates)
    check_count("batch_size", batch_size)
    files = files_of(paths)
    if len(files) < 2:
        raise ValueError(f"duplicates are sought among at least two files; got {len(files)}. Name a folder of images.")
    found = _looked_at(encoder, files, input_of(encoder, size, grey=grey), batch_size, progress)
    refuse_bad(found.bad, len(files), skip_bad=skip_bad)
    chosen = _candidates(found.features, candidates)
    pairs = [
        DuplicatePair(
            str(found.paths[first]),
            str(found.paths[second]),
            result.element,
            MOVES.describe(result.element),
            round(result.difference, 4),
        )
        for first, second in chosen
        if is_same(result := compare(found.miniatures[first], found.miniatures[second]))
    ]
    return Duplicates(tuple(pairs), _groups(pairs), len(found.paths), len(chosen), tuple(found.bad))


def is_same(found: Comparison) -> bool:
    """Whether what is left between two pictures is no more than resizing and compression leave."""
    rest = max(FAINT, SHARE * found.contrast)
    return found.same_shape and found.difference <= rest and found.worst <= WORST


@dataclass(frozen=True, eq=False)
class _LookedAt:
    """Pictures as they are compared.

    Attributes:
        paths: of those that can be read.
        miniatures: one a picture.
        features: one row a picture; of each way to move it that the network does not see past.
        bad: files that cannot be read.
    """

    paths: list[Path]
    miniatures: list[Miniature]
    features: list[Float[Tensor, "N F"]]
    bad: list[BadFile]


def _looked_at(
    encoder: StagedNetwork,
    files: Sequence[Path],
    made_of: Callable[[Picture], Tensor],
    batch_size: int,
    progress: Callable[[int], object] | None,
) -> _LookedAt:
    """All pictures, each read once; moved as tensors, since preprocessing commutes with the moves."""
    moves = _unseen_moves(encoder)
    pictures = read_pictures(files, lambda one: (made_of(one), miniature(one)), opened=opened_for(encoder))
    found = _LookedAt([], [], [], [])
    batch: list[Tensor] = []
    rows: list[list[Tensor]] = []

    def embedded() -> None:
        images = torch.stack(batch)
        rows.append([outputs_of(encoder, MOVES.act(g, images))[0] for g in moves])
        batch.clear()

    for path, one in zip(files, pictures, strict=True):
        if isinstance(one, BadFile):
            found.bad.append(one)
        else:
            found.paths.append(path)
            batch.append(one[0])
            found.miniatures.append(one[1])
            if len(batch) == batch_size:
                embedded()
        if progress is not None:
            progress(1)
    if batch:
        embedded()
    found.features.extend(torch.cat(one) for one in zip(*rows, strict=True))
    return found


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


def _candidates(features: Sequence[Float[Tensor, "N F"]], count: int) -> list[tuple[int, int]]:
    """Pairs of numbers of pictures that are near each other, one of them moved in some way; each pair once."""
    centre = features[0].double().mean(0).float()
    search = CosineSearch(directions(features[0], centre))
    pairs: set[tuple[int, int]] = set()
    for moved in features:
        _, numbers = search.nearest(directions(moved, centre), count + 1)
        pairs |= {(min(a, b), max(a, b)) for a, row in enumerate(numbers.tolist()) for b in row if a != b}
    return sorted(pairs)


def _groups(pairs: Sequence[DuplicatePair]) -> tuple[tuple[str, ...], ...]:
    """Files that pairs connect, in the order of their names; the largest groups first."""
    group_of: dict[str, set[str]] = {}
    for pair in pairs:
        joined = group_of.get(pair.first, {pair.first}) | group_of.get(pair.second, {pair.second})
        group_of.update(dict.fromkeys(joined, joined))
    distinct = {tuple(sorted(group)) for group in group_of.values()}
    return tuple(sorted(distinct, key=lambda group: (-len(group), group)))
