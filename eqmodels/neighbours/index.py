"""An index of pictures by their features: built once, kept in a file, and asked for those that are like others."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count
from eqmodels.data.pictures import BadFile, Picture
from eqmodels.errors import shown
from eqmodels.evaluation.embedding import check_has_no_classifier, embed, input_of, outputs_of
from eqmodels.evaluation.feature_table import Embedding
from eqmodels.evaluation.in_parts import Making, made_in_parts
from eqmodels.evaluation.reading import files_of
from eqmodels.neighbours.search import CosineSearch, directions
from eqmodels.storage import StorageError, pack_weights, read_regular, reason_of, write_atomically

__all__ = ["IndexedFile", "Neighbour", "NeighbourIndex", "index_to_file"]

FORMAT = 1
"""The version of the file that is written, and the only one that is read."""


@dataclass(frozen=True)
class Neighbour:
    """A picture that is like another one.

    Attributes:
        path: of its file.
        similarity: the cosine of the angle between both features, seen from the mean of the index; 1 if they are equal.
    """

    path: str
    similarity: float


@dataclass(frozen=True, eq=False)
class NeighbourIndex:
    """Features of pictures, to be searched for neighbours: every vector is compared, so that none is missed.

    Build one with `build` or `load`. A query must come by the very network that made the index, or distances would
    mean nothing.

    Attributes:
        paths: of the pictures, absolute.
        vectors: ``(N, F)``, the directions of their features, seen from `centre`.
        centre: ``(F,)``, the mean of the features.
        network: what made them: `name`, `sha256` of the weights as they were used, `pooling`, `preprocessing`, `size`
            and whether `grey`.
        skipped: files that could not be read; those of a loaded index are not known.
    """

    paths: tuple[str, ...]
    vectors: Float[Tensor, "N F"]
    centre: Float[Tensor, " F"]
    network: dict[str, Any]
    skipped: tuple[BadFile, ...] = ()

    @classmethod
    def build(
        cls,
        encoder: StagedNetwork,
        paths: Sequence[str | Path],
        *,
        name: str = "",
        size: tuple[int, int] | None = None,
        batch_size: int = 64,
        grey: bool = False,
        skip_bad: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> NeighbourIndex:
        """The index of some pictures.

        Args:
            encoder: as `eqmodels.evaluation.embed` takes it; turned pictures have the same neighbours if its features
                are invariant.
            paths: of the files.
            name: of the network, for people.
            size: height and width of what the network sees; None for the size of its training images.
            batch_size: pictures at a time.
            grey: whether a network of one channel is given pictures that have colours without these.
            skip_bad: whether to leave out files that cannot be read, instead of stopping.
            progress: called with a number of files whenever so many are done.

        Raises:
            TypeError: if an argument is of another type.
            ValueError: if the network has a classifier or knows nothing of its images, or there are no files.
            BadFilesError: if files cannot be read, or have colours and the network takes none.
        """
        check_arguments(NeighbourIndex.build, {"name": name})
        options: dict[str, Any] = {"size": size, "batch_size": batch_size, "grey": grey}
        found = embed(encoder, paths, skip_bad=skip_bad, progress=progress, **options)
        return cls.of(found, encoder, name=name, size=size, grey=grey)

    @classmethod
    def of(
        cls, found: Embedding, encoder: StagedNetwork, *, name: str, size: tuple[int, int] | None, grey: bool
    ) -> NeighbourIndex:
        """The index of features that the network gave, at this size.

        Args:
            found: the features.
            encoder: what gave them.
            name: of the network.
            size: height and width of what it saw; None for the size of its training images.
            grey: whether colours were left out.
        """
        centre = found.features.double().mean(0).float()
        network = {"name": name, **_marks(encoder, size, grey)}
        paths = tuple(os.path.abspath(path) for path in found.paths)
        return cls(paths, directions(found.features, centre), centre, network, found.skipped)

    def neighbours(self, encoder: StagedNetwork, pictures: Sequence[Picture], count: int = 5) -> list[list[Neighbour]]:
        """The pictures of the index that are most like some others, of each the nearest first.

        Args:
            encoder: the network that made the index.
            pictures: as PIL opens them, or their pixels.
            count: how many neighbours; fewer if the index has fewer.

        Raises:
            TypeError: if an argument is of another type.
            ValueError: if another network made the index, or a picture does not suit it.
            ModuleNotFoundError: if faiss is not installed.
        """
        check_arguments(NeighbourIndex.neighbours, {"encoder": encoder, "pictures": pictures})
        check_count("count", count)
        self.check_made_by(encoder)
        size, grey = tuple(self.network["size"]), self.network["grey"]
        made_of = input_of(encoder, size, grey=grey)
        # One by one: a query is few pictures, and these may be of different sizes where the size is not square.
        found = [outputs_of(encoder, made_of(picture)[None])[0] for picture in pictures]
        if not found:
            return []
        cosines, numbers = CosineSearch(self.vectors).nearest(directions(torch.cat(found), self.centre), count)
        return [
            [Neighbour(self.paths[number], round(cosine, 6)) for cosine, number in zip(*row, strict=True)]
            for row in zip(cosines.tolist(), numbers.tolist(), strict=True)
        ]

    def check_made_by(self, encoder: StagedNetwork) -> None:
        """Refuses a network whose features are not those of the index.

        Raises:
            ValueError: if its weights, its pooling or its preprocessing differ.
        """
        own = _marks(encoder, tuple(self.network["size"]), self.network["grey"])
        different = [name for name, value in own.items() if value != self.network[name]]
        if different:
            name, value = different[0], own[different[0]]
            raise ValueError(
                f"an index is asked by the network that made it, {self.network['name'] or 'of no name'}; got one of "
                f"another {name}, {shown(value)[:80]} instead of {shown(self.network[name])[:80]}. Load that network, "
                "with the options of then, or build the index anew."
            )

    def save(self, file: str | Path) -> None:
        """Writes it into one file, of safetensors: vectors, centre, paths and what made them.

        Args:
            file: its place, in a folder that exists.

        Raises:
            StorageError: if it cannot be written; a file that was there is then what it was.
        """
        check_arguments(NeighbourIndex.save, {"file": file})
        notes = json.dumps({"format": FORMAT, "network": self.network}).encode()
        # As bytes of tensors: a header of safetensors holds no millions of paths.
        texts = {"notes": notes, "paths": b"\0".join(map(os.fsencode, self.paths))}
        tensors = {name: torch.frombuffer(bytearray(text), dtype=torch.uint8) for name, text in texts.items()}
        write_atomically(
            Path(file), safetensors.torch.save({"vectors": self.vectors, "centre": self.centre, **tensors})
        )

    @classmethod
    def load(cls, file: str | Path) -> NeighbourIndex:
        """The index of a file.

        Raises:
            StorageError: if it cannot be read, or is no index that this version reads.
        """
        check_arguments(NeighbourIndex.load, {"file": file})
        try:
            tensors = safetensors.torch.load(read_regular(file))
            notes = json.loads(bytes(tensors["notes"].numpy()))
            paths = tuple(map(os.fsdecode, bytes(tensors["paths"].numpy()).split(b"\0")))
            vectors, centre, network = tensors["vectors"], tensors["centre"], notes["network"]
            if notes["format"] != FORMAT:
                raise ValueError(f"it is of format {shown(notes['format'])}, and this version reads format {FORMAT}")
            if vectors.shape != (len(paths), *centre.shape) or {vectors.dtype, centre.dtype} != {torch.float32}:
                raise ValueError("its vectors are not one a path")
            if set(network) != {"name", *KEYS}:
                raise ValueError("it does not say what made it")
        except (OSError, SafetensorError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise StorageError(
                f"{file} is no index of pictures that can be read ({reason_of(error)}). Build it anew."
            ) from error
        return cls(paths, vectors, centre, network)


@dataclass(frozen=True)
class IndexedFile:
    """A file of an index.

    Attributes:
        file: its place.
        images: how many pictures are in it.
        features: of each.
        skipped: files that could not be read.
        resumed: files that were done when it was begun.
    """

    file: Path
    images: int
    features: int
    skipped: tuple[BadFile, ...]
    resumed: int


def index_to_file(
    encoder: StagedNetwork,
    paths: Sequence[str | Path],
    file: str | Path,
    *,
    name: str = "",
    size: tuple[int, int] | None = None,
    batch_size: int = 64,
    grey: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], object] | None = None,
    report: Callable[[str], object] = lambda _: None,
) -> IndexedFile:
    """Writes the index of some pictures, as `NeighbourIndex.build` makes it; or goes on where this was stopped.

    Parts that are done are kept in the folder ``FILE.parts`` until the file is there, as `embed_to_file` does; of
    several processes of ``torchrun`` each looks at its share, and the first writes the file.

    Args:
        encoder: as `eqmodels.evaluation.embed` takes it.
        paths: of the pictures.
        file: its place.
        name: of the network, for people.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called on the first process with a number of files whenever so many are done.
        report: called there with a sentence where it goes on.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: as `NeighbourIndex.build`.
        BadFilesError: if files cannot be read; lists all of them, and no file is written.
        StorageError: if another process writes this file, or one cannot be written; a file that was there is then what
            it was.
        ProcessError: if another process was killed.
    """
    files = files_of(paths)
    given = {"encoder": encoder, "paths": paths, "file": file, "name": name, "size": size, "grey": grey}
    check_arguments(index_to_file, given | {"skip_bad": skip_bad, "report": report})
    check_count("batch_size", batch_size)
    check_has_no_classifier(encoder)
    if not files:
        raise ValueError("an index needs images; got no file. Name images, or a folder of them.")
    place = Path(file)
    making = Making(encoder, outputs_of, size, batch_size, grey, skip_bad, progress, report)

    def become(parts: Sequence[Embedding]) -> int:
        kept = [part for part in parts if part.paths]
        features = torch.cat([part.features for part in kept])
        found = Embedding(tuple(path for part in kept for path in part.paths), features, kept[0].field)
        NeighbourIndex.of(found, encoder, name=name, size=size, grey=grey).save(place)
        return features.shape[1]

    width, skipped, resumed = made_in_parts(making, files, place, become, work="indexes", option="--index")
    return IndexedFile(place, len(files) - len(skipped), width, skipped, resumed)


KEYS = ("sha256", "pooling", "preprocessing", "size", "grey")


def _marks(encoder: StagedNetwork, size: tuple[int, ...] | None, grey: bool) -> dict[str, Any]:
    """What features depend on, as JSON has it."""
    images = encoder.preprocessing
    assert images is not None  # `embed` has asked for it
    sha256 = hashlib.sha256(pack_weights(encoder.state_dict())).hexdigest()
    values = (sha256, encoder.pool_settings(), images.to_json(), list(size or images.size), grey)
    return dict(zip(KEYS, values, strict=True))
