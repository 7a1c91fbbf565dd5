"""What a network makes of any number of pictures, by any number of processes, in parts, so that it can be stopped.

Each part, of whole batches, is a file in a folder beside the result, whole or not there, and called by a digest of all
that it was made of: the network's weights and preprocessing, the options, and the path, size and time of each of its
files. So whatever is found there is what would be made anew, and nothing else is taken for it. When all are there they
become the result, and are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, overload

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from eqmodels.backbones.network import StagedNetwork
from eqmodels.data.pictures import BadFile, Picture
from eqmodels.evaluation.embedding import embedding_of
from eqmodels.evaluation.feature_table import Embedding
from eqmodels.evaluation.reading import ReadPicture, read_batches, refuse_bad
from eqmodels.processes.world import World, joined_world
from eqmodels.storage import StorageError, claimed_folder, pack_weights, reason_of, write_atomically

__all__ = ["Beside", "Making", "Part", "made_in_parts"]

FORMAT = 1
"""Of parts."""

PARTS, MOST = 1000, 4096
"""Into how many parts the pictures are cut, about, and how many pictures a part has at most, if a batch has fewer."""

BESIDE = "beside."
"""Before the names of what is kept beside the features."""

Outputs = Callable[[StagedNetwork, Tensor], tuple[Tensor, Tensor | None]]
"""From normalised images to a row of numbers each, and the logits of their pose or None, on the CPU."""

T = TypeVar("T")

GO_ON = "What is done is kept: start the same command again, and it goes on from there."


@dataclass(frozen=True)
class Beside:
    """What is kept of pictures beside the numbers that the network makes of them.

    Attributes:
        name: of it, which no other one has.
        of: a picture; a `ValueError` of it is the reason why the file is bad.
        packed: tensors, by name, of what that gave of several pictures; a row each.
    """

    name: str
    of: Callable[[Picture], Any]
    packed: Callable[[Sequence[Any]], Mapping[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Part(Embedding):
    """What the network made of some pictures.

    Attributes:
        beside: what else is kept of them, by name; empty if nothing is.
    """

    beside: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Making:
    """How pictures become numbers.

    Attributes:
        network: in any mode; it stays on its device.
        outputs: what it makes of a batch.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called on the first process with a number of files whenever so many are done by all of them, going by
            its own share.
        report: called there with a sentence where it goes on.
        beside: what is kept of the pictures themselves; None for nothing.
    """

    network: StagedNetwork
    outputs: Outputs
    size: tuple[int, int] | None = None
    batch_size: int = 64
    grey: bool = False
    skip_bad: bool = False
    progress: Callable[[int], object] | None = None
    report: Callable[[str], object] = lambda _: None
    beside: Beside | None = None


def made_in_parts(
    making: Making,
    files: Sequence[Path],
    place: Path,
    become: Callable[[Sequence[Part]], T],
    *,
    work: str = "embeds",
    option: str = "--out",
) -> tuple[T, tuple[BadFile, ...], int]:
    """What becomes of all parts, on the first process, and which files were left out; or goes on where it was stopped.

    Args:
        making: how each part is made.
        files: of the pictures, at least one.
        place: of the result; parts are kept in the folder ``PLACE.parts`` until it is there.
        become: writes the result; what it gives is sent to all processes. Parts are read when they are asked for, some
            of which may have no pictures.
        work: what is done in the folder, for a sentence.
        option: of the command line that names the result.

    Returns:
        What `become` gave, the files that could not be read, and how many were done when this was begun.

    Raises:
        ValueError: as `read_batches`.
        BadFilesError: if files cannot be read, and are not to be left out; lists all of them.
        StorageError: if another process makes this, or a part cannot be written.
        ProcessError: if another process was killed.
    """
    folder = place.with_name(f"{place.name}.parts")
    device = next(making.network.parameters()).device
    with joined_world(device) as world, world.together(GO_ON):
        with contextlib.ExitStack() as claim:
            world.from_writer(lambda: claim.enter_context(claimed_folder(folder, work=work, option=option)))
            # A folder may be listed otherwise on another machine, or a moment later.
            files = world.from_writer(lambda: files)
            done = _all_parts(_Run(making, files, folder), world, become)
        world.from_writer(lambda: _remove_empty(folder))
        return done


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another process may have begun to fill it
        folder.rmdir()


def _all_parts(run: _Run, world: World, become: Callable[[Sequence[Part]], T]) -> tuple[T, tuple[BadFile, ...], int]:
    """Makes the parts that are not there yet, and one result of all."""
    total, making = len(run.files), run.making
    found = world.spread(run.look_up, range(run.count))
    names, bad = [name for name, _ in found], [known for _, known in found]
    resumed = sum(len(run.files_of(number)) for number, known in enumerate(bad) if known is not None)
    if resumed and world.is_writer:
        making.report(f"resumed with {resumed:,} of {total:,} images, which are in {run.folder}")
    own = world.share([number for number, known in enumerate(bad) if known is None])
    progress = making.progress if world.is_writer else None
    tell = _told(progress, resumed, sum(len(run.files_of(number)) for number in own), total)
    is_refused = not making.skip_bad and any(bad)
    for made in world.from_each(lambda: run.make(own, names, tell, is_refused=is_refused)):
        for number, faults in made.items():
            bad[number] = faults
    skipped = tuple(one for faults in bad for one in faults or ())

    def end() -> T:
        refuse_bad(skipped, total, skip_bad=making.skip_bad)
        result = become(_Parts([run.folder / name for name in names]))
        for made in run.folder.glob("*.safetensors"):  # whatever parts of other calls are there too
            made.unlink(missing_ok=True)
        return result

    return world.from_writer(end), skipped, resumed


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
    """What is made, cut into parts.

    Args:
        making: how pictures become numbers.
        files: all pictures.
        folder: of the parts.
    """

    def __init__(self, making: Making, files: Sequence[Path], folder: Path) -> None:
        self.making, self.files, self.folder = making, files, folder
        # Of whole batches: so a picture's batch is the same one whoever makes it, and whenever.
        batch_size = making.batch_size
        most = max(MOST // batch_size, 1)
        self.length = batch_size * min(math.ceil(len(files) / (PARTS * batch_size)), most)
        self.count = math.ceil(len(files) / self.length)
        self._key = _key_of(making)

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
        making, network = self.making, self.making.network
        beside = None if making.beside is None else making.beside.of
        batches = read_batches(
            network, files, size=making.size, batch_size=making.batch_size, grey=making.grey, beside=beside
        )
        for number in numbers:
            good: list[str] = []
            found: list[tuple[Tensor, Tensor | None]] = []
            bad: list[BadFile] = []
            kept: list[Any] = []
            for _ in range(math.ceil(len(self.files_of(number)) / making.batch_size)):
                batch = next(batches)
                images = [one for one in batch if isinstance(one, ReadPicture)]
                bad += [one for one in batch if isinstance(one, BadFile)]
                is_refused = is_refused or bool(bad and not making.skip_bad)
                if images and not is_refused:
                    good += [str(one.path) for one in images]
                    kept += [one.beside for one in images]
                    found.append(making.outputs(network, torch.stack([one.image for one in images])))
                tell(len(batch))
            made[number] = tuple(bad)
            if not is_refused:
                field = str(network.out_field)
                nothing = Embedding((), torch.zeros(0, 0), field, skipped=tuple(bad))
                part = embedding_of(network, good, found, bad) if found else nothing
                extra = making.beside.packed(kept) if making.beside and kept else {}
                _write(self.folder / names[number], part, extra)
        return made


def _key_of(making: Making) -> bytes:
    """All that numbers depend on beside the pictures."""
    encoder = making.network
    parameter = next(encoder.parameters())
    preprocessing = None if encoder.preprocessing is None else encoder.preprocessing.to_json()
    about = {
        "format": FORMAT,
        "weights": hashlib.sha256(pack_weights(encoder.state_dict())).hexdigest(),
        "network": [repr(encoder), repr(encoder.structure), encoder.global_pool.mode, str(encoder.out_field)],
        "preprocessing": preprocessing,
        "outputs": making.outputs.__qualname__,
        "options": [making.size, making.batch_size, making.grey],
        "numbers": [parameter.device.type, str(parameter.dtype)],
        "versions": {name: version(name) for name in ("eqmodels", "torch", "torchvision", "pillow")},
    }
    if making.beside is not None:
        about["beside"] = making.beside.name
    return json.dumps(about, sort_keys=True).encode()


class _Parts(Sequence[Part]):
    """Parts, read from their files when they are asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, number: int) -> Part: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Part]: ...

    def __getitem__(self, number: int | slice) -> Part | Sequence[Part]:
        return _Parts(self._files[number]) if isinstance(number, slice) else _read(self._files[number])

    def __iter__(self) -> Iterator[Part]:
        return map(_read, self._files)


