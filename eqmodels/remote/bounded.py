"""A download that ends at its announced size, whatever is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

__all__ = ["bounded"]


def bounded(announced: Callable[[], int | None]) -> dict[str, Any]:
    """The option of `hf_hub_download` that ends it when more bytes arrive than were announced.

    The client itself compares sizes after the last byte. Its progress bar is told of every piece before it is written;
    clients below version 1 take no bar of another class, and are left as they are. What comes by Xet is as long as it
    was announced, since Xet is asked for so many bytes.

    Args:
        announced: how many bytes there are, asked when the first ones arrive; None for what the answer itself says.
    """
    if "tqdm_class" not in inspect.signature(hf_hub_download).parameters:
        return {}

    class Bar(tqdm):
        """A bar that fails when more arrives than was announced."""

        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (those of tqdm)
            self._arrived = options.get("initial") or 0
            self._most = None
            if options.get("name") == "huggingface_hub.http_get":
                size = announced()
                self._most = options.get("total") if size is None else size
            super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            """Counts the bytes that arrived.

            Raises:
                OSError: if there are more than were announced.
            """
            self._arrived += n or 0
            if self._most is not None and self._arrived > self._most:
                raise OSError(f"more bytes arrive than the {self._most} that were announced")
            return super().update(n)

    return {"tqdm_class": Bar}
