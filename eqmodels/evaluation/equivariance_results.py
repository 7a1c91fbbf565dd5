"""What an equivariance measurement found: numbers, a readable table and JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from eqmodels.evaluation.collapse import Collapse
from eqmodels.groups import Group

__all__ = ["AngleError", "EquivarianceReport", "LayerError"]


_WORDS = {
    "images": (
        "image",
        "images of {}x{} pixels",
        "quarter turns and flips (they permute pixels",
        "image, masked by a circle,",
    ),
    "points": (
        "cloud",
        "clouds of {} points of {} numbers",
        "drawn elements (then the cloud is moved away, and its points put into another order",
        "cloud",
    ),
}
"""One of what a network is asked about, several of them, what moves them exactly, and what turns on the curve."""


@dataclass(frozen=True)
class LayerError:
    """How far one layer is from commuting with one group element.

    Attributes:
        layer: the module's name; ``name#2`` for its second call, ``output`` for the network itself.
        element: the index of the element in the tested group.
        description: the element in words, such as ``"flip, then 90°"``.
        error: ``||f(g x) - rho(g) f(x)|| / ||f(x)||``, without unit.
        exact: whether the element permutes pixels; others also pay for interpolation.
        fibre: the group whose regular fields the channels were taken for, or ``"no fibre"`` if the element moves pixels
            alone.
    """

    layer: str
    element: int
    description: str
    error: float
    exact: bool
    fibre: str


@dataclass(frozen=True)
class AngleError:
    """The relative change ``||f(turned x) - f(x)|| / ||f(x)||`` of the invariant features at one angle in degrees."""

    degrees: float
    error: float


@dataclass(frozen=True)
class EquivarianceReport:
    """The equivariance of one network, by `equivariance_report`.

    Attributes:
        model: what the network is called.
        group: the group it was tested with.
        size: height and width of the images in pixels; of clouds the points of each, and the numbers of a point.
        images: the number of images or clouds.
        dtype: the floating point type, such as ``"float64"``.
        layers: the error of every layer for every element but the identity, the worst first.
        curve: the change of the invariant features over the angles.
        collapse: how much the features depend on the image or cloud.
        takes: what the network was asked about, ``"images"`` or ``"points"``.
    """

    model: str
    group: Group
    size: tuple[int, int]
    images: int
    dtype: str
    layers: tuple[LayerError, ...]
    curve: tuple[AngleError, ...]
    collapse: Collapse
    takes: str = "images"

    @property
    def worst(self) -> LayerError:
        """The largest error of all."""
        return self.layers[0]

    @property
    def worst_exact(self) -> LayerError | None:
        """The largest error of the elements that permute pixels; None if the group has none but the identity."""
        return next((error for error in self.layers if error.exact), None)

    def at(self, layer: str) -> tuple[LayerError, ...]:
        """The errors of one layer, the worst first.

        Raises:
            KeyError: if the report has no such layer.
        """
        found = tuple(error for error in self.layers if error.layer == layer)
        if not found:
            known = ", ".join(dict.fromkeys(error.layer for error in self.layers))
            raise KeyError(f"the report has no layer {layer!r}; choose one of {known}.")
        return found

    def text(self, rows: int = 10) -> str:
        """A table of the worst layers, the pooled features and the output, and the curve in words.

        Args:
            rows: how many of the worst layers are listed.
        """
        exact, rest = (tuple(e for e in self.layers if e.exact is kind) for kind in (True, False))
        one, asked, motions, turned = _WORDS[self.takes]
        lines = [
            f"Equivariance of {self.model} under {self.group}: {self.images} {asked.format(*self.size)}, {self.dtype}",
            "relative error ||f(g x) - rho(g) f(x)|| / ||f(x)||, the worst element of a layer, the worst layer first",
        ]
        if exact:
            lines += ["", f"{motions}: only rounding errors are allowed)"]
            lines += _table(exact, rows)
        if rest:
            lines += [
                "",
                "other elements (approximate on any pixel grid, inside the inscribed circle)",
                *_table(rest, rows),
            ]
        if self.curve:
            top = max(self.curve, key=lambda point: point.error)
            lines += [
                "",
                f"change of the invariant features when the {turned} turns",
                *_angles(self.curve),
            ]
            lines.append(
                f"  largest: {top.error:.1e} at {top.degrees:g}°; between different {one}s: "
                f"{self.collapse.between_images:.1e}"
            )
        collapse = self.collapse
        lines += [
            "",
            f"the features depend on the {one}: relative spread {collapse.spread:.2g}, effective rank "
            f"{collapse.effective_rank:.1f} of {collapse.channels} channels",
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def to_dict(self) -> dict[str, Any]:
        """The report in types that JSON has; a number that is not finite becomes None."""
        content = asdict(self) | {"group": self.group.name, "size": list(self.size)}
        if self.takes == "images":  # which was not said when there was nothing else
            del content["takes"]
        for entry in [*content["layers"], *content["curve"], content["collapse"]]:
            entry |= {
                key: None for key, value in entry.items() if isinstance(value, float) and not math.isfinite(value)
            }
        return content


def _table(errors: tuple[LayerError, ...], rows: int) -> list[str]:
    worst: dict[str, LayerError] = {}
    for error in errors:
        worst.setdefault(error.layer, error)
    entries = list(worst.values())
    always = [entry for entry in entries[rows:] if entry.layer in ("global_pool", "output")]
    width = max(len(entry.layer) for entry in [*entries[:rows], *always])

    def line(entry: LayerError) -> str:
        return f"  {entry.layer:<{width}}  {entry.error:8.1e}  {entry.description:<16}  {entry.fibre}"

    lines = [f"  {'layer':<{width}}  {'error':>8}  {'at':<16}  fibre", *map(line, entries[:rows])]
    left = len(entries) - rows - len(always)
    if left > 0:
        lines.append(f"  ... and {left} more layers, below {entries[rows - 1].error:.1e}")
    return lines + [line(entry) for entry in always]


def _angles(curve: tuple[AngleError, ...], per_line: int = 8) -> list[str]:
    cells = [f"{point.degrees:4g}° {point.error:7.1e}" for point in curve]
    return ["  " + "  ".join(cells[start : start + per_line]) for start in range(0, len(cells), per_line)]
