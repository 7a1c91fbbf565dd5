"""The linear probe: how well a linear classifier of frozen features knows the class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.optimize
import torch
import torch.nn.functional as F
from threadpoolctl import ThreadpoolController
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.measures.labelled import check_labelled, class_ranks

__all__ = ["STRENGTHS", "LinearProbe", "LogisticObjective", "check_strengths", "fit_linear_probe", "validation_parts"]

STRENGTHS: tuple[float, ...] = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
"""The strengths that are tried. At the strongest the weights point at the class means, at the weakest they are free."""

ROWS = 8192
"""Images that are turned into double precision at a time, so that there is room for them."""
JUDGED_ON = 500
"""The number of held-out images on which a strength is judged, where there are as many."""

PATIENCE = 2
"""The path to weaker strengths ends when so many in turn are worse than the best before, in accuracy and in loss."""


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier: ``scores = ((features - mean) / scale) @ weight.T + bias``.

    Attributes:
        mean: of every feature over the training images, in float64.
        scale: the standard deviation of every feature over the training images, in float64; 1 of constant features.
        weight: a row a class, for the standardised features.
        bias: one a class.
        strength: of the L2 penalty that was chosen.
        validation_accuracy: of that strength on the held-out images, from 0 to 1, before the fit on all images; NaN if
            there was nothing to choose, or nothing to hold out.
        gradient_norm: of the objective at the solution, Euclidean; 0 at the optimum.
    """

    mean: Float[Tensor, " F"]
    scale: Float[Tensor, " F"]
    weight: Float[Tensor, "C F"]
    bias: Float[Tensor, " C"]
    strength: float
    validation_accuracy: float
    gradient_norm: float

    def scores(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "N C"]:
        """The logit of every class, in the precision of `weight`.

        Raises:
            ValueError: if `features` is not a matrix with the features of the training images.
        """
        if features.dim() != 2 or features.shape[1] != self.weight.shape[1]:
            raise ValueError(
                f"features must be a matrix (images, {self.weight.shape[1]}), as the probe was fitted on; got shape "
                f"{tuple(features.shape)}. Use the encoder and pooling of the training images."
            )
        # Chunks, because the standardised copy is in float64.
        chunks = (_standardise(chunk, self.mean, self.scale) for chunk in features.split(16384))
        return torch.cat([F.linear(chunk.to(self.weight.dtype), self.weight, self.bias) for chunk in chunks])

    def predict(self, features: Float[Tensor, "N F"]) -> Int[Tensor, " N"]:
        """The class of the highest score, the first of equal ones."""
        return self.scores(features).argmax(dim=1)

    def accuracy(self, features: Float[Tensor, "N F"], labels: Int[Tensor, " N"]) -> float:
        """The fraction of images whose class is predicted, from 0 to 1.

        Raises:
            ValueError: if there are no images, or a label is no class of the probe; see also `fit_linear_probe`.
        """
        check_labelled(features, labels, num_classes=len(self.bias))
        return float((self.predict(features) == labels.to(features.device)).double().mean())

    def log_loss(self, features: Float[Tensor, "N F"], labels: Int[Tensor, " N"]) -> float:
        """The mean cross-entropy in nats; the logarithm of the number of classes is chance.

        Raises:
            ValueError: as `accuracy`.
        """
        check_labelled(features, labels, num_classes=len(self.bias))
        return float(F.cross_entropy(self.scores(features).double(), labels.to(features.device).long()))


