"""Worker processes that are spawned, as they are on Windows and macOS, import and use the package."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, Dataset

from eqmodels import create_model
from eqmodels.transforms import Preprocessing


class Features(Dataset):
    """Every image's features, computed by the process that is asked for them."""

    def __init__(self, model, transform, images):
        self.model, self.transform, self.images = model, transform, images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        with torch.no_grad():
            return self.model(self.transform(self.images[index])[None])[0]


def test_a_spawned_worker_computes_what_this_process_computes(randomised):
    model = randomised(create_model("c4_resnet18s_w4", in_chans=1)).eval()
    transform = Preprocessing((0.5,), (0.25,), (16, 16)).transform()
    features = Features(model, transform, torch.randint(256, (3, 1, 20, 16), dtype=torch.uint8))
    (computed,) = DataLoader(features, batch_size=3, num_workers=1, multiprocessing_context="spawn")
    torch.testing.assert_close(computed, torch.stack([features[index] for index in range(3)]))
