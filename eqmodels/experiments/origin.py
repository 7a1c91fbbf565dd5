"""Where a result comes from: what is needed to measure it again."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from eqmodels.arguments import check_arguments

__all__ = ["Origin", "command_line", "processor"]

PACKAGES = ("eqmodels", "torch", "torchvision", "numpy", "scipy", "timm", "escnn")
"""Whose versions are noted, where they are installed."""


@dataclass(frozen=True)
class Origin:
    """Where one result comes from.

    Attributes:
        seed: of the cell.
        command: that was typed.
        versions: of Python and of the packages that compute, by name.
        commit: of the checkout that the package lies in, with ``+`` behind it if files differ from it; None of an
            installed package, and without git.
        machine: its processor, how many threads compute, and the device.
        date: when the cell was done, in UTC, ISO 8601.
        seconds: that the cell took.
    """

    seed: int
    command: str
    versions: dict[str, str]
    commit: str | None
    machine: str
    date: str
    seconds: float

    @classmethod
    def here(cls, seed: int, seconds: float, *, command: str | None = None) -> Origin:
        """The origin of what this process has just measured.

        Args:
            seed: of the cell.
            seconds: that it took.
            command: None for the one that started this process.

        Raises:
            TypeError: if an argument is of another type.
        """
        check_arguments(Origin.here, {"seed": seed, "seconds": seconds, "command": command})
        return cls(
            seed=seed,
            command=command_line() if command is None else command,
            versions=_versions(),
            commit=_commit(Path(__file__).parents[2]),
            machine=machine(),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(seconds, 2),
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Origin:
        """What `to_dict` wrote.

        Raises:
            TypeError: if names are missing or unknown.
        """
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return asdict(self)


def command_line(module: str | None = None) -> str:
    """The command that started this process, as it can be typed again.

    Args:
        module: that ``python -m`` runs; None for the command ``eqmodels``, or a file that was run.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(command_line, locals())
    if module is not None:
        return shlex.join(["python", "-m", module, *sys.argv[1:]])
    name = Path(sys.argv[0]).name if sys.argv else ""
    is_own = name in ("", "-c", "__main__.py", "eqmodels")
    return shlex.join(["eqmodels" if is_own else name, *sys.argv[1:]])


def machine() -> str:
    """The processor, how many threads compute, and the GPU if there is one."""
    threads = torch.get_num_threads()
    words = f"{processor()}, {threads} thread{'s' * (threads > 1)}"
    return f"{words}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else words


@cache
def processor() -> str:
    """The name of the processor, as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _commit(root: Path) -> str | None:
    """The commit of a checkout; asked once, as a change while a plan runs is not what its process has imported."""
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}{'+' if changed else ''}"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()
