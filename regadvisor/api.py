"""advise(): from data to advice. The only module that knows every stage.

source → sample → (question ⇄ evidence) → decision → record. Each arrow is one line of `_here` or `_walked`.
"""

from __future__ import annotations

import inspect
import math
import time as clock
from dataclasses import fields, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pandas as pd

from regadvisor.advice import Advice
from regadvisor.arguments import check, options_of
from regadvisor.data.datasets import holds_arrays, read_arrays, unpacked
from regadvisor.data.table import is_column
from regadvisor.deadline import finished
from regadvisor.decision.decide import Decider, Decision
from regadvisor.errors import ParameterError, enough_memory
from regadvisor.evidence.gather import Gatherer
from regadvisor.evidence.layout import flat_images
from regadvisor.evidence.scores import Scoring, loss_name
from regadvisor.families.neural.recipe import Recipe
from regadvisor.family_spec import spec_of
from regadvisor.flowchart.chart import NO_SIGNAL, Chart, limited, resolve, sparse_first
from regadvisor.flowchart.walk import walk
from regadvisor.global_state import left_as_found, one_blas_thread
from regadvisor.models import family_and_table, table_to_match, task_of
from regadvisor.progress import Progress, rising, watching
from regadvisor.records import FORMAT, UNSEEN_SIGNAL, Evidence, Note, Record, Training, Walk
from regadvisor.scale.apart import check_memory_limit, run_apart
from regadvisor.scale.door import Door
from regadvisor.scale.workers import check_executor, workers
from regadvisor.search.elsewhere import elsewhere
from regadvisor.traps.alone import too_good
from regadvisor.traps.find import find_traps
from regadvisor.traps.hidden import exploded, hidden_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sklearn.base import BaseEstimator
    from torch import nn

    from regadvisor.families.fitted.function import FitFunction

    Model: TypeAlias = str | Callable[..., nn.Module] | nn.Module | BaseEstimator | FitFunction


