"""Whole numbers as a target: classes, where the caller's module has as many outputs as there are numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from regadvisor.data.table import Table
from regadvisor.families.neural.module.family import about, n_outputs_of
from regadvisor.families.neural.module.inputs import inputs_of
from regadvisor.families.neural.module.outputs import Output
from regadvisor.families.neural.module.source import ModuleSource, asked_for, own_luck
from regadvisor.families.neural.recipe import LAYOUTS
from regadvisor.records import DataFacts, Note


def classes_by_outputs(model: Any, table: Table, output: Output = None) -> Note | None:
    """Return what to say of a target that was read as numbers and is one of classes; None if it is none.

    Its values are 0, 1, 2, … without a gap, and the module has an output for each. (Numbers of more than 20
    values, or with few rows each, are not taken as classes otherwise.)
    """
    if table.is_classification or table.n_targets > 1:
        return None
    codes = np.unique(table.y)
    n_classes = len(codes)
    is_coded = np.array_equal(codes, np.arange(n_classes))
    if not is_coded or fixed_outputs(model, table.facts, output) != n_classes:
        return None
    text = (
        f"The target holds the whole numbers 0 to {n_classes - 1} and the module has {n_classes} outputs: "
        "they are taken as classes."
    )
    return Note(code="task-by-outputs", text=text, is_warning=True)


def fixed_outputs(
    model: Callable[..., Any] | nn.Module, facts: DataFacts, output: Output = None
) -> int | None:
    """Return how many outputs a module has by itself; None if it asks for their number, or cannot tell.

    Examples
    --------
    >>> from regadvisor.data.source import make_table
    >>> facts = make_table([[0.0, 1.0], [1.0, 0.0]], [0.5, 1.5]).facts
    >>> fixed_outputs(nn.Linear(2, 7), facts)
    7
    >>> fixed_outputs(lambda n_outputs: nn.Linear(2, n_outputs), facts) is None
    True
    """
    if not isinstance(model, nn.Module) and "n_outputs" in asked_for(model):
        return None
    n_flat = about(facts)
    for layout in LAYOUTS:
        with suppress(Exception), torch.no_grad():  # what is wrong with it is said later
            inputs = replace(inputs_of(facts, layout), n_flat=n_flat)
            source = ModuleSource(model=model, inputs=inputs, n_outputs=n_outputs_of(facts), output=output)
            module = source.draw(0).eval()
            with own_luck(0):
                return int(source.call(module, torch.zeros(2, n_flat)).shape[1])
    return None
