"""Files of a repository of the Hugging Face Hub, in its standard cache, each compared with its hash."""

from __future__ import annotations

import errno
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from eqmodels.storage import CONFIG, WEIGHTS, StorageError, printable, reason_of, sha256_of

__all__ = ["Fetch", "check_repository", "check_token"]

PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth", ".pth.tar", ".pt.tar")
"""How names of files end that are pickles."""

EXPLANATIONS: tuple[tuple[type[Exception], str], ...] = (
    (
        LocalEntryNotFoundError,
        "{file} of {place} is not in the cache, and the Hub cannot be reached (no network, offline mode or "
        "local_files_only; {reason}). Fill the cache first: eqmodels download hub:{place}",
    ),
    (GatedRepoError, "{place} has terms that you must accept first. Open its page on the Hub, and log in."),
    (
        RepositoryNotFoundError,
        "there is no repository {repository} on the Hub, or it is private and your token may not read it. Check the "
        "name, or log in: hf auth login, or the variable HF_TOKEN.",
    ),
    (RevisionNotFoundError, "{repository} has no revision {revision!r}. Name a commit, a tag or a branch that it has."),
    (HfHubHTTPError, "the Hub answered {status} to the request for {file} of {place} ({reason}). Try later."),
)
"""What to say of the client's errors: the first that fits."""

DISK: tuple[tuple[tuple[int, ...], str], ...] = (
    (
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        "no space is left for {file} of {place} ({reason}). Free some, or set HF_HOME to a folder on another disk.",
    ),
    (
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST),
        "the cache of the Hub's files cannot be written ({reason}). Set HF_HOME or cache_dir to a folder that can.",
    ),
)
"""What to say of the system's errors, by their number."""

REFUSED = (
    "the Hub refuses {file} of {place} ({status}: {reason}). Check your token: hf auth login, or the variable HF_TOKEN."
)
OTHERWISE = "{file} of {place} could not be fetched ({kind}: {reason}). Try again."

_SHA256, _SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")
_REVISION = re.compile(r"(?!.*\.\.)[\w.+@-]+(/[\w.+@-]+)*")
_TOKEN = re.compile("[!-~]+")


def check_token(token: str | bool | None) -> None:
    """Refuses what is no token, before a library quotes it in an error: a token is never printed.

    Raises:
        ValueError: if it has spaces, line breaks or other letters that no token has.
    """
    if isinstance(token, str) and not _TOKEN.fullmatch(token):
        raise ValueError(
            "a token has letters, digits and signs only; the one given is empty or has spaces, line breaks or others "
            "(it is not shown here). Copy it again, or leave it out and log in: hf auth login."
        )


def check_repository(name: str) -> None:
    """Refuses a name that the Hub would refuse, without asking it.

    Raises:
        ValueError: says why.
    """
    try:
        validate_repo_id(name)
        if "/" not in name:
            raise HFValidationError("the organisation or user is missing")
    except HFValidationError as error:
        raise ValueError(
            f"a repository of the Hub is named organisation/name; got {printable(repr(name))} ({reason_of(error)})."
        ) from error


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

    Raises:
        ValueError: if the repository, the revision or the token cannot be one.
    """

    repository: str
    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None
    force_download: bool = False
    local_files_only: bool = False

    def __post_init__(self) -> None:
        check_repository(self.repository)
        check_token(self.token)
        # It becomes part of a path in the cache.
        if self.revision is not None and not (_REVISION.fullmatch(self.revision) and len(self.revision) <= 200):
            raise ValueError(f"a revision is a commit, a tag or a branch of the Hub; got {self.revision[:200]!r}.")

    def folder(self) -> Path:
        """The folder of the cache with config and weights, both of one commit, fetched if need be.

        Raises:
            StorageError: if they cannot be had, or arrive damaged.
        """
        config = self._file(CONFIG, self.revision)
        # The revision may move between two requests; the cache names its folders by the commit.
        return self._file(WEIGHTS, config.parent.name).parent

    def _file(self, name: str, revision: str | None) -> Path:
        """One file, compared with the hash that it is cached under; fetched once more if it is damaged."""
        path = self._download(name, revision, force=self.force_download)
        if _is_whole(path):
            return path
        # The client leaves a link that is there as it is, even if it led to what the Hub never named.
        blob = path.readlink()
        with suppress(OSError):
            path.unlink()
        try:
            again = self._download(name, revision, force=True)
        except StorageError as error:
            with suppress(OSError):
                path.symlink_to(blob)
            raise StorageError(f"{path} is damaged, and could not be fetched again: {error}") from error
        if not _is_whole(again):
            raise StorageError(
                f"{again} is damaged: its hash is not the one that the Hub names, although it was fetched anew. "
                "Nothing was loaded; try later, or another network."
            )
        return again

    def _download(self, name: str, revision: str | None, *, force: bool) -> Path:
        try:
            return Path(
                hf_hub_download(
                    self.repository,
                    name,
                    revision=revision,
                    token=self.token,
                    cache_dir=self.cache_dir,
                    force_download=force,
                    local_files_only=self.local_files_only,
                    library_name="eqmodels",
                )
            )
        # Transport libraries have errors of their own, which differ between versions of the client.
        except Exception as error:
            raise StorageError(self._sentence(error, name)) from error

    def _sentence(self, error: Exception, name: str) -> str:
        """What went wrong, and a way out."""
        # The client hides what the Hub or the network answered behind an error of its own.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError | ValueError) else None
        reason = reason_of(cause or error)
        if isinstance(cause, HfHubHTTPError):
            error = cause
        # Of a file that is missing the client has two errors; the first is of its cache, the second of the Hub.
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return f"{self.repository}@{self.revision or 'main'} has no {name}{self._pickles()}."
        number = error.errno if isinstance(error, OSError) else None
        kind = next((words for numbers, words in DISK if number in numbers), None)
        words = kind or next((words for class_, words in EXPLANATIONS if isinstance(error, class_)), OTHERWISE)
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403) and not isinstance(error, RepositoryNotFoundError):
            words = REFUSED
        return words.format(
            file=name,
            repository=self.repository,
            revision=self.revision,
            place=f"{self.repository}@{self.revision or 'main'}",
            status=status,
            kind=type(error).__name__,
            reason=reason,
        )

    def _pickles(self) -> str:
        """What to say of pickles in the repository, if there are any."""
        try:
            names = HfApi(token=self.token).list_repo_files(self.repository, revision=self.revision)
        except Exception:  # the sentence stands without
            return ""
        pickles = [name for name in names if name.endswith(PICKLES)]
        if not pickles:
            return ", and so is no network of eqmodels"
        return (
            f", only {pickles[0]}: a pickle, which can run any code when it is opened and is never loaded. Ask its "
            "owner for safetensors"
        )


def _is_whole(path: Path) -> bool:
    """Whether a file of the cache has the hash that its blob is named by: sha256, or git's of small files.

    A cache without links (some systems have none) does not say.
    """
    name = path.resolve().name
    if _SHA256.fullmatch(name):
        return sha256_of(path) == name
    if _SHA1.fullmatch(name):
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == name
    return True
