"""The exponential mean of a run's weights over its steps, which may be kept in the place of the last ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from eqmodels.training.learner import Learner, kept_state

__all__ = ["Average"]


class Average:
    """The mean of everything that the file of a finished run has: weights and running statistics.

    After ``n`` steps the mean is ``d * mean + (1 - d) * model`` with ``d = min(decay, (1 + n) / (10 + n))``, so that
    the random weights of the beginning are soon forgotten. Counts are those of the model. Source: Polyak and Juditsky
    1992, SIAM J. Control Optim. 30(4); the smaller decay at first: ``tf.train.ExponentialMovingAverage``.

    Args:
        model: what learns, as it begins.
        decay: how much of the mean stays, from 0 to 1.
    """

    def __init__(self, model: Learner, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in kept_state(model).items()}

    @torch.no_grad()
    def follow(self, model: Learner, steps: int) -> None:
        """One step of the mean.

        Args:
            model: after a step of the optimiser.
            steps: how many there were before it.
        """
        decay = min(self.decay, (1 + steps) / (10 + steps))
        for name, value in kept_state(model).items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes on the `state` of a checkpoint.

        Raises:
            KeyError, RuntimeError: if it is that of another network.
        """
        for name, value in self.state.items():
            value.copy_(state[name])

    def put_into(self, model: Learner) -> None:
        """Gives the model the mean in the place of its own weights."""
        model.load_state_dict(self.state, strict=False)