def fit_linear_probe(
    features: Float[Tensor, "N F"],
    labels: Int[Tensor, " N"],
    *,
    num_classes: int | None = None,
    strengths: Sequence[float] = STRENGTHS,
    validation_fraction: float = 0.1,
    copies: int = 1,
    seed: int = 0,
) -> LinearProbe:
    """Logistic regression of the classes on standardised features, its L2 strength chosen on held-out training images.

    Minimises ``mean cross-entropy (nats) + strength / 2 * ||weight||^2``, without a penalty on the bias, by L-BFGS in
    float64 if the features are, otherwise in float32. The objective is convex: what is returned is its optimum on *all*
    images for the chosen strength. The strength is that of the highest accuracy on the held-out images of
    `validation_parts`, of equal accuracies that of the lowest log-loss, of equal ones the strongest. They are tried
    from strong to weak, until two in turn are worse than the best in both; in float32 by fits of at most 100 steps,
    which judge weak strengths a little too kindly (measured in docs/results.md). It is not chosen if only one is given,
    nor if no class has two images: then the strongest, with which the probe is close to the classifier by the nearest
    class mean.

    Source: the protocol of Kornblith et al. 2019, arXiv 1805.08974, and of AugSelf (Lee et al. 2021, arXiv 2111.09613).

    Args:
        features: of the training images.
        labels: classes, from 0.
        num_classes: None for the largest label and one.
        strengths: to choose from.
        validation_fraction: of the images of every class that is held out at a time, above 0 and at most 0.5.
        copies: how many copies of each image there are, one after the other block by block: row ``i + k N / copies`` is
            a copy of row i, and both are held out together.
        seed: of what is held out.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the features are not a finite matrix, the labels are not one a row, there are fewer than two
            classes or a class has no image, or an option is out of its range.
    """
    check_arguments(fit_linear_probe, locals())
    check_labelled(features, labels, num_classes=num_classes)
    features, labels = features.detach(), labels.to(features.device).long()
    num_classes = _count_classes(labels, num_classes)
    strengths = check_strengths(strengths)
    if len(labels) % copies:
        raise ValueError(f"copies must divide the number of images, {len(labels)}; got {copies}. Leave it out for one.")
    originals = len(labels) // copies
    parts = validation_parts(labels[:originals], validation_fraction, seed=seed) if len(strengths) > 1 else ()
    parts = tuple(torch.cat([part + block * originals for block in range(copies)]) for part in parts)

    folds = [_Fold.of(features, labels, part, num_classes) for part in parts]
    correct, loss = [0] * len(strengths), [math.inf] * len(strengths)
    start: list[LinearProbe | None] = [None] * len(strengths)
    worse = 0
    for i, strength in enumerate(strengths if folds else ()):
        judged = [fold.judge(strength) for fold in folds]
        correct[i], loss[i] = round(sum(right for right, _ in judged)), sum(lost for _, lost in judged)
        start[i] = folds[-1].probe
        # Weaker ones overfit all the more, and take longest.
        worse = worse + 1 if i and correct[i] < max(correct[:i]) and loss[i] > min(loss[:i]) else 0
        if worse == PATIENCE:
            break

    best = max(range(len(strengths)), key=lambda i: (correct[i], -loss[i]))
    solution = LogisticObjective(features, labels, num_classes).minimise(strengths[best], start[best])
    held_out = sum(map(len, parts))
    return replace(solution, validation_accuracy=correct[best] / held_out if held_out else math.nan)


@dataclass
class _Fold:
    """One part of the images that is held out, and the training on the others."""

    features: Float[Tensor, "H F"]
    labels: Int[Tensor, " H"]
    training: LogisticObjective
    probe: LinearProbe | None = None

    @classmethod
    def of(
        cls, features: Float[Tensor, "N F"], labels: Int[Tensor, " N"], part: Int[Tensor, " H"], num_classes: int
    ) -> _Fold:
        """That of the images of a part."""
        out = torch.zeros_like(labels, dtype=torch.bool).index_fill(0, part, True)
        return cls(features[out], labels[out], LogisticObjective(features[~out], labels[~out], num_classes))

    def judge(self, strength: float) -> tuple[float, float]:
        """The held-out images that are right, and the sum of their losses in nats; from the solution before it."""
        self.probe = self.training.minimise(strength, self.probe, roughly=True)
        count = len(self.labels)
        correct = self.probe.accuracy(self.features, self.labels) * count
        return correct, self.probe.log_loss(self.features, self.labels) * count


def validation_parts(labels: Int[Tensor, " N"], fraction: float, *, seed: int) -> tuple[Int[Tensor, " _"], ...]:
    """The indices of the images that are held out, each part of them in its turn.

    A part holds `fraction` of the images of every class; the only image of a class is never held out. There is one part
    if it has 500 images, otherwise as many disjoint ones as it takes to judge on 500 images, and never more than there
    are: a tenth of 200 images is held out ten times (cross-validation).

    Raises:
        ValueError: if `fraction` is not above 0 and at most 0.5.
    """
    if not 0 < fraction <= 0.5:
        raise ValueError(f"validation_fraction must be above 0 and at most 0.5; got {fraction}. The usual one is 0.1.")
    count = min(math.ceil(JUDGED_ON / (fraction * len(labels))), math.floor(1 / fraction))
    ranks, sizes = class_ranks(labels, seed=seed)
    part = torch.where(sizes > 1, (ranks / (fraction * sizes)).floor(), -1.0)
    return tuple(indices for i in range(count) if len(indices := (part == i).nonzero().flatten()))


