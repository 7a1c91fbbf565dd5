"""The processes of one `torchrun`: how they share work, and how they end together."""

from eqmodels.processes.devices import usable_device
from eqmodels.processes.failures import ProcessError
from eqmodels.processes.world import World

__all__ = ["ProcessError", "World", "usable_device"]
