"""The model card of a pretrained network, generated from what was measured of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import ModelCardData

from eqmodels.backbones import Backbone
from eqmodels.backbones.formats import network_config
from eqmodels.evaluation import CONTROLS, TURNED_PROBE, CloudEvaluation, EncoderEvaluation, TaskScores
from eqmodels.groups import PlanarGroup
from eqmodels.hub.card_template import Markdown, card_template, probe_result
from eqmodels.hub.cloud_card import cloud_card
from eqmodels.hub.entries import NOTES, adapted_from, entry_of, read_notes, read_results
from eqmodels.hub.loading import load_held
from eqmodels.hub.picture import PICTURE
from eqmodels.objectives import Prediction
from eqmodels.remote import ZooEntry
from eqmodels.reports import percent, percent_range
from eqmodels.storage import CONFIG, NetworkFolder, StorageError, for_markdown, reason_of
from eqmodels.training import PretrainConfig, Run, load_run

__all__ = ["NOTES", "beside", "exact_moves", "model_card", "possible_twin", "twin_of"]

PROBE = "image-classification", "linear probe on frozen features"
UNNAMED = ("array", "image_folder")
"""Sources that are somebody's own files, which are no data set that others know by this name."""

SHOWN = ("canonical", "regular", "invariant-3", *CONTROLS)
"""The kinds of features that the card shows, in this order."""

TURNS = {1: "", 2: "half turns", 4: "quarter turns"}
FLIPS = {0: "", 1: "left-right flips", 2: "flips along both axes", 4: "flips along both axes and both diagonals"}
"""What moves of the pixel grid are called, by how many a group has of them."""

OF_THE_NETWORK = ("model", "head", "head_hidden", "head_dropout", "turn")
OF_THE_RUN = ("seed", "channels_last", "compile")
"""What may differ between the recipes of twins: what is trained, and what does not change what it learns from."""


def possible_twin(folder: Path) -> Path | None:
    """Where, beside the folder of an equivariant network, that of the standard one belongs; None of a standard one."""
    group, underscore, rest = folder.name.partition("_")
    try:
        PlanarGroup.parse(group)
    except ValueError:  # a name without a group
        return None
    return folder.with_name(rest) if underscore else None


def twin_of(folder: Path | NetworkFolder) -> NetworkFolder | None:
    """Beside the folder of an equivariant network, that of the standard one pretrained alike, if there is one.

    It is of the same architecture but for the group, and its recipe the same but for the network, its head and its
    seed.

    Raises:
        StorageError: if a config cannot be read.
    """
    held = NetworkFolder.of(folder)
    return held.once("twin", lambda: _twin(held))


def beside(folder: NetworkFolder) -> NetworkFolder | None:
    """The folder, held as this one is, in which the twin of a network may lie; None of a standard one."""
    place = possible_twin(folder.path)
    return folder.once("beside", lambda: None if place is None else NetworkFolder(place, keeps=folder.keeps))


def _twin(folder: NetworkFolder) -> NetworkFolder | None:
    twin = beside(folder)
    if twin is None or not twin.has(CONFIG):
        return None
    own, other = network_config(folder), network_config(twin)
    configs = [PretrainConfig.from_dict(config.get("pretraining", {})) for config in (own, other)]
    recipes = [config.flat() for config in configs]
    different = {name for name in {**recipes[0], **recipes[1]} if recipes[0].get(name) != recipes[1].get(name)}
    of_the_networks = {name for config in configs for name in config.model.options}
    alike = different <= {*OF_THE_NETWORK, *OF_THE_RUN, *of_the_networks}
    return twin if alike and own["architecture"].partition("_")[2] == other["architecture"] else None


def model_card(folder: Path | NetworkFolder, repository: str) -> str:
    """The card of a folder of the zoo, with metadata for the Hub.

    Args:
        folder: with config, weights and results; and `NOTES`, whose Markdown is taken as it is.
        repository: on the Hub, as the card's code names it.

    Raises:
        StorageError: if the folder is not whole, has no results, or its results belong to other weights.
    """
    held = NetworkFolder.of(folder)
    evaluation, entry, config = read_results(held), entry_of(held, repository, None), network_config(held)
    run = load_run(held) if "pretraining" in config else None
    twin = twin_of(held)
    twins = {} if twin is None else {twin.name: read_results(twin)}
    try:
        if isinstance(evaluation, CloudEvaluation):
            if run is None:
                raise ValueError("nothing is known of its training")
            return cloud_card(entry, run, evaluation, read_notes(held))
        of_images = {name: one for name, one in twins.items() if isinstance(one, EncoderEvaluation)}
        told = _of_adapted(load_held(held), config) if run is None else _of_run(run, config, evaluation, entry)
        body = _body(card_template("card.md.j2"), entry, told, evaluation, of_images, read_notes(held))
        metadata = _metadata(entry, evaluation, run).to_yaml()
    except (jinja2.UndefinedError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"no card can be made of {held}: its config or its results lack something, or hold what they never do "
            f"({type(error).__name__}: {reason_of(error)}). Measure the network again: eqmodels evaluate."
        ) from error
    return f"---\n{metadata}\n---\n\n{body}"


@dataclass(frozen=True)
class _Told:
    """What the card tells of how a network came to be.

    Attributes:
        architecture: of the network.
        encoder: whose features are told of.
        purpose: the end of its first sentence.
        task: what its head predicts, if there is one.
        pretraining: the values of its training; None if it was adapted.
        provenance: of its training.
        source: the network of others that it was made of; None if there is none.
        images: what its training images are called; empty if it was adapted.
        weights: of that network, see `eqmodels.adapt.Original`; None if nothing is known of them.
    """

    architecture: str
    encoder: Backbone
    purpose: str
    task: TaskScores | None = None
    pretraining: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    source: str | None = None
    images: str = ""
    weights: Mapping[str, str] | None = None


