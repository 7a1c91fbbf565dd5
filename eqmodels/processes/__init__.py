"""The processes of one `torchrun`: how they share work, and how they end together."""

from eqmodels.processes.devices import usable_device, usable_precision
from eqmodels.processes.failures import ProcessError
from eqmodels.processes.world import World, joined_world

__all__ = ["ProcessError", "World", "joined_world", "usable_device", "usable_precision"]
