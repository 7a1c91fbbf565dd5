"""A model of a few meaningless files, for the tests of the Hub of the tests."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = bytes(range(256)) * 800
CARD = b"---\nlicense: mit\nlibrary_name: eqmodels\ntags:\n- equivariance\n---\n# A model\n"
FILES = {"model.safetensors": WEIGHTS, "config.json": b'{"width": 16}', "README.md": CARD, "runs/log.csv": b"a\n1\n"}


def read(api, repo: str, path: str, **options) -> bytes:
    """The content of a file of a repository, as the client has it."""
    return Path(api.hf_hub_download(repo, path, **options)).read_bytes()


def status(error) -> int:
    """The HTTP status of an error that `pytest.raises` caught."""
    return error.value.response.status_code
