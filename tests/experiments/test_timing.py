"""Interleaved timing: who is run how often, in which order, and what the ratios mean. No test times anything."""

from __future__ import annotations

import pytest

from eqmodels.experiments import interleaved, summarise


def test_every_contender_runs_once_a_round_in_a_rotating_order():
    ticks, calls, rounds = iter(range(1000)), [], []
    contenders = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = interleaved(contenders, rounds=4, warmup=1, clock=lambda: float(next(ticks)), each_round=rounds.append)
    assert calls.count("a") == calls.count("b") == 5
    assert {"".join(calls[i : i + 2]) for i in range(0, 10, 2)} == {"ab", "ba"}
    assert seconds == {"a": [1.0] * 4, "b": [1.0] * 4}
    assert rounds == [-1, 0, 1, 2, 3]


def test_the_ratio_is_the_median_of_quotients_within_a_round():
    # The machine was slow in the second round, for both alike: the quotients do not see it.
    found = summarise({"a": [1.0, 10.0, 1.0], "b": [2.0, 20.0, 3.0]}, reference="a")
    assert (found["a"].ratio, found["b"].ratio) == (1.0, 2.0)
    assert (found["b"].median, found["b"].minimum, found["b"].maximum) == (3.0, 2.0, 20.0)
    assert (found["a"].ratio_quartiles, found["b"].ratio_quartiles) == ((1.0, 1.0), (2.0, 3.0))


@pytest.mark.parametrize(
    ("values", "reference", "sentence"),
    [({"a": [1.0], "b": []}, "a", "one number a round"), ({"a": []}, "a", "0 of a"), ({"a": [1.0]}, "b", "got 'b'")],
)
def test_rounds_that_do_not_fit_are_one_sentence(values, reference, sentence):
    with pytest.raises(ValueError, match=sentence):
        summarise(values, reference=reference)


def test_nothing_is_not_timed():
    with pytest.raises(ValueError, match="at least one"):
        interleaved({}, rounds=1)
