"""The terms of a pretrained encoder, beside those of the same network as it was initialised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.data import Source
from eqmodels.evaluation import observe
from eqmodels.measures import FilmFamily, LinearFamily, SynergyTerms, measure_synergy
from eqmodels.training import Run, untrained

__all__ = ["EncoderSynergy", "encoder_synergy"]


@dataclass(frozen=True)
class EncoderSynergy:
    """What one family of predictors reads from one network.

    Attributes:
        model: the backbone's name.
        task: what was done to the images.
        pretrained: whether it is the pretrained network, or the same as it was initialised.
        sha256: of the weights; empty for a network as it was initialised.
        terms: of information, on held-out images.
    """

    model: str
    task: str
    pretrained: bool
    sha256: str
    terms: SynergyTerms

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return asdict(self)


def encoder_synergy(
    run: Run,
    images: Source,
    *,
    folds: int = 5,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[EncoderSynergy, ...]:
    """Measures a network and its initialisation by linear and by FiLM predictors: four results.

    Args:
        run: the network, with the one task that it was pretrained with.
        images: that it was not trained on, with its channels.
        folds: of the cross-fitting.
        seed: of labels, folds and nulls.
        report: called with a word on what is being measured.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has several tasks, or the images do not suit it or are too few.
    """
    check_arguments(encoder_synergy, locals())
    found = []
    for network, pretrained in ((run, True), (untrained(run.config, images), False)):
        report("features" if pretrained else "features as initialised")
        observations = observe(network, images, seed=seed)
        for family in (LinearFamily(), FilmFamily()):
            terms = measure_synergy(observations, family, folds=folds, seed=seed, report=report)
            sha256 = run.sha256 if pretrained else ""
            found.append(EncoderSynergy(run.config.model.name, run.task.name, pretrained, sha256, terms))
    return tuple(found)
