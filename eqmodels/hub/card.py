"""The model card of a pretrained network, generated from what was measured of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import EvalResult, ModelCardData

from eqmodels.evaluation import EncoderEvaluation
from eqmodels.hub.index import ZooEntry, entry_of, read_results
from eqmodels.hub.picture import PICTURE
from eqmodels.storage import CONFIG, StorageError, read_config, reason_of
from eqmodels.training import Run, load_run

__all__ = ["model_card", "twin_of"]

LICENCES = {"fashion_mnist": "Zalando SE, MIT licence", "fashion_mnist_mini": "Zalando SE, MIT licence"}
"""Licences of the training images, where they are known."""

SHOWN = ("canonical", "regular", "invariant-3", "orbit-mean", "regular, turned probe")
"""The kinds of features that the card shows, in this order."""


def twin_of(folder: Path) -> Path | None:
    """Beside the folder of an equivariant network, that of the standard one pretrained alike, if there is one."""
    group, underscore, rest = folder.name.partition("_")
    twin = folder.with_name(rest)
    equivariant = underscore and not group.startswith(("resnet", "wide"))
    return twin if equivariant and (twin / CONFIG).is_file() else None


def model_card(folder: Path, repository: str) -> str:
    """The card of a folder of the zoo, with metadata for the Hub.

    Args:
        folder: with config, weights and results.
        repository: on the Hub, as the card's code names it.

    Raises:
        StorageError: if the folder is not whole, has no results, or its results belong to other weights.
    """
    evaluation, entry, config = read_results(folder), entry_of(folder, repository, None), read_config(folder / CONFIG)
    run = load_run(folder)
    twin = twin_of(folder)
    twins = {} if twin is None else {twin.name: read_results(twin)}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    template = environment.from_string((files("eqmodels.hub") / "card.md.j2").read_text("utf-8"))
    try:
        body = _body(template, entry, run, evaluation, twins, config)
        metadata = _metadata(entry, evaluation).to_yaml()
    except (jinja2.UndefinedError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"no card can be made of {folder}: its config or its results lack something, or hold what they never do "
            f"({type(error).__name__}: {reason_of(error)}). Measure the network again: eqmodels evaluate."
        ) from error
    return f"---\n{metadata}\n---\n\n{body}"


def _body(
    template: jinja2.Template,
    entry: ZooEntry,
    run: Run,
    evaluation: EncoderEvaluation,
    twins: Mapping[str, EncoderEvaluation],
    config: Mapping[str, Any],
) -> str:
    encoder = run.encoder(config["model_args"]["global_pool"])
    body: str = template.render(
        entry=entry,
        summary=_summary(entry, config["architecture"]),
        output=encoder.describe_output(),
        source=f"hub:{entry.repository}",
        channels=encoder.in_chans,
        size=run.preprocessing.size,
        features=encoder.num_features,
        picture=PICTURE,
        evaluation=evaluation,
        rows=[row for name, found in {entry.name: evaluation, **twins}.items() for row in _rows(name, found)],
        twin=bool(twins) or entry.group == "c1",
        task=evaluation.tasks[0],
        percent=_percent,
        pretraining=run.config.to_dict(),
        provenance=run.provenance,
        data_licence=LICENCES.get(entry.data),
    )
    return body


def _summary(entry: ZooEntry, architecture: str) -> str:
    if entry.group == "c1":
        return (
            f"A standard ResNet (`{architecture}`), pretrained without labels by predicting what was done to the "
            "image: the twin with which the equivariant networks of the same name are compared."
        )
    return (
        f"An image encoder (`{architecture}`) that is exactly equivariant under {entry.group.upper()}, pretrained "
        "without labels by predicting what was done to the image."
    )


def _rows(name: str, evaluation: EncoderEvaluation) -> Iterator[list[str]]:
    found = {scores.features: scores for scores in evaluation.features}
    for features in SHOWN:
        if (scores := found.get(features)) is not None:
            low, high = map(_percent, scores.interval)
            few = scores.labels.get("0.01")
            yield [
                f"`{name}`",
                features,
                str(scores.width),
                f"{evaluation.parameters:,}",
                f"{_percent(scores.accuracy)} ({low} .. {high})",
                _percent(scores.turned),
                _percent(scores.knn),
                "" if few is None else _percent(few.mean),
            ]


def _metadata(entry: ZooEntry, evaluation: EncoderEvaluation) -> ModelCardData:
    results = [
        EvalResult(
            task_type="image-classification",
            task_name="linear probe on frozen features",
            dataset_type=evaluation.test[0],
            dataset_name=evaluation.test[0],
            dataset_split="test",
            metric_type="accuracy",
            metric_name=f"accuracy, {scores.features} features, {images} images",
            metric_value=round(value, 4),
        )
        for scores in evaluation.features
        if scores.features in SHOWN
        for images, value in (("upright", scores.accuracy), ("turned", scores.turned))
    ]
    return ModelCardData(
        library_name="eqmodels",
        license=entry.license,
        pipeline_tag="image-feature-extraction",
        tags=["eqmodels", "equivariant", entry.group, entry.task],
        datasets=[entry.data],
        model_name=entry.name,
        eval_results=results,
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
