"""Runs that the soak disturbs, each in a forked process, and what an undisturbed one gave."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from journal_files import copy_of, size
from rounding import assert_same_records


def network(n_features: int, n_outputs: int) -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(n_features, 12), nn.Tanh(), nn.Dropout(), nn.Linear(12, n_outputs))


def arguments(model: str) -> dict[str, Any]:
    """Return what advise is asked, by the name of the model."""
    from regadvisor import Recipe

    return {
        "linear": {"effort": "standard"},
        "network": {"model": "mlp", "recipe": Recipe(epochs=3), "effort": "quick"},
        "module": {"model": network, "recipe": Recipe(epochs=3), "effort": "quick"},
        "executor": {"effort": "quick", "executor": 2},
    }[model]


def told_in(folder: Path) -> None:
    """Let every fit that is stored be told in `stored.txt`, by its key."""
    from regadvisor.search import store

    whole = store.Journal.append

    def append(self: Any, study: str, fit: Any) -> None:
        whole(self, study, fit)
        with (folder / "stored.txt").open("a") as file:
            file.write(store._key(study, fit.job, fit.folds) + "\n")

    store.Journal.append = append  # type: ignore[method-assign]


def lines_of(path: Path) -> list[str]:
    """Return the whole lines of a file, none if it is not there."""
    return path.read_text().split("\n")[:-1] if path.exists() else []


def advised(model: str, folder: Path, *, storage: bool = True, data: Any = None) -> None:
    """Run in a child: leave the record in `advice.json`, and the key of every stored fit in `stored.txt`."""
    from sklearn.datasets import load_breast_cancer

    from regadvisor import advise

    told_in(folder)
    X, y = load_breast_cancer(return_X_y=True) if data is None else data
    own = {"storage": folder / "run.journal"} if storage else {}
    advise(X, y, **arguments(model), **own).to_json(folder / "advice.json")


@dataclass
class Child:
    """A forked process; its errors of ours are told by their text, all others are findings."""

    work: Callable[[], None]
    errors: Path
    pid: int = field(init=False)
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        file = self.errors.open("w")  # before the child may lose the right to
        self.pid, self.started_s = os.fork(), time.monotonic()
        if self.pid:
            file.close()
            return
        code = 0
        try:
            os.setpgid(0, 0)
            self.work()
        except KeyboardInterrupt:
            code = 130
        except BaseException as error:
            from regadvisor import RegadvisorError

            is_ours = isinstance(error, RegadvisorError)
            file.write(f"{error}" if is_ours else traceback.format_exc())
            file.flush()
            code = 3 if is_ours else 4
        finally:
            os._exit(code)

    def end(self, sent: int | None = None) -> int:
        """Return the exit code, negative for a signal; `sent` is sent to it first."""
        if sent is not None:
            os.kill(self.pid, sent)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself."""
        return bool(os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))

    def run(self) -> float:
        """Wait for a good end; return the seconds it took."""
        code = self.end()
        assert code == 0, f"exit code {code}: {self.errors.read_text()}"
        return time.monotonic() - self.started_s


@dataclass
class Case:
    """A folder of one run, and what an undisturbed one gave."""

    model: str
    folder: Path
    expected: str
    keys: frozenset[str]
    took_s: float

    @classmethod
    def undisturbed(cls, model: str, folder: Path) -> Case:
        """Run to the end."""
        folder.mkdir(parents=True)
        took_s = Child(lambda: advised(model, folder), folder / "errors").run()
        case = cls(model, folder, (folder / "advice.json").read_text(), frozenset(), took_s)
        case.keys = case.stored
        return case

    def anew(self, name: str) -> Case:
        """Return the same run in a folder of its own."""
        folder = self.folder.parent / name
        folder.mkdir()
        return Case(self.model, folder, self.expected, self.keys, self.took_s)

    @property
    def journal(self) -> Path:
        """Where it stores its fits."""
        return self.folder / "run.journal"

    @property
    def stored(self) -> frozenset[str]:
        """Keys of the fits that the journal holds; looked up in a copy."""
        import sqlite3
        from contextlib import closing

        if not self.journal.exists() or not size(self.journal):
            return frozenset()
        with closing(sqlite3.connect(copy_of(self.journal, self.folder / "copies"))) as database:
            try:
                rows = database.execute("SELECT key FROM journal").fetchall()
            except sqlite3.OperationalError:  # killed before the table was made
                return frozenset()
        return frozenset(key for (key,) in rows) - {"identity", "settings"}

    @property
    def told(self) -> list[str]:
        """Keys of the fits that the last run stored, as it said after each."""
        return lines_of(self.folder / "stored.txt")

    def child(self, work: Callable[[], None] | None = None) -> Child:
        """Begin the run."""
        return Child(work or (lambda: advised(self.model, self.folder)), self.folder / "errors")

    def goes_on(self, lost: int = 0) -> int:
        """Run again to the end; return the fits that were read. Raise if the end is another."""
        before = self.stored
        assert len(set(self.told) - before) <= lost, "a fit that was stored is lost"
        (self.folder / "stored.txt").unlink(missing_ok=True)
        self.child().run()
        assert_same_records((self.folder / "advice.json").read_text(), self.expected)
        again = before & set(self.told)
        assert not again, f"{len(again)} fits were made again"
        assert self.stored == self.keys
        return len(before)


def told(fault: str, what: str) -> tuple[str, str]:
    print(f"{fault}: {what}", flush=True)
    return fault, what
