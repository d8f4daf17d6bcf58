"""The command line: options in, report and exit code out. Advising is a stand-in; files are read for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from record_builders import advice as advice_record
from record_builders import cant_tell, network, no_signal, none, prior, tie, without_data

import regadvisor
from regadvisor.advice import Advice
from regadvisor.cli import terminal
from regadvisor.cli.main import main
from regadvisor.errors import DataError, ParameterError, StorageError, StrengthError
from regadvisor.flowchart.chart import CLASSIC, EXTENDED
from regadvisor.records import Flip, Note, Record
from regadvisor.report.serial import from_json, to_json
from regadvisor.report.shell import for_shell
from regadvisor.report.text import to_text
from regadvisor.report.view import view
from regadvisor.search.store import opened

ROWS = "a,b,id,site,day,y\n" + "".join(f"{i},{i % 3},{i},{i % 4},{i},{i % 2}\n" for i in range(24))


@dataclass
class StandIn:
    """Stands in for ``regadvisor.advise``: keeps what it was called with, returns a record or raises."""

    record: Record = field(default_factory=advice_record)
    error: BaseException | None = None
    #: What to write into the journal before returning or raising.
    journal: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, X: Any, y: Any, **given: Any) -> Advice:
        self.calls.append({"X": X, "y": y, **given})
        if self.journal and given.get("storage") is not None:
            Path(given["storage"]).write_text(self.journal)
        if self.error is not None:
            raise self.error
        return Advice(self.record)


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setitem(vars(regadvisor), "advise", made)
    return made


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(ROWS)
    return "data.csv"


def run(*args: str, input: str | None = None) -> Result:
    result = CliRunner().invoke(main, args, input=input)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def printed(record: Record, *, saved: str | None = None, verbose: bool = False, is_demo: bool = False) -> str:
    """Return the report as a shell prints it."""
    return to_text(for_shell(view(record), record, saved=saved, is_demo=is_demo), verbose=verbose)


# ---------------------------------------------------------------------------------------- advise: in


def test_the_report_goes_to_stdout_and_nothing_is_written(standin: StandIn, data: str) -> None:
    result = run("advise", data, "--target", "y")
    assert result.exit_code == 0
    assert result.stdout == printed(advice_record())
    assert result.stderr == ""
    assert os.listdir() == ["data.csv"]


def test_the_columns_are_split_and_the_options_handed_on(standin: StandIn, data: str) -> None:
    options = "--groups site --time day --drop id --model mlp --task binary --budget 12.5 --effort quick"
    more = "--seed 7 --chart classic --correlated yes --whole-picture no --prefer sparse --unpenalised a"
    assert run("advise", data, "--target", "y", *options.split(), *more.split()).exit_code == 0
    call = standin.calls[0]
    assert list(call["X"].columns) == ["a", "b"]
    assert call["y"].tolist() == [i % 2 for i in range(24)]
    assert list(call["groups"]) == [i % 4 for i in range(24)]
    assert list(call["time"]) == list(range(24))
    given = {name: value for name, value in call.items() if name not in ("X", "y", "groups", "time")}
    assert given == {
        "model": "mlp",
        "task": "binary",
        "budget": 12.5,
        "effort": "quick",
        "random_state": 7,
        "chart": "classic",
        "correlated": True,
        "whole_picture": False,
        "prefer": "sparse",
        "unpenalised": ["a"],
        "storage": None,
        "executor": None,
        "progress": False,
    }


def test_the_defaults_are_those_of_the_function(standin: StandIn, data: str) -> None:
    run("advise", data, "--target", "y")
    call = standin.calls[0]
    assert (call["model"], call["task"], call["budget"], call["effort"]) == ("auto", "auto", "auto", None)
    assert (call["chart"], call["correlated"], call["whole_picture"]) == ("extended", None, None)
    assert (call["random_state"], call["prefer"], call["groups"], call["time"]) == (0, None, None, None)


def test_a_column_may_be_dropped_more_than_once(standin: StandIn, data: str) -> None:
    run("advise", data, "--target", "y", "--drop", "id", "--drop", "day")
    assert list(standin.calls[0]["X"].columns) == ["a", "b", "site"]


def test_stdin_is_a_table(standin: StandIn) -> None:
    assert run("advise", "-", "--target", "y", input=ROWS).exit_code == 0
    assert standin.calls[0]["X"].shape == (24, 5)


def test_notes_about_the_file_come_first_in_the_record(standin: StandIn, data: str) -> None:
    Path(data).write_text("a;y\n" + "".join(f"{i},5;{i % 2}\n" for i in range(24)))
    standin.record = network()
    result = run("advise", data, "--target", "y", "--json")
    record = from_json(result.stdout)
    from regadvisor.data.files import read_frame

    notes = read_frame(data).notes
    assert [note.code for note in notes] == ["decimal-comma"]
    assert record.notes == (*notes, *network().notes)


# --------------------------------------------------------------------------------------- advise: out


def test_json_is_the_record_in_utf8(standin: StandIn, data: str) -> None:
    standin.record = network()
    result = run("advise", data, "--target", "y", "--json")
    assert result.stdout_bytes.decode() == to_json(network())


def test_quiet_prints_the_verdict_on_one_line(standin: StandIn, data: str) -> None:
    result = run("advise", data, "--target", "y", "-q")
    assert result.stdout == Advice(advice_record()).verdict + "\n"
    assert result.stdout.count("\n") == 1


def test_verbose_prints_every_candidate(standin: StandIn, data: str) -> None:
    assert run("advise", data, "--target", "y", "-v").stdout == printed(advice_record(), verbose=True)


@pytest.mark.parametrize(
    ("name", "render"), [("a.json", Advice.to_json), ("a.md", Advice.to_markdown), ("a.txt", Advice.to_text)]
)
def test_the_ending_of_the_output_chooses_the_format(
    standin: StandIn, data: str, name: str, render: Callable[[Advice], str]
) -> None:
    result = run("advise", data, "--target", "y", "-o", name)
    assert result.exit_code == 0
    assert Path(name).read_text(encoding="utf-8") == render(Advice(advice_record()))
    assert result.stdout == printed(advice_record(), saved=name if name.endswith("json") else None)
    assert sorted(os.listdir()) == sorted(["data.csv", name])


@pytest.mark.parametrize("name", ["a.pdf", "a", "missing/a.json"])
def test_an_output_that_cannot_be_written_stops_before_the_work(
    standin: StandIn, data: str, name: str
) -> None:
    result = run("advise", data, "--target", "y", "-o", name)
    assert result.exit_code == terminal.USAGE
    assert "'-o'" in result.stderr
    assert standin.calls == []


def test_an_output_that_fails_later_is_an_error_and_keeps_the_journal(
    standin: StandIn, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    standin.journal = "known"
    result = run("advise", data, "--target", "y", "-o", "a.json")
    assert result.exit_code == terminal.DATA_ERROR
    assert "No space left on device" in result.stderr
    assert "what is known is saved in a.json.journal: run the same command with --resume" in result.stderr
    assert "Use L2" in result.stdout
    assert sorted(os.listdir()) == ["a.json.journal", "data.csv"]


def test_a_full_disk_in_the_middle_keeps_the_journal(standin: StandIn, data: str) -> None:
    standin.journal, standin.error = (
        "known",
        StorageError("storage must have room, got none; free some space"),
    )
    result = run("advise", data, "--target", "y", "-o", "a.json")
    assert result.exit_code == terminal.USAGE
    assert result.stderr == "error: --storage must have room, got none; free some space\n"
    assert Path("a.json.journal").read_text() == "known"


# --------------------------------------------------------------------------------- advise: exit codes


@pytest.mark.parametrize("build", [advice_record, tie, none, no_signal, prior, network])
def test_advice_of_every_sort_is_exit_code_0(
    standin: StandIn, data: str, build: Callable[[], Record]
) -> None:
    standin.record = build()
    assert run("advise", data, "--target", "y").exit_code == 0


def test_cant_tell_is_exit_code_4_and_still_prints(standin: StandIn, data: str) -> None:
    standin.record = cant_tell()
    result = run("advise", data, "--target", "y", "--fail-under", "0.9")
    assert result.exit_code == terminal.CANT_TELL == 4
    assert "Can't tell yet" in result.stdout


@pytest.mark.parametrize(
    ("build", "limit", "code"),
    [
        (advice_record, "0.86", 0),
        (advice_record, "0.87", 3),
        (tie, "0.4", 0),
        (tie, "0.41", 3),  # whether to regularize is sure; of a tie the weaker claim counts
        (prior, "0", 3),  # no support at all
    ],
)
def test_fail_under_compares_the_support_of_the_verdict(
    standin: StandIn, data: str, build: Callable[[], Record], limit: str, code: int
) -> None:
    standin.record = build()
    result = run("advise", data, "--target", "y", "--fail-under", limit)
    assert result.exit_code == code
    assert ("the support must be at least" in result.stderr) == (code == 3)
    assert "Use L2" in result.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("labels must have two classes, got one"), 1),
        (StrengthError("no strengths"), 1),
        (ParameterError("folds must be at least 2, got 1"), 2),
        (StorageError("the journal belongs to other data"), 2),
    ],
)
def test_errors_are_one_line_and_a_code(standin: StandIn, data: str, error: Exception, code: int) -> None:
    standin.error = error
    result = run("advise", data, "--target", "y")
    assert result.exit_code == code
    assert result.stderr == f"error: {error}\n"
    assert result.stdout == ""


def test_a_missing_file_and_a_missing_column_are_data_errors(standin: StandIn, data: str) -> None:
    for args in (("missing.csv", "--target", "y"), (data, "--target", "z")):
        result = run("advise", *args)
        assert result.exit_code == terminal.DATA_ERROR
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["data.csv"],
        ["data.csv", "--target", "y", "--budget", "-1"],
        ["data.csv", "--target", "y", "--budget", "nan"],
        ["data.csv", "--target", "y", "--budget", "soon"],
        ["data.csv", "--target", "y", "--fail-under", "1"],
        ["data.csv", "--target", "y", "--seed", "-1"],
        ["data.csv", "--target", "y", "--effort", "huge"],
        ["data.csv", "--target", "y", "--resume"],
        ["data.csv", "--target", "y", "--groups", "a", "--groups", "b"],
        ["data.csv", "--target", "y", "--time", "a", "--time", "b"],
    ],
)
def test_wrong_usage_is_exit_code_2(standin: StandIn, data: str, args: list[str]) -> None:
    result = run("advise", *args)
    assert result.exit_code == terminal.USAGE
    assert standin.calls == []


def test_a_mistyped_option_or_command_gets_a_suggestion() -> None:
    assert "--target" in run("advise", "x.csv", "--targt", "y").stderr
    assert run("advis").exit_code == terminal.USAGE


# ------------------------------------------------------------------------------------ advise: journal


def test_with_an_output_the_journal_lies_beside_it_and_goes_at_the_end(standin: StandIn, data: str) -> None:
    standin.journal = "known"
    assert run("advise", data, "--target", "y", "-o", "a.json").exit_code == 0
    assert standin.calls[0]["storage"] == Path("a.json.journal")
    assert not Path("a.json.journal").exists()


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(standin: StandIn, data: str) -> None:
    standin.journal, standin.error = "known", KeyboardInterrupt()
    result = run("advise", data, "--target", "y", "-o", "a.json")
    assert result.exit_code == terminal.INTERRUPTED == 130
    assert "what is known is saved in a.json.journal" in result.stderr
    assert "--resume" in result.stderr

    standin.error = None
    refused = run("advise", data, "--target", "y", "-o", "a.json")
    assert refused.exit_code == terminal.USAGE
    assert "which holds something else" in refused.stderr, "the stand-in's journal is none"
    Path("a.json.journal").unlink()
    with opened("a.json.journal") as journal:
        journal.put("known", 1)
    refused = run("advise", data, "--target", "y", "-o", "a.json")
    assert refused.exit_code == terminal.USAGE
    assert "--resume" in refused.stderr
    assert len(standin.calls) == 1

    resumed = run("advise", data, "--target", "y", "-o", "a.json", "--resume")
    assert resumed.exit_code == 0
    assert standin.calls[1]["storage"] == Path("a.json.journal")
    assert not Path("a.json.journal").exists()


def test_an_interrupted_run_that_knows_something_prints_it_and_keeps_the_journal(
    standin: StandIn, data: str
) -> None:
    note = Note(code="interrupted", text="The run was interrupted.")
    standin.record = replace(standin.record, notes=(note,))
    standin.journal = "known"
    result = run("advise", data, "--target", "y", "-o", "a.json")
    assert result.exit_code == terminal.INTERRUPTED
    assert "Use L2" in result.stdout
    assert "--resume" in result.stderr
    assert Path("a.json").exists()
    assert Path("a.json.journal").read_text() == "known"


def test_interrupted_without_a_journal_says_that_nothing_was_saved(standin: StandIn, data: str) -> None:
    standin.error = KeyboardInterrupt()
    result = run("advise", data, "--target", "y")
    assert result.exit_code == terminal.INTERRUPTED
    assert "nothing was saved" in result.stderr
    early = run("advise", data, "--target", "y", "-o", "a.json")
    assert "nothing was known yet" in early.stderr


def test_a_journal_by_name_is_kept(standin: StandIn, data: str) -> None:
    standin.journal = "known"
    assert run("advise", data, "--target", "y", "--storage", "mine", "-o", "a.json").exit_code == 0
    assert standin.calls[0]["storage"] == Path("mine")
    assert Path("mine").read_text() == "known"


def test_resume_without_a_journal_starts_from_the_beginning(standin: StandIn, data: str) -> None:
    result = run("advise", data, "--target", "y", "--storage", "mine", "--resume")
    assert result.exit_code == 0
    assert "nothing to resume in mine" in result.stderr


def test_a_run_that_cannot_start_leaves_no_journal(standin: StandIn, data: str) -> None:
    standin.journal, standin.error = "begun", DataError("y must vary")
    assert run("advise", data, "--target", "y", "-o", "a.json").exit_code == terminal.DATA_ERROR
    assert os.listdir() == ["data.csv"]


def test_a_refused_resume_keeps_the_journal(standin: StandIn, data: str) -> None:
    Path("a.json.journal").write_text("other data")
    standin.error = StorageError("the journal belongs to other data")
    result = run("advise", data, "--target", "y", "-o", "a.json", "--resume")
    assert result.exit_code == terminal.USAGE
    assert Path("a.json.journal").read_text() == "other data"


# -------------------------------------------------------------------------------------- show, snippet


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "advice.json"
    path.write_text(to_json(advice_record()), encoding="utf-8")
    return str(path)


def test_show_renders_a_saved_advice(saved: str) -> None:
    shown = Advice(advice_record())
    assert run("show", saved).stdout == printed(advice_record(), saved=saved)
    assert run("show", saved, "-v").stdout == printed(advice_record(), saved=saved, verbose=True)
    assert run("show", saved, "--markdown").stdout == shown.to_markdown()


@pytest.mark.parametrize("command", ["show", "snippet"])
def test_a_file_that_is_no_advice_is_an_error(tmp_path: Path, command: str) -> None:
    (tmp_path / "x.json").write_text("{}")
    for path, says in (("x.json", "advice must be"), ("missing.json", "missing.json")):
        result = run(command, str(tmp_path / path))
        assert result.exit_code == terminal.DATA_ERROR
        assert result.stderr.startswith("error: ")
        assert says in result.stderr


@pytest.mark.parametrize(
    ("build", "args", "library"),
    [
        (advice_record, [], "sklearn"),
        (network, [], "torch"),
        (network, ["--for", "sklearn"], "sklearn"),
        (advice_record, ["--for", "torch"], "torch"),
    ],
)
def test_snippet_prints_the_code_for_a_library(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[[], Record],
    args: list[str],
    library: str,
) -> None:
    monkeypatch.setattr(Advice, "snippet", lambda self, target: f"import {target}")
    path = tmp_path / "advice.json"
    path.write_text(to_json(build()), encoding="utf-8")
    assert run("snippet", str(path), *args).stdout == f"import {library}\n"


def test_snippet_of_advice_without_strengths_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "advice.json"
    path.write_text(to_json(without_data()), encoding="utf-8")
    result = run("snippet", str(path))
    assert result.exit_code == terminal.DATA_ERROR
    assert "unknown" in result.stderr


# ----------------------------------------------------------------------------------------------- ask


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def answer(**given: Any) -> Advice:
        calls.append(given)
        return Advice(without_data())

    monkeypatch.setitem(vars(regadvisor), "advise_without_data", answer)
    return calls


@pytest.mark.parametrize(
    ("typed", "correlated", "whole_picture", "n_questions"),
    [
        ("n", None, None, 1),
        ("y y", True, None, 2),
        ("y n y", False, True, 3),
        ("y n n", False, False, 3),
        ("y ? n", None, False, 3),
        ("Y N ?", False, None, 3),
    ],
)
def test_ask_asks_only_what_the_walk_gets_to(
    asked: list[dict[str, Any]],
    typed: str,
    correlated: bool | None,
    whole_picture: bool | None,
    n_questions: int,
) -> None:
    result = run("ask", input="\n".join(typed.split()) + "\n")
    assert result.exit_code == 0
    known = {"prior_knowledge": n_questions > 1}
    given = {"chart": "extended", "correlated": correlated, "whole_picture": whole_picture}
    assert asked == [given | known]
    questions = [EXTENDED.questions[name].text for name in ("Q3", "Q3a", "Q3b")]
    assert [text in result.stderr for text in questions] == [place < n_questions for place in range(3)]
    assert result.stdout == printed(without_data())
    assert "strength is unknown without data" in result.stdout


def test_ask_takes_unsure_also_where_the_chart_knows_none(asked: list[dict[str, Any]]) -> None:
    assert "unsure" not in CLASSIC.questions["Q3a"].edges
    result = run("ask", "--chart", "classic", input="y\n?\ny\n")
    assert result.exit_code == 0
    given = {"chart": "classic", "correlated": None, "whole_picture": True}
    assert asked == [given | {"prior_knowledge": True}]


def test_ask_asks_nothing_that_was_given(asked: list[dict[str, Any]]) -> None:
    assert run("ask", "--correlated", "no", "--whole-picture", "no").exit_code == 0
    assert run("ask", "--correlated", "yes").exit_code == 0
    assert [(call["correlated"], call["whole_picture"]) for call in asked] == [(False, False), (True, None)]


def test_ask_without_an_answer_says_what_to_give_instead(asked: list[dict[str, Any]]) -> None:
    result = run("ask", input="y\n")
    assert result.exit_code == terminal.USAGE
    assert "--correlated yes|no" in result.stderr
    assert asked == []


# ----------------------------------------------------------------------------------- demo and explain


def test_demo_names_the_data_and_prints_a_report(standin: StandIn) -> None:
    result = run("demo")
    assert result.exit_code == 0
    first, _, rest = result.stdout.partition("\n")
    assert first == "Data: scikit-learn's breast cancer set, 569 rows, 30 features."
    assert rest == printed(advice_record(), is_demo=True)
    assert "advises on data of your own" in rest
    assert standin.calls[0]["X"].shape == (569, 30)
    assert standin.calls[0]["effort"] == "standard"


@pytest.mark.parametrize("chart", [CLASSIC, EXTENDED])
def test_explain_draws_every_question(chart: Any) -> None:
    from regadvisor.flowchart.draw import to_ascii, to_svg

    drawn = run("explain", "--chart", chart.name).stdout
    assert drawn == to_ascii(chart) + "\n"
    assert all(name in drawn for name in chart.questions)
    assert run("explain", "--chart", chart.name, "--svg").stdout == to_svg(chart) + "\n"


# ------------------------------------------------------------------------------------ the whole program


def program(*args: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "regadvisor", *args], capture_output=True, **more)


def test_version_and_help_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom regadvisor.cli.main import main\n"
        "for args in (['--version'], ['--help'], ['advise', '--help']):\n"
        "    main(args, standalone_mode=False)\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'pandas', 'torch', 'optuna', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert f"regadvisor, version {regadvisor.__version__}".encode() in done.stdout


def test_help_has_examples_and_every_command() -> None:
    text = run("--help").stdout
    assert all(name in text for name in ("advise", "ask", "demo", "explain", "show", "snippet", "Exit codes"))
    assert "regadvisor advise data.csv --target y" in text
    assert "--resume" in run("advise").stderr + run("advise", "--help").stdout


def test_a_reader_who_leaves_is_no_error(saved: str) -> None:
    command = [sys.executable, "-m", "regadvisor", "show", saved]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
    assert complaint == b""
    assert process.returncode == 0


def test_a_terminal_without_utf8_gets_a_report_too(saved: str) -> None:
    done = program("show", saved, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0
    assert "569 rows × 30 features".encode("latin-1") in done.stdout
    assert b"Use L2: LogisticRegression(C=0.57) on standardised features." in done.stdout


def test_json_stays_utf8_without_a_utf8_terminal(tmp_path: Path) -> None:
    record = replace(advice_record(), flips=(Flip(outcome="l1", condition="naïve"),))
    path = tmp_path / "advice.json"
    path.write_text(to_json(record), encoding="utf-8")
    done = program("show", str(path), "--markdown", env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert "naïve" in done.stdout.decode()
    assert json.loads(path.read_text(encoding="utf-8"))["flips"] == [{"outcome": "l1", "condition": "naïve"}]


def test_colours_and_width_are_those_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.look() == (88, False)
    monkeypatch.setattr(sys, "stdout", _Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "70")
    assert terminal.look() == (70, True)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.look() == (110, False)


class _Terminal:
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1
