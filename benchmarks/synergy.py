"""Writes the report of the study of synergy and the figures of docs/why.md: ``python -m benchmarks.synergy``.

The study itself: ``eqmodels synergy --folder benchmarks/results/synergy``. Networks of the zoo are measured with
``--zoo NAME ...``, a few minutes each.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._sections import write_section
from eqmodels.data import balanced_subset, load_data
from eqmodels.hub import load_pretrained
from eqmodels.measures import BayesianNetwork, SynergyTerms, additive, pose_cue, style_leak, two_poses
from eqmodels.measures.theorems import Finding, check_statements, describe
from eqmodels.reports import Table
from eqmodels.storage import write_atomically
from eqmodels.studies import (
    SynergyStudy,
    encoder_synergy,
    read_study,
    study_tables,
    write_study_report,
)
from eqmodels.studies.tables import interval

FOLDER = Path(__file__).parent / "results" / "synergy"
DOCUMENT = Path(__file__).parents[1] / "docs" / "why.md"
ZOO = FOLDER / "zoo.json"
IMAGES, FOLDS = 2000, 3
"""Held-out images on which the networks of the zoo are measured, and folds, as in the study."""
SHOWN = {
    "correlations": "What predicts the gain of the probe",
    "groups": "Groups at equal cost: rotation",
    "doses": "Class information, added and eliminated",
}
"""Tables of the study that the document shows, by the name of their section."""


def statements(findings: Sequence[Finding]) -> str:
    """Which statements hold on random networks, and by how much the others fail."""
    rows = [
        [
            finding.statement.name,
            # A bar would end the cell.
            f"`{finding.statement.formula}`".replace("|", "\\|"),
            "holds" if finding.holds else f"fails in {finding.failures} of {finding.networks}",
            "" if finding.holds else f"{-finding.worst:.3f}" if finding.worst < -5e-4 else "equal sides",
        ]
        for finding in findings
    ]
    return Table(["statement", "formula", "random networks", "by up to, nats"], rows).markdown(as_it_is=True)


def counter_examples(findings: Sequence[Finding]) -> str:
    """The smallest network in which each statement fails that fails anywhere."""
    parts = []
    for finding in findings:
        if finding.counter_example is not None:
            states = describe(finding.counter_example)
            parts.append(f"*{finding.statement.name}*, `{finding.statement.formula}`:\n\n```\n{states}\n```")
    return "\n\n".join(parts)


def toys() -> str:
    """The synergy of exact models, by enumeration."""

    def synergy(network: BayesianNetwork, seen: Sequence[str], label: str | Sequence[str] = "A") -> str:
        return f"{network.mutual_information(label, 'C', tuple(seen)):.4f}"

    rows = [
        [f"`X = A + C`, {labels} labels, {classes} classes", synergy(additive(labels, classes), "X"), ""]
        for labels, classes in ((2, 10), (4, 10), (24, 10), (4, 100))
    ]
    rows.append(["`X = A`, 4 labels, 10 classes", synergy(additive(4, 10, strength=0), "X"), ""])
    for accuracy in (0.1, 0.5, 0.9, 1.0):
        network = pose_cue(accuracy)
        usable = network.mutual_information("A", "K", given="P")
        rows.append([f"pose, cue right in {accuracy:.0%}", synergy(network, "PK"), f"{usable:.4f}"])
    rows += [[f"pose, style leaks in {leak:.0%}", synergy(style_leak(leak), "PL"), ""] for leak in (0.0, 0.5, 1.0)]
    rows += [
        [f"two poses, {name}", synergy(two_poses(), ("P1", "P2"), label), ""]
        for name, label in (("the first label", "A1"), ("both labels", ("A1", "A2")))
    ]
    return Table(["exact model", "synergy left in what is seen, nats", "usable part of the cue"], rows).markdown(
        as_it_is=True
    )


def calibration(study: SynergyStudy) -> str:
    """How far the estimates are from the truth, by model."""
    rows = []
    for model in dict.fromkeys(entry.model for entry in study.calibration):
        entries = [entry for entry in study.calibration if entry.model == model]
        errors = [abs(entry.estimate.mean - entry.truth) for entry in entries]
        covered = sum(entry.estimate.low <= entry.truth <= entry.estimate.high for entry in entries)
        rows.append([model, f"{np.max(errors):.4f}", f"{covered} of {len(entries)}"])
    return Table(["exact model", "largest error, nats", "terms within their interval"], rows).markdown(as_it_is=True)


def zoo(entries: Sequence[dict[str, Any]]) -> str:
    """The terms of the networks of the zoo."""
    rows = []
    for entry in entries:
        terms = SynergyTerms.from_dict(entry["terms"])
        shown = (terms.known, terms.unlocked, terms.irreducible, terms.class_known, terms.class_unlocked)
        name = f"`{entry['name']}`" if entry["pretrained"] else "the same, as initialised"
        rows.append([name, terms.family, *(interval(value) for value in shown)])
    header = ["network", "family", "known", "synergy", "irreducible", "class known", "by the class"]
    return Table(header, rows).markdown(as_it_is=True)


def sections() -> dict[str, str]:
    """Every section of the document, by name."""
    study, findings = read_study(FOLDER), check_statements()
    tables = {table.title: table.markdown() for table in study_tables(study)}
    found = {
        "statements": statements(findings),
        "counter_examples": counter_examples(findings),
        "toys": toys(),
        "calibration": calibration(study),
        # Its title has the backbone.
        "families": next(text for title, text in tables.items() if title.startswith("Two families")),
        "zoo": zoo(json.loads(ZOO.read_text())),
    }
    return found | {name: tables[title] for name, title in SHOWN.items()}


def measure_zoo(names: Sequence[str], root: str | None) -> None:
    """Measures networks of the zoo on held-out images."""
    test = balanced_subset(load_data("fashion_mnist", "test", root=root), IMAGES)
    found = []
    for name in names:
        found += [{"name": name} | one.to_dict() for one in encoder_synergy(load_pretrained(name), test, folds=FOLDS)]
    write_atomically(ZOO, json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Measures the zoo, if it is asked to, and writes the report and the document's figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", nargs="+", metavar="NAME", help="measure these networks")
    parser.add_argument("--root", help="the folder of the data")
    arguments = parser.parse_args()
    if arguments.zoo:
        measure_zoo(arguments.zoo, arguments.root)
    write_study_report(read_study(FOLDER), FOLDER / "report")
    for name, text in sections().items():
        write_section(DOCUMENT, name, f"\n{text}\n")


if __name__ == "__main__":
    main()
