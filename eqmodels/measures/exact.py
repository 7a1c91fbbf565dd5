"""Exact information in discrete Bayesian networks, by enumeration of the joint distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown

__all__ = ["BayesianNetwork", "Variable"]

MAX_STATES = 20_000_000
"""The largest joint distribution that is enumerated: 160 MB."""

Names = str | Sequence[str]
"""One variable, or several as one."""


MOST_VALUES = 10_000
"""Of a variable: the joint distribution is one array."""


@dataclass(frozen=True, init=False, eq=False)
class Variable:
    """A discrete variable and its distribution given others.

    Attributes:
        name: not empty.
        table: probabilities, one axis a parent in the order of `parents` and the last one the variable's own values.
        parents: names of variables that come before it.

    Raises:
        TypeError: if the name is no string, the table not of numbers, or a parent no name.
    """

    name: str
    table: NDArray[np.float64]
    parents: tuple[str, ...] = ()

    def __init__(self, name: str, table: ArrayLike, parents: Sequence[str] = ()) -> None:
        given = (parents,) if isinstance(parents, str) else parents
        check_arguments(Variable, {"name": name, "parents": given})
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "table", _numbers(table))
        object.__setattr__(self, "parents", tuple(given))

    @classmethod
    def uniform(cls, name: str, values: int) -> Variable:
        """Every one of so many values with equal probability, of nothing else.

        Raises:
            ValueError: if there is no value, or there are more than 10,000.
        """
        if values < 1:
            raise ValueError(f"values of {name} must be at least 1; got {values}. A constant has one.")
        if values > MOST_VALUES:
            raise ValueError(f"values of {name} must be at most {MOST_VALUES}; got {values}. Pass fewer.")
        return cls(name, np.full(values, 1 / values))

    @classmethod
    def function(cls, name: str, parents: Mapping[str, int], rule: Callable[..., NDArray[np.int64]]) -> Variable:
        """A variable that its parents determine.

        Args:
            name: of the variable.
            parents: from the names of variables to their numbers of values.
            rule: from the parents' values (arrays of integers that broadcast) to its own, from 0.
        """
        values = np.broadcast_to(rule(*np.indices(tuple(parents.values()))), tuple(parents.values())).astype(int)
        return cls(name, np.eye(int(values.max()) + 1)[values], tuple(parents))


class BayesianNetwork:
    """Discrete variables, each given some of those before it, and every entropy of them in nats.

    The joint distribution ``p(x) = prod_i p(x_i | parents(x_i))`` is one array with an axis a variable.

    Args:
        variables: parents before children.

    Attributes:
        names: of the variables, in their order.
        joint: their joint distribution.

    Example:
        The sum of two fair bits tells half a bit of one, and of both together all but half a bit.

        >>> bits = [Variable.uniform("a", 2), Variable.uniform("b", 2)]
        >>> total = Variable.function("x", {"a": 2, "b": 2}, lambda a, b: a + b)
        >>> network = BayesianNetwork([*bits, total])
        >>> float(round(network.mutual_information("a", "x") / np.log(2), 6))
        0.5
        >>> float(round(network.mutual_information("a", "b", given="x") / np.log(2), 6))
        0.5

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is empty or taken, a parent is unknown, a table does not have the shape of its parents or
            is no distribution, or the joint distribution is too large to enumerate.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        check_arguments(BayesianNetwork, locals())
        sizes: dict[str, int] = {}
        for variable in variables:
            _check_variable(variable, sizes)
            sizes[variable.name] = variable.table.shape[-1]
        states = float(np.prod([float(size) for size in sizes.values()]))
        if states > MAX_STATES:
            raise ValueError(
                f"the joint distribution must have at most {MAX_STATES:,} states; got {states:,.0f}. Use fewer "
                "variables, or coarser ones."
            )
        self.names = tuple(sizes)
        self._axis = {name: axis for axis, name in enumerate(self.names)}
        self.joint: NDArray[np.float64] = np.ones(tuple(sizes.values()))
        for variable in variables:
            axes = [self._axis[name] for name in (*variable.parents, variable.name)]
            shape = [size if axis in axes else 1 for axis, size in enumerate(sizes.values())]
            self.joint *= variable.table.transpose(np.argsort(axes)).reshape(shape)

    def marginal(self, names: Names) -> NDArray[np.float64]:
        """The joint distribution of some variables, an axis each in their order.

        Raises:
            ValueError: if a name is unknown, or named twice.
        """
        names = _as_tuple(names)
        if unknown := [name for name in names if name not in self._axis]:
            raise ValueError(f"variables of this network are {', '.join(self.names)}; got {unknown[0]!r}.")
        if len(set(names)) < len(names):
            raise ValueError(f"names must differ; got {', '.join(names)}. A variable says nothing new beside itself.")
        kept = [self._axis[name] for name in names]
        summed = self.joint.sum(axis=tuple(axis for axis in range(self.joint.ndim) if axis not in kept))
        # What is left has its axes in the order of the network.
        return np.asarray(summed).transpose(np.argsort(np.argsort(kept)))

    def entropy(self, names: Names, given: Names = ()) -> float:
        """``H(names | given) = H(names, given) - H(given)`` in nats; never below 0.

        Raises:
            ValueError: as `marginal`.
        """
        names, given = _as_tuple(names), _as_tuple(given)
        both = dict.fromkeys((*names, *given))
        return max(_entropy(self.marginal(tuple(both))) - _entropy(self.marginal(given)), 0.0)

    def mutual_information(self, one: Names, other: Names, given: Names = ()) -> float:
        """``I(one; other | given) = H(one | given) - H(one | other, given)`` in nats; never below 0.

        Raises:
            ValueError: as `marginal`.
        """
        condition = tuple(dict.fromkeys((*_as_tuple(other), *_as_tuple(given))))
        return max(self.entropy(one, given) - self.entropy(one, condition), 0.0)

    def interaction_information(self, *groups: Names, given: Names = ()) -> float:
        """``I(A; B; C) = I(A; B | C) - I(A; B)`` in nats: positive for synergy, negative for redundancy.

        Of more than three, recursively: ``I(...; Y; Z) = I(...; Y | Z) - I(...; Y)``. McGill 1954, *Multivariate
        information transmission*, with the sign that makes synergy positive.

        Raises:
            ValueError: if there are fewer than two groups, and as `marginal`.
        """
        if len(groups) < 2:
            raise ValueError(f"interaction_information needs at least two groups of variables; got {len(groups)}.")
        if len(groups) == 2:
            return self.mutual_information(*groups, given=given)
        *rest, last = groups
        condition = tuple(dict.fromkeys((*_as_tuple(last), *_as_tuple(given))))
        return self.interaction_information(*rest, given=condition) - self.interaction_information(*rest, given=given)

    def sample(self, count: int, seed: int = 0) -> dict[str, NDArray[np.int64]]:
        """Independent samples of all variables: ``(count,)`` values of each, by name.

        Raises:
            ValueError: if there is no sample.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1; got {count}.")
        flat = self.joint.ravel()
        states = np.random.default_rng(seed).choice(flat.size, size=count, p=flat / flat.sum())
        return dict(zip(self.names, np.unravel_index(states, self.joint.shape), strict=True))


def _numbers(table: ArrayLike) -> NDArray[np.float64]:
    """A table as an array; raises a `TypeError` if it holds anything but numbers."""
    try:
        if table is None:  # which numpy takes for NaN
            raise ValueError
        return np.asarray(table, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise TypeError(
            f"table must be an array of probabilities; got {shown(table)}. Pass numbers that sum to 1 along the last "
            "axis."
        ) from error


def _as_tuple(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _entropy(distribution: NDArray[np.float64]) -> float:
    probabilities = distribution[distribution > 0]
    return float(-(probabilities * np.log(probabilities)).sum())


def _check_variable(variable: Variable, sizes: Mapping[str, int]) -> None:
    """Raises a `ValueError` unless a variable can stand after others of these sizes."""
    name, table, parents = variable.name, variable.table, variable.parents
    if not name or name in sizes:
        raise ValueError(f"names must be different and not empty; got {name!r} after {', '.join(sizes) or 'nothing'}.")
    if unknown := [parent for parent in parents if parent not in sizes]:
        raise ValueError(f"parents of {name} must come before it; got {unknown[0]!r}. Put it earlier in the list.")
    expected = tuple(sizes[parent] for parent in parents)
    if table.ndim != len(parents) + 1 or table.shape[:-1] != expected or not table.size:
        raise ValueError(
            f"the table of {name} must have an axis for each of its {len(parents)} parents, of sizes {expected}, and "
            f"one for its own values; got the shape {table.shape}."
        )
    if not np.isfinite(table).all() or (table < 0).any() or not np.allclose(table.sum(-1), 1, rtol=0, atol=1e-9):
        wrong = float(np.abs(np.nan_to_num(table.sum(-1), nan=np.inf) - 1).max())
        raise ValueError(
            f"the table of {name} must hold probabilities that sum to 1 along its last axis; a sum is off by "
            f"{wrong:.3g} or an entry is negative. Divide by table.sum(-1, keepdims=True)."
        )
