"""Statements on explaining away, checked on random networks: which hold, which fail, and by which counter-example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.measures.exact import BayesianNetwork, Variable

__all__ = ["STATEMENTS", "Finding", "Statement", "check_statements", "describe", "random_network"]

TOLERANCE = 1e-9
"""Nats: what rounding may make of 0."""


@dataclass(frozen=True)
class Statement:
    """An inequality between information quantities of ``A1, A2 -> X <- C``, ``X <- S`` and ``X -> Z``.

    In it, A stands for both transformations, which are independent of each other, of the class C and of the style S.

    Attributes:
        name: in a few words.
        formula: the inequality.
        margin: of a network, left side minus right side in nats, of a strict inequality a little less: the statement
            holds if it is not negative. None where the statement says nothing.
        source: where it stands, or what it follows from.
    """

    name: str
    formula: str
    margin: Callable[[BayesianNetwork], float | None]
    source: str


@dataclass(frozen=True)
class Finding:
    """What became of a statement.

    Attributes:
        statement: which.
        networks: the number of networks that it said something about.
        failures: the number of those in which it did not hold.
        worst: the smallest margin in nats.
        counter_example: a network in which it fails, that of the fewest possible states; None if it held in all.
    """

    statement: Statement
    networks: int
    failures: int
    worst: float
    counter_example: BayesianNetwork | None

    @property
    def holds(self) -> bool:
        """Whether no network broke it."""
        return not self.failures

    def __str__(self) -> str:
        name = f"{self.statement.name}: {self.statement.formula}"
        if self.counter_example is None:
            return f"{name} held in all {self.networks} networks."
        return (
            f"{name} failed in {self.failures} of {self.networks} networks, by up to {-self.worst:.4f} nats. "
            f"The simplest:\n{describe(self.counter_example)}"
        )


_A = ("A1", "A2")


def _strict(margin: float) -> float:
    """The margin of a strict inequality: equal sides fail it."""
    return margin - 2 * TOLERANCE


def _lossy_is_enough(n: BayesianNetwork) -> float | None:
    return None if n.entropy(_A, "X") <= TOLERANCE else _strict(n.mutual_information(_A, "C", "X"))


def _single(n: BayesianNetwork) -> tuple[float, float]:
    return n.mutual_information("A1", "C", "X"), n.mutual_information("A2", "C", "X")


def _gains(n: BayesianNetwork) -> tuple[float, float]:
    """Of each transformation, beside the other."""
    return n.mutual_information("A1", "C", ("X", "A2")), n.mutual_information("A2", "C", ("X", "A1"))


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        "the class never hurts",
        "H(A|X) >= H(A|X,C)",
        lambda n: n.entropy(_A, "X") - n.entropy(_A, ("X", "C")),
        "conditioning cannot raise an entropy",
    ),
    Statement(
        "synergy is explaining away",
        "I(A;C|X) = I(A;C;X), as I(A;C) = 0",
        lambda n: -abs(n.mutual_information(_A, "C", "X") - n.interaction_information(_A, "C", "X")),
        "Wang et al. 2024, section 3; McGill 1954",
    ),
    Statement(
        "a transformation must lose something",
        "H(A|X) >= I(A;C|X)",
        lambda n: n.entropy(_A, "X") - n.mutual_information(_A, "C", "X"),
        "Wang et al. 2024, first principle",
    ),
    Statement(
        "losing something is enough",
        "H(A|X) > 0 implies I(A;C|X) > 0",
        _lossy_is_enough,
        "the converse of the first principle",
    ),
    Statement(
        "an image that shows its class leaves no synergy",
        "H(C|X) >= I(A;C|X)",
        lambda n: n.entropy("C", "X") - n.mutual_information(_A, "C", "X"),
        "the same quantity by its other route",
    ),
    Statement(
        "a coarser representation has less synergy",
        "I(A;C|X) >= I(A;C|Z)",
        lambda n: n.mutual_information(_A, "C", "X") - n.mutual_information(_A, "C", "Z"),
        "what the data processing inequality would say of unconditional information",
    ),
    Statement(
        "a coarser representation has more synergy",
        "I(A;C|Z) >= I(A;C|X)",
        lambda n: n.mutual_information(_A, "C", "Z") - n.mutual_information(_A, "C", "X"),
        "the opposite of the statement before",
    ),
    Statement(
        "finer labels have no less synergy",
        "I(A;C|X) >= I(A1;C|X)",
        lambda n: n.mutual_information(_A, "C", "X") - _single(n)[0],
        "Wang et al. 2024, Theorem 2: A1 is a function of the finer label A",
    ),
    Statement(
        "several transformations at once have no less synergy than the best of them",
        "I(A1,A2;C|X) >= max(I(A1;C|X), I(A2;C|X))",
        lambda n: n.mutual_information(_A, "C", "X") - max(_single(n)),
        "Wang et al. 2024, Theorem 3",
    ),
    Statement(
        "the gain over the best one is the smaller of the two gains",
        "I(A1,A2;C|X) - max(I(A1;C|X), I(A2;C|X)) = min(I(A1;C|X,A2), I(A2;C|X,A1))",
        lambda n: -abs(n.mutual_information(_A, "C", "X") - max(_single(n)) - min(_gains(n))),
        "the chain rule, both ways",
    ),
    Statement(
        "the gain over the best one is the larger of the two gains",
        "I(A1,A2;C|X) - max(I(A1;C|X), I(A2;C|X)) >= max(I(A1;C|X,A2), I(A2;C|X,A1))",
        lambda n: n.mutual_information(_A, "C", "X") - max(_single(n)) - max(_gains(n)),
        "Wang et al. 2024, Theorem 3 with the maximum",
    ),
    Statement(
        "what predicts the transformation knows the class",
        "I(Z;C) >= I(Z;A) + I(X;A|C)",
        lambda n: (
            n.mutual_information("Z", "C") - n.mutual_information("Z", _A) - n.mutual_information("X", _A, given="C")
        ),
        "Wang et al. 2024, Theorem 4, with the sign that its proof does not give",
    ),
    Statement(
        "the same with the sign of its proof",
        "I(Z;C) >= I(Z;A) - I(X;A|C)",
        lambda n: (
            n.mutual_information("Z", "C") - n.mutual_information("Z", _A) + n.mutual_information("X", _A, given="C")
        ),
        "the proof of Theorem 4",
    ),
    Statement(
        "and that bound says something",
        "I(Z;A) - I(X;A|C) > 0",
        lambda n: _strict(n.mutual_information("Z", _A) - n.mutual_information("X", _A, given="C")),
        "a bound below 0 holds of any representation",
    ),
    Statement(
        "hiding the style never lowers synergy",
        "I(A;C|X) >= I(A;C|X,S)",
        lambda n: n.mutual_information(_A, "C", "X") - n.mutual_information(_A, "C", ("X", "S")),
        "Wang et al. 2024, third principle, taken as a law",
    ),
)
"""What is checked: of the paper, of what it would need, and of what bounds it."""


def random_network(generator: np.random.Generator) -> BayesianNetwork:
    """A random network of ``A1, A2, C, S -> X -> Z``, all but X and Z independent.

    Labels are uniform, as those of a task; class and style are not. Every table is one of a function, or drawn from a
    Dirichlet distribution of concentration 1/10 or 1. Some variables are constants, so that counter-examples are small.
    """
    first, second, classes, styles, seen, kept = (
        int(generator.integers(low, high + 1)) for low, high in ((2, 4), (1, 3), (2, 4), (1, 3), (2, 6), (1, 4))
    )

    def table(*sizes: int) -> NDArray[np.float64]:
        kind = generator.integers(3)
        if kind == 0:
            return np.asarray(np.eye(sizes[-1])[generator.integers(sizes[-1], size=sizes[:-1])])
        return np.asarray(generator.dirichlet(np.full(sizes[-1], (0.1, 1.0)[kind - 1]), size=sizes[:-1]))

    return BayesianNetwork(
        [
            Variable.uniform("A1", first),
            Variable.uniform("A2", second),
            Variable("C", generator.dirichlet(np.full(classes, 3.0))),
            Variable("S", generator.dirichlet(np.full(styles, 3.0))),
            Variable("X", table(first, second, classes, styles, seen), ["A1", "A2", "C", "S"]),
            Variable("Z", table(seen, kept), ["X"]),
        ]
    )


def check_statements(networks: int = 500, seed: int = 0) -> tuple[Finding, ...]:
    """Checks every statement on the same random networks.

    Args:
        networks: their number.
        seed: of the networks.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no network, or the seed is negative.
    """
    check_arguments(check_statements, locals())
    check_count("seed", seed, 0, bits=64)
    if networks < 1:
        raise ValueError(f"networks must be at least 1; got {networks}. Some 500 show every failure.")
    generator = np.random.default_rng(seed)
    drawn = [random_network(generator) for _ in range(networks)]
    return tuple(_find(statement, drawn) for statement in STATEMENTS)


def _find(statement: Statement, networks: list[BayesianNetwork]) -> Finding:
    margins = [(margin, network) for network in networks if (margin := statement.margin(network)) is not None]
    failures = [network for margin, network in margins if margin < -TOLERANCE]
    smallest = min(failures, key=lambda network: np.count_nonzero(network.joint), default=None)
    worst = min((margin for margin, _ in margins), default=np.nan)
    return Finding(statement, len(margins), len(failures), float(worst), smallest)


def describe(network: BayesianNetwork) -> str:
    """The states of a network that have a probability, a line each, the likeliest first, without its constants."""
    states = [(float(p), index) for index, p in np.ndenumerate(network.joint) if p > 0]
    varying = [axis for axis, size in enumerate(network.joint.shape) if size > 1]
    lines = (
        f"p = {p:.4f}: " + ", ".join(f"{network.names[axis]} = {index[axis]}" for axis in varying)
        for p, index in sorted(states, key=lambda state: -state[0])
    )
    return "\n".join(lines)
