"""A run on images that are streamed, or read from a cache, is the run on those in memory."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.data import LabelledImages
from eqmodels.data.cache import CachedImages
from eqmodels.data.streamed import StreamedImages
from eqmodels.training import Pretraining, training_images
from tests.data.files import write_image_folder
from tests.training.runs import tiny

CONFIG = tiny(data="image_folder", size=8)


@pytest.mark.parametrize(
    ("reading", "kind"),
    [({"stream": True}, StreamedImages), ({"cache": "kept"}, CachedImages)],
    ids=["stream", "cache"],
)
def test_weights_do_not_depend_on_how_images_are_read(tmp_path, monkeypatch, reading, kind):
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    kept, other = (training_images(CONFIG, "photos", how) for how in (None, reading))
    assert (type(kept), type(other)) == (LabelledImages, kind)
    states = []
    for images in (kept, other):
        run = Pretraining(CONFIG, images)
        run.epoch()
        run.step()
        run.close()
        states.append(run.model.state_dict())
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_options_that_say_which_images_there_are_belong_into_the_config(tmp_path):
    sentence = (
        "reading takes stream, cache, workers; got 'size'. Pass it to the config, which says which images there are."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        training_images(CONFIG, tmp_path, {"size": 9})
