"""No task: one label, nothing done."""

from __future__ import annotations

import torch

from eqmodels.tasks import NoTask


def test_the_only_label_leaves_the_images_as_they_are():
    images, task = torch.rand(5, 2, 3, 4), NoTask()
    labels = task.sample(5)
    assert task.num_labels == 1
    assert labels.tolist() == [0] * 5
    assert task.apply(images, labels) is images
