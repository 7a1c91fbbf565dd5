"""TorchScript's compiler, which reads the source of every method and knows little of Python."""

from __future__ import annotations

from typing import NoReturn

from torch import nn

__all__ = ["NotScriptable"]


class NotScriptable(nn.Module):
    """A module that `torch.jit.script` refuses in a sentence, also inside of another; `torch.jit.trace` takes it."""

    def __prepare_scriptable__(self) -> NoReturn:
        """What `torch.jit.script` asks of every module before it reads any source.

        Raises:
            TypeError: always; names what works.
        """
        raise TypeError(
            f"torch.jit.script compiles plain Python, which a {type(self).__name__} is not made of; got one. "
            "Use torch.jit.trace(network.eval(), images), of the network or of what eqmodels.export.to_plain(network) "
            "gives."
        )
