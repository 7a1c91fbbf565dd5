"""Batch normalisation folded into the convolution before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fold_batch_norms"]


def fold_batch_norms(network: nn.Module) -> None:
    """Replaces, in place, every batch-norm that alone follows a convolution by ``Identity``, and rescales its filters.

    What follows what is read off ``nn.Sequential`` and `torch.fx.GraphModule`. The convolution then computes
    ``s (W * x) + t``, ``s = weight / sqrt(running_var + eps)`` and ``t = bias - s running_mean``, which is what both
    did in eval mode; batch-norms in train mode stay.

    Source: Jacob et al. 2018, arXiv 1712.05877.
    """
    for module in list(network.modules()):
        _fold(module)


def _fold(module: nn.Module) -> None:
    for conv_name, norm_name in list(_consecutive_calls(module)):
        conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training:
            # The mode, which a convolution does not depend on, is checked all the same.
            module.add_module(conv_name, fuse_conv_bn_eval(conv.eval(), norm))
            module.add_module(norm_name, nn.Identity().eval())


def _consecutive_calls(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Pairs of children of which the second, and nothing else, sees the output of the first."""
    if isinstance(module, nn.Sequential):
        names = [name for name, _ in module.named_children()]
        yield from pairwise(names)
    elif isinstance(module, fx.GraphModule):
        calls = [node for node in module.graph.nodes if node.op == "call_module"]
        times = Counter(str(node.target) for node in calls)
        for node in calls:
            before = node.args[0]
            if isinstance(before, fx.Node) and before.op == "call_module" and len(before.users) == 1:
                pair = str(before.target), str(node.target)
                if all(times[name] == 1 for name in pair):
                    yield pair
