"""How the reference reads docstrings: ``Example:`` is code that runs, as elsewhere, and so is shown as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["Examples"]


class Examples(griffe.Extension):  # type: ignore[misc]
    """Calls the section by the name that griffe knows it by."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401
        """Changes the docstring of a module, class, function or attribute before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
