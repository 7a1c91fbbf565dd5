"""Files of a repository of the Hugging Face Hub, in its standard cache, each compared with its hash."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import HfApi, HfFileMetadata, get_hf_file_metadata, get_token, hf_hub_download, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from eqmodels.arguments import check_arguments
from eqmodels.remote.bounded import bounded
from eqmodels.remote.errors import cause_of, check_repository, check_token, download_sentence
from eqmodels.storage import CONFIG, LARGEST, WEIGHTS, StorageError, read_config, read_regular, sha256_of

__all__ = ["PICKLES", "Fetch"]

PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth", ".pth.tar", ".pt.tar")
"""How names of files end that are pickles."""

_SHA256, _SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")
_REVISION = re.compile(r"(?!.*\.\.)[\w.+@-]+(/[\w.+@-]+)*")


class _MissingError(StorageError):
    """An extra that the repository does not have, or, without the Hub, the cache."""


@dataclass(frozen=True)
class Fetch:
    """How to fetch a network from a repository.

    Attributes:
        repository: ``organisation/name``.
        revision: a commit, tag or branch; None for the main branch.
        token: of the Hub; None for the one that the Hub's client knows, False for none.
        cache_dir: None for the Hub's standard cache.
        force_download: whether to fetch files that the cache has.
        local_files_only: whether to take what the cache has, without network.
        extras: names of more files to fetch, if the repository has them.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the repository's name, the revision or the token cannot be one.
    """

    repository: str
    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None
    force_download: bool = False
    local_files_only: bool = False
    extras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_repository(self.repository)
        check_arguments(Fetch, {name: value for name, value in vars(self).items() if name != "token"})  # never shown
        # It becomes part of a path in the cache.
        if self.revision is not None and not (_REVISION.fullmatch(self.revision) and len(self.revision) <= 200):
            raise ValueError(f"a revision is a commit, a tag or a branch of the Hub; got {self.revision[:200]!r}.")
        if not self.local_files_only:
            check_token(self.token)

    def folder(self) -> Path:
        """The folder of the cache with config, weights and extras, all of one commit, fetched if need be.

        Raises:
            StorageError: if they cannot be had, or arrive damaged.
        """
        config = self._file(CONFIG, self.revision)
        # The revision may move between two requests; the cache names its folders by the commit.
        commit = config.parent.name
        weights = self._file(WEIGHTS, commit)
        if not _belong_together(config, weights):
            # One of them may be a whole file, but not the one that the Hub has under this name.
            for path in (config, weights):
                self._mend(path, self._etag(path))
        for name in self.extras:
            with suppress(_MissingError):
                self._file(name, commit)
        return config.parent

    def _file(self, name: str, revision: str | None) -> Path:
        """One file, compared with the hash that it is cached under; fetched once more if it is damaged.

        A cache without links, as on some systems, does not say which hash that is: the Hub is asked, if it answers. So
        it is if the file is to be fetched whatever the cache has: the client leaves a link to another whole file as it
        is.
        """
        path = self._download(name, revision, self.cache_dir, force=self.force_download)
        of_the_hub = self._etag(path) if self.force_download else None
        self._mend(path, of_the_hub or _named_hash(path) or self._etag(path))
        return path

    def _mend(self, path: Path, etag: str | None) -> None:
        """Fetches a file of the cache once more if it does not have the hash; None for a hash that nobody knows.

        The new file is fetched beside the cache's and compared before it is moved into the place of the old one. So at
        every moment there is a file, for whatever other process or thread reads or mends the same.
        """
        if _has_hash(path, etag):
            return
        storage = path.parents[2]
        blobs = storage / "blobs"
        try:
            for folder in (path.parent, blobs):
                folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".eqmodels-", dir=storage, ignore_cleanup_errors=True) as place:
                # With force the client does not try for long: there may be no Hub.
                force = not self.local_files_only
                fetched = self._download(path.name, path.parent.name, Path(place) / "cache", force=force)
                blob = _named_hash(fetched)
                # A copy: the client's file may be a link to one that other repositories share.
                copy = Path(shutil.copyfile(fetched, Path(place) / "copy"))
                if whole := _has_hash(copy, blob or self._etag(path)):
                    if blob:
                        copy.replace(blobs / blob)
                        copy.symlink_to(os.path.relpath(blobs / blob, path.parent))
                    copy.replace(path)
        except (OSError, StorageError) as error:
            words = error if isinstance(error, StorageError) else self._sentence(error, path.name)
            raise StorageError(f"{path} is damaged, and could not be fetched again: {words}") from error
        if not whole:
            raise StorageError(
                f"{path} is damaged: its hash is not the one that the Hub names, although it was fetched anew. "
                "Nothing was loaded; try later, or another network."
            )

    def _download(self, name: str, revision: str | None, cache: str | Path | None, *, force: bool) -> Path:
        try:
            return Path(
                hf_hub_download(
                    self.repository,
                    name,
                    revision=revision,
                    token=self.token,
                    cache_dir=cache,
                    force_download=force,
                    local_files_only=self.local_files_only,
                    library_name="eqmodels",
                    **bounded(lambda: self._announced(name, revision)),
                )
            )
        # Transport libraries have errors of their own, which differ between versions of the client.
        except Exception as error:
            answer = cause_of(error)
            if not isinstance(answer, EntryNotFoundError):
                raise StorageError(self._sentence(error, name)) from error
            # Of a file that is missing the client has two errors: one is of its cache, the other of the Hub.
            in_cache = isinstance(answer, LocalEntryNotFoundError)
            kind = _MissingError if name in self.extras else StorageError
            raise kind(self._sentence(error, name) if in_cache else self._has_no(name)) from error

    def _sentence(self, error: Exception, name: str) -> str:
        return download_sentence(error, name, self.repository, self.revision)

    def _announced(self, name: str, revision: str | None) -> int | None:
        """The most bytes of a file: those of weights as the Hub announces them, of all others what can be read."""
        if name != WEIGHTS or revision is None:
            return LARGEST
        known = self._metadata(name, revision)
        return None if known is None else known.size

    def _etag(self, path: Path) -> str | None:
        """The hash that the Hub names of a file of the cache; None if it is not to be asked, or does not answer."""
        known = self._metadata(path.name, path.parent.name)
        return None if known is None else known.etag

    def _metadata(self, name: str, revision: str) -> HfFileMetadata | None:
        """What the Hub says of a file; None if it is not to be asked, or does not answer."""
        if self.local_files_only:
            return None
        token = get_token() if self.token is None else self.token
        try:
            return get_hf_file_metadata(hf_hub_url(self.repository, name, revision=revision), token=token)
        except Exception:  # what is in the cache can be used without the Hub
            return None

    def _has_no(self, name: str) -> str:
        """What to say of a file that the repository does not have, and of the pickles that it has instead."""
        words = f"{self.repository}@{self.revision or 'main'} has no {name}"
        if name in self.extras:
            return f"{words}."
        try:
            names = HfApi(token=self.token).list_repo_files(self.repository, revision=self.revision)
        except Exception:  # the sentence stands without
            return f"{words}."
        pickles = [name for name in names if name.endswith(PICKLES)]
        if not pickles:
            return f"{words}, and so is no network of eqmodels."
        return (
            f"{words}, only {pickles[0]}: a pickle, which can run any code when it is opened and is never loaded. Ask "
            "its owner for safetensors."
        )


def _named_hash(path: Path) -> str | None:
    """The hash that a file of the cache is kept under: its link leads to that name; None if there is no link.

    That name may be a link again, to a file that repositories share under a hash of another kind.
    """
    try:
        return path.readlink().name
    except OSError:
        return None


def _has_hash(path: Path, etag: str | None) -> bool:
    """Whether a file is there and has the hash: sha256, or git's of small files; of others nothing is known."""
    try:
        if etag and _SHA256.fullmatch(etag):
            return sha256_of(path) == etag
        if etag and _SHA1.fullmatch(etag):
            content = read_regular(path)
            return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == etag
        return path.is_file()
    except (OSError, StorageError):
        return False


def _belong_together(config: Path, weights: Path) -> bool:
    """Whether the config names the hash of the weights."""
    try:
        return bool(read_config(config)["sha256"] == sha256_of(weights))
    except StorageError:
        return False
