"""What becomes a line of the zoo's index: a folder of weights and what was measured of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.backbones.formats import network_config
from eqmodels.errors import shown
from eqmodels.evaluation import CloudEvaluation, EncoderEvaluation
from eqmodels.evaluation.possible_results import check_possible
from eqmodels.remote import ZooEntry, check_repository
from eqmodels.storage import CONFIG, LARGEST, WEIGHTS, NetworkFolder, StorageError, reason_of
from eqmodels.training import PretrainConfig

__all__ = ["NOTES", "RESULTS", "adapted_from", "entry_of", "published_config", "read_notes", "read_results"]

NOTES = "NOTES.md"
"""The name of the file in a folder of weights, if there is one, in whose Markdown its owner says what no measurement
does: where training images are from, their licences, what the network is not for. It becomes a part of the card."""

LONGEST_NOTES = 100_000

DATA_LICENSES = {
    "fashion_mnist": "MIT",
    "fashion_mnist_mini": "MIT",
    "imagenet": "LicenseRef-ImageNet",
    # With KiCad's exception for designs; a part of the whole library is under the GPL.
    "kicad_parts": "CC-BY-SA-4.0 AND GPL-3.0-or-later",
    "kicad_parts_mini": "CC-BY-SA-4.0",
    "openclipart": "CC-PDDC",
    "openclipart_mini": "CC-PDDC",
}
"""SPDX identifiers of the training images, where they are known."""

_SAID = re.compile(r"^Licence of the training images: `([A-Za-z0-9.+() -]{1,200})`", re.MULTILINE)
"""A line of the notes of a network that learned from images of its own."""
_CALLED = re.compile(r"^Training images: `([A-Za-z0-9_., -]{1,100})`", re.MULTILINE)
"""Another one: what they are called, where the source of a recipe is somebody's own files."""

RESULTS = "results.json"
"""The name of the file in a folder of weights that holds what was measured of them."""

ADAPTED = ("symmetrised", "canonicalised", "turned_upright")
"""What the architectures of networks that were made of others end with, behind the group."""

_COMMIT = re.compile("[0-9a-f]{40}")


def entry_of(folder: Path | NetworkFolder, repository: str, commit: str | None) -> ZooEntry:
    """The entry of a folder of the zoo, from its files.

    Args:
        folder: with config, weights and results; its name is the network's.
        repository: on the Hub, ``organisation/name``.
        commit: of the repository, 40 hexadecimal digits; None if it is not published yet.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the repository's name or the commit cannot be one.
        StorageError: if a file is missing or is not what it should be.
    """
    check_arguments(entry_of, locals())
    check_repository(repository)
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise ValueError(f"commit must be 40 hexadecimal digits; got {shown(commit)}. Copy it, or pass None.")
    held = NetworkFolder.of(folder)
    config = published_config(held)
    evaluation = read_results(held)
    task, source = _learned_from(config)
    metrics = {}
    for scores in evaluation.kinds:
        metrics[f"{scores.kind}, upright"] = scores.accuracy
        metrics[f"{scores.kind}, turned"] = round(scores.turned, 4)
    return ZooEntry(
        name=held.name,
        repository=repository,
        commit=commit,
        file=WEIGHTS,
        size=held.size(WEIGHTS),
        sha256=held.sha256(WEIGHTS),
        config_sha256=held.sha256(CONFIG),
        license=config["pretrained_cfg"]["license"],
        task=task,
        data=called[1] if (called := _CALLED.search(read_notes(held))) else source,
        group=config["group"],
        metrics=metrics,
        data_license=_data_license(held, source),
        measured=_measured(evaluation, config),
    )


def _measured(evaluation: EncoderEvaluation | CloudEvaluation, config: Mapping[str, Any]) -> str:
    """What metrics are of, in words."""
    if isinstance(evaluation, CloudEvaluation):
        kind, seen = "clouds", f"{evaluation.points:,} points each"
    else:
        height, width = config["pretrained_cfg"]["input_size"][1:]
        kind, seen = "images", f"by a network of {height}x{width} pixels"
    (data, probed), (_, tested) = evaluation.train, evaluation.test
    return f"linear probes of {probed:,} {kind} of {data}, {tested:,} to test on, {seen}"


