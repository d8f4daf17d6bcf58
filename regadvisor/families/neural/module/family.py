"""The module family: the caller's own torch networks, all candidates and folds trained together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from torch import nn

from regadvisor.data.table import Table
from regadvisor.deadline import NEVER, Deadline
from regadvisor.errors import ParameterError
from regadvisor.families.base import Fit
from regadvisor.families.neural.common_scale import is_on_common_scale
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.image_encoding import module_preprocessor
from regadvisor.families.neural.module.dropout import has_dropout
from regadvisor.families.neural.module.inputs import Inputs, inputs_of
from regadvisor.families.neural.module.layouts import find_layout
from regadvisor.families.neural.module.notes import notes_of
from regadvisor.families.neural.module.outputs import Output
from regadvisor.families.neural.module.source import ModuleSource, asked_for, name_of
from regadvisor.families.neural.module.stack import ModuleArchitecture
from regadvisor.families.neural.module.trial import examine
from regadvisor.families.neural.nets import cnn
from regadvisor.families.neural.own_loss import with_one_logit
from regadvisor.families.neural.parameters import as_written, penalised_parameters
from regadvisor.families.neural.recipe import LAYOUTS, Recipe
from regadvisor.global_state import own_randomness
from regadvisor.records import DataFacts, Note, Training
from regadvisor.regularizer import DROPOUT_KINDS, KINDS, Kind

if TYPE_CHECKING:
    from regadvisor.data.arrays import Values

#: Numbers that a date becomes, about: only to make a first module and see whether it has dropout.
_DATE_PARTS = 6


class ModuleFamily(MLPFamily):
    """The caller's own torch modules, trained as the networks of the mlp family are.

    Every seed gets starting values of its own: the factory is called with torch's generator seeded for it.
    Given a module instead of a factory, every network is a copy that starts from its weights; the module
    itself is never changed.

    Candidates without dropout train with all dropout layers at rate 0, whatever rate the module gives them,
    and dropout candidates set all of them to one rate; so do ``LSTM(dropout=)`` and the like, and
    ``MultiheadAttention(dropout=)``, unless they are 0. A module without any of these has no dropout kinds.
    Dropout that is no layer (``functional.dropout``) has that rate, too, if the module keeps its own in an
    attribute such as ``self.dropout``; else it stays as it is for every candidate.

    `model`: see :class:`~regadvisor.families.neural.module.source.ModuleSource`. `facts`: of the data that it
    will be trained on. `features`: all rows of the data. A recipe that leaves ``transform`` open is decided
    by them; without them it is "standard", as for "cnn".

    Raises ParameterError if the factory fails, or "cnn" is asked for rows that are no images.
    """

    name: str = "module"

    def __init__(
        self,
        model: Callable[..., Any] | nn.Module | str,
        facts: DataFacts,
        *,
        recipe: Recipe | None = None,
        device: str = "cpu",
        features: Values | None = None,
    ) -> None:
        super().__init__(recipe, device)
        self.model = checked_model(model, facts)
        self.label = model if isinstance(model, str) else name_of(model)
        self.inputs = self._found_inputs(facts, features)
        first = self.model if isinstance(self.model, nn.Module) else self._source(facts).draw(0)
        channels, parts = self.inputs.channels(), first.modules()
        looks_up = self.inputs.layout == "flat" and any(isinstance(own, nn.Embedding) for own in parts)
        if looks_up and channels is None and isinstance(features, np.ndarray) and features.dtype.kind == "f":
            is_code = ((features >= 0) & (features == np.rint(features))).all(0)
            channels = np.where(is_code, -1, np.arange(features.shape[1]))
        is_open = self.recipe.transform is None and not isinstance(model, str)
        if is_open and features is not None and is_on_common_scale(features, facts, channels):
            self.recipe = replace(self.recipe, transform="none")
        self.kinds: tuple[Kind, ...] = tuple(
            kind for kind in KINDS if has_dropout(first) or kind not in DROPOUT_KINDS
        )
        chosen = penalised_parameters(first, exempt=self.recipe.exempt, penalised=self.recipe.penalised)
        self._penalised = tuple(name for name, own in chosen if own.requires_grad)
        self._last: ModuleArchitecture | None = None
        #: When the first look at the module ends, whatever it has found; then OutOfTimeError is raised.
        self.look_ends: Deadline = NEVER
        #: What to say of the module once it was looked at.
        self.notes: tuple[Note, ...] = ()

    def _found_inputs(self, facts: DataFacts, features: Values | None) -> Inputs:
        """Return how rows enter the module: as the recipe says, or as it takes them."""
        usual = source_for(self.model, facts, self.recipe.output)
        layout = self.recipe.layout or find_layout(usual, facts, features)
        inputs, n_flat = inputs_of(facts, layout), usual.n_flat
        if layout == "codes":
            n_flat = about(replace(facts, columns=tuple(c for c in facts.columns if c.kind != "categorical")))
            n_flat += len(inputs.cardinalities)
        n_tokens = 1
        if layout == "tokens" and isinstance(features, np.ndarray):
            n_tokens += int(features.max())
        return replace(inputs, n_flat=n_flat, n_tokens=n_tokens)

    def _source(self, facts: DataFacts) -> ModuleSource:
        """Return where networks for rows of this layout come from."""
        return replace(source_for(self.model, facts, self.recipe.output), inputs=self.inputs)

    def preprocessor(self, facts: DataFacts) -> Pipeline | ColumnTransformer:
        """Return the unfitted preprocessing in front of the module."""
        return module_preprocessor(facts, self._transform, self.inputs.layout)

    def architecture(self, sample: Table, x: torch.Tensor, names: Sequence[str]) -> ModuleArchitecture:
        """Return the module after a look at it with a few encoded rows.

        Raises ParameterError if the module does not fit them.
        """
        self.inputs = self.inputs.on(x)
        source = self._source(sample.facts)
        known = self._last
        # One look for all samples of a shape: it takes several passes, and a module may be slow.
        if known is None or known.source.inputs != source.inputs:
            known = examine(
                source,
                x,
                recipe=self.recipe,
                is_classification=sample.is_classification,
                is_raw=self._is_raw,
                deadline=self.look_ends,
            )
        self._last = known
        self.notes = tuple(notes_of(known, sample.facts, names, label=self.label))
        self.recipe = with_one_logit(self.recipe, known.has_one_logit)
        return known

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised network is to be trained on everything, and what trained the sample."""
        training = super().training(picked, n_sample=n_sample, n_rows=n_rows, seed=seed)
        training = replace(training, family="module", hidden=(), module=self.label, layout=self.inputs.layout)
        training = replace(training, penalised_names=self._penalised)
        last = self._last
        if last is None:
            return training
        return replace(
            training,
            engine=last.engine,
            engine_reason=last.engine_reason,
            audit=last.audit,
            output=last.output,
            output_shape=last.output_shape,
        )


