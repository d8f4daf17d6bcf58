"""The module family: the caller's own torch networks, all candidates and folds trained together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from regadvisor.data.table import Table
from regadvisor.errors import ParameterError
from regadvisor.families.base import Fit, Fold
from regadvisor.families.neural.cnn import cnn
from regadvisor.families.neural.common_scale import is_on_common_scale
from regadvisor.families.neural.encoded import NetworkPrepared, with_own_loss
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.image_encoding import channels_first, scaled_in_folds
from regadvisor.families.neural.module.dropout import has_dropout
from regadvisor.families.neural.module.notes import notes_of
from regadvisor.families.neural.module.source import ModuleSource, name_of
from regadvisor.families.neural.module.stack import ModuleArchitecture
from regadvisor.families.neural.module.trial import examine
from regadvisor.families.neural.own_loss import sees_raw, with_one_logit
from regadvisor.families.neural.recipe import Recipe
from regadvisor.records import Column, DataFacts, Note, Training
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
    Dropout that is no layer (``functional.dropout``) stays as it is for every candidate.

    Parameters
    ----------
    model : callable, torch.nn.Module or "cnn"
        See :class:`~regadvisor.families.neural.module.source.ModuleSource`.
    facts : DataFacts
        Of the data that it will be trained on.
    recipe : Recipe, optional
    device : str, default "cpu"
    features : ndarray, csr_array or DataFrame, optional
        All rows of the data. A recipe that leaves ``transform`` open is decided by them; without them it is
        "standard", as for "cnn".

    Raises
    ------
    ParameterError
        If the factory fails, or "cnn" is asked for rows that are no images.
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
        is_open = self.recipe.transform is None and not isinstance(model, str)
        if is_open and features is not None and is_on_common_scale(features, facts):
            self.recipe = replace(self.recipe, transform="none")
        self.model = checked_model(model, facts)
        self.label = model if isinstance(model, str) else name_of(model)
        first = self.model if isinstance(self.model, nn.Module) else self._source(facts, about(facts)).draw(0)
        self.kinds: tuple[Kind, ...] = tuple(
            kind for kind in KINDS if has_dropout(first) or kind not in DROPOUT_KINDS
        )
        self._last: ModuleArchitecture | None = None
        #: What to say of the module once it was looked at.
        self.notes: tuple[Note, ...] = ()

    def _source(self, facts: DataFacts, n_features: int) -> ModuleSource:
        """Return where networks for so many encoded features come from."""
        return module_source(self.model, facts, n_features)

    def prepare(self, sample: Table, folds: Sequence[Fold], *, seed: int) -> NetworkPrepared:
        """Encode the folds, and look at the module with a few of their rows.

        Raises
        ------
        DataError
            If the encoded folds would take more than 2 GB.
        ParameterError
            If the module does not fit the encoded rows.
        """
        image, encoder = channels_first(sample.facts), copy.copy(self)
        is_scaled = image is not None and self._transform == "standard"
        # Raw pixels first: they are scaled by channel, not by pixel. What a loss of the caller's own is
        # called with depends on the module.
        transform = "none" if is_scaled else self.recipe.transform
        encoder.recipe = replace(self.recipe, transform=transform, loss=None)
        prepared = MLPFamily.prepare(encoder, sample, folds, seed=seed)
        if is_scaled and image is not None:
            x = scaled_in_folds(prepared.rows.x, folds, image[0])
            prepared = replace(prepared, rows=replace(prepared.rows, x=x))
        source = self._source(sample.facts, prepared.n_features)
        known = self._last
        # One look for all samples of a shape: it takes several passes, and a module may be slow.
        if known is None or known.source.input_shape != source.input_shape:
            own = None if sample.is_classification else self.recipe.loss
            known = examine(
                source,
                prepared.rows.x,
                recipe=self.recipe,
                is_classification=sample.is_classification,
                is_raw=own is not None and sees_raw(own, sample.targets),
            )
        self._last = known
        self.notes = notes_of(known, sample.facts, prepared.feature_names, label=self.label)
        self.recipe = with_one_logit(self.recipe, known.has_one_logit)
        if self.recipe.loss is not None:
            prepared = with_own_loss(prepared, sample, folds, self.recipe.loss)
        return replace(prepared, architecture=known)

    def training(self, picked: Fit | None, *, n_sample: int, n_rows: int, seed: int) -> Training:
        """Return how the advised network is to be trained on everything, and what trained the sample."""
        training = super().training(picked, n_sample=n_sample, n_rows=n_rows, seed=seed)
        last = self._last
        return replace(
            training,
            family="module",
            hidden=(),
            module=self.label,
            engine=None if last is None else last.engine,
            engine_reason=None if last is None else last.engine_reason,
            penalised_names=() if last is None else last.layout.penalised_names,
        )


def checked_model(
    model: Callable[..., Any] | nn.Module | str, facts: DataFacts
) -> Callable[..., Any] | nn.Module:
    """Return the factory or module; "cnn" becomes its factory, for images."""
    if not isinstance(model, str):
        return model
    if model != "cnn":
        raise ParameterError(f"model must be a factory, a torch.nn.Module or 'cnn', got {model!r}")
    if facts.image_shape is None:
        raise ParameterError(
            "model='cnn' must be given images of shape (n, h, w), (n, h, w, c) or (n, c, h, w), got a table "
            f"of {facts.n_features} columns; reshape X, or use model='mlp'"
        )
    return cnn


def module_source(model: Callable[..., Any] | nn.Module, facts: DataFacts, n_features: int) -> ModuleSource:
    """Return where networks for data of these facts come from."""
    return ModuleSource(
        model=model,
        input_shape=channels_first(facts) or (n_features,),
        n_outputs=facts.n_targets if facts.task == "regression" else len(facts.classes or ()),
    )


def about(facts: DataFacts) -> int:
    """Return about how many features the columns become."""
    return sum(_width(column) for column in facts.columns)


def _width(column: Column) -> int:
    width = {"numeric": 1, "date": _DATE_PARTS}.get(column.kind, column.n_levels or 1)
    return width + column.has_missing
