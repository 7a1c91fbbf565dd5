"""What a Hub keeps: repositories, their commits, and files under their hash; and for whom."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from types import MappingProxyType

#: Suffixes of the files that are stored as large files (LFS), whatever their size.
LARGE = (".bin", ".ckpt", ".npy", ".npz", ".onnx", ".pt", ".pth", ".safetensors", ".zip")
#: Bytes from which a file is large, whatever its suffix.
LARGE_SIZE = 10 * 2**20

_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE).encode()


class HubError(Exception):
    """A refusal as the Hub words it.

    Args:
        status: the HTTP status.
        message: the body's `error` and the header `X-Error-Message`.
        code: the header `X-Error-Code`, from which the client makes its class of error; none if empty.
        headers: more headers of the answer.
    """

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, dict(headers or {})


@dataclass(frozen=True)
class User:
    """Whom a token stands for, and what it may do in the namespaces of its user: `name` and `organizations`."""

    name: str
    read: bool = True
    write: bool = False
    organizations: tuple[str, ...] = ()

    def owns(self, repository: str) -> bool:
        """Whether a repository, `owner/name`, lies in a namespace of this user."""
        return repository.partition("/")[0] in (self.name, *self.organizations)


@dataclass(frozen=True)
class Entry:
    """A file of a commit: its `oid` is the sha256 if it is large (64 digits), and else its git hash (40 digits)."""

    oid: str
    size: int

    @property
    def large(self) -> bool:
        """Whether git has but a pointer to the file."""
        return len(self.oid) == 64

    @property
    def pointer(self) -> bytes:
        """What git has in the place of a large file."""
        return f"oid sha256:{self.oid}\nsize {self.size}\n".encode()

    @property
    def blob(self) -> str:
        """The git hash of the file, or of the pointer to it."""
        return git_hash(self.pointer) if self.large else self.oid


@dataclass(frozen=True)
class Commit:
    """A state of a repository; `oid` is a hash of everything else but the date."""

    oid: str
    title: str
    message: str
    parent: str | None
    date: datetime
    files: Mapping[str, Entry]


@dataclass
class Repository:
    """The commits of one repository, by their `oid`, the branches and tags that name some, and its large files."""

    name: str
    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)

    def find(self, revision: str) -> Commit:
        """The commit that a branch, a tag or at least seven digits of its hash name; raises RevisionNotFound."""
        oid = self.branches.get(revision) or self.tags.get(revision)
        found = [oid] if oid else [full for full in self.commits if len(revision) >= 7 and full.startswith(revision)]
        if len(found) != 1:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[found[0]]

    def commit(
        self, branch: str, title: str, changes: Mapping[str, Entry | None], message: str = "", parent: str = ""
    ) -> Commit:
        """Moves a branch to a new commit; `None` deletes a file, and no change is no commit.

        Raises:
            HubError: if there is no such branch, if it is not at `parent` (given one), if a file to delete is missing
                or if a large one was never uploaded.
        """
        if self.commits and branch not in self.branches:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = self.commits.get(self.branches.get(branch, ""))
        if parent and not (head and head.oid.startswith(parent)):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files) if head else {}
        for path, entry in changes.items():
            if entry and entry.large and entry.oid not in self.objects:
                raise HubError(400, f"an LFS pointer pointed to a file that does not exist. Offending file: {path}")
            if entry:
                files[path] = entry
            elif files.pop(path, None) is None:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        if head and files == head.files:
            return head
        before = head.oid if head else None
        content = (before, title, message, sorted((path, entry.oid) for path, entry in files.items()))
        oid = hashlib.sha1(repr(content).encode()).hexdigest()
        # A second a commit: dates that differ, and are the same in every run.
        date = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=len(self.commits))
        new = Commit(oid, title, message, before, date, MappingProxyType(files))
        self.commits[oid] = new
        self.branches[branch] = oid
        return new

    def history(self, revision: str) -> list[Commit]:
        """The commits that led to a revision, the last one first."""
        commits = [self.find(revision)]
        while commits[-1].parent:
            commits.append(self.commits[commits[-1].parent])
        return commits


class Storage:
    """Repositories by name, and the bytes of all their files by `oid`; hold `lock` while reading or writing them."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.lock = threading.RLock()

    def create(self, name: str, private: bool = False) -> Repository:
        """A new repository, with a branch `main` whose only file says which files are large, as on the real Hub."""
        if name in self.repositories:
            raise HubError(409, "You already created this model repo")
        self.repositories[name] = repository = Repository(name, private)
        repository.commit("main", "initial commit", {".gitattributes": self.write(_ATTRIBUTES)})
        return repository

    def write(self, data: bytes, large: bool = False) -> Entry:
        """Stores the bytes of a file."""
        entry = Entry(hashlib.sha256(data).hexdigest() if large else git_hash(data), len(data))
        self.blobs[entry.oid] = data
        return entry


def git_hash(data: bytes) -> str:
    """The hash under which git stores a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_large(path: str, size: int) -> bool:
    """Whether a file of so many bytes is stored as a large file; an empty file never is."""
    return size > 0 and (PurePosixPath(path).suffix in LARGE or size >= LARGE_SIZE)
