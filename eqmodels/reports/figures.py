"""Pictures of measurements by matplotlib: one way to begin and to end them."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from eqmodels.arguments import check_arguments

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = object  # matplotlib is optional

__all__ = ["as_address", "as_png", "new_figure"]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that needs no display and leaves no global state.

    Args:
        width: in inches.
        height: in inches.

    Raises:
        TypeError: if an argument is of another type.
        ModuleNotFoundError: if matplotlib is not installed.
    """
    check_arguments(new_figure, locals())
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pictures need matplotlib, which is not installed; run: pip install matplotlib", name="matplotlib"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def as_png(figure: Figure, *, dpi: int = 130) -> bytes:
    """A figure as PNG; without the version of matplotlib, so that the same figure gives the same bytes.

    Args:
        figure: of matplotlib.
        dpi: pixels an inch.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def as_address(content: bytes, kind: str = "image/png") -> str:
    """Content as the address of an image, so that the page is one file.

    Args:
        content: of a file.
        kind: its MIME type.

    Raises:
        TypeError: if an argument is of another type.

    Example:
        >>> as_address(b"...", "image/webp")
        'data:image/webp;base64,Li4u'
    """
    check_arguments(as_address, locals())
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
