"""Files of a network: written whole or not at all, and checked before anything is built of them."""

from eqmodels.storage.config import CONFIG, FORMAT, check_config, read_config
from eqmodels.storage.errors import EqmodelsError, StorageError
from eqmodels.storage.files import claimed_folder, prepare_folder, write_atomically
from eqmodels.storage.weights import WEIGHTS, check_layout, read_layout, read_weights, sha256_of, write_weights

__all__ = [
    "CONFIG",
    "FORMAT",
    "WEIGHTS",
    "EqmodelsError",
    "StorageError",
    "check_config",
    "check_layout",
    "claimed_folder",
    "prepare_folder",
    "read_config",
    "read_layout",
    "read_weights",
    "sha256_of",
    "write_atomically",
    "write_weights",
]
