"""What runs a network in a page: files of onnxruntime-web, which the package does not have, as they are large."""

from __future__ import annotations

import hashlib
from pathlib import Path

from eqmodels.errors import shown
from eqmodels.storage import StorageError, read_regular, reason_of

__all__ = ["NAME", "VERSION", "find_runtime"]

NAME, VERSION = "onnxruntime-web", "1.30.0"
SCRIPT, PROGRAM = "dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"
HASHES = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    PROGRAM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
LARGEST = 64_000_000
USUAL = Path("node_modules") / NAME
"""Where npm puts it, seen from the folder in which it is run."""


def find_runtime(folder: str | Path | None = None) -> tuple[str, bytes]:
    """The script and the WebAssembly program of onnxruntime-web, of the very version that demos are tested with.

    Args:
        folder: of the package, as npm unpacks it; None for ``node_modules/onnxruntime-web`` of the working folder.

    Raises:
        FileNotFoundError: if they are not there.
        StorageError: if they are of another version, or cannot be read.
    """
    place = USUAL if folder is None else Path(folder)
    way_out = f"Run: npm install {NAME}@{VERSION}"
    if not all((place / file).is_file() for file in HASHES):
        raise FileNotFoundError(
            f"a live demo needs {NAME} {VERSION}, which runs networks in a page and is no part of this package; "
            f"{shown(str(place))} does not have it. {way_out}, in this folder, or name its folder by --runtime."
        )
    found = {}
    for file, sha256 in HASHES.items():
        try:
            found[file] = read_regular(place / file, LARGEST)
        except OSError as error:
            raise StorageError(f"{place / file} cannot be read ({reason_of(error)}). {way_out}.") from error
        if hashlib.sha256(found[file]).hexdigest() != sha256:
            raise StorageError(f"{place / file} is not that of {NAME} {VERSION}: it has another sha256. {way_out}.")
    return found[SCRIPT].decode("utf-8"), found[PROGRAM]
