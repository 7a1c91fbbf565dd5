"""The picture of a model card: how well the probe knows the class while the image turns, or how well up is found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from eqmodels.evaluation import ORBIT_MEAN, TURNED_BACK, CloudEvaluation, EncoderEvaluation
from eqmodels.evaluation.cloud_scores import BARS
from eqmodels.reports import OKABE_ITO
from eqmodels.reports.figures import as_png, new_figure
from eqmodels.storage import for_picture

__all__ = ["PICTURE", "picture_of", "turns_picture", "up_picture"]

PICTURE = "turns.png"
"""The name of the file in a repository."""

CURVES = ("canonical", "invariant-3", "regular", ORBIT_MEAN, TURNED_BACK)


def picture_of(evaluations: Mapping[str, EncoderEvaluation | CloudEvaluation]) -> bytes:
    """The picture of what was measured: `up_picture` of clouds, `turns_picture` of images.

    Args:
        evaluations: by the network's name, the network itself first.

    Raises:
        ModuleNotFoundError: if matplotlib is not installed.
        ValueError: if what the picture shows was not measured.
    """
    first = next(iter(evaluations.values()))
    if isinstance(first, CloudEvaluation):
        return up_picture(first)
    return turns_picture({name: one for name, one in evaluations.items() if isinstance(one, EncoderEvaluation)})


def up_picture(evaluation: CloudEvaluation) -> bytes:
    """A PNG: how many turned clouds have which error of up, in degrees, beside what a guess would have.

    Args:
        evaluation: of an encoder whose head predicts a frame.

    Raises:
        ModuleNotFoundError: if matplotlib is not installed.
        ValueError: if no pose is predicted.
    """
    figure = new_figure(8, 4)
    counts = evaluation.errors_of_up
    if not counts:
        raise ValueError("no pose was measured; the picture of a card of points shows how well up is found.")
    axes, total = figure.subplots(), sum(counts)
    shares = [100 * count / total for count in counts]
    axes.bar(BARS[:-1], shares, width=15, align="edge", color=OKABE_ITO[0], edgecolor="white", label="predicted")
    # The cosine between two directions of which one is any is uniform from -1 to 1.
    bounds = [math.cos(math.radians(bound)) for bound in BARS]
    guess = [50 * (low - high) for low, high in pairwise(bounds)]
    axes.step(BARS, [*guess, guess[-1]], where="post", color="black", linestyle="--", label="a guess")
    axes.set(xlabel="error of up (degrees)", ylabel="turned test clouds (%)", xlim=(0, 180), xticks=BARS)
    axes.grid(alpha=0.3, axis="y")
    axes.legend(frameon=False)
    return as_png(figure, dpi=150)


def turns_picture(evaluations: dict[str, EncoderEvaluation]) -> bytes:
    """A PNG: accuracy of linear probes against the angle of the test images, a curve a kind of features.

    The same measurements give the same bytes (with the same matplotlib).

    Args:
        evaluations: by the network's name; the first in full lines, the others dashed.

    Raises:
        ModuleNotFoundError: if matplotlib is not installed.
        ValueError: if nothing was measured over the angles.
    """
    figure = new_figure(8, 4)
    axes = figure.subplots()
    for line, (name, evaluation) in zip(("-", "--", ":"), evaluations.items(), strict=False):
        # What is invariant as it is has one kind of features alone.
        kinds = CURVES if len(evaluation.kinds) > 1 else tuple(one.kind for one in evaluation.kinds)
        for colour, kind in zip(OKABE_ITO, kinds, strict=False):
            scores = next((one for one in evaluation.kinds if one.kind == kind and one.angles), None)
            if scores is not None:
                angles = [*(degrees for degrees, _ in scores.curve), 360.0]
                accuracies = [100 * accuracy for _, accuracy in scores.curve]
                label = for_picture(f"{name.split('.')[0]}, {kind}")
                axes.plot(angles, [*accuracies, accuracies[0]], line, color=colour, label=label)
    if not axes.lines:
        raise ValueError("nothing was measured over the angles; run eqmodels evaluate without --quick.")
    axes.set(
        xlabel="angle of the test images (degrees), seen through a circle",
        ylabel="accuracy (%)",
        xlim=(0, 360),
        ylim=(0, 100),
        xticks=range(0, 361, 45),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    return as_png(figure, dpi=150)