def _write(file: Path, part: Embedding, beside: Mapping[str, Tensor]) -> None:
    known = {"features": part.features, "pose": part.pose, "confidence": part.confidence}
    known |= {f"{BESIDE}{name}": value for name, value in beside.items()}
    tensors = {name: value.contiguous() for name, value in known.items() if value is not None}
    skipped = [[str(one.path), one.reason] for one in part.skipped]
    notes = {"paths": json.dumps(part.paths), "field": part.field, "skipped": json.dumps(skipped)}
    write_atomically(file, safetensors.torch.save(tensors, notes))


def _read(file: Path, *, features: bool = True) -> Part:
    """A part.

    Args:
        file: its place.
        features: whether its features, and what is kept beside them, are asked for; else they are empty.

    Raises:
        StorageError: if it is not there, or not whole.
    """
    try:
        with safe_open(file, framework="pt") as content:
            notes, names = content.metadata(), set(content.keys())
            small = {name for name in names if name != "features" and not name.startswith(BESIDE)}
            tensors = {name: content.get_tensor(name) for name in (names if features else small)}
        return Part(
            paths=tuple(json.loads(notes["paths"])),
            features=tensors.get("features", torch.zeros(0, 0)),
            field=notes["field"],
            pose=tensors.get("pose"),
            confidence=tensors.get("confidence"),
            skipped=tuple(BadFile(Path(path), reason) for path, reason in json.loads(notes["skipped"])),
            beside={name.removeprefix(BESIDE): one for name, one in tensors.items() if name.startswith(BESIDE)},
        )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{file}, a part of what is embedded, cannot be read ({reason_of(error)}). Start the same command again, "
            "which makes it anew; several machines need a folder that all of them see."
        ) from error
