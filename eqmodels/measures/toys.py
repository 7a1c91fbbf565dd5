"""Small exact models of a transformation, a class and what is seen: where the truth about synergy is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqmodels.arguments import check_arguments
from eqmodels.measures.exact import MOST_VALUES, BayesianNetwork, Variable

__all__ = ["additive", "pose_cue", "style_leak", "two_poses"]


def additive(transformations: int, classes: int, *, strength: int = 1) -> BayesianNetwork:
    """``X = A + strength C``: the class hides the transformation, and knowing it brings the transformation back.

    Variables ``A``, ``C`` and ``X``. With ``strength=0`` X is A itself: nothing is left to explain away.

    Source: the example of Wang et al. 2024, arXiv 2411.06508.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no transformation or class, or the strength is negative or above 10,000.
    """
    check_arguments(additive, locals())
    if strength < 0:
        raise ValueError(f"strength must not be negative; got {strength}. Use 0 for an image that hides nothing.")
    if strength > MOST_VALUES:
        raise ValueError(f"strength must be at most {MOST_VALUES}; got {strength}. Pass, say, 1.")
    variables = [Variable.uniform("A", transformations), Variable.uniform("C", classes)]
    total = Variable.function("X", {"A": transformations, "C": classes}, lambda a, c: a + strength * c)
    return BayesianNetwork([*variables, total])


def pose_cue(accuracy: float, *, poses: int = 4, classes: int = 10, upright: float = 0.9) -> BayesianNetwork:
    """An image that shows a pose, whose upright is the class's, and a cue of the class.

    Variables: ``A``, the turn; ``C``, the class; ``R``, the pose of the raw image, ``C mod poses`` with probability
    `upright`, else one of the others; ``P = A + R mod poses``, the pose that is seen; ``K``, the cue: the class with
    probability `accuracy`, else one of the others. With ``X = (P, K)`` the usable part ``H(A|P) - H(A|P,K)`` grows with
    the accuracy of the cue while the synergy ``I(A;C|X)`` shrinks: it vanishes exactly where learning the class pays
    most.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a probability is not in [0, 1], or there are fewer than two poses or classes.
    """
    check_arguments(pose_cue, locals())
    return BayesianNetwork(
        [
            *_posed(poses, classes, upright),
            Variable("K", _noisy(np.arange(classes), classes, accuracy, "accuracy"), ["C"]),
        ]
    )


def style_leak(leak: float, *, poses: int = 4, classes: int = 10, upright: float = 0.9) -> BayesianNetwork:
    """The pose cue with a shortcut: a style, such as the light from above, that turns with the image.

    Variables ``A``, ``C``, ``R`` and ``P`` as in `pose_cue`; ``S``, the style, which is 0 with probability `leak` and
    otherwise uniform; ``L = A + S mod poses``, the style that is seen. With ``leak=1`` it tells the turn, and the class
    is of no use; with ``leak=0``, as after an augmentation that makes the style random, it tells nothing.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: as `pose_cue`.
    """
    check_arguments(style_leak, locals())
    _check_probability("leak", leak)
    posed = _posed(poses, classes, upright)
    styles = np.full(poses, (1 - leak) / poses)
    styles[0] += leak
    seen = Variable.function("L", {"A": poses, "S": poses}, lambda a, s: (a + s) % poses)
    return BayesianNetwork([*posed, Variable("S", styles), seen])


def two_poses(*, poses: int = 4, classes: int = 10, upright: float = 0.9) -> BayesianNetwork:
    """Two transformations of one image, such as a turn and a shift of hue: multivariate labels.

    Variables: ``A1`` and ``A2``; ``C``; ``P1 = A1 + R1 mod poses``, where ``R1`` is ``C mod poses`` with probability
    `upright`, else one of the others; ``P2`` the same of ``A2`` and of ``C // poses mod poses``.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: as `pose_cue`.
    """
    check_arguments(two_poses, locals())
    variables = [Variable.uniform("A1", poses), Variable.uniform("A2", poses), Variable.uniform("C", classes)]
    for index, own in enumerate((np.arange(classes) % poses, np.arange(classes) // poses % poses), start=1):
        sizes = {f"A{index}": poses, f"R{index}": poses}
        variables += [
            Variable(f"R{index}", _noisy(own, poses, upright, "upright"), ["C"]),
            Variable.function(f"P{index}", sizes, lambda a, r: (a + r) % poses),
        ]
    return BayesianNetwork(variables)


def _posed(poses: int, classes: int, upright: float) -> list[Variable]:
    """The variables that all pose models share."""
    return [
        Variable.uniform("A", poses),
        Variable.uniform("C", classes),
        Variable("R", _noisy(np.arange(classes) % poses, poses, upright, "upright"), ["C"]),
        Variable.function("P", {"A": poses, "R": poses}, lambda a, r: (a + r) % poses),
    ]


def _noisy(values: NDArray[np.int64], count: int, probability: float, name: str) -> NDArray[np.float64]:
    """The table of a variable that has these values with a probability, else one of the others, all equally likely."""
    _check_probability(name, probability)
    if count < 2:
        raise ValueError(f"there must be at least two poses and two classes; got {count}. One leaves nothing to tell.")
    right = np.eye(count)[values]
    return probability * right + (1 - probability) / (count - 1) * (1 - right)


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a probability, from 0 to 1; got {value}. Pass, say, 0.9.")
