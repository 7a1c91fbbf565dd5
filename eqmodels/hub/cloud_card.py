"""The model card of an encoder of points, generated from what was measured of it on clouds."""

from __future__ import annotations

from huggingface_hub import ModelCardData

from eqmodels.evaluation import CloudEvaluation
from eqmodels.hub.card_template import Markdown, card_template, probe_result
from eqmodels.hub.picture import PICTURE
from eqmodels.remote import ZooEntry
from eqmodels.reports import percent
from eqmodels.storage import for_markdown
from eqmodels.training import Run

__all__ = ["cloud_card"]

PROBE = "other", "linear probe on frozen features of point clouds"


def cloud_card(entry: ZooEntry, run: Run, evaluation: CloudEvaluation, notes: str) -> str:
    """The card, with metadata for the Hub.

    Args:
        entry: of the index.
        run: the network and how it was trained.
        evaluation: what was measured of it.
        notes: what its owner says, in Markdown.
    """
    encoder = run.encoder("invariant")
    kind = evaluation.kinds[0].kind
    rows = [
        [f"`{for_markdown(one.kind)}`", str(one.width), *map(percent, _accuracies(one)), f"{one.change:.1e}"]
        for one in evaluation.kinds
    ]
    body = card_template("cloud_card.md.j2").render(
        entry=entry,
        architecture=run.config.model.name,
        output=Markdown(encoder.describe_output()),
        repository=f"hub:{entry.repository}",
        kind={"pooled": "max"}.get(kind, kind),
        channels=encoder.in_chans,
        features=encoder.head_hidden_size,
        picture=PICTURE,
        evaluation=evaluation,
        rows=[Markdown(" | ".join(row)) for row in rows],
        percent=percent,
        pretraining=run.config.flat(),
        provenance=run.provenance,
        data_licence=entry.data_license,
        notes=Markdown(notes),
    )
    return f"---\n{_metadata(entry, evaluation).to_yaml()}\n---\n\n{body}"


def _accuracies(scores: object) -> list[float]:
    return [getattr(scores, name) for name in ("accuracy", "turned", "knn", "knn_turned")]


def _metadata(entry: ZooEntry, evaluation: CloudEvaluation) -> ModelCardData:
    results = [
        probe_result(PROBE, evaluation.test[0], f"{scores.kind} features, {clouds} clouds", value)
        for scores in evaluation.kinds
        for clouds, value in (("upright", scores.accuracy), ("turned", scores.turned))
    ]
    return ModelCardData(
        library_name="eqmodels",
        license=entry.license,
        tags=["eqmodels", "equivariant", "point-cloud", entry.group, entry.task],
        datasets=[entry.data],
        model_name=entry.name,
        eval_results=results,
    )
