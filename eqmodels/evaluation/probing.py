"""Probes of every kind of features, trained on upright images and asked about one moved copy after another.

Copies are streamed: the features of one view of the test images are computed, every probe is asked about them, and they
are dropped; with controls that need the four turned copies of an image, four at a time. So memory does not grow with
the group, nor with the number of angles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.data import Source
from eqmodels.evaluation.collapse import effective_rank
from eqmodels.evaluation.encoding import Subject, encode
from eqmodels.evaluation.few_labels import label_efficiency
from eqmodels.evaluation.kinds import ORBIT_MEAN, FeatureKind
from eqmodels.evaluation.knn import knn_accuracy
from eqmodels.evaluation.orbits import QUARTERS, UPRIGHT, Motion, Orbits, View, quarter_orbits
from eqmodels.evaluation.poolings import change_under, poolings_of
from eqmodels.evaluation.scores import FeatureScores
from eqmodels.measures.intervals import Estimate, estimate, proportion_interval
from eqmodels.measures.linear_probe import LinearProbe, fit_linear_probe
from eqmodels.processes import World

__all__ = ["CURVE_STEP", "Examination", "ProbeOptions"]

T = TypeVar("T")

CURVE_STEP = 15
"""Degrees between the points of the curve."""
EXACT = 1e-5
"""Equivariance errors below it are rounding of float32."""
VALIDATION = 0.2
"""Part of the training images on which a probe's strength is chosen."""
LABEL_EFFICIENCY_OF = ("regular", "invariant-3", "canonical", "all", ORBIT_MEAN)
"""The kinds of features that are probed with few labels: the others are variants of these, if there is a fibre."""
IN_A_CIRCLE = View(circular=True)
"""Upright, through the circle: what moved images that are seen so are compared with."""


@dataclass(frozen=True)
class ProbeOptions:
    """How features are scored: the arguments of `evaluate` of the same names."""

    knn: bool
    fractions: tuple[float, ...]
    curve_images: int
    strengths: tuple[float, ...]
    seed: int


@dataclass(frozen=True)
class _Fitted:
    """What is known of one kind of features of whole upright images."""

    probe: LinearProbe
    width: int
    knn: float
    rank: float
    labels: dict[str, Estimate]


@dataclass
class _Found:
    """What is known of one kind of features so far: it is asked about the probe."""

    kind: FeatureKind
    fitted: _Fitted | None = None
    probe: LinearProbe | None = None
    elements: dict[View, float] = field(default_factory=dict)
    curve: dict[View, float] = field(default_factory=dict)


