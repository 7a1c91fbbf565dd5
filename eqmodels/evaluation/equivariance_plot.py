"""The picture of an equivariance measurement: how much invariant features change while the image turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.evaluation.equivariance_results import EquivarianceReport
from eqmodels.groups import PlanarGroup
from eqmodels.reports import OKABE_ITO
from eqmodels.storage import StorageError, printable, reason_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = object  # matplotlib is optional

__all__ = ["plot_equivariance"]


def plot_equivariance(reports: Sequence[EquivarianceReport], target: str | os.PathLike[str] | Axes) -> None:
    """Draws the curves of one or more reports: relative change of the invariant features against the angle.

    Filled marks are the angles that the tested group contains; a dashed line is how far the features of different
    images are apart. The vertical axis is logarithmic, and an error of exactly zero (the identity's) is not drawn.

    Args:
        reports: what to compare, in the order of the legend.
        target: the path of a picture file (its folder is made), or matplotlib axes.

    Raises:
        ModuleNotFoundError: if matplotlib is not installed.
        TypeError: if an argument is of another type.
        ValueError: if there is no report, or one without a curve.
        StorageError: if the file cannot be written.
    """
    check_arguments(plot_equivariance, {"reports": reports})
    if not isinstance(target, str | os.PathLike) and not hasattr(target, "axhspan"):
        raise TypeError(f"target must be a path or matplotlib axes; got {shown(target)}. Pass, say, 'picture.png'.")
    if not reports or not all(report.curve for report in reports):
        raise ValueError(
            "reports must hold at least one report, each with a curve; measure it with angles=range(0, 360, 15)."
        )
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a plot needs matplotlib, which is not installed; run: pip install matplotlib"
        ) from error
    if not isinstance(target, str | os.PathLike):
        _draw(reports, target)
        return
    # Not pyplot: a figure of one's own needs no display and leaves no global state.
    figure = Figure(figsize=(8, 5), layout="constrained")
    _draw(reports, figure.add_subplot())
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:  # the second one is of a kind of file that matplotlib does not know
        raise StorageError(
            f"target must be a picture that can be written; got {printable(str(target))!r} ({reason_of(error)}). Pass, "
            "say, 'picture.png'."
        ) from error


def _draw(reports: Sequence[EquivarianceReport], axes: Axes) -> None:
    first = reports[0]
    lowest = 1e-17 if first.dtype == "float64" else 1e-9
    rounding = 100 * float(torch.finfo(getattr(torch, first.dtype)).eps)
    axes.axhspan(lowest, rounding, color="0.93", zorder=0)
    axes.text(3, lowest * 1.6, f"rounding errors of {first.dtype}", color="0.35", fontsize="small", va="bottom")
    for index, report in enumerate(reports):
        colour = OKABE_ITO[index % len(OKABE_ITO)]
        # The identity changes nothing, and zero has no logarithm.
        points = [(point.degrees, point.error) for point in report.curve if point.error > 0]
        angles, errors = [x for x, _ in points], [y for _, y in points]
        label = report.model
        axes.plot(angles, errors, "o-", color=colour, markerfacecolor="white", markersize=4, linewidth=1.2, label=label)
        # Every angle is one of a rotation of space.
        step = 360 / report.group.rotations if isinstance(report.group, PlanarGroup) else 1
        inside = [(x, y) for x, y in points if x % step == 0]
        axes.plot([x for x, _ in inside], [y for _, y in inside], "o", color=colour, markersize=7)
        apart = report.collapse.between_images
        axes.axhline(
            apart, color=colour, linestyle="--", linewidth=1, alpha=0.7, label=f"{label}, between different images"
        )
    shown = "{}x{} pixels inside a circle" if first.takes == "images" else "clouds of {} points of {} numbers"
    shown = shown.format(*first.size)
    what = "image" if first.takes == "images" else "cloud"
    groups = ", ".join(dict.fromkeys(str(report.group) for report in reports))
    axes.set_yscale("log")
    axes.set_ylim(lowest, 3)
    axes.set_xlim(0, 360)
    axes.set_xticks(range(0, 361, 45))
    axes.set_xlabel(f"angle by which the {what} is turned (degrees)")
    axes.set_ylabel(r"relative change  $\|f(gx) - f(x)\|\,/\,\|f(x)\|$")
    axes.set_title(
        f"Change of the invariant features when the {what} turns\n({shown}; filled marks: rotations of {groups})",
        fontsize="medium",
    )
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize="small", frameon=False)