@left_as_found()
def advise(
    X: Any,
    y: Any = None,
    *,
    model: Model = "auto",
    recipe: Recipe | None = None,
    task: str = "auto",
    budget: float | Literal["auto"] | None = "auto",
    effort: Literal["quick", "standard", "thorough"] | None = None,
    sample: Any = "auto",
    match: Any = None,
    chart: str | Chart = "extended",
    correlated: bool | None = None,
    whole_picture: bool | None = None,
    prefer: Literal["sparse"] | None = None,
    unpenalised: Sequence[str | int] | None = None,
    groups: Any = None,
    time: Any = None,
    sample_weight: Any = None,
    scoring: Scoring | None = None,
    folds: int = 5,
    random_state: int = 0,
    device: str = "auto",
    storage: str | Path | None = None,
    executor: Any = None,
    isolate: bool = False,
    memory_limit: float | None = None,
    progress: Progress | bool | None = None,
) -> Advice:
    """Advise which regularizer to start with, how strong, how sure, and what would change it.

    Walks the flowchart: draws a stratified sample, trains candidates on paired folds where the walk needs
    them, and compares them. The README says how to read the result.

    Parameters
    ----------
    X : array, sparse matrix, tensor or data frame, shape (n_rows, n_features), or path
        Features; NaN is missing. A path to a CSV, Parquet or JSON file is read, and `y` is then the name of
        its target column, or a list of names. Of a frame (pandas, polars, pyarrow), `y`, `groups` and `time`
        may be names of its columns as well. Images (n, h, w[, c]), also a folder of them, and sequences
        (n, steps[, channels]) are flattened for models of tables and enter a module as it takes them. A dict
        or a tuple of arrays are several inputs of a module; a Dataset or DataLoader of torch has its target
        itself.

        A folder of files, a file that would take more than a gigabyte, a DuckDB relation, a polars lazy frame
        and a Dask data frame are read in parts, once, in memory that does not grow with the rows
        (docs/scale.md).
    y : array or data frame, shape (n_rows,) or (n_rows, n_targets), str or list of str
        Target. Rows whose target is missing are dropped, with a note. Several columns are several targets:
        numbers, which one model learns together with one regularizer, each standardised; or classes, a
        classifier for each column (networks: one for all) with one regularizer. All columns count the same.
    model : {"auto", "linear", "mlp", "cnn"}, factory, module, estimator, Keras model, net or fit function
        What will be trained. "auto": a linear model for tables; the "mlp" for image arrays, or if a `recipe`
        is given. "cnn": a small convolutional network, for image arrays.

        A factory (a class or function) returns a new ``torch.nn.Module`` and is called with those of
        `n_features`, `n_outputs` and `input_shape` that its signature names. Features are counted after
        encoding; outputs are the logits of the classes, or a number for each target; images come as
        (channels, height, width). Each seed gets starting values of its own. Given a module, every network
        starts from a copy of its weights. Modules are trained as `recipe` says; candidates without dropout
        train with the module's dropout layers at rate 0. The record says whether all networks were trained at
        once (``torch.func.vmap``) or one after the other, and why.

        A linear model or MLP of scikit-learn is asked about the kinds that it has, and compared by its own
        loss (hinge, Huber, deviances, …). Searches such as ``GridSearchCV`` and ``RidgeCV`` stand for the
        estimator inside; OneVsRest, CalibratedClassifierCV and TransformedTargetRegressor are trained whole.
        In a pipeline its own steps are fitted inside every fold, to X as it is passed (it may then be a list
        of texts), and strengths are for what the last step gets. docs/method.md has a table of arguments.

        A Keras 3 model, compiled or not, a factory of one, or a skorch net, alone or at the end of a
        Pipeline: copies are trained as by their own ``fit``, with penalties in the loss. A Keras model is
        trained for the epochs and batches of `recipe` (or for as many epochs as its last ``fit``), a net as
        it says itself.

        Any other model is a function that trains it: :func:`regadvisor.fit_function`.
    recipe : Recipe, optional
        How networks are trained: optimizer, learning rates, epochs, clipping, what the penalty acts on and
        how, loss; see :class:`regadvisor.Recipe`. None: its defaults. Refused for models of scikit-learn.
    task : {"auto", "binary", "multiclass", "classification", "regression"}
    budget : float, "auto" or None
        Seconds for the whole advice. 0: nothing is trained and the prior branch answers. None: no limit.
        "auto": no limit if `effort` is given; else up to 6,000 rows as much as the evidence needs, at most
        two minutes; beyond, ever fewer full runs of the model, one at 50,000 rows and a twentieth at a
        million, no less than the smallest search costs, nor than 3 s (networks 4 s), and at most a minute;
        or one full run if that takes longer, up to ten minutes. Whatever ends the time, the answer is the
        best of what is known.
    effort : {"quick", "standard", "thorough"}, optional
        Rung of the effort ladder: largest sample and number of fits. None: the highest that is projected to
        fit the budget, with the largest sample that does; rows come before candidates. Given an effort, its
        largest sample is used, and without a limit of time equal calls return equal advice.
    sample : "auto", int, float, array of row numbers, or False
        Rows to validate on: a number, a share, the rows themselves; False: no sub sample can be taken.
    match : like X, optional
        Rows the model will be used on: the sample is drawn to look like them.
    chart : {"extended", "classic"} or Chart
    correlated, whole_picture : bool, optional
        Prior knowledge; it wins over what is measured.
    prefer : {"sparse"}, optional
        Break ties in favour of L1.
    unpenalised : list of str or int, optional
        Columns that no penalty acts on, such as a treatment or an age that is adjusted for: names of a frame,
        numbers of an array. For linear models; in a pipeline of yours it is every feature that your steps
        make from these columns. They are multiplied by 10,000 in front of the model, which leaves 1/10,000 of
        L1.
    groups, time : array, shape (n_rows,), or str, optional
        Rows of one group are never on both sides of a fold; with `time`, validation goes forward. The name of
        a column of a frame will do: it is no feature then, so leave it out of what `build` is fitted to.
    sample_weight : array, shape (n_rows,), optional
    scoring : str or callable, optional
        A score of scikit-learn's to report for the pick and for no regularization; it never decides.
    folds : int, default 5
    random_state : int, default 0
    device : {"auto", "cpu", "cuda"}
        Where networks are trained.
    storage : path, optional
        Journal file; an interrupted run called again with it continues without repeating finished fits.
        While a run is going, and after a kill, a file of that name and ``-wal`` beside it belongs to it.
    executor : int, concurrent.futures.Executor, dask.distributed.Client or "ray", optional
        Where parts are read and candidates are trained: a number of processes, or what you have. None: in
        this process. The rows that are drawn, and the advice, are the same. Each worker computes on one
        thread.
    isolate : bool, default False
        Do all of it in a process of its own, which gets the data and the model and can be ended: a budget in
        seconds then also holds with a model that sleeps, loops or crashes. At its end the process is asked
        for the best so far, and killed two seconds later.
    memory_limit : float, optional
        Bytes that the process may use; `isolate` is implied. Where they do not suffice, fewer rows are drawn
        and fewer networks are trained at once.
    progress : callable (stage, share_done), bool or None, default None
        A function that is called as the work goes on, with a share of the whole that never falls; True: a
        bar; False: nothing. None: a bar after two seconds, in a terminal or a notebook.

    Returns
    -------
    Advice

    Raises
    ------
    DataError
        If the data cannot be used; the message says what to change.
    ParameterError
        If an argument is out of its rule.
    StorageError
        If the file is no journal of ours, belongs to other data or settings, is in use, or cannot be written.
    OutOfMemoryError
        If memory does not suffice for the data and the model.
    IsolatedError
        If the process of `isolate` died, or had no answer when its time was up.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> advice = advise(X, y, effort="quick")
    >>> advice.regularizer.kind in ("l1", "l2", "elasticnet", "none")
    True
    """
    given = {name: value for name, value in locals().items() if name in _PARAMETERS}
    with enough_memory():
        if check("isolate", isolate) or memory_limit is not None:
            return _apart(given)
        return _here(given)


