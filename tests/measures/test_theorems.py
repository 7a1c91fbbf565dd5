"""Which statements on explaining away hold, and which fail."""

import math

import numpy as np
import pytest

from eqmodels.measures import STATEMENTS, check_statements
from eqmodels.measures.theorems import describe, random_network

FAIL = {
    "losing something is enough",
    "a coarser representation has less synergy",
    "a coarser representation has more synergy",
    "the gain over the best one is the larger of the two gains",
    "what predicts the transformation knows the class",
    "and that bound says something",
    "hiding the style never lowers synergy",
}


@pytest.fixture(scope="module")
def findings():
    """By the name of the statement."""
    return {finding.statement.name: finding for finding in check_statements(400)}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_the_statement_holds_or_fails_as_the_theory_says(findings, statement):
    finding = findings[statement.name]
    assert finding.holds == (statement.name not in FAIL), str(finding)
    assert finding.networks >= 390


@pytest.mark.parametrize("name", sorted(FAIL))
def test_a_counter_example_is_printed_and_breaks_the_statement(findings, name):
    finding = findings[name]
    assert finding.counter_example is not None
    assert finding.statement.margin(finding.counter_example) < 0
    text = str(finding)
    assert finding.statement.formula in text
    lines = [line for line in text.splitlines() if line.startswith("p = ")]
    probabilities = [float(line.split(":")[0].removeprefix("p = ")) for line in lines]
    assert sum(probabilities) == pytest.approx(1, abs=1e-3 * len(lines))
    # Small enough to be read.
    assert len(lines) <= 12


def test_the_bound_of_the_proof_is_never_positive():
    generator = np.random.default_rng(5)
    for _ in range(50):
        n = random_network(generator)
        assert n.mutual_information("Z", ("A1", "A2")) <= n.mutual_information("X", ("A1", "A2"), "C") + 1e-9


def test_a_false_identity_would_be_found():
    """The check itself can fail: each identity, broken by a thousandth of a nat, is no law of these networks."""
    generator = np.random.default_rng(0)
    network = random_network(generator)
    for statement in STATEMENTS:
        if "=" in statement.formula.replace(">=", "") and statement.name not in FAIL:
            assert statement.margin(network) == pytest.approx(0, abs=1e-9)
    assert math.isfinite(network.entropy("X"))
    assert describe(network).startswith("p = ")


def test_no_network_is_refused():
    with pytest.raises(ValueError, match="networks must be at least 1; got 0"):
        check_statements(0)