class LogisticObjective:
    """Mean cross-entropy in nats and L2 penalty of a linear classifier of standardised features.

    Args:
        features: of the training images.
        labels: classes, from 0.
        num_classes: their number.
        offset: logits that the classifier adds its own to; then its bias is penalised like its weights, so that the
            strongest penalty gives the offset itself.
    """

    def __init__(
        self,
        features: Float[Tensor, "N F"],
        labels: Int[Tensor, " N"],
        num_classes: int,
        *,
        offset: Float[Tensor, "N C"] | None = None,
    ) -> None:
        self.labels, self.num_classes = labels, num_classes
        self.mean, self.scale = _statistics(features)
        x = _standardise(features, self.mean, self.scale)
        # With fewer images than features the solution lies in the span of the images: solve it in a basis of that.
        basis: Tensor | None = None
        if x.shape[0] < x.shape[1]:
            basis, triangle = torch.linalg.qr(x.T)
            x = triangle.T.contiguous()
        self.offset = None if offset is None else offset.T.to(x.dtype).contiguous()
        covariance = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
        for rows in x.split(ROWS):
            wide = rows.double()
            covariance.addmm_(wide.T, wide, alpha=1 / len(x))
        # In the directions of the principal components the preconditioner is a number a direction.
        self.variances, components = torch.linalg.eigh(covariance)
        # In float32 the rounding of the images can make the smallest negative.
        self.variances.clamp_(min=0)
        components = components.to(x.dtype)
        self.x, self.basis = x @ components, components if basis is None else basis @ components

    def minimise(self, strength: float, start: LinearProbe | None, *, roughly: bool = False) -> LinearProbe:
        """The optimum for a strength, from `start` or from zero; in float32 roughly, if it is only to be compared."""
        weight, bias = self.x.new_zeros(self.num_classes, self.x.shape[1]), self.x.new_zeros(self.num_classes)
        if start is not None:
            weight, bias = start.weight @ self.basis, start.bias
        step = self._preconditioner(strength)
        exact = self.x.dtype == torch.float64
        shape = weight.shape

        count = shape.numel()

        def unpacked(vector: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
            numbers = torch.from_numpy(vector).to(self.x)
            return numbers[:count].view(shape), numbers[count:]

        def value_and_gradient(vector: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            parameter, bias = unpacked(vector)
            value, by_weight, by_bias = self._value_and_gradients(parameter * step, bias, strength)
            return value, _packed(by_weight * step, by_bias)

        with _one_thread():
            found = scipy.optimize.minimize(
                value_and_gradient,
                _packed(weight / step, bias),
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": 1000 if exact else 100 if roughly else 500,
                    "maxcor": 10 if roughly else 30,
                    "gtol": 1e-7 if exact else 1e-3 if roughly else 1e-4,
                    "ftol": 1e-15 if exact else 1e-9,
                },
            )
        parameter, bias = unpacked(found.x)
        weight = parameter * step
        _, *gradients = self._value_and_gradients(weight, bias, strength)
        weight = weight @ self.basis.T
        gradient_norm = math.hypot(*(float(gradient.norm()) for gradient in gradients))
        return LinearProbe(self.mean, self.scale, weight, bias, strength, math.nan, gradient_norm)

    def _value_and_gradients(
        self, weight: Float[Tensor, "C R"], bias: Float[Tensor, " C"], strength: float
    ) -> tuple[float, Float[Tensor, "C R"], Float[Tensor, " C"]]:
        # Over the first axis: with few classes, several times as fast as over the last. The sum is taken in float64,
        # since in float32 its rounding ends the line search before the gradient is small.
        scores = F.linear(self.x, weight, bias).T.contiguous()
        if self.offset is not None:
            scores += self.offset
        log_probabilities = scores.log_softmax(0)
        labels, count = self.labels[None], len(self.labels)
        value = -float(log_probabilities.gather(0, labels).sum(dtype=torch.float64)) / count
        value += strength / 2 * float(weight.square().sum(dtype=torch.float64))
        errors = log_probabilities.exp_().scatter_add_(0, labels, scores.new_full(labels.shape, -1)).div_(count)
        by_weight, by_bias = torch.addmm(weight, errors, self.x, beta=strength), errors.sum(1)
        if self.offset is not None:
            value += strength / 2 * float(bias.square().sum(dtype=torch.float64))
            by_bias += strength * bias
        return value, by_weight, by_bias

    def _preconditioner(self, strength: float) -> Float[Tensor, " R"]:
        # Features of networks are correlated: the Hessian has eigenvalues over six decades, and L-BFGS on the weights
        # would need thousands of steps. At equal class probabilities the Hessian of every row of the weights is
        # variances / classes + strength on the diagonal, and that of ``weight / step`` the identity. The optimum is the
        # same.
        hessian: Tensor = self.variances / self.num_classes
        hessian += strength + 1e-6 * (1 + hessian.mean())
        return hessian.rsqrt().to(self.x.dtype)


def _one_thread() -> AbstractContextManager[object]:
    """A context in which scipy's linear algebra has one thread, and PyTorch its own.

    The solver multiplies matrices of thirty rows, some hundred times an evaluation: handed to two threads each takes
    up to 40 times as long where another program, or another process of ours, keeps a processor busy.
    """
    limited: AbstractContextManager[object] = _linear_algebra().limit(limits=1, user_api="blas")
    return limited


@lru_cache(maxsize=1)
def _linear_algebra() -> ThreadpoolController:
    """The libraries of linear algebra that are loaded; finding them takes milliseconds."""
    return ThreadpoolController()


def _packed(weight: Float[Tensor, "C R"], bias: Float[Tensor, " C"]) -> npt.NDArray[np.float64]:
    return np.concatenate(
        [weight.detach().double().flatten().numpy(force=True), bias.detach().double().numpy(force=True)]
    )


def _statistics(features: Float[Tensor, "N F"]) -> tuple[Float[Tensor, " F"], Float[Tensor, " F"]]:
    # A deviation below the rounding of the features is that of a constant, and is not blown up to 1.
    variance, mean = torch.var_mean(features.double(), dim=0, correction=0)
    scale = variance.sqrt()
    rounding = 4 * torch.finfo(_working_type(features)).eps * features.abs().amax(0).double()
    return mean, torch.where(scale > rounding, scale, 1.0)


def _standardise(
    features: Float[Tensor, "N F"], mean: Float[Tensor, " F"], scale: Float[Tensor, " F"]
) -> Float[Tensor, "N F"]:
    return features.double().sub(mean).div_(scale).to(_working_type(features))


def _working_type(features: Float[Tensor, "N F"]) -> torch.dtype:
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _count_classes(labels: Int[Tensor, " N"], num_classes: int | None) -> int:
    if num_classes is not None:
        check_count("num_classes", num_classes, 0, bits=24)  # a count of each is made
    sizes = labels.bincount(minlength=num_classes or 0)
    if len(sizes) < 2:
        raise ValueError(f"labels must name at least 2 classes; got {len(sizes)}. There is nothing to classify.")
    missing = (sizes == 0).nonzero().flatten().tolist()
    if missing:
        raise ValueError(
            f"labels must hold every class of 0..{len(sizes) - 1} at least once; {len(missing)} have no image, the "
            f"first is {missing[0]}, of {len(labels)} images. Take more images, or renumber the classes."
        )
    return len(sizes)


def check_strengths(strengths: Sequence[float]) -> list[float]:
    """The strengths, each once, the strongest first.

    Raises:
        ValueError: if there is none, or one is not positive and finite.
    """
    if not strengths or not all(0 < strength < math.inf for strength in strengths):
        raise ValueError(
            f"strengths must be positive and finite numbers, at least one; got {tuple(strengths)}. A strength of 0 has "
            "no optimum on separable images: take a small one, such as 1e-6."
        )
    return sorted(set(map(float, strengths)), reverse=True)
