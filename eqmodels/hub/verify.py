"""Everything that can be checked of a pretrained network, check by check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqmodels.backbones import Encoder
from eqmodels.evaluation import EquivarianceReport, equivariance_report
from eqmodels.hub.index import RESULTS, read_results
from eqmodels.hub.load import load
from eqmodels.hub.source import locate
from eqmodels.storage import CONFIG, WEIGHTS, EqmodelsError, read_config, read_layout, read_weights

__all__ = ["Check", "Verification", "verify"]

NAMES = ("files", "config", "index", "header", "weights", "golden output", "results")
"""The checks in their order; equivariance comes last."""

LARGEST = 128
"""The largest side of the images of the equivariance report, as a config may name any."""

TOLERANCE = 1e-10
"""The largest equivariance error of an element that permutes pixels, in float64."""


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it passed, and what was found or why it did not."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Verification:
    """What was checked of a network.

    Attributes:
        source: as it was named.
        checks: in order; after one that failed there is none.
        equivariance: layer by layer; None if a check failed before it, or the network has no group.
    """

    source: str
    checks: tuple[Check, ...]
    equivariance: EquivarianceReport | None

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)

    @property
    def first_failure(self) -> str:
        """Why the check that failed did; empty if none did."""
        return next((f"{check.name}: {check.found}" for check in self.checks if not check.passed), "")

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "source": self.source,
            "passed": self.passed,
            "checks": [vars(check) for check in self.checks],
            "equivariance": None if self.equivariance is None else self.equivariance.to_dict(),
        }


def verify(source: str | Path, **options: Any) -> Verification:  # noqa: ANN401 (the fields of `Fetch`)
    """Checks a network: its files, config, weights, golden features and results, and its equivariance layer by layer.

    Args:
        source: a name of the zoo, a folder, or ``"hub:organisation/name[@revision]"``.
        **options: of `load`, for the Hub.

    Raises:
        ValueError: if there is no such network.
    """
    checks: list[Check] = []
    report = None
    try:
        for found in _checks(source, options):
            checks.append(Check(NAMES[len(checks)], passed=True, found=found))
        report, check = _equivariance(load(source, **options))
        checks.append(check)
    except EqmodelsError as error:
        checks.append(Check(NAMES[len(checks)], passed=False, found=str(error)))
    return Verification(str(source), tuple(checks), report)


def _checks(source: str | Path, options: dict[str, Any]) -> Iterator[str]:
    """Makes one check of `NAMES` after the other, and says what it found; raises at the first that fails."""
    located = locate(source, **options)
    file = located.folder / WEIGHTS
    yield str(located.folder)
    config = read_config(located.folder / CONFIG)
    yield f"format {config['format']}, {config['architecture']}"
    located.check()
    yield "size and sha256 are those of the zoo's index" if located.entry else "not a network of the zoo's index"
    layout = read_layout(file)
    yield f"{len(layout)} tensors, {file.stat().st_size:,} bytes"
    read_weights(file, config["sha256"])
    yield f"sha256 {config['sha256'][:12]}..., all values finite"
    load(located.folder)
    yield "names and shapes are the network's, features of the fixed image are the stored ones"
    if (located.folder / RESULTS).is_file():
        evaluation = read_results(located.folder)
        yield f"of these weights, on {evaluation.test[1]:,} images of {evaluation.test[0]}"
    else:
        yield f"there is no {RESULTS} in this folder"


def _equivariance(encoder: Encoder) -> tuple[EquivarianceReport | None, Check]:
    if encoder.group.order == 1:
        return None, Check("equivariance", passed=True, found="the network has no group")
    height, width = encoder.preprocessing.size if encoder.preprocessing else (32, 32)
    report = equivariance_report(encoder, size=(min(height, LARGEST), min(width, LARGEST)))
    worst = 0.0 if report.worst_exact is None else report.worst_exact.error
    found = f"error at most {worst:.1e} over layers and elements of {encoder.group} that permute pixels (float64)"
    return report, Check("equivariance", passed=worst <= TOLERANCE, found=found)
