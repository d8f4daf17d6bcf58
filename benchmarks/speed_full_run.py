"""b) `advise(model="mlp")` against one full run of the model it advises.

One full run is measured twice: as a plain torch loop, and as ``advice.build().fit``. Of a long run only a
part is made and the rest extended from it (steps of the loop, epochs of ``fit``): the table says so with a
star. With automatic epochs the full run has those that the advice came to.
Both sides have the threads of the process, and encode the rows themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import speed_data
import speed_plain
from speed_measure import Timing, clocked, in_process, seconds, side_by_side

from regadvisor import advise
from regadvisor.advice import Advice
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import steps_per_epoch

SIZES = (20_000, 50_000, 200_000, 1_000_000)
SETS = ("adult", "california_housing")
#: Steps of the plain loop that are really made, and seconds of `fit` up to which it is made in full.
MOST_STEPS = 2_000
FULL_FIT_S = 40.0
RECIPES = {"15 epochs": 15, "automatic": None}

COLUMNS = (
    "data|rows × columns|recipe|epochs of the full run|sample, effort|advice|advise s (budget)"
    "|plain full run s|build().fit s|advise / plain|advise / fit|repeats"
)


def load(name: str, n: int | None, folder: str | None) -> speed_data.Data:
    """Return a set of the folder, or `n` synthetic rows."""
    return speed_data.synthetic(n) if n is not None else speed_data.read(name, Path(folder or "."))


def warm_up() -> None:
    """Import and start everything once: the first call of a process is not counted."""
    data = speed_data.synthetic(500, 5)
    advise(data.X, data.y, model="mlp", effort="quick", recipe=Recipe(epochs=2))


def plain_run(data: speed_data.Data, advice: Advice, *, epochs: int) -> Timing:
    """Return what a full run takes as a plain loop, encoding included."""
    encoding = clocked(partial(speed_data.encode, data, for_network=True))
    encoded = encoding.result
    rows = speed_plain.encoded_rows(encoded.X, encoded.y, is_classification=encoded.is_classification)
    recipe = Recipe(epochs=epochs)
    n_steps = epochs * steps_per_epoch(len(rows.x), recipe.batch_size)
    made = min(n_steps, MOST_STEPS)
    training = clocked(
        lambda: speed_plain.trained_mlp(
            rows, advice.regularizer, recipe, epochs=epochs, seed=0, most_steps=made
        )
    )
    return training.times(n_steps / made).plus(encoding)


def own_run(data: speed_data.Data, advice: Advice, *, epochs: int) -> Timing:
    """Return what ``advice.build().fit`` takes: measured in full, or extended from one and two epochs."""

    def fitted(n_epochs: int) -> Timing:
        model = advice.build().set_params(model__epochs=n_epochs)
        return clocked(partial(model.fit, data.X, data.y))

    one = fitted(1)
    if one.wall_s * epochs <= FULL_FIT_S:
        return fitted(epochs)
    epoch = fitted(2).plus(one.times(-1.0))
    if epoch.wall_s <= 0 or epoch.cpu_s <= 0:  # the first call took longer than two epochs
        epoch = one
    return one.plus(epoch.times(epochs - 1))


def case(
    name: str,
    n: int | None,
    folder: str | None,
    epochs: int | None,
    repeats: int,
    limit_s: float,
    thorough: bool,
) -> dict[str, Any]:
    """Measure one data set and recipe; called in a process of its own."""
    warm_up()
    data = load(name, n, folder)
    recipe = None if epochs is None else Recipe(epochs=epochs)
    ask = partial(advise, data.X, data.y, model="mlp", recipe=recipe)
    first: Advice = ask()
    n_epochs = first.record.training.epochs if first.record.training else None
    assert n_epochs is not None  # networks always have some
    timings = side_by_side(
        {
            "advise": partial(clocked, ask),
            "plain": partial(plain_run, data, first, epochs=n_epochs),
            "fit": partial(own_run, data, first, epochs=n_epochs),
        },
        repeats=repeats,
        limit_s=limit_s,
    )
    record = timings["advise"].result.record
    scores = record.evidence.scores
    return {
        "shape": data.shape,
        "epochs": n_epochs,
        "is_extended": n_epochs * steps_per_epoch(data.X.shape[0], Recipe().batch_size) > MOST_STEPS,
        "sample": f"{record.evidence.sample.n_rows:,}, {record.settings.effort}",
        "advice": f"{record.walk.outcome} ({record.status})",
        "cut": None if scores is None else scores.cut,
        "budget_s": record.timings.budget_s,
        "repeats": timings["advise"].n_repeats,
        "wall_s": {side: timing.wall_s for side, timing in timings.items()},
        "thorough": _against_thorough(ask, record) if thorough else None,
    }


def _against_thorough(ask: Any, record: Any) -> str:
    """Return whether the thorough search agrees with the kind that was advised, or ties with it."""
    thorough = ask(effort="thorough").record
    kind = record.walk.kind
    agrees = "same" if kind == thorough.walk.kind else "a tie" if kind in thorough.ties else "differs"
    return f"thorough: {thorough.walk.outcome} ({agrees})"


def lines(
    folder: Path | None, *, sizes: tuple[int, ...], repeats: int, limit_s: float, thorough: bool = False
) -> Iterator[list[str]]:
    """Yield the rows of the table."""
    named: list[tuple[str, int | None]] = [(f"synthetic, n = {n:,}", n) for n in sizes]
    named += [(name, None) for name in (SETS if folder else ())]
    for name, n in named:
        for recipe, epochs in RECIPES.items():
            found = in_process(
                "speed_full_run:case",
                name=name,
                n=n,
                folder=str(folder) if folder else None,
                epochs=epochs,
                repeats=repeats,
                limit_s=limit_s,
                thorough=thorough and epochs is not None,
            )
            assert found is not None  # no timeout was given
            yield _line(name, recipe, found)


def _line(name: str, recipe: str, found: dict[str, Any]) -> list[str]:
    wall, star = found["wall_s"], "*" if found["is_extended"] else ""
    extra = "".join(f"; {text}" for text in (found["cut"] and "cut", found["thorough"]) if text)
    return [
        name,
        found["shape"],
        recipe,
        str(found["epochs"]),
        found["sample"],
        f"{found['advice']}{extra}",
        f"{seconds(wall['advise'])} ({seconds(found['budget_s'])})",
        f"{seconds(wall['plain'])}{star}",
        f"{seconds(wall['fit'])}{'*' if wall['fit'] > FULL_FIT_S else ''}",
        f"**{wall['advise'] / wall['plain']:.2f}**",
        f"**{wall['advise'] / wall['fit']:.2f}**",
        str(found["repeats"]),
    ]