def _of_run(run: Run, config: Mapping[str, Any], evaluation: EncoderEvaluation, entry: ZooEntry) -> _Told:
    encoder = run.encoder(config["model_args"].get("global_pool", "invariant"))
    task = evaluation.tasks[0] if isinstance(run.objective, Prediction) else None
    # By its source, which may say more than the recipe's word, or as its owner calls it.
    images = entry.data if entry.data != run.config.data.name else run.provenance["data"]["name"]
    return _Told(config["architecture"], encoder, _purpose(run), task, run.config.flat(), run.provenance, images=images)


def _of_adapted(encoder: Backbone, config: Mapping[str, Any]) -> _Told:
    source = adapted_from(config)
    purpose = f"made of `{for_markdown(str(source))}` without any training of its own"
    return _Told(config["architecture"], encoder, purpose, source=source, weights=config["model_args"].get("original"))


def _body(
    template: jinja2.Template,
    entry: ZooEntry,
    told: _Told,
    evaluation: EncoderEvaluation,
    twins: Mapping[str, EncoderEvaluation],
    notes: str,
) -> str:
    encoder = told.encoder
    if encoder.preprocessing is None:
        raise ValueError("nothing is known of its images")
    rows = [row for name, found in {entry.name: evaluation, **twins}.items() for row in _rows(name, found)]
    body: str = template.render(
        entry=entry,
        summary=Markdown(_summary(for_markdown(told.architecture), encoder.group, told.purpose)),
        output=Markdown(encoder.describe_output()),
        repository=f"hub:{entry.repository}",
        channels=encoder.in_chans,
        size=encoder.preprocessing.size,
        pictures=Markdown(encoder.preprocessing.describe()),
        features=encoder.head_hidden_size,
        picture=PICTURE,
        evaluation=evaluation,
        exact=exact_moves(encoder.group),
        quarters_are_a_control=encoder.group.rotations % 4 != 0,
        rows=[Markdown(" | ".join([f"`{for_markdown(row[0])}`", *map(for_markdown, row[1:])])) for row in rows],
        turned_probe=TURNED_PROBE if any(TURNED_PROBE in row for row in rows) else None,
        twin=bool(twins) or entry.group == "c1" or told.source is not None,
        task=told.task,
        percent=percent,
        pretraining=told.pretraining,
        provenance=told.provenance,
        source=told.source,
        trained_on=told.images,
        weights=told.weights,
        data_licence=entry.data_license,
        notes=Markdown(notes),
    )
    return body


def _purpose(run: Run) -> str:
    """What it was pretrained for: an objective of somebody's own is known by its name alone."""
    if isinstance(run.objective, Prediction):
        return "pretrained without labels by predicting what was done to the image"
    return f"pretrained for the objective `{for_markdown(run.config.objective.name)}`"


def _summary(architecture: str, group: PlanarGroup, purpose: str) -> str:
    if group.order == 1:
        return (
            f"A standard ResNet (`{architecture}`), {purpose}: the twin with which the equivariant networks of the "
            "same name are compared."
        )
    moves = exact_moves(group)
    if len(group.exact_elements) == group.order:
        nature = f"exactly equivariant under {group}"
    elif moves:
        nature = f"equivariant under {group}, exactly for {moves} and approximately for the rest of the group"
    else:
        nature = f"approximately equivariant under {group}, which has no element but the identity that permutes pixels"
    return f"An image encoder (`{architecture}`) that is {nature}, {purpose}."


def exact_moves(group: PlanarGroup) -> str:
    """The elements that permute pixels, but for the identity, in words; empty if there are none."""
    turns = sum(not group.reflected(g) for g in group.exact_elements)
    flips = len(group.exact_elements) - turns
    return " and ".join(filter(None, (TURNS[turns], FLIPS[flips])))


def _rows(name: str, evaluation: EncoderEvaluation) -> Iterator[list[str]]:
    found = {scores.kind: scores for scores in evaluation.kinds}
    for kind in _shown(evaluation):
        if (scores := found.get(kind)) is not None:
            few = scores.labels.get("0.01")
            yield [
                name,
                kind,
                str(scores.width),
                f"{evaluation.parameters:,}",
                f"{percent(scores.accuracy)} {percent_range(*scores.interval)}",
                percent(scores.turned),
                percent(scores.knn),
                "" if few is None else percent(few.mean),
            ]


def _shown(evaluation: EncoderEvaluation) -> tuple[str, ...]:
    """The kinds of features that the card shows; of what is invariant as it is, all that there is."""
    return SHOWN if len(evaluation.kinds) > 1 else (evaluation.kinds[0].kind,)


def _metadata(entry: ZooEntry, evaluation: EncoderEvaluation, run: Run | None) -> ModelCardData:
    results = [
        probe_result(PROBE, evaluation.test[0], f"{scores.kind} features, {images} images", value)
        for scores in evaluation.kinds
        if scores.kind in _shown(evaluation)
        for images, value in (("upright", scores.accuracy), ("turned", scores.turned))
    ]
    known = entry.data not in UNNAMED and (run is None or entry.data == run.config.data.name)
    return ModelCardData(
        library_name="eqmodels",
        license=entry.license,
        pipeline_tag="image-feature-extraction",
        tags=["eqmodels", "equivariant", entry.group, entry.task],
        datasets=[entry.data] if known else None,
        model_name=entry.name,
        eval_results=results,
    )
