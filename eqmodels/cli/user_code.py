"""Code of the user's that a command imports first, because it registers what the command works with."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

__all__ = ["import_user_code"]


def import_user_code(place: str) -> None:
    """Imports a file or a module; what has been imported already stays as it is.

    A file becomes the module of its name, and its folder the last place where modules are looked for, so that worker
    processes, which import by name, find it too.

    Args:
        place: the path of a file ending in ``.py``, or the dotted name of a module that Python finds.

    Raises:
        ValueError: if there is no such file or module, or another module has the file's name.
    """
    if not place.endswith(".py"):
        try:
            importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise
            raise ValueError(
                f"--import takes a file that ends in .py or a module that Python finds; {place!r} is neither. "
                "Write the file's path, or install the module."
            ) from error
        return
    file = Path(place).resolve()
    if not file.is_file() or "." in file.stem:
        raise ValueError(
            f"--import takes a file that exists and has one dot in its name; {place!r} is none. "
            f"Write its path from {Path.cwd()}."
        )
    importlib.invalidate_caches()
    found = importlib.util.find_spec(file.stem)
    if found is None:
        sys.path.append(str(file.parent))
    elif found.origin is None or Path(found.origin).resolve() != file:
        raise ValueError(
            f"--import makes a file the module of its name, and Python has another {file.stem!r}; got {place!r}. "
            "Rename the file."
        )
    importlib.import_module(file.stem)
