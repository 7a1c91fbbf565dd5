"""Right arguments for what reads and writes files of networks, here and on the Hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from eqmodels import hub, remote, storage
from tests.errors.calls import ZOO, ZOO_FOLDER, Call, maps

__all__ = ["FILES"]

WEIGHTS = ZOO_FOLDER / storage.WEIGHTS


def config() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ZOO_FOLDER / storage.CONFIG).read_text())
    return content


def unwritten_config() -> dict[str, Any]:
    return {name: value for name, value in config().items() if name not in ("format", "sha256")}


def claim(folder: Path, work: str, option: str) -> None:
    with storage.claimed_folder(folder, work=work, option=option):
        pass


FILES: dict[str, Callable[[], Call]] = {
    # hub
    "hub.list_pretrained": lambda: Call(hub.list_pretrained, {"pattern": "*"}),
    "hub.load_pretrained": lambda: Call(hub.load_pretrained, {"source": ZOO, "force_download": False}, values=6),
    "hub.locate": lambda: Call(hub.locate, {"source": ZOO}),
    "hub.publish": lambda: Call(
        hub.publish,
        {"folder": "nowhere", "repository": "me/mine", "private": False},
        {"dry_run": True, "license_name": "mit", "preview": "card.html"},
    ),
    "hub.read_index": lambda: Call(hub.read_index),
    "hub.verify": lambda: Call(hub.verify, {"source": "nowhere"}),
    "hub.entry_of": lambda: Call(
        hub.entry_of, {"folder": ZOO_FOLDER, "repository": "me/mine", "commit": None}, values=8
    ),
    "hub.register_timm": lambda: Call(hub.register_timm, {"names": ["c4_resnet18s_w24"]}),
    "hub.register_torchvision": lambda: Call(hub.register_torchvision, {"names": ["c4_resnet18s_w24"]}),
    "hub.register_transformers": lambda: Call(hub.register_transformers),
    # remote
    "remote.Fetch": lambda: Call(
        remote.Fetch,
        {"repository": "me/mine", "revision": "main", "token": "hf_none", "cache_dir": Path("cache")}
        | {"force_download": False, "local_files_only": False, "extras": ("results.json",)},
    ),
    "remote.check_repository": lambda: Call(remote.check_repository, {"name": "me/mine", "with_owner": True}),
    "remote.check_token": lambda: Call(remote.check_token, {"token": "hf_none"}),
    "remote.is_pretrained": lambda: Call(remote.is_pretrained, {"source": ZOO}),
    "remote.upload_sentence": lambda: Call(
        remote.upload_sentence, {"error": OSError("no space"), "repository": "me/mine"}
    ),
    "remote.zoo_folders": lambda: Call(remote.zoo_folders, {"package": Path("somewhere")}),
    # storage
    "storage.NetworkFolder": lambda: Call(storage.NetworkFolder, {"path": Path(), "keeps": True}),
    "storage.check_config": lambda: Call(storage.check_config, {"content": config(), "name": storage.CONFIG}),
    "storage.check_layout": lambda: Call(
        storage.check_layout,
        {"file": WEIGHTS, "layout": {"weight": (torch.float32, (2, 3))}, "expected": {"weight": maps(2, 3)}},
    ),
    "storage.claimed_folder": lambda: Call(claim, {"folder": Path("claimed"), "work": "trains", "option": "--folder"}),
    "storage.fault_of": lambda: Call(storage.fault_of, {"content": unwritten_config()}),
    "storage.for_markdown": lambda: Call(storage.for_markdown, {"words": "words"}),
    "storage.for_picture": lambda: Call(storage.for_picture, {"words": "words"}),
    "storage.pack_weights": lambda: Call(storage.pack_weights, {"state": {"weight": maps(2, 3)}}),
    "storage.prepare_folder": lambda: Call(storage.prepare_folder, {"folder": Path("prepared"), "option": "--folder"}),
    "storage.legible": lambda: Call(storage.legible, {"words": "words"}),
    "storage.printable": lambda: Call(storage.printable, {"words": "words"}),
    "storage.read_config": lambda: Call(storage.read_config, {"file": ZOO_FOLDER / storage.CONFIG}),
    "storage.read_layout": lambda: Call(storage.read_layout, {"file": WEIGHTS}),
    "storage.read_weights": lambda: Call(storage.read_weights, {"file": WEIGHTS, "sha256": config()["sha256"]}),
    "storage.reason_of": lambda: Call(storage.reason_of, {"error": OSError("no space")}),
    "storage.sha256_of": lambda: Call(storage.sha256_of, {"file": WEIGHTS}),
    "storage.sha256_of_tensors": lambda: Call(storage.sha256_of_tensors, {"state": {"weight": maps(2, 3)}}),
    "storage.write_atomically": lambda: Call(
        storage.write_atomically, {"file": Path("words.txt"), "content": "words", "keep_as": Path("before.txt")}
    ),
    "storage.write_network": lambda: Call(
        storage.write_network,
        {
            "folder": Path("network"),
            "weights": storage.pack_weights({"weight": maps(2, 3)}),
            "content": unwritten_config(),
            "texts": {"notes.md": "words"},
        },
    ),
    "storage.write_together": lambda: Call(
        storage.write_together, {"contents": {Path("words.txt"): "words"}, "kept": {}}
    ),
}