_PARAMETERS = frozenset(inspect.signature(advise).parameters)


def _here(given: dict[str, Any]) -> Advice:
    """Return the advice of this process."""
    started, request = clock.monotonic(), options_of(given)
    X, y, model, recipe = (given[name] for name in ("X", "y", "model", "recipe"))
    task, executor = given["task"], given["executor"]
    X, y = read_arrays(X, y) if holds_arrays(X) else unpacked(X, y)
    rows = {name: given[name] for name in ("groups", "time", "sample_weight")}
    task = task_of(model) if task == "auto" else task
    check_executor(executor)
    with watching(request.progress) as say, workers(executor) as crew:
        say = None if say is None else rising(say)
        request = replace(request, progress=say)
        is_text = is_column(X)
        door = Door(
            X=pd.DataFrame({"text": X}) if is_text else X,
            y=y,
            rows=rows,
            sample=request.sample,
            seed=request.seeds["scan"],
            executor=None if executor is None else crew,
            progress=say,
            read_within_s=request.reading_s,
        )
        family, table = family_and_table(
            door,
            model,
            recipe,
            task,
            request.device,
            texts=X if is_text else None,
            unpenalised=given["unpenalised"],
        )
        if given["match"] is not None:
            request = replace(request, match=table_to_match(given["match"], like=table.facts, train=door.X))
        way_chart = resolve(given["chart"], has_dropout="dropout" in family.kinds)
        if hasattr(family, "on") or table.facts.unpenalised:  # a model of the caller's may lack a penalty
            way_chart = limited(way_chart, family.kinds)
        way_chart = sparse_first(way_chart) if request.prefer == "sparse" else way_chart
        gatherer = Gatherer(
            table=table,
            family=family if crew.is_here else elsewhere(family, crew),
            request=request,
            started_s=started,
            scan_s=door.scan_s,
            read_s=door.read_s,
        )
        record = _walked(way_chart, gatherer)
        if say is not None:
            say("done", 1.0)
    return Advice(record, module=getattr(family, "model", None), recipe=recipe)


def _apart(given: dict[str, Any]) -> Advice:
    """Return the advice of a process of its own, which is ended when the budget is spent."""
    budget, progress = check("budget", given["budget"]), check("progress", given["progress"])
    if not isinstance(given["executor"], Integral | str | None):
        raise ParameterError(
            "executor must be None, a number of processes or 'ray' with isolate=True, got "
            f"{type(given['executor']).__name__}, which belongs to this process"
        )
    ends_s = clock.monotonic() + budget if isinstance(budget, int | float) else math.inf
    own = {**given, "isolate": False, "memory_limit": None, "progress": None}
    with watching(progress) as say:
        found: Advice = run_apart(
            partial(_until, ends_s),
            {"given": own},
            left_s=lambda: ends_s - clock.monotonic(),
            memory_limit=check_memory_limit(given["memory_limit"]),
            progress=say,
        )
    return found


