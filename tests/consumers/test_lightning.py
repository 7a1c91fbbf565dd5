"""lightning trains, saves and loads a module that holds an encoder."""

from __future__ import annotations

import lightning
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant


class Classifier(lightning.LightningModule):
    def __init__(self, name="c4_resnet18s_w4", num_classes=3):
        super().__init__()
        self.save_hyperparameters()
        self.encoder = create_model(name, num_classes=num_classes)

    def forward(self, images):
        return self.encoder(images)

    def training_step(self, batch, _):
        images, labels = batch
        return F.cross_entropy(self(images), labels)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_module_is_trained_saved_and_loaded(tmp_path):
    images = torch.rand(8, 3, 16, 16)
    loader = DataLoader(TensorDataset(images, torch.arange(8) % 3), batch_size=4)
    module = Classifier()
    before = module.encoder.stem.conv.weight.clone()
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=2, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path, gradient_clip_val=1.0,
    )  # fmt: skip
    trainer.fit(module, loader)
    assert not torch.equal(module.encoder.stem.conv.weight, before)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = Classifier.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=False).eval()
    with torch.no_grad():
        assert torch.equal(again(images), module.eval()(images))
    assert_equivariant(again.encoder, size=12)
