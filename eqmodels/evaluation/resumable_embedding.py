"""Features of any number of pictures, from files to one file, by any number of processes, that can be stopped.

Pictures are embedded in parts of whole batches. Each part is a file in a folder beside the result, whole or not there,
and called by a digest of all that it was made of: the network's weights and preprocessing, the options, and the path,
size and time of each of its files. So whatever is found there is what would be made anew, and nothing else is taken for
it. When all are there they become one file, and are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import overload

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count
from eqmodels.data.pictures import BadFile
from eqmodels.evaluation.embedding import check_has_no_classifier, embedding_of, outputs_of
from eqmodels.evaluation.feature_table import Embedding, check_ending, check_header, write_features
from eqmodels.evaluation.reading import files_of, read_batches, refuse_bad
from eqmodels.processes.world import World, joined_world
from eqmodels.storage import StorageError, claimed_folder, pack_weights, reason_of, write_atomically

__all__ = ["EmbeddedFile", "embed_to_file"]

FORMAT = 1
"""Of parts."""

PARTS, MOST = 1000, 4096
"""Into how many parts the pictures are cut, about, and how many pictures a part has at most, if a batch has fewer."""

GO_ON = "What is done is kept: start the same command again, and it goes on from there."


@dataclass(frozen=True)
class EmbeddedFile:
    """A file of features.

    Attributes:
        file: its place.
        images: how many pictures have features there.
        features: of each.
        field: what becomes of the features when a picture is turned, such as ``"32 x regular(c4)"``.
        skipped: files that could not be read.
        resumed: files that were done when it was begun.
    """

    file: Path
    images: int
    features: int
    field: str
    skipped: tuple[BadFile, ...]
    resumed: int


def embed_to_file(
    encoder: StagedNetwork,
    paths: Sequence[str | Path],
    file: str | Path,
    *,
    size: tuple[int, int] | None = None,
    batch_size: int = 64,
    grey: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], object] | None = None,
    report: Callable[[str], object] = lambda _: None,
) -> EmbeddedFile:
    """Writes what `embed` gives into a file, as `Embedding.save` does; or goes on where the same call was stopped.

    Features are those of `embed` with the same `batch_size`. In memory lie a batch and one part, of at most 4,096
    pictures or one batch, and the paths of all. Parts that are done are kept in the folder ``FILE.parts`` until the
    file is there, also if it is stopped, or killed, or files turn out to be bad; the same call goes on from there to
    the same bytes. Parts of another network, of other options or of files that have changed are not taken.

    Started by ``torchrun`` on several processes, each embeds its share of the parts, and the first writes the file: to
    the same bytes as one process, if each computes with as many threads. All of them must see the folder of the file.

    Args:
        encoder: without a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the pictures.
        file: its place; its ending, ``.npz``, ``.parquet`` or ``.safetensors``, says what it is.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called on the first process with a number of files whenever so many are done by all of them, going by
            its own share.
        report: called there with a sentence where it goes on.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has a classifier or knows nothing of its images, there are no files, a picture has
            colours and the network takes none, the file's name has another ending, or the paths are too many for it.
        BadFilesError: if files cannot be read; lists all of them, and no file is written.
        StorageError: if another process writes this file, or one cannot be written; a file that was there is then what
            it was.
        ProcessError: if another process was killed.
        ModuleNotFoundError: if it is to be of Parquet, and pyarrow is not installed.
    """
    files = files_of(paths)
    given = {"encoder": encoder, "paths": paths, "file": file, "size": size, "grey": grey, "skip_bad": skip_bad}
    check_arguments(embed_to_file, given | {"report": report})
    check_count("batch_size", batch_size)
    check_has_no_classifier(encoder)
    place = check_ending(Path(file))
    if not files:
        raise ValueError("embed needs images; got no file. Name images, or a folder of them.")
    check_header(place, [str(path) for path in files])
    folder = place.with_name(f"{place.name}.parts")
    device = next(encoder.parameters()).device
    with joined_world(device) as world, world.together(GO_ON):
        with contextlib.ExitStack() as claim:
            world.from_writer(lambda: claim.enter_context(claimed_folder(folder, work="embeds", option="--out")))
            # A folder may be listed otherwise on another machine, or a moment later.
            files = world.from_writer(lambda: files)
            run = _Run(encoder, files, folder, size=size, batch_size=batch_size, grey=grey, skip_bad=skip_bad)
            done = _all_parts(run, world, place, progress, report)
        world.from_writer(lambda: _remove_empty(folder))
        return done


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another process may have begun to fill it
        folder.rmdir()


def _all_parts(
    run: _Run,
    world: World,
    place: Path,
    progress: Callable[[int], object] | None,
    report: Callable[[str], object],
) -> EmbeddedFile:
    """Makes the parts that are not there yet, and one file of all."""
    total = len(run.files)
    found = world.spread(run.look_up, range(run.count))
    names, bad = [name for name, _ in found], [known for _, known in found]
    resumed = sum(len(run.files_of(number)) for number, known in enumerate(bad) if known is not None)
    if resumed and world.is_writer:
        report(f"resumed with {resumed:,} of {total:,} images, which are in {run.folder}")
    own = world.share([number for number, known in enumerate(bad) if known is None])
    tell = _told(progress if world.is_writer else None, resumed, sum(len(run.files_of(n)) for n in own), total)
    is_refused = not run.skip_bad and any(bad)
    for made in world.from_each(lambda: run.make(own, names, tell, is_refused=is_refused)):
        for number, faults in made.items():
            bad[number] = faults
    skipped = [one for faults in bad for one in faults or ()]

    def write() -> tuple[int, int, str]:
        refuse_bad(skipped, total, skip_bad=run.skip_bad)
        parts = _Parts([run.folder / name for name in names])
        write_features(place, parts)
        part = next(part for part in parts if part.paths)
        for made in run.folder.glob("*.safetensors"):  # whatever parts of other calls are there too
            made.unlink(missing_ok=True)
        return total - len(skipped), part.features.shape[1], part.field

    return EmbeddedFile(place, *world.from_writer(write), tuple(skipped), resumed)


def _told(progress: Callable[[int], object] | None, resumed: int, own: int, total: int) -> Callable[[int], None]:
    """What tells of the files that all processes have done, when it is told of those that this one has.

    Args:
        progress: called with numbers of files that add up to all.
        resumed: files that are done already.
        own: files that this process has to do.
        total: all files.
    """
    done, told = 0, 0

    def tell(count: int) -> None:
        nonlocal done, told
        done += count
        now = resumed + ((total - resumed) * done // own if own else total - resumed)
        if progress is not None and now > told:
            progress(now - told)
            told = now

    tell(0)
    return tell


class _Run:
    """What is embedded, cut into parts.

    Args:
        encoder: the network.
        files: all pictures.
        folder: of the parts.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read.
    """

    def __init__(
        self,
        encoder: StagedNetwork,
        files: Sequence[Path],
        folder: Path,
        *,
        size: tuple[int, int] | None,
        batch_size: int,
        grey: bool,
        skip_bad: bool,
    ) -> None:
        self.encoder, self.files, self.folder = encoder, files, folder
        self.size, self.batch_size, self.grey, self.skip_bad = size, batch_size, grey, skip_bad
        # Of whole batches: so a picture's batch is the same one whoever embeds it, and whenever.
        most = max(MOST // batch_size, 1)
        self.length = batch_size * min(math.ceil(len(files) / (PARTS * batch_size)), most)
        self.count = math.ceil(len(files) / self.length)
        self._key = _key_of(encoder, size, batch_size, grey=grey)

    def files_of(self, number: int) -> Sequence[Path]:
        """The files of a part."""
        return self.files[number * self.length : (number + 1) * self.length]

    def look_up(self, number: int) -> tuple[str, tuple[BadFile, ...] | None]:
        """The name of a part, and the bad files in it; None if the part is not there, or is no whole one."""
        digest = hashlib.sha256(self._key)
        for path in self.files_of(number):
            try:
                status = path.stat()
                about = f"{status.st_size}\0{status.st_mtime_ns}"
            except (OSError, ValueError):
                about = "none"  # and so it is a bad file
            digest.update(str(path).encode("utf-8", "surrogateescape") + f"\0{about}\n".encode())
        name = f"{digest.hexdigest()[:32]}.safetensors"
        try:
            return name, _read(self.folder / name, features=False).skipped
        except StorageError:
            return name, None

    def make(
        self, numbers: Sequence[int], names: Sequence[str], tell: Callable[[int], object], *, is_refused: bool
    ) -> dict[int, tuple[BadFile, ...]]:
        """Writes some parts, and gives the bad files in each; after a bad file only these, if they are not left out.

        Args:
            numbers: of the parts.
            names: of all parts.
            tell: called with a number of files whenever so many are done.
            is_refused: whether a bad file is known already.
        """
        made: dict[int, tuple[BadFile, ...]] = {}
        files = [path for number in numbers for path in self.files_of(number)]
        batches = read_batches(self.encoder, files, size=self.size, batch_size=self.batch_size, grey=self.grey)
        for number in numbers:
            good: list[str] = []
            found: list[tuple[Tensor, Tensor | None]] = []
            bad: list[BadFile] = []
            for _ in range(math.ceil(len(self.files_of(number)) / self.batch_size)):
                batch = next(batches)
                images = [(path, one) for path, one in batch if isinstance(one, Tensor)]
                bad += [one for _, one in batch if isinstance(one, BadFile)]
                is_refused = is_refused or bool(bad and not self.skip_bad)
                if images and not is_refused:
                    good += [str(path) for path, _ in images]
                    found.append(outputs_of(self.encoder, torch.stack([one for _, one in images])))
                tell(len(batch))
            made[number] = tuple(bad)
            if not is_refused:
                field = str(self.encoder.out_field)
                nothing = Embedding((), torch.zeros(0, 0), field, skipped=tuple(bad))
                part = embedding_of(self.encoder, good, found, bad) if found else nothing
                _write(self.folder / names[number], part)
        return made


def _key_of(encoder: StagedNetwork, size: tuple[int, int] | None, batch_size: int, *, grey: bool) -> bytes:
    """All that features depend on beside the pictures."""
    parameter = next(encoder.parameters())
    preprocessing = None if encoder.preprocessing is None else encoder.preprocessing.to_json()
    about = {
        "format": FORMAT,
        "weights": hashlib.sha256(pack_weights(encoder.state_dict())).hexdigest(),
        "network": [repr(encoder), repr(encoder.structure), encoder.global_pool.mode, str(encoder.out_field)],
        "preprocessing": preprocessing,
        "options": [size, batch_size, grey],
        "numbers": [parameter.device.type, str(parameter.dtype)],
        "versions": {name: version(name) for name in ("eqmodels", "torch", "torchvision", "pillow")},
    }
    return json.dumps(about, sort_keys=True).encode()


class _Parts(Sequence[Embedding]):
    """Parts of an embedding, read from their files when they are asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, number: int) -> Embedding: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Embedding]: ...

    def __getitem__(self, number: int | slice) -> Embedding | Sequence[Embedding]:
        return _Parts(self._files[number]) if isinstance(number, slice) else _read(self._files[number])

    def __iter__(self) -> Iterator[Embedding]:
        return map(_read, self._files)


