"""Several advices at once, and advice inside programs that do other things at once."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joblib import Parallel, delayed
from rounding import assert_same_records
from sklearn.datasets import load_wine

from regadvisor import Recipe, advise

MODELS: dict[str, dict[str, object]] = {
    "linear": {"model": "linear"},
    "mlp": {"model": "mlp", "recipe": Recipe(epochs=3)},
}


def asked(model: str) -> str:
    X, y = load_wine(return_X_y=True)
    return advise(X, y, effort="quick", **MODELS[model]).to_json()


@pytest.fixture(scope="module")
def alone() -> dict[str, str]:
    """What each gives with nothing beside it."""
    return {model: asked(model) for model in MODELS}


def test_threads_that_ask_at_once_get_what_they_get_alone(alone: dict[str, str]) -> None:
    wanted = ["linear", "mlp"] * 3
    with ThreadPoolExecutor(len(wanted)) as pool:
        for model, found in zip(wanted, pool.map(asked, wanted), strict=True):
            assert_same_records(found, alone[model])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_of_joblib_get_the_same(backend: str, alone: dict[str, str]) -> None:
    found = Parallel(n_jobs=2, backend=backend)(delayed(asked)(model) for model in MODELS)
    for model, text in zip(MODELS, found, strict=True):
        assert_same_records(text, alone[model])


@pytest.mark.skipif(sys.platform != "linux", reason="servers fork on Linux")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("model", MODELS)
def test_a_server_that_forks_after_an_advice_gets_the_same(
    model: str, alone: dict[str, str], tmp_path: Path
) -> None:
    """Threads of the parent are not there in its children: nothing may wait for them."""
    path = tmp_path / "advice.json"
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                path.with_suffix(f".{number}").write_text(asked(model))
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for number, child in enumerate(children):
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert_same_records(path.with_suffix(f".{number}").read_text(), alone[model])


def test_a_running_event_loop_gets_the_same(alone: dict[str, str]) -> None:
    async def both() -> tuple[str, str, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        beside = asyncio.create_task(tick())
        apart = await asyncio.to_thread(asked, "mlp")
        n_ticks = ticks
        within = asked("linear")  # blocks the loop, but works
        beside.cancel()
        return apart, within, n_ticks

    apart, within, n_ticks = asyncio.run(both())
    assert_same_records(apart, alone["mlp"])
    assert_same_records(within, alone["linear"])
    assert n_ticks > 1  # the loop went on beside the thread