def checked_model(
    model: Callable[..., Any] | nn.Module | str, facts: DataFacts
) -> Callable[..., Any] | nn.Module:
    """Return the factory or module; "cnn" becomes its factory, for images."""
    if not isinstance(model, str):
        return as_written(model) if isinstance(model, nn.Module) else model
    if model != "cnn":
        raise ParameterError(f"model must be a factory, a torch.nn.Module or 'cnn', got {model!r}")
    if facts.image_shape is None:
        raise ParameterError(
            "model='cnn' must be given images of shape (n, h, w), (n, h, w, c) or (n, c, h, w), got a table "
            f"of {facts.n_features} columns; reshape X, or use model='mlp'"
        )
    return cnn


def source_for(
    model: Callable[..., Any] | nn.Module,
    facts: DataFacts,
    output: Output = None,
    *,
    layout: str | None = None,
) -> ModuleSource:
    """Return where networks for these data come from, in a layout; None: the usual one."""
    inputs = replace(inputs_of(facts, layout), n_flat=about(facts))
    return ModuleSource(model=model, inputs=inputs, n_outputs=n_outputs_of(facts), output=output)


def n_outputs_of(facts: DataFacts) -> int:
    """Return how many outputs a network for these data has."""
    return facts.n_targets if facts.task == "regression" else len(facts.classes or ())


def about(facts: DataFacts) -> int:
    """Return about how many features the columns become."""
    widths = {"numeric": 1, "date": _DATE_PARTS}
    return sum(widths.get(each.kind, each.n_levels or 1) + each.has_missing for each in facts.columns)


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

    >>> from regadvisor.data.source import make_table
    >>> facts = make_table([[0.0, 1.0], [1.0, 0.0]], [0.5, 1.5]).facts
    >>> fixed_outputs(nn.Linear(2, 7), facts)
    7
    >>> fixed_outputs(lambda n_outputs: nn.Linear(2, n_outputs), facts) is None
    True
    """
    if not isinstance(model, nn.Module) and "n_outputs" in asked_for(model):
        return None
    for layout in LAYOUTS:
        with suppress(Exception), torch.no_grad():  # what is wrong with it is said later
            source = source_for(model, facts, output, layout=layout)
            module = source.draw(0).eval()
            with own_randomness(0):
                return int(source.call(module, torch.zeros(2, source.n_flat, dtype=torch.float32)).shape[1])
    return None
