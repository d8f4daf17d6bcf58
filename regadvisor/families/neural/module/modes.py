"""Training and evaluation mode of a caller's module: what was put into evaluation mode stays there.

Who fine-tunes often holds part of a network still: ``net.train(); net.backbone.eval()``. Its dropout is off,
and the running statistics of its batch norms do not move. ``module.train()`` would undo that.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn

_MARK = "_regadvisor_stays_in_eval"
Module = TypeVar("Module", bound=nn.Module)


def keep_in_eval(module: Module) -> Module:
    """Mark the parts that stay in evaluation mode, in place (so of a copy), and return the module.

    Those that are in it while the module itself is not. Of a module that is in evaluation mode as a whole
    (usual after loading), only layers that normalise and whose parameters are all frozen.

    >>> net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    >>> _ = net[0].eval()
    >>> [part.training for part in set_mode(keep_in_eval(net), is_training=True)]
    [False, True]
    """
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        is_norm = isinstance(part, nn.modules.batchnorm._NormBase)
        is_frozen_norm = is_norm and bool(own) and not any(value.requires_grad for value in own)
        if not part.training and (module.training or is_frozen_norm):
            keep(part)
    return module


def keep(part: nn.Module) -> None:
    """Mark one part."""
    setattr(part, _MARK, True)


def stays_in_eval(part: nn.Module) -> bool:
    """Return whether a part is marked."""
    return getattr(part, _MARK, False) is True


def set_mode(module: Module, *, is_training: bool) -> Module:
    """Put a module into training or evaluation mode, except for the marked parts; return it."""
    module.train(is_training)
    for part in module.modules():
        if stays_in_eval(part):
            part.training = False
    return module