def _data_license(folder: NetworkFolder, data: str) -> str | None:
    """The SPDX expression of the training images: of a set that is known, or what the notes say."""
    said = _SAID.search(read_notes(folder))
    return said[1] if said else DATA_LICENSES.get(data)


def read_notes(folder: Path | NetworkFolder) -> str:
    """What the owner of a folder says of its weights, in Markdown; empty if nothing.

    Raises:
        StorageError: if it is no text, or longer than anybody reads.
    """
    held = NetworkFolder.of(folder)
    if not held.has(NOTES):
        return ""
    try:
        return held.content(NOTES, LONGEST_NOTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{held.file(NOTES)} cannot be read ({reason_of(error)}). Write plain text of at most 100 kB."
        ) from error


def adapted_from(config: Mapping[str, Any]) -> str | None:
    """The network that was adapted, by its source, ``timm:<name>``, or its name; None of any other network."""
    arguments = config["model_args"]
    source = arguments.get("source") or (arguments.get("original") or {}).get("source")
    return source if isinstance(source, str) and config["architecture"].endswith(ADAPTED) else None


def _learned_from(config: Mapping[str, Any]) -> tuple[str, str]:
    """What a network learned and from which images; of one that was adapted, how and from which network."""
    if "pretraining" in config:
        pretraining = PretrainConfig.from_dict(config["pretraining"]).flat()
        return pretraining.get("task", pretraining["objective"]), pretraining["data"]
    source = adapted_from(config)
    assert source is not None, "published_config refuses others"
    return config["architecture"].rpartition("_")[2], source


def published_config(folder: Path | NetworkFolder) -> dict[str, Any]:
    """The config of a network of which index and card tell: of a run, or of a network of others that was adapted.

    Raises:
        StorageError: if it cannot be read, or is that of another encoder alone, or says no licence.
    """
    held = NetworkFolder.of(folder)
    config, file = network_config(held), held.file(CONFIG)
    known = "pretraining" in config or adapted_from(config) is not None
    if known and config["pretrained_cfg"].get("license") is None:
        raise StorageError(
            f"{file} does not say under which licence the weights are. Pass license_name, an SPDX "
            "identifier: that of whoever trained them."
        )
    if not known:
        raise StorageError(
            f"{file} does not say how the network was pretrained, and the index and the card tell of it. "
            "Publish a run of eqmodels pretrain or a folder of eqmodels adapt; send other networks by "
            f"eqmodels.load({str(held)!r}).push_to_hub('organisation/name') in Python."
        )
    return config


def read_results(folder: Path | NetworkFolder) -> EncoderEvaluation | CloudEvaluation:
    """What was measured of the weights in a folder, on images or on clouds, as `eqmodels evaluate` wrote it.

    Raises:
        StorageError: if there are no results, they cannot be read, cannot be true, or are of other weights.
    """
    held = NetworkFolder.of(folder)
    return held.once("results", lambda: _results(held))


def _results(folder: NetworkFolder) -> EncoderEvaluation | CloudEvaluation:
    file = folder.file(RESULTS)
    try:
        content: dict[str, Any] = json.loads(folder.content(RESULTS, LARGEST))
        measured = content.get("evaluation", content)
        kind = CloudEvaluation if measured.get("takes") == "points" else EncoderEvaluation
        evaluation = kind.from_dict(measured)
        if not isinstance(evaluation.sha256, str):
            raise TypeError("the sha256 is no word")
        check_possible(evaluation)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # An error of the system is a sentence of its own; others need their names.
        name = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
        raise StorageError(
            f"{file} holds no results ({name}{reason_of(error)}). Measure the network first: "
            f"eqmodels evaluate {folder} --output {file}, with --root FOLDER if its images are yours."
        ) from error
    if evaluation.sha256 != (found := folder.sha256(WEIGHTS)):
        raise StorageError(
            f"{file} belongs to other weights: those of sha256 {evaluation.sha256[:12]}..., and {WEIGHTS} has "
            f"{found[:12]}.... Measure them again with eqmodels evaluate."
        )
    return evaluation
