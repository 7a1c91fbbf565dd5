"""Files of a network: written whole or not at all, and checked before anything is built of them."""

from eqmodels.storage.config import (
    CHECKPOINT,
    CONFIG,
    FORMAT,
    FORMATS,
    GOLDEN_SIDE,
    LARGEST_NUMBER,
    MODEL_TYPE,
    PREVIOUS_CHECKPOINT,
    check_config,
    read_config,
)
from eqmodels.storage.errors import StorageError, legible, printable, reason_of
from eqmodels.storage.escaping import for_markdown, for_picture
from eqmodels.storage.files import claimed_folder, prepare_folder, write_atomically, write_together
from eqmodels.storage.folder import NetworkFolder
from eqmodels.storage.limits import LARGEST, LONGEST_LOG
from eqmodels.storage.network import fault_of, write_network
from eqmodels.storage.regular import open_regular, read_regular
from eqmodels.storage.weights import (
    WEIGHTS,
    check_layout,
    pack_weights,
    read_layout,
    read_weights,
    sha256_of,
    sha256_of_tensors,
)

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "FORMAT",
    "FORMATS",
    "GOLDEN_SIDE",
    "LARGEST",
    "LARGEST_NUMBER",
    "LONGEST_LOG",
    "MODEL_TYPE",
    "PREVIOUS_CHECKPOINT",
    "WEIGHTS",
    "NetworkFolder",
    "StorageError",
    "check_config",
    "check_layout",
    "claimed_folder",
    "fault_of",
    "for_markdown",
    "for_picture",
    "legible",
    "open_regular",
    "pack_weights",
    "prepare_folder",
    "printable",
    "read_config",
    "read_layout",
    "read_regular",
    "read_weights",
    "reason_of",
    "sha256_of",
    "sha256_of_tensors",
    "write_atomically",
    "write_network",
    "write_together",
]
