"""E-SSL pretraining of networks of escnn's own modules: one flag, and the same losses and gradients as ours."""

from __future__ import annotations

import pytest
import torch
from torch.nn.grad import conv2d_weight

from eqmodels.backbones import to_escnn
from eqmodels.evaluation import evaluate
from eqmodels.layers import SteerableConv2d
from eqmodels.objectives import Network
from eqmodels.training import Pretraining, load_run, pretrain
from eqmodels.training.terms import total_loss
from tests.training.runs import photos, tiny

pytestmark = pytest.mark.escnn
HARMONIC = {"model": "c4_resnet18s_w8", "basis": "harmonic"}


class Watched:
    """What goes into convolutions and what comes back to them, by the name of the layer, in group-major order."""

    def __init__(self, native, other=None):
        self.inputs, self.gradients = {}, {}
        for name, conv in native.named_modules():
            if isinstance(conv, SteerableConv2d):
                layer = conv if other is None else other.get_submodule(name).conv
                layer.register_forward_hook(self.hook(name, conv, foreign=other is not None))

    def hook(self, name, conv, *, foreign):
        def watch(_module, inputs, output):
            maps, out = (inputs[0].tensor, output.tensor) if foreign else (inputs[0], output)
            self.inputs[name] = conv.in_field.from_escnn(maps.detach()) if foreign else maps.detach()

            def keep(gradient):
                self.gradients[name] = conv.out_field.from_escnn(gradient) if foreign else gradient

            out.register_hook(keep)

        return watch

    def filter_gradients(self, native):
        """The gradient of the loss by every expanded filter."""
        found = {}
        for name, maps in self.inputs.items():
            conv = native.get_submodule(name)
            found[name] = conv2d_weight(
                maps, conv.expanded().shape, self.gradients[name], padding=conv.kernel_size // 2
            )
        return found


def test_losses_statistics_and_filter_gradients_are_those_of_escnn():
    """Converted before each of ten batches: by bases that are not orthogonally related, steps differ."""
    run = Pretraining(tiny(**HARMONIC, epochs=2), photos())
    run.model.double().train()
    native = run.model.backbone
    ours = Watched(native)
    for number in range(10):
        views = run.views(*divmod(number, run.steps_per_epoch))
        twin = to_escnn(native)
        theirs = Watched(native, twin)
        network = Network(twin, run.preprocessing).double().train()
        loss = total_loss(run.objective.loss(network, views))
        loss.backward()
        foreign = theirs.filter_gradients(native)
        run.model.zero_grad()
        before = {name: value.clone() for name, value in run.model.state_dict().items()}
        expected = total_loss(run.terms(views))
        expected.backward()
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        for name, gradient in ours.filter_gradients(native).items():
            scale = float(gradient.abs().max())
            assert scale > 0
            torch.testing.assert_close(foreign[name], gradient, rtol=0, atol=1e-5 * scale)
        statistics = {name: value for name, value in native.named_buffers() if "running" in name}
        others = [value for name, value in twin.named_buffers() if "running" in name]
        for (name, value), other in zip(statistics.items(), others, strict=True):
            torch.testing.assert_close(other, value, rtol=1e-5, atol=1e-7, msg=name)
        # The step proper counts the batch once.
        run.model.load_state_dict(before)
        run.step()
        if run.progress.step == run.steps_per_epoch:
            run.end_epoch()


def test_pretraining_saving_and_evaluating_is_one_flag(tmp_path):
    config = tiny(**HARMONIC, backend="escnn", epochs=1)
    run = pretrain(config, tmp_path, data=photos(), device="cpu", quiet=True)
    assert type(run.backbone).__name__ == "EscnnResNet"
    loaded = load_run(tmp_path)
    assert type(loaded.backbone).__name__ == "EscnnResNet"
    assert loaded.config == config
    torch.testing.assert_close(loaded.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)
    scores = evaluate(loaded, photos(), photos(20), knn=False, fractions=(), curve_images=0, strengths=(0.01,))
    assert max(scores.equivariance_error.values()) < 1e-4
    assert [task.task for task in scores.tasks] == ["rotation"]