class Examination:
    """Every kind of features of an encoder, asked about every view of its orbits.

    Args:
        subject: the encoder.
        kinds: of its features.
        train: images with labels for the probes.
        test: held-out images with labels.
        options: how features are scored.
        report: called with a word on what is being measured.
        progress: called after each view and each fit with the number of those that are done, and of all.
        whole: the encoder as it is asked about whole test images; None for as about others.
        world: processes that compute features and fit probes in turn; None for this one alone.

    Attributes:
        errors: the equivariance error of the encoder's features by view, once `run` is done.
    """

    def __init__(
        self,
        subject: Subject,
        kinds: Sequence[FeatureKind],
        train: Source,
        test: Source,
        options: ProbeOptions,
        report: Callable[[str], None],
        progress: Callable[[int, int], None],
        *,
        whole: Subject | None = None,
        world: World | None = None,
    ) -> None:
        self.whole, self.world = subject if whole is None else whole, World() if world is None else world
        self.subject, self.train, self.test = subject, train, test
        self.options, self.report, self.progress = options, report, progress
        self.found = [_Found(kind) for kind in kinds]
        self.needs_quarters = any(kind.needs_quarters for kind in kinds)
        self.orbits = Orbits.of(subject.group)
        self.curve = Orbits.curve(CURVE_STEP) if options.curve_images else ()
        self.errors: dict[View, float] = {}
        self.done, self.steps = 0, self._steps()

    def run(self) -> tuple[FeatureScores, ...]:
        """Measures everything: whole images first, then what is seen through a circle."""
        self.report("features")
        reference: Tensor | None = None
        for view, copies in self._stream(self.orbits.whole, self.test):
            if view == UPRIGHT:
                reference = copies[view]
                self._fit(copies)
                self.report("moved images")
            elif reference is not None:
                self.errors[view] = change_under(view.motion, self.subject.field, reference, copies[view])
            for found in self.found:
                found.elements[view] = _accuracy(found, copies, view, self.test.labels)
            del copies
        del reference
        if self.orbits.circular or self.curve:
            self.report("images in a circle")
            self._fit_in_a_circle()
            self._ask_in_a_circle()
        return tuple(map(self._scores, self.found))

    @property
    def equivariance_error(self) -> dict[str, float]:
        """By view, in the order of the orbits: see `change_under`."""
        views = (*self.orbits.whole, *self.orbits.circular)
        return {str(view): self.errors[view] for view in views if view in self.errors}

    def _ask_in_a_circle(self) -> None:
        """The elements that interpolate, on all test images, and the angles of the curve, on some."""
        reference: Tensor | None = None
        for view, copies in self._stream(self.orbits.circular, self.test):
            if reference is None:
                reference = copies[IN_A_CIRCLE]
            else:
                self.errors[view] = change_under(view.motion, self.subject.field, reference, copies[view])
            for found in self.found:
                found.elements[view] = _accuracy(found, copies, view, self.test.labels)
            del copies
        chosen = _chosen(len(self.test), self.options.curve_images)
        by_law = not self.needs_quarters and self._law_holds()
        for view, copies in self._stream(self.curve, self.test, chosen, by_law=by_law):
            for found in self.found:
                found.curve[view] = _accuracy(found, copies, view, self.test.labels[chosen])
            del copies

    def _stream(
        self, views: Sequence[View], data: Source, chosen: Int[Tensor, " K"] | None = None, *, by_law: bool = False
    ) -> Iterator[tuple[View, dict[View, Tensor]]]:
        """Each view with the features of it, and of its other quarter turns if a kind needs them.

        With `by_law` one view of each orbit is encoded, and its features are turned for the others.
        """
        for orbit in quarter_orbits(views):
            if by_law:
                first = orbit[0]
                features = self._encoded(data, first, chosen)
                for view in orbit:
                    if view != first:
                        self._step()
                    yield view, {view: self._turned(features, first, view)}
                del features
            elif self.needs_quarters:
                copies = {turned: self._encoded(data, turned, chosen) for turned in map(orbit[0].turned, range(4))}
                for view in orbit:
                    yield view, copies
                del copies
            else:
                for view in orbit:
                    yield view, {view: self._encoded(data, view, chosen)}

    def _turned(self, features: Float[Tensor, "N F"], first: View, view: View) -> Float[Tensor, "N F"]:
        """The features of a view that differs from the first by quarter turns, as the field says."""
        assert self.subject.field is not None
        turn = Motion(view.motion.turn - first.motion.turn)
        return self.subject.field.transform(*turn.element, features)

    def _law_holds(self) -> bool:
        """Whether features of quarter turns follow from upright ones: declared so, and seen on all whole test images.

        Of images that are not square a quarter turn is another rectangle than any angle between.
        """
        height, width = self.test.size
        quarters = QUARTERS[1:]
        field = self.subject.field
        return (
            height == width
            and field is not None
            and all(field.represents(*view.motion.element) for view in quarters)
            and all(self.errors.get(view, math.inf) < EXACT for view in quarters)
        )

    def _encoded(self, data: Source, view: View, chosen: Int[Tensor, " K"] | None = None) -> Float[Tensor, "N F"]:
        if chosen is None:
            subject = self.whole if data is self.test and not view.circular else self.subject
            features = encode(subject, data.pixels, len(data), view=view, world=self.world)
        else:
            numbers = chosen
            features = encode(
                self.subject, lambda part: data.pixels(numbers[part]), len(numbers), view=view, world=self.world
            )
        self._step()
        return features

    def _steps(self) -> int:
        """The views that will be encoded, of test and training images, and the fits of all kinds."""
        views = (self.orbits.whole, self.orbits.circular, self.curve)
        orbits = [orbit for some in views for orbit in quarter_orbits(some)]
        encoded = sum(4 if self.needs_quarters else len(orbit) for orbit in orbits)
        trainings = 2 if self.orbits.circular or self.curve else 1
        return encoded + trainings * ((4 if self.needs_quarters else 1) + len(self.found))

    def _step(self) -> None:
        self.done += 1
        self.progress(self.done, self.steps)

    def _training_copies(self, upright: View) -> dict[View, Tensor]:
        quarters = map(upright.turned, range(4)) if self.needs_quarters else (upright,)
        return {view: self._encoded(self.train, view) for view in quarters}

    def _fit(self, copies: dict[View, Tensor]) -> None:
        """The probe of every kind on whole upright images, and what else is measured of upright test images."""
        training = self._training_copies(UPRIGHT)
        fits = self._spread_over_kinds(lambda found: self._fitted(found.kind, training, copies))
        for found, fitted in zip(self.found, fits, strict=True):
            found.fitted, found.probe = fitted, fitted.probe

    def _spread_over_kinds(self, function: Callable[[_Found], T]) -> list[T]:
        """What the function gives for every kind, for each on one of the processes; what it gives can be pickled."""
        before = self.done

        def stepped(number: int) -> T:
            result = function(self.found[number])
            self._step()
            return result

        results = self.world.spread(stepped, range(len(self.found)))
        if self.done < (after := before + len(self.found)):
            self.done = after - 1
            self._step()
        return results

    def _fitted(self, kind: FeatureKind, training: dict[View, Tensor], copies: dict[View, Tensor]) -> _Fitted:
        self.report(kind.name)
        options, neighbours = self.options, math.nan
        few: dict[str, Estimate] = {}
        train, upright = kind.train(training, UPRIGHT), kind.of(copies, UPRIGHT)
        labels, held_out = self.train.labels.repeat(kind.copies), self.test.labels
        probe = fit_linear_probe(
            train,
            labels,
            strengths=options.strengths,
            validation_fraction=VALIDATION,
            copies=kind.copies,
            seed=options.seed,
        )
        if options.knn:
            # The usual 200 neighbours, or all images if there are fewer.
            neighbours = knn_accuracy(train, labels, upright, held_out, k=min(200, len(train)))
        parts = [fraction for fraction in options.fractions if fraction < 1]
        if parts and self._needs_few_labels(kind):
            # Small subsets are cross-validated: every other strength is enough for them.
            efficiency = label_efficiency(
                train,
                labels,
                upright,
                held_out,
                fractions=parts,
                strengths=options.strengths[::2],
                validation_fraction=VALIDATION,
                seed=options.seed,
            )
            few = {f"{entry.fraction:g}": entry.accuracy for entry in efficiency}
        return _Fitted(probe, train.shape[1], neighbours, effective_rank(upright), few)

    def _needs_few_labels(self, kind: FeatureKind) -> bool:
        is_all_there_is = kind.name in poolings_of(self.subject) and not self.subject.has_fibres
        return is_all_there_is or kind.name in LABEL_EFFICIENCY_OF

    def _fit_in_a_circle(self) -> None:
        """Probes of the same strengths on upright images through the circle, as the images they will be asked about."""
        training = self._training_copies(IN_A_CIRCLE)

        def probe(found: _Found) -> LinearProbe:
            assert found.fitted is not None
            return fit_linear_probe(
                found.kind.train(training, IN_A_CIRCLE),
                self.train.labels.repeat(found.kind.copies),
                strengths=(found.fitted.probe.strength,),
                copies=found.kind.copies,
                seed=self.options.seed,
            )

        for found, fitted in zip(self.found, self._spread_over_kinds(probe), strict=True):
            found.probe = fitted

    def _scores(self, found: _Found) -> FeatureScores:
        assert found.fitted is not None
        fitted, labels = found.fitted, dict(found.fitted.labels)
        accuracy, count = found.elements[UPRIGHT], len(self.test.labels)
        interval = proportion_interval(round(accuracy * count), count)
        quarters = [found.elements[view] for view in QUARTERS[1:]]
        if 1.0 in self.options.fractions and self._needs_few_labels(found.kind):
            labels["1"] = estimate([accuracy])
        curve = [found.curve[view] for view in self.curve]
        return FeatureScores(
            kind=found.kind.name,
            width=fitted.width,
            accuracy=accuracy,
            interval=(interval.low, interval.high),
            turned=sum(quarters) / len(quarters),
            elements={str(view): found.elements[view] for view in (*self.orbits.whole, *self.orbits.circular)},
            knn=fitted.knn,
            effective_rank=fitted.rank,
            strength=fitted.probe.strength,
            labels=labels,
            angles={str(view): value for view, value in zip(self.curve, curve, strict=True)},
            angle_mean=sum(curve) / len(curve) if curve else math.nan,
            angle_worst=min(curve, default=math.nan),
        )


def _accuracy(found: _Found, copies: dict[View, Tensor], view: View, labels: Int[Tensor, " N"]) -> float:
    assert found.probe is not None
    return found.probe.accuracy(found.kind.of(copies, view), labels)


def _chosen(images: int, count: int) -> Int[Tensor, " K"]:
    """The numbers of so many random images, the same for all seeds; not balanced, as a user's classes need not be."""
    if count >= images:
        return torch.arange(images)
    return torch.randperm(images, generator=torch.Generator().manual_seed(0))[:count].sort().values