def _write(file: Path, part: Embedding) -> None:
    known = {"features": part.features, "pose": part.pose, "confidence": part.confidence}
    tensors = {name: value.contiguous() for name, value in known.items() if value is not None}
    skipped = [[str(one.path), one.reason] for one in part.skipped]
    notes = {"paths": json.dumps(part.paths), "field": part.field, "skipped": json.dumps(skipped)}
    write_atomically(file, safetensors.torch.save(tensors, notes))


def _read(file: Path, *, features: bool = True) -> Embedding:
    """A part.

    Args:
        file: its place.
        features: whether its features are asked for; else they are empty.

    Raises:
        StorageError: if it is not there, or not whole.
    """
    try:
        with safe_open(file, framework="pt") as content:
            notes, names = content.metadata(), set(content.keys())
            tensors = {name: content.get_tensor(name) for name in names if features or name != "features"}
        return Embedding(
            paths=tuple(json.loads(notes["paths"])),
            features=tensors.get("features", torch.zeros(0, 0)),
            field=notes["field"],
            pose=tensors.get("pose"),
            confidence=tensors.get("confidence"),
            skipped=tuple(BadFile(Path(path), reason) for path, reason in json.loads(notes["skipped"])),
        )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{file}, a part of what is embedded, cannot be read ({reason_of(error)}). Start the same command again, "
            "which makes it anew; several machines need a folder that all of them see."
        ) from error
