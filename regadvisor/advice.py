"""Advice: a record, plus what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from regadvisor.errors import DataError, ParameterError, RecordError, StrengthError
from regadvisor.reading import Reading
from regadvisor.records import DataFacts, Record, Training
from regadvisor.report.verdict import in_comment

if TYPE_CHECKING:
    import optuna
    import torch
    from sklearn.base import BaseEstimator

    from regadvisor.families.neural.losses import LossFunction
    from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD
    from regadvisor.families.neural.recipe import Recipe, Schedule
    from regadvisor.families.pipeline import AdvisedPipeline


class Advice(Reading):
    """Which regularizer to start with, how strong, how sure, and what would change it.

    Returned by :func:`regadvisor.advise`; read back from a file by :meth:`load`. Rendering needs neither the
    data nor torch nor scikit-learn.

    Parameters
    ----------
    record : Record
        Everything that happened, as plain data.
    module : callable, torch.nn.Module or scikit-learn estimator, optional
        The caller's own factory, module, estimator or pipeline that the advice is about. It is kept beside
        the record for :meth:`build` and is not saved with it.
    recipe : Recipe, optional
        The recipe that the advice was asked for with, likewise: its functions are in no record.

    Examples
    --------
    >>> from regadvisor import advise_without_data
    >>> advice = advise_without_data(correlated=False, whole_picture=False)
    >>> advice.regularizer.kind
    'l1'
    """

    def __init__(
        self,
        record: Record,
        *,
        module: Callable[..., Any] | torch.nn.Module | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__(record)
        self._module = module
        self._recipe = recipe

    def build(
        self,
        *,
        module: Callable[..., Any] | torch.nn.Module | BaseEstimator | None = None,
        loss: LossFunction | None = None,
        recipe: Recipe | None = None,
    ) -> AdvisedPipeline:
        """Return the advised model for full training: an unfitted scikit-learn pipeline.

        Preprocessing is part of it; it takes `X` and `y` as ``advise`` did: rows without a target, or of
        weight 0 (``fit(X, y, model__sample_weight=w)``), are left out. A module of your own is trained by the
        same engine, as one network. An estimator or pipeline of your own keeps its steps and arguments, as
        :meth:`apply` does.

        Parameters
        ----------
        module : callable, torch.nn.Module or scikit-learn estimator, optional
            The factory, module, estimator or pipeline that the advice is about. Only needed where the advice
            was loaded: a file does not hold it.
        loss : callable, optional
            The recipe's own loss, likewise.
        recipe : Recipe, optional
            The recipe itself, likewise, where it holds other functions of yours. Only its functions count.

        Raises
        ------
        StrengthError
            If the advice was given without data.
        ParameterError
            If the module or the loss is needed and not known.
        """
        facts, training = self._trainable()
        is_own = training.is_own
        if module is not None and not is_own:
            raise ParameterError(
                f"module must be None, since this advice is about model={training.family!r}, got "
                f"{type(module).__name__}"
            )
        from regadvisor.export.build import build_model, own_functions

        return build_model(
            facts,
            self.regularizer,
            training,
            module=self._module if module is None else module,
            functions=own_functions(self._recipe if recipe is None else recipe, loss=loss),
        )

    def apply(self, target: Any) -> Any:
        """Return a configured copy of the caller's own estimator or module; `target` is not changed.

        Parameters
        ----------
        target : scikit-learn estimator, Pipeline, torch.nn.Module, keras.Model or skorch net
            A linear model of scikit-learn gets the strengths, and the preprocessing that they were found with
            in front (and with L1 and several targets around it one that standardises them): a pipeline, which
            has ``coef_`` once it is fitted. A pipeline of yours keeps
            its steps, which have to give the features that the strengths were found on: the steps of
            ``advise(X, y, model=pipeline)``, or a ``StandardScaler`` of all columns. Other arguments stay,
            except where the minimum cannot be found with them: LogisticRegression with L1 is then of a class
            of ours that inherits from it, for SAGA stops too early. MLPClassifier and MLPRegressor get their
            `alpha` and the epochs it is for, from advice about themselves. A module gets the dropout rate, in
            its dropout layers and where its attention and recurrent layers drop units; a warning names
            dropout that cannot be set. The penalty belongs to the optimizer: :meth:`optimizer`. A Keras model
            is made again from its configuration and starts from its weights; it gets dropout rates, and
            ``L1L2`` as ``kernel_regularizer`` or, for decoupled strengths, weight decay and a soft threshold
            in its optimizer (it is then taken to be trained for as many steps as the advice is for). A skorch
            net gets dropout and an optimizer with the penalty. Give both a standardised target.

        Raises
        ------
        ParameterError
            If `target` cannot express the regularizer, or would get it for other features.
        StrengthError
            If the advice was given without data.
        """
        from regadvisor.export.applied import applied_to

        return applied_to(target, *self._trainable(), self.regularizer)

    def optimizer(
        self, module: torch.nn.Module | Any, *, lr: float, steps: int, schedule: Schedule | None = None
    ) -> ProximalAdamW | ProximalSGD:
        """Return the recipe's optimizer with the advised penalties, for the caller's own training loop.

        AdamW or SGD with momentum. Decoupled strengths are rescaled to equal strength × Σ lr, the number
        that transfers between learning rates and lengths (Wang and Aitchison 2025), and act around the step;
        the L1 step gives exact zeros. Strengths in the loss are taken as they are: ``step()`` adds the
        penalty's gradient, so leave it out of your own loss. A ``clip_norm`` of the recipe is applied in
        ``step()``, too. Frozen parameters stay as they are, and so do those that a step gives no gradient.
        ``state_dict()`` holds the number of the step: a run that is loaded goes on with the schedule.

        Parameters
        ----------
        module : torch.nn.Module
            Its weights of two or more dimensions are penalised; biases, norms and embeddings are not, and
            what the recipe's patterns say.
        lr : float
            Highest learning rate.
        steps : int
            Optimizer steps of the whole run.
        schedule : str or callable, optional
            Learning rate over the steps, as in :class:`~regadvisor.Recipe`; it is part of the optimizer, no
            scheduler is needed. By default the
            recipe's, until you put a scheduler of torch on the optimizer: that one alone sets the rates then.
            With a schedule that you name, both multiply. Strengths are rescaled for the schedule that
            is part of the optimizer: one of yours that halves Σ lr halves what the penalties do.

        Raises
        ------
        ParameterError
            If the advice is not about a network, or a pattern fits no parameter of `module`.
        """
        from regadvisor.export.applied import optimizer_for

        facts, training = self._trainable()
        return optimizer_for(
            module,
            facts,
            training,
            self.regularizer,
            recipe=self._recipe,
            lr=lr,
            steps=steps,
            schedule=schedule,
        )

    def snippet(self, target: Literal["sklearn", "torch", "keras", "skorch"] = "sklearn") -> str:
        """Return code that trains the advised model, to be pasted where `X` and `y` are defined.

        Parameters
        ----------
        target : {"sklearn", "torch", "keras", "skorch"}
            "sklearn": the same pipeline as :meth:`build`. "torch": a plain training loop; for a module of
            your own a loop around it ("torch" or "skorch"). "keras" and "skorch": the same network by the
            same recipe. About a Keras model or a skorch net: the lines for your own code, also for "jax".
            Scripts for our linear models, and all but "sklearn" for networks, need no regadvisor, but where
            columns or the target are read in its own way: numbers written as "$1,200", rows without a
            target, columns without a penalty.

        Raises
        ------
        ParameterError
            If `target` is unknown, or there is no such code for this advice.
        StrengthError
            If the advice was given without data.
        """
        from regadvisor.export.targets import Request, written

        facts, training = self._trainable()
        request = Request(
            facts=facts,
            training=training,
            regularizer=self.regularizer,
            verdict=in_comment(self._record),
            build=self.build,
        )
        return written(request, target)

    def _trainable(self) -> tuple[DataFacts, Training]:
        self.regularizer.strengths()
        if self._record.data is None or self._record.training is None:
            raise StrengthError(
                "this advice was given without data, so nothing can be built from it; call advise(X, y)"
            )
        training = self._record.training
        if training.family in ("mlp", "module"):
            from regadvisor.export.applied import check_training

            check_training(training)
        return self._record.data, training

    def study(
        self, storage: optuna.storages.BaseStorage | str | Path | None = None, *, name: str = "regadvisor"
    ) -> optuna.Study:
        """Return all candidates that were trained as a study of Optuna, for its plots and its dashboard.

        Trials have the parameters ``kind`` and those of l1, l2 and dropout that the kind has, the mean
        held-out loss as value, and as user attributes fold_losses, train_loss, fit_s (seconds), seed, n_rows,
        epochs and share_zeroed. Candidates that were stopped early are pruned trials.

        Parameters
        ----------
        storage : optuna storage, URL or path, optional
            Where to keep it for ``optuna.load_study``; a path becomes an SQLite database. None: in memory.
        name : str
            Name of the study.

        Raises
        ------
        ParameterError
            If no candidate was trained, or the storage has a study of this name.
        StorageError
            If the storage cannot be written.

        Examples
        --------
        >>> from regadvisor import advise
        >>> from sklearn.datasets import load_diabetes
        >>> study = advise(*load_diabetes(return_X_y=True), effort="quick").study()
        >>> study.best_trial.params["kind"] in ("l1", "l2", "elasticnet")
        True
        """
        from regadvisor.search.study import study_of

        return study_of(self._record, storage=storage, name=name)

    def _snippets(self) -> dict[str, str]:
        """Return the code for the library of the caller's model, else for scikit-learn and torch."""
        training, found = self._record.training, {}
        own = None if training is None or training.engine not in ("keras", "skorch") else training.engine
        for target in ("sklearn", "torch") if own is None else (own,):
            with suppress(ParameterError, StrengthError, RecordError):
                found[target] = self.snippet(target)
        return found

    def check_same_data(
        self, X: Any, y: Any = None, *, groups: Any = None, time: Any = None, sample_weight: Any = None
    ) -> None:
        """Raise DataError unless these are the data that this advice is about, given as to ``advise()``.

        For the job that loads a saved advice: compares fingerprints.
        """
        import pandas as pd

        from regadvisor.data.datasets import holds_arrays, read_arrays, unpacked
        from regadvisor.data.table import is_column
        from regadvisor.scale.door import Door

        X, y = read_arrays(X, y) if holds_arrays(X) else unpacked(X, y)
        X = pd.DataFrame({"text": X}) if is_column(X) else X
        data, rows = self._record.data, {"groups": groups, "time": time, "sample_weight": sample_weight}
        table, _ = Door(X=X, y=y, rows=rows).table("auto" if data is None else data.task)
        known = None if data is None else data.fingerprint
        if table.facts.fingerprint != known:
            raise DataError(
                f"X and y must be the data of this advice (fingerprint {known}), got "
                f"{table.facts.fingerprint}; ask for new advice, or go on without this check if the rows are "
                "only more of the same"
            )


#: The formats of ``-o`` in a shell, by the ending of the file: each makes the text of an advice.
FORMATS: dict[str, Callable[[Advice], str]] = {
    ".html": Advice.to_html,
    ".json": Advice.to_json,
    ".md": Advice.to_markdown,
    ".txt": Advice.to_text,
}
