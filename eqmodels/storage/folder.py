"""A network's folder as one object, which reads and hashes each file once, whoever asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor

from eqmodels.arguments import check_arguments
from eqmodels.storage.config import CONFIG, parse_config
from eqmodels.storage.errors import StorageError, reason_of
from eqmodels.storage.limits import LARGEST
from eqmodels.storage.regular import read_regular
from eqmodels.storage.weights import WEIGHTS, Layout, parse_weights, read_layout, sha256_of

__all__ = ["NetworkFolder"]

T = TypeVar("T")

OWN = "file: "
"""What the names of files themselves begin with, among what is kept."""


class NetworkFolder:
    """The files of a network, as they were when each was first asked for.

    It is for one piece of work, such as publishing, whose parts each ask for files and for what is made of them. Nobody
    is to write into the folder meanwhile: what was read is not read again.

    Args:
        path: of the folder.
        keeps: whether what was read stays in memory, as long as the object does; otherwise weights and contents are
            read when they are asked for, and only what is known of them stays.

    Raises:
        TypeError: if an argument is of another type.
    """

    def __init__(self, path: Path, *, keeps: bool = True) -> None:
        check_arguments(NetworkFolder, {"path": path, "keeps": keeps})
        self.path, self.keeps = path, keeps
        self._kept: dict[str, Any] = {}

    @classmethod
    def of(cls, folder: str | Path | NetworkFolder) -> NetworkFolder:
        """The object itself; or one of a path, which keeps no content: whoever has but a path asks once."""
        return folder if isinstance(folder, NetworkFolder) else cls(Path(folder), keeps=False)

    @property
    def name(self) -> str:
        """That of the folder, and so of the network."""
        return self.path.name

    def __str__(self) -> str:
        return str(self.path)

    def file(self, name: str) -> Path:
        """The path of a file in it."""
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether there is such a file, or was when it was first asked for."""
        if f"{OWN}content of {name}" in self._kept:
            return True
        found = self.file(name).is_file
        return self.once(f"{OWN}{name} is there", found) if self.keeps else found()

    def size(self, name: str) -> int:
        """The bytes of a file.

        Raises:
            StorageError: if it cannot be read.
        """
        return len(self._required(name)) if self.keeps else self.file(name).stat().st_size

    def put(self, name: str, content: bytes) -> None:
        """Lets the object have another content of a file, which is not written; what was made of the files is dropped.

        Args:
            name: of the file.
            content: of it, from now on.
        """
        self._kept = {key: value for key, value in self._kept.items() if key.startswith(OWN)}
        self._kept |= {f"{OWN}content of {name}": content, f"{OWN}{name} is there": True}

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What is made of the files, made when it is first asked for.

        Args:
            key: what it is called.
            make: makes it; what it raises is not kept.
        """
        if key not in self._kept:
            self._kept[key] = make()
        return cast("T", self._kept[key])

    def content(self, name: str, largest: int | None = None) -> bytes:
        """The bytes of a file.

        Args:
            name: of the file.
            largest: how many bytes it may have; None for any number.

        Raises:
            OSError: if it cannot be read, or is larger; its ``strerror`` says which.
        """

        def read() -> bytes:
            return read_regular(self.file(name), largest)

        return self.once(f"{OWN}content of {name}", read) if self.keeps else read()

    def sha256(self, name: str) -> str:
        """The sha256 of a file, 64 hexadecimal digits.

        Raises:
            StorageError: if it cannot be read.
        """

        def hashed() -> str:
            return hashlib.sha256(self._required(name)).hexdigest() if self.keeps else sha256_of(self.file(name))

        return self.once(f"sha256 of {name}", hashed)

    def config(self) -> dict[str, Any]:
        """The content of ``config.json``, which fits the schema; as it stands there.

        Raises:
            StorageError: if it cannot be read, is no JSON, is of another format or breaks a rule; names the rule.
        """
        return self.once("config", lambda: parse_config(self._required(CONFIG, LARGEST), self.file(CONFIG)))

    def layout(self) -> Layout:
        """Names, types and shapes of the tensors, from the header of the weights alone.

        Raises:
            StorageError: if it is no safetensors file, or its header does not agree with its size.
        """
        return self.once(f"{OWN}layout", lambda: read_layout(self.file(WEIGHTS)))

    def weights(self) -> dict[str, Tensor]:
        """The tensors, of the sha256 that the config says.

        Raises:
            StorageError: if the file has another sha256, is no safetensors file, or a value is no finite number.
        """

        def made() -> dict[str, Tensor]:
            content = self._required(WEIGHTS)
            found = self.once(f"sha256 of {WEIGHTS}", lambda: hashlib.sha256(content).hexdigest())
            return parse_weights(content, self.file(WEIGHTS), self.config()["sha256"], found)

        return self.once("weights", made) if self.keeps else made()

    def _required(self, name: str, largest: int | None = None) -> bytes:
        try:
            return self.content(name, largest)
        except OSError as error:
            raise StorageError(f"{self.file(name)} cannot be read ({reason_of(error)}). Fetch it again.") from error
