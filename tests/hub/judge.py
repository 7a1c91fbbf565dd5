"""The law of a damaged folder: it is refused in one sentence, or is the network that it was, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from eqmodels import Backbone, EqmodelsError
from eqmodels.backbones.describe import describe_network
from tests.hub.networks import features, write

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Judge:
    """Loads a folder after each damage, and knows what is right."""

    def __init__(self, folder: Path, loads: list[Callable[[Path], Any]]) -> None:
        self.folder, self.loads = folder, loads
        self.files = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.expected = [self.facts(read(folder)) for read in loads]
        self.damaged: set[str] = set()
        self.loaded = self.refused = 0

    @staticmethod
    def facts(loaded: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor, Any, dict[str, Any]]:
        """Weights, features of fixed images, what images go through, and what the network says of itself to timm."""
        model, encoder = (loaded, loaded) if isinstance(loaded, Backbone) else (loaded.model, loaded.model.backbone)
        description = describe_network(loaded) if isinstance(loaded, Backbone) else loaded.description()
        description["pretrained_cfg"].pop("license", None)  # may be any, and is seen in nothing else
        return model.state_dict(), features(encoder), loaded.preprocessing, description

    def __call__(self, number: int, damaged: dict[str, bytes]) -> None:
        """Asserts the law of one mutant."""
        write(self.folder, damaged | {name: self.files[name] for name in self.damaged - damaged.keys()})
        self.damaged = set(damaged)
        choice = number % len(self.loads)
        try:
            found = self.loads[choice](self.folder)
        except EqmodelsError as error:
            words = str(error)
            assert words.isprintable(), f"mutant {number}: {words!r}"
            assert 40 < len(words) < 1500, f"mutant {number}: {words!r}"
            self.refused += 1
        except Exception as error:
            raise AssertionError(f"mutant {number} is no sentence but {type(error).__name__}: {error}"[:500]) from error
        else:
            state, vectors, preprocessing, description = self.facts(found)
            right = self.expected[choice]
            assert state.keys() == right[0].keys(), f"mutant {number} has other tensors"
            changed = [name for name, value in state.items() if not torch.equal(value, right[0][name])]
            assert not changed, f"mutant {number} was loaded with other {changed}"
            assert torch.equal(vectors, right[1]), f"mutant {number} gives other features"
            assert preprocessing == right[2], f"mutant {number} has another preprocessing"
            assert description == right[3], f"mutant {number} has another description"
            self.check_config(number, right[3])
            self.loaded += 1

    def check_config(self, number: int, description: dict[str, Any]) -> None:
        """Asserts that the config of a network that was loaded tells timm and the Hub what the network is."""
        content = json.loads((self.folder / CONFIG).read_text())
        content["pretrained_cfg"].pop("license", None)
        said = {name: content[name] for name in description}
        assert said == description, f"mutant {number} was loaded with another description in its config"


def fitting(judge: Judge, weights: bytes) -> dict[str, bytes]:
    """Weights, and the config with their sha256."""
    old, new = (sha256(content).hexdigest().encode() for content in (judge.files[WEIGHTS], weights))
    return {WEIGHTS: weights, CONFIG: judge.files[CONFIG].replace(old, new)}
