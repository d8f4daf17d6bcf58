"""An advice's study in a real PostgreSQL server, which is stopped and started in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import record_builders

from regadvisor import Advice, ParameterError, StorageError

pytest.importorskip("psycopg2", reason="psycopg2 is not installed")


def _programs() -> Path | None:
    """Return where initdb and pg_ctl are; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places else None


@pytest.fixture
def server() -> Iterator[tuple[str, Callable[[str], None]]]:
    """The URL of a database in a new folder, and what starts and stops its server."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    # The server refuses to be root; a socket's path has at most 107 characters.
    user = "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        if user is not None:
            shutil.chown(folder, user)

        def run(*command: str) -> None:
            subprocess.run(
                [str(programs / command[0]), *command[1:]],
                check=True,
                user=user,
                capture_output=True,
                cwd=folder,
            )

        def control(do: str) -> None:
            run("pg_ctl", do, "-w", "-m", "fast", *settings)

        data = f"{folder}/data"
        settings = ["-D", data, "-l", f"{folder}/log"]
        run("initdb", "-D", data, "-U", "advisor", "-A", "trust", "--no-sync")
        with Path(data, "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\n")
        control("start")
        try:
            yield f"postgresql+psycopg2://advisor:hush@/postgres?host={folder}", control
        finally:
            control("stop")


def test_a_study_outlives_the_server_s_restart(server: tuple[str, Callable[[str], None]]) -> None:
    url, control = server
    advice = Advice(record_builders.advice())
    advice.study(url, name="first")
    with pytest.raises(ParameterError, match="name must be new"):
        advice.study(url, name="first")
    control("stop")
    with pytest.raises(StorageError) as refused:
        advice.study(url, name="second")
    assert "hush" not in str(refused.value)
    control("start")
    advice.study(url, name="second")
    names = optuna.get_all_study_names(url)
    assert sorted(names) == ["first", "second"]
    kept, plain = optuna.load_study(study_name="first", storage=url), advice.study()
    assert [trial.params for trial in kept.trials] == [trial.params for trial in plain.trials]
    assert [trial.values for trial in kept.trials] == [trial.values for trial in plain.trials]
    assert [trial.user_attrs for trial in kept.trials] == [trial.user_attrs for trial in plain.trials]
