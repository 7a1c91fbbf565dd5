"""Non-linear predictors: a small network whose hidden units the side information scales and shifts."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Bool, Float, Int
from eqmodels.measures.families import Prediction, Predictor

__all__ = ["FilmFamily", "FilmNetwork"]


class FilmNetwork(nn.Module):
    """Two hidden layers, ``h <- gelu((1 + scale_s) * (W h + b) + shift_s)``, and linear logits.

    ``(N, F)`` features and ``(N,)`` side information to ``(N, values)`` logits. Scales and shifts begin at 0, where the
    side information is ignored.

    Args:
        features: number of features.
        values: of the target.
        side_values: of the side information.
        hidden: width of the hidden layers.

    Source: Perez et al. 2018, arXiv 1709.07871.
    """

    def __init__(self, features: int, values: int, side_values: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(features, hidden), nn.Linear(hidden, hidden)])
        films = [nn.Embedding(side_values, 2 * hidden) for _ in self.layers]
        for film in films:
            nn.init.zeros_(film.weight)
        self.films = nn.ModuleList(films)
        self.logits = nn.Linear(hidden, values)

    def forward(self, features: Float[Tensor, "N F"], side: Int[Tensor, " N"]) -> Float[Tensor, "N T"]:
        """Logits ``(N, values)``: each hidden layer scaled and shifted as the side information says."""
        for layer, film in zip(self.layers, self.films, strict=True):
            scale, shift = film(side).chunk(2, dim=1)
            features = F.gelu((1 + scale) * layer(features) + shift)
        logits: Tensor = self.logits(features)
        return logits


@dataclass(frozen=True)
class FilmFamily:
    """Small networks on standardised features, see `FilmNetwork`; without side information its value is constant.

    Trained by AdamW until the cross-entropy on what is held out has not fallen for `patience` epochs; the weights are
    those of the best epoch.

    Attributes:
        hidden: width of the hidden layers.
        epochs: at most.
        patience: in epochs.
        batch_size: samples a step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        name: of the family.
    """

    hidden: int = 256
    epochs: int = 60
    patience: int = 5
    batch_size: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    name: str = "mlp"

    def fit(self, problem: Prediction, held_out: Bool[Tensor, " N"], seed: int = 0) -> Predictor:
        """A network trained on what is not held out, which says when to stop, and its predictions."""
        deviation, mean = torch.std_mean(problem.features, dim=0, correction=0)
        scale = torch.where(deviation > 0, deviation, 1.0)
        standardised = replace(problem, features=(problem.features - mean) / scale)
        network = self._train(standardised.of(~held_out), standardised.of(held_out), seed)

        @torch.no_grad()
        def predict(z: Float[Tensor, "N F"], s: Int[Tensor, " N"]) -> Float[Tensor, "N T"]:
            logits: Tensor = network((z - mean) / scale, s if problem.side is not None else torch.zeros_like(s))
            return logits.double().log_softmax(1)

        return predict

    def _train(self, training: Prediction, judged: Prediction, seed: int) -> FilmNetwork:
        """The network of the epoch that was best on what is held out."""
        side, judged_side = _given(training), _given(judged)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = FilmNetwork(training.features.shape[1], training.values, training.side_values, self.hidden)
        optimiser = torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        best, state, waited = float("inf"), copy.deepcopy(network.state_dict()), 0
        for _ in range(self.epochs):
            for batch in torch.randperm(len(side), generator=generator).split(self.batch_size):
                optimiser.zero_grad()
                F.cross_entropy(network(training.features[batch], side[batch]), training.target[batch]).backward()
                optimiser.step()
            with torch.no_grad():
                loss = float(F.cross_entropy(network(judged.features, judged_side), judged.target))
            if loss < best:
                best, state, waited = loss, copy.deepcopy(network.state_dict()), 0
            elif (waited := waited + 1) >= self.patience:
                break
        network.load_state_dict(state)
        return network.eval()


def _given(problem: Prediction) -> Int[Tensor, " N"]:
    """The side information, or a constant."""
    return torch.zeros_like(problem.target) if problem.side is None else problem.side