def _until(ends_s: float, given: dict[str, Any], progress: Progress) -> Advice:
    """Advise in what is left of the budget; a clock that only goes on is the same in all processes."""
    left = {} if math.isinf(ends_s) else {"budget": max(ends_s - clock.monotonic(), 0.01)}
    return advise(**{**given, **left, "progress": progress})


def _walked(way_chart: Chart, gatherer: Gatherer) -> Record:
    """Walk the chart, look for what is odd about the data, decide, and record it all."""
    gatherer.choose_rung()
    return finished(
        partial(_decided, way_chart, gatherer),
        gatherer.deadline,
        is_lost=lambda: gatherer.trained is not None,
    )


def _decided(way_chart: Chart, gatherer: Gatherer) -> Record:
    """Walk and decide; done again after Ctrl-C, which takes no training: what is measured is kept."""
    way, evidence = walk(way_chart, Evidence(), gatherer)
    with gatherer.stage("traps"), one_blas_thread():
        traps = _traps(gatherer, way, evidence) if gatherer.may_look else ()
    with gatherer.stage("decide"):
        decision = _decide(way_chart, way, evidence, gatherer, traps)
        features = gatherer.features()
    return replace(_record(decision, way, evidence, gatherer, traps), features=features)


def _traps(gatherer: Gatherer, way: Walk, evidence: Evidence) -> tuple[Note, ...]:
    table, seed = gatherer.table, gatherer.request.seeds["traps"]
    is_linear = spec_of(gatherer.family.name).laws == "linear"
    loss = loss_name(gatherer.family, table)
    may_grow = is_linear and loss.startswith("log loss")
    traps = find_traps(table, seed=seed, may_grow=may_grow, is_squared=loss == "squared error")
    traps += flat_images(table, seed=seed)
    if way.outcome == NO_SIGNAL:
        is_solved = is_linear and not hasattr(gatherer.family, "learner")
        found = () if is_solved else exploded(evidence.scores)
        traps += found or hidden_from(gatherer.family, table, seed=seed)
    if is_linear or not table.is_classification:  # networks may learn classes by heart
        is_named = any(note.code in ("leak", "near-leak", "separable-classes") for note in traps)
        traps += too_good(evidence.scores, is_named=is_named)
    return traps


def _decide(
    way_chart: Chart, way: Walk, evidence: Evidence, gatherer: Gatherer, traps: tuple[Note, ...]
) -> Decision:
    return Decider(
        chart=way_chart,
        walk=way,
        evidence=evidence,
        gather=gatherer.without_growth,
        family=gatherer.family,
        n_rows=gatherer.table.facts.n_rows,
        n_features=gatherer.table.facts.n_features,
        seeds=gatherer.request.seeds,
        n_draws=gatherer.rung.effort.n_boot,
        trained=gatherer.trained,
        sample=gatherer.drawn if gatherer.request.scoring is not None else None,
        scoring=gatherer.request.scoring,
        is_signal_hidden=any(note.code in UNSEEN_SIGNAL for note in traps),
    ).decide()


def _record(
    decision: Decision, way: Walk, evidence: Evidence, gatherer: Gatherer, traps: tuple[Note, ...]
) -> Record:
    decided = {each.name: getattr(decision, each.name) for each in fields(decision)}
    decided["training"] = _with_parameters(decision, gatherer)
    decided["notes"] = (*traps, *decision.notes, *gatherer.table.notes, *gatherer.notes)
    return Record(
        format=FORMAT,
        data=gatherer.table.facts,
        settings=gatherer.settings(way.chart),
        evidence=replace(gatherer.with_measured(evidence), scores=decided.pop("scores")),
        walk=way,
        timings=gatherer.timings(),
        **decided,
    )


def _with_parameters(decision: Decision, gatherer: Gatherer) -> Training | None:
    """Return how to train, with the parameters of the caller's estimator where only that knows them."""
    training, family = decision.training, gatherer.family
    told_by = getattr(family, "learner", family)
    if training is None or not hasattr(told_by, "parameters"):
        return training
    told = told_by.parameters(decision.strength.regularizer, gatherer.table.facts)
    return replace(training, parameters=told)
