from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from eqmodels import create_model
from eqmodels.transforms import Preprocessing


def draw(file, seed, size=(44, 32)):
    """A picture of soft colours, of the given width and height, that has no symmetry."""
    file.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file)
    return file


@pytest.fixture
def paths(tmp_path):
    """Eight pictures."""
    return [draw(tmp_path / f"mine/{number}.png", number) for number in range(8)]


@pytest.fixture
def network(randomised):
    def build(name="c4_resnet18s_w8", pool="invariant", in_chans=3):
        made = randomised(create_model(name, in_chans=in_chans, num_classes=0, global_pool=pool))
        made.preprocessing = Preprocessing((0.5,) * in_chans, (0.25,) * in_chans, (12, 12), "squash")
        return made.eval()

    return build
