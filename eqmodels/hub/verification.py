"""Everything that can be checked of a pretrained network, check by check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.backbones.formats import network_config
from eqmodels.backbones.golden import fitting_size
from eqmodels.errors import EqmodelsError
from eqmodels.evaluation import CloudEvaluation, EquivarianceReport, equivariance_report
from eqmodels.groups import PlanarGroup
from eqmodels.hub.entries import RESULTS, read_results
from eqmodels.hub.loading import check_files, load_held
from eqmodels.remote import locate
from eqmodels.storage import WEIGHTS, NetworkFolder
from eqmodels.training import load_run

__all__ = ["Check", "Verification", "verify"]

NAMES = ("files", "config", "index", "header", "weights", "golden output", "results", "equivariance")
"""The checks in their order."""

LARGEST = 128
"""The largest side of the images of the equivariance report, as a config may name any."""

TOLERANCE = 1e-10
"""The largest equivariance error of an element that permutes pixels, in float64."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: of `NAMES`.
        passed: whether it did; None if there was nothing to check.
        found: what was found, or why it did not pass.
    """

    name: str
    passed: bool | None
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
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)

    @property
    def first_failure(self) -> str:
        """Why the check that failed did; empty if none did."""
        return next((f"{check.name}: {check.found}" for check in self.checks if check.passed is False), "")

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "source": self.source,
            "passed": self.passed,
            "checks": [vars(check) for check in self.checks],
            "equivariance": None if self.equivariance is None else self.equivariance.to_dict(),
        }


def verify(source: str | Path | NetworkFolder, **options: Any) -> Verification:  # noqa: ANN401 (the fields of `Fetch`)
    """Checks a network: its files, config, weights, golden features and results, and its equivariance layer by layer.

    All of it is of one folder: of one commit, whatever moves on the Hub meanwhile.

    Args:
        source: a name of the zoo, a folder, perhaps one that is held, or ``"hub:organisation/name[@revision]"``.
        **options: of `load`, for the Hub.

    Raises:
        ValueError: if there is no such network, or an option breaks its rule.
    """
    checks: list[Check] = []
    report = None
    try:
        for passed, found, measured in _checks(source, options):
            checks.append(Check(NAMES[len(checks)], passed, found))
            report = measured
    except EqmodelsError as error:
        checks.append(Check(NAMES[len(checks)], passed=False, found=str(error)))
    return Verification(str(source), tuple(checks), report)


_Found = tuple[bool | None, str, EquivarianceReport | None]
"""Whether a check passed, what it found, and what it measured."""


def _checks(source: str | Path | NetworkFolder, options: dict[str, Any]) -> Iterator[_Found]:
    """Makes one check of `NAMES` after the other, and says what it found; raises at the first that fails."""
    located = locate(source.path if isinstance(source, NetworkFolder) else source, extras=(RESULTS,), **options)
    folder = source if isinstance(source, NetworkFolder) else NetworkFolder(located.folder)
    yield True, str(folder), None
    config = network_config(folder)
    yield True, f"format {config['format']}, {config['architecture']}", None
    located.check()
    known = located.entry is not None
    yield known or None, f"{'size and sha256 are those' if known else 'not a network'} of the zoo's index", None
    layout = folder.layout()
    check_files(folder)  # before a weight is read: a sparse file says that it is as large as it likes
    yield True, f"{len(layout)} tensors, {folder.size(WEIGHTS):,} bytes", None
    folder.weights()
    yield True, f"sha256 {config['sha256'][:12]}..., all values finite", None
    encoder = load_held(folder)
    if "pretraining" in config:
        load_run(folder)
    yield True, "names and shapes are the network's, features of the fixed image are the stored ones", None
    if folder.has(RESULTS):
        evaluation = read_results(folder)
        what = "clouds" if isinstance(evaluation, CloudEvaluation) else "images"
        yield True, f"of these weights, on {evaluation.test[1]:,} {what} of {evaluation.test[0]}", None
    else:
        yield None, f"there is no {RESULTS} in {folder}", None
    yield _equivariance(encoder)


def _equivariance(encoder: Backbone | PointBackbone) -> _Found:
    group = encoder.group
    if group == PlanarGroup(1):
        return None, "the network has no group", None
    if isinstance(encoder, PointBackbone):
        report = equivariance_report(encoder)
        found = f"error at most {report.worst.error:.1e} over drawn elements of {group} (float64)"
        return report.worst.error <= TOLERANCE, found, report
    height, width = encoder.preprocessing.size if encoder.preprocessing else (32, 32)
    size = fitting_size(encoder, (min(height, LARGEST), min(width, LARGEST)))
    report = equivariance_report(encoder, size=size)
    if report.worst_exact is None:
        approximate = f"the error is {report.worst.error:.1e} at {report.worst.description}"
        found = f"no element of {group} but the identity permutes pixels, so none is to be exact; {approximate}"
        return None, found, report
    worst = report.worst_exact.error
    found = f"error at most {worst:.1e} over layers and elements of {group} that permute pixels (float64)"
    return worst <= TOLERANCE, found, report
