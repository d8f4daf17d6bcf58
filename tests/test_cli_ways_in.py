"""What a person meets first in a shell: naming the target, several outputs, a URL, the demos."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from record_builders import RECORDS

import regadvisor
from regadvisor.advice import Advice
from regadvisor.cli import terminal
from regadvisor.cli.main import main
from regadvisor.data.files import read_frame
from regadvisor.errors import DataError, OutOfMemoryError, ParameterError, StorageError, enough_memory
from regadvisor.flowchart.chart import NAMED
from regadvisor.search.store import opened


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(regadvisor, "advise", lambda X, y, **options: Advice(RECORDS["advice"]()))
    path = tmp_path / "data.csv"
    path.write_text("age,height\x1b[31m,y\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(24)))
    return str(path)


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, args)
    return result.exit_code, result.output


def test_without_a_target_the_columns_are_listed(data: str) -> None:
    code, said = run("advise", data)
    assert code == 2
    assert "name the column to predict with -t; the columns are age, height" in said
    assert "\x1b" not in said


def test_a_report_may_be_written_in_several_forms_at_once(data: str, tmp_path: Path) -> None:
    saved, page = tmp_path / "a.json", tmp_path / "a.html"
    code, _ = run("advise", data, "-t", "y", "-o", str(saved), "-o", str(page))
    assert code == 0
    assert Advice.load(saved).to_html() == page.read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.journal"))


def test_a_column_that_is_named_twice_is_one(data: str) -> None:
    code, said = run("advise", data, "-t", "y", "--groups", "age", "--groups", "age", "-q")
    assert code == 0, said
    code, said = run("advise", data, "-t", "y", "--groups", "age", "--groups", "height")
    assert code == 2
    assert "must name one column, got 'age' and 'height'" in said


def test_every_output_is_checked_before_the_work(data: str, tmp_path: Path) -> None:
    code, said = run("advise", data, "-t", "y", "-o", str(tmp_path / "a.json"), "-o", "a.pdf")
    assert code == 2
    assert "must end in .html, .json, .md, .txt" in said


@pytest.mark.parametrize("url", ["https://me:secret@example.com/x.csv", "s3://bucket/x.parquet"])
def test_a_url_is_refused_with_what_to_do_and_without_its_password(url: str) -> None:
    with pytest.raises(DataError, match="must name a file on this machine, got a URL at") as caught:
        read_frame(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("model", ["linear", "mlp", "cnn"])
def test_the_demo_has_data_for_every_family(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    asked = {}

    def standin(X: object, y: object, **options: object) -> Advice:
        asked.update(options, ndim=getattr(X, "ndim", None))
        return Advice(RECORDS["advice"]())

    monkeypatch.setattr(regadvisor, "advise", standin)
    code, said = run("demo", "--model", model)
    assert code == 0
    assert said.startswith("Data: scikit-learn's")
    assert asked["model"] == model
    assert asked["ndim"] == (3 if model == "cnn" else 2)


class _Full:
    """A stdout on a disk without space."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return False

    def write(self, text: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fileno(self) -> int:
        raise OSError("no file")


def test_a_stdout_that_takes_nothing_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", _Full())
    with pytest.raises(click.exceptions.Exit) as ended:
        terminal.say("a report\n")
    assert ended.value.exit_code == terminal.DATA_ERROR
    assert capsys.readouterr().err == (
        "error: stdout must take what is printed, got No space left on device; send it elsewhere\n"
    )


def test_without_a_stdout_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as a shell's >&- leaves it
    terminal.say("a report\n")
    assert terminal.look()[1] is False


def test_the_file_that_is_read_is_never_written(data: str, tmp_path: Path) -> None:
    table = Path(data).rename(tmp_path / "data.txt")
    content = table.read_text()
    code, said = run("advise", str(table), "-t", "y", "-o", str(table))
    assert code == 2
    assert "must not be the file that is read" in said
    code, said = run("advise", str(table), "-t", "y", "--storage", str(table))
    assert code == 2
    assert "holds something else; give another file name" in said
    assert table.read_text() == content


@pytest.mark.parametrize("option", [("-o", ".json"), ("--storage", "")])
def test_a_name_that_is_too_long_is_refused(data: str, option: tuple[str, str]) -> None:
    code, said = run("advise", data, "-t", "y", option[0], "a" * 250 + option[1] + "a" * 10 * (not option[1]))
    assert code == 2
    assert "File name too long" in said


def test_without_a_stdin_nothing_is_asked_or_read(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input must hold a table, got none"):
        read_frame("-")
    with pytest.raises(click.Abort):
        terminal.ask(NAMED["extended"], {})


def test_a_folder_that_was_removed_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(DataError, match="the folder that it is looked for in was removed"):
        read_frame("data.csv")
    with pytest.raises(StorageError, match="must be a file that can be written"), opened("run.journal"):
        pass
    for given in ({"isolate": True}, {"executor": 2}):
        with pytest.raises(ParameterError, match=r"folder that was removed, .*; call os.chdir\(\) to"):
            regadvisor.advise([[1.0], [2.0]], [1.0, 2.0], **given)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9. GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        ImportError("libtorch.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_an_error_of_one_line(
    data: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def asked(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(regadvisor, "advise", asked)
    code, said = run("advise", data, "-t", "y")
    assert code == 1
    assert said.startswith("error: memory must suffice for the data and the model, got too little (")
    monkeypatch.undo()
    monkeypatch.setattr("regadvisor.api._here", asked)
    with pytest.raises(OutOfMemoryError):
        regadvisor.advise([[1.0], [2.0]], [1.0, 2.0])


def test_a_library_that_is_not_there_is_no_lack_of_memory() -> None:
    with pytest.raises(ImportError, match="No module"), enough_memory():
        raise ImportError("No module named 'x'")
