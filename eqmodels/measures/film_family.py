"""Non-linear predictors: a small network whose hidden units the side information scales and shifts."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Bool, Float, Int
from eqmodels.measures.families import Predictor

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
        """See the class."""
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

    def fit(
        self,
        features: Float[Tensor, "N F"],
        target: Int[Tensor, " N"],
        side: Int[Tensor, " N"] | None,
        held_out: Bool[Tensor, " N"],
        *,
        values: int,
        side_values: int = 1,
        seed: int = 0,
    ) -> Predictor:
        """See `PredictorFamily`."""
        given = torch.zeros_like(target) if side is None else side
        deviation, mean = torch.std_mean(features, dim=0, correction=0)
        scale = torch.where(deviation > 0, deviation, 1.0)
        standardised = (features - mean) / scale
        network = self._train(standardised, target, given, held_out, (values, 1 if side is None else side_values), seed)

        @torch.no_grad()
        def predict(z: Float[Tensor, "N F"], s: Int[Tensor, " N"] | None) -> Float[Tensor, "N T"]:
            given = torch.zeros(len(z), dtype=torch.int64) if side is None or s is None else s
            logits: Tensor = network((z - mean) / scale, given)
            return logits.double().log_softmax(1)

        return predict

    def _train(
        self,
        features: Float[Tensor, "N F"],
        target: Int[Tensor, " N"],
        side: Int[Tensor, " N"],
        held_out: Bool[Tensor, " N"],
        sizes: tuple[int, int],
        seed: int,
    ) -> FilmNetwork:
        """The network of the epoch that was best on what is held out."""
        training, judged = (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = FilmNetwork(features.shape[1], *sizes, self.hidden)
        optimiser = torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        best, state, waited = float("inf"), copy.deepcopy(network.state_dict()), 0
        for _ in range(self.epochs):
            order = training[torch.randperm(len(training), generator=generator)]
            for batch in order.split(self.batch_size):
                optimiser.zero_grad()
                F.cross_entropy(network(features[batch], side[batch]), target[batch]).backward()
                optimiser.step()
            with torch.no_grad():
                loss = float(F.cross_entropy(network(features[judged], side[judged]), target[judged]))
            if loss < best:
                best, state, waited = loss, copy.deepcopy(network.state_dict()), 0
            elif (waited := waited + 1) >= self.patience:
                break
        network.load_state_dict(state)
        return network.eval()
