"""A shell gets options, the width it asked for and characters it can print; saved advices are compared."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from record_builders import RECORDS, advice, cant_tell, network, tie

from regadvisor import advise_without_data
from regadvisor.advice import Advice
from regadvisor.cli.main import main
from regadvisor.records import Note, Record, Training
from regadvisor.regularizer import Regularizer
from regadvisor.report.changes import changes
from regadvisor.report.serial import json_schema, to_json
from regadvisor.report.shell import complaint, for_shell, in_options
from regadvisor.report.text import to_text
from regadvisor.report.view import view

HEAVY = ("numpy", "pandas", "scipy", "sklearn", "torch", "optuna", "matplotlib", "jinja2", "narwhals")


def shown(*arguments: str, **environment: str) -> str:
    done = CliRunner().invoke(main, arguments, env=environment)
    assert done.exit_code == 0, done.output
    return done.output


def saved(record: Record, path: Path) -> str:
    path.write_text(to_json(record), encoding="utf-8")
    return str(path)


# ------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        (
            "if rows stand in the order of time, pass time=.",
            "if rows stand in the order of time, pass --time COL.",
        ),
        ("pass it as groups=.", "pass it as --groups COL."),
        ("task='regression' takes it as a number", "--task regression takes it as a number"),
        ("(budget=60) and (budget=2.5)", "(--budget 60) and (--budget 2.5)"),
        ("the runtime=3 and sample_weight= stay", "the runtime=3 and sample_weight= stay"),
    ],
)
def test_arguments_become_options(said: str, typed: str) -> None:
    assert in_options(said) == typed


@pytest.mark.parametrize("name", RECORDS)
def test_no_python_is_said_in_a_shell(name: str) -> None:
    record = RECORDS[name]()
    text = to_text(for_shell(view(record), record))
    assert not re.search(r"advice\.\w+\(", text)
    assert "budget=" not in text
    assert "time=" not in text
    assert "advise(X" not in text


def test_next_names_the_file_that_holds_the_advice(tmp_path: Path) -> None:
    path = saved(advice(), tmp_path / "mine.json")
    text = " ".join(shown("show", path, COLUMNS="300").split())
    assert f"regadvisor snippet {path} --for sklearn" in text
    unsaved = to_text(for_shell(view(network()), network()), width=110)
    assert "Add -o advice.json to keep this advice." in unsaved
    assert "regadvisor snippet advice.json --for torch" in unsaved


def test_in_python_everything_is_an_argument() -> None:
    text = Advice(network()).to_text()
    assert "advice.build().fit(X, y)" in text
    assert "--" not in text


def test_an_error_names_options(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i + 0.5}\n" for i in range(40)))
    done = CliRunner().invoke(main, ["advise", str(path), "-t", "y", "--task", "classification"])
    assert done.exit_code == 2
    assert "--task regression" in done.output
    assert "task=" not in done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tables")
    names = "a,b,few,one,word,free,cls,y"
    rows = (
        f"{i},{i * i % 7},{i if i % 3 else ''},1,soon,hello {i},{'uvw'[i % 3]},{i + 0.5}" for i in range(40)
    )
    (made / "d.csv").write_text("\n".join([names, *rows]))
    np.savez(made / "two.npz", X=np.zeros((30, 8, 8)), y=np.arange(30) % 2)
    np.savez(made / "odd.npz", first=np.zeros((30, 8)))
    np.save(made / "x.npy", np.zeros((30, 4)))
    return made


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("d.csv -t no", "--target must name a column"),
        ("d.csv -t y --groups no", "--groups must name a column"),
        ("d.csv -t y --time no", "--time must name a column"),
        ("d.csv -t y --drop no", "--drop must name a column"),
        ("d.csv -t y --unpenalised no", "--unpenalised must be a list of some of the features of the table"),
        ("d.csv -t y --groups y", "got it as --target and as --groups"),
        (
            "d.csv -t y --groups one",
            "--groups must have at least 2 different values, got 1; leave --groups out",
        ),
        ("d.csv -t y --groups few", "--groups must have a value for every row"),
        ("d.csv -t y --time free", "--time must be numbers or dates such as 2024-05-31, got 'hello 0'"),
        ("d.csv -t y --model cnn", "use --model mlp"),
        ("d.csv -t y --model mlp --unpenalised a", "--unpenalised must be left out but for linear models"),
        ("d.csv -t y --task binary", "got 0.5 in the target"),
        ("d.csv -t cls --task binary", "the target has 3 classes"),
        ("d.csv -t cls --task regression", "for classes pass --task classification"),
        ("d.csv -t word", "the target must have at least 2 classes"),
        ("d.csv -t free", "the target must be numbers or labels that repeat"),
        ("d.csv -t y -t cls", "run it once for each of the two"),
        ("d.csv -t y --storage no/such.journal", "--storage must be a file in a folder that exists"),
        ("two.npz -t no", "--target must be the name of the target in two.npz"),
        ("two.npz --unpenalised a", "--unpenalised must be left out unless DATA is a table of columns"),
        ("odd.npz", "--target must be the name of the target in odd.npz, got nothing"),
        ("x.npy", "--target must be given beside x.npy, got nothing; name another .npy file"),
        ("no.csv -t y", "DATA must name an existing file"),
    ],
)
def test_no_error_speaks_python(typed: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(main, ["advise", "-q", "--effort", "quick", *typed.split()])
    assert done.exit_code in (1, 2)
    assert said in done.output
    assert not re.search(r"\b(X|y)\b(?! \()(?!')|\w=|None|advise\(|pandas|numpy|Recipe", done.output)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "show d.csv",
            "ADVICE must be an advice file, got 'd.csv', which holds no JSON object: give the path",
        ),
        ("show no.json", "ADVICE must be a readable advice file"),
        (
            "snippet linear.json --for keras",
            "--for must be 'sklearn' or 'torch' for a linear model, got 'keras'",
        ),
    ],
)
def test_commands_on_a_saved_advice_do_not_either(
    typed: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    saved(advice(), Path("linear.json"))
    done = CliRunner().invoke(main, typed.split())
    assert done.exit_code in (1, 2)
    assert said in done.output
    assert "advice." not in done.output.replace("advice.json", "")


# ------------------------------------------------------------------------------------- width and letters


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_lines_follow_columns_also_in_a_pipe(name: str, columns: int, tmp_path: Path) -> None:
    path = saved(RECORDS[name](), tmp_path / "a.json")
    lines = shown("show", path, COLUMNS=str(columns)).splitlines()
    assert max(map(len, lines)) <= min(columns, 110)
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("columns", ["", "0", "wide"])
def test_without_columns_a_pipe_has_88(columns: str, tmp_path: Path) -> None:
    path = saved(advice(), tmp_path / "a.json")
    assert max(map(len, shown("show", path, COLUMNS=columns).splitlines())) == 88


@pytest.mark.parametrize("name", [name for name in RECORDS if RECORDS[name]().evidence.scores is not None])
def test_at_80_columns_no_cell_of_the_table_wraps(name: str) -> None:
    record = RECORDS[name]()
    rows = view(record).candidates
    lines = to_text(view(record), width=80).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("──────"))
    for row, line in zip(rows, lines[first + 1 :], strict=False):
        for cell in (row.kind, row.strength, row.loss, row.gain, row.reply):
            assert cell in line


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_the_characters_gets_others(encoding: str, tmp_path: Path) -> None:
    path = saved(advice(), tmp_path / "a.json")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "regadvisor", "show", path], env=environment, capture_output=True, check=True
    )
    text = done.stdout.decode(encoding)
    assert "+- regadvisor" in text
    assert "| Use L2: LogisticRegression(C=0.57) on standardised features." in text
    assert text.count("?") == to_text(view(advice())).count("?"), "nothing is replaced by a question mark"


# ------------------------------------------------------------------------------------------ at once


def loaded_after(code: str, *arguments: str) -> set[str]:
    """Return which heavy packages a process has loaded after some code."""
    script = f"{code}\nimport sys\nprint('loaded', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


#: Several commands in one process: what any of them loads is seen after it.
RUN = """
import json, sys
from regadvisor.cli.main import main
for arguments in json.loads(sys.argv[1]):
    main(arguments, standalone_mode=False)
"""


def test_ask_show_compare_schema_and_explain_load_nothing_heavy(tmp_path: Path) -> None:
    path = saved(network(), tmp_path / "a.json")
    commands = [
        ["ask", "--correlated", "yes"],
        ["show", path],
        ["compare", path, path],
        ["explain"],
        ["--version"],
    ]
    assert loaded_after(RUN, json.dumps(commands)) == set()


def test_something_is_shown_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 7}\n" for i in range(60)))
    script = (
        "import sys\n"
        "from regadvisor.cli import terminal\n"
        f"heavy = {HEAVY!r}\n"
        "echo = terminal.click.echo\n"
        "def first(*a, **k):\n"
        "    echo('LOADED ' + ' '.join(n for n in heavy if n in sys.modules) + ' END', err=True)\n"
        "    sys.exit(0)\n"
        "terminal.click.echo = first\n"
        "from regadvisor.cli.main import main\n"
        f"main(['advise', {str(path)!r}, '-t', 'y'])\n"
    )
    reader, writer = pty.openpty()
    subprocess.run([sys.executable, "-c", script], stderr=writer, stdout=subprocess.DEVNULL, check=True)
    os.close(writer)
    said = os.read(reader, 10_000).decode()
    os.close(reader)
    assert "LOADED  END" in said


# ---------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize(("chart", "kind"), [("extended", "L2"), ("classic", "L2")])
def test_ask_takes_a_question_mark_everywhere(chart: str, kind: str) -> None:
    done = CliRunner().invoke(main, ["ask", "--chart", chart], input="y\n?\n?\n")
    assert done.exit_code == 0, done.output
    assert f"Use {kind}." in done.output
    nothing = CliRunner().invoke(main, ["ask", "--chart", chart], input="?\n")
    assert nothing.exit_code == 0, nothing.output
    assert "Use L1+L2 (elastic net)." in nothing.output


def test_the_schema_holds_for_every_record() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads(json_schema())
    for build in RECORDS.values():
        jsonschema.validate(json.loads(to_json(build())), schema)


def test_the_schema_names_every_member_of_a_saved_advice() -> None:
    schema = json.loads(shown("schema"))
    definitions = schema["$defs"]

    def check(value: object, at: dict[str, object]) -> None:
        """Walk a value along the schema: every member has to be a property of what it may be."""
        while "$ref" in at:
            at = definitions[str(at["$ref"]).rpartition("/")[2]]
        if "anyOf" in at:
            options = [option for option in at["anyOf"] if option.get("type") != "null"]  # type: ignore[attr-defined]
            if value is not None and len(options) == 1:
                check(value, options[0])
            return
        if isinstance(value, dict) and "properties" in at:
            assert set(value) <= set(at["properties"]), (set(value), sorted(at["properties"]))  # type: ignore[arg-type, call-overload]
            for name, member in value.items():
                check(member, at["properties"][name])  # type: ignore[index]
        if isinstance(value, list) and isinstance(at.get("items"), dict):
            for member in value:
                check(member, at["items"])  # type: ignore[arg-type]

    for build in RECORDS.values():
        plain = json.loads(to_json(build()))
        assert set(schema["$defs"]["Record"]["required"]) <= set(plain)
        check(plain, schema)
    with pytest.raises(AssertionError):
        check({**plain, "unheard": 1}, schema)


def test_what_changed_is_said_the_answer_first(tmp_path: Path) -> None:
    before = advice()
    assert before.data is not None
    data = replace(before.data, fingerprint="other", n_rows=600)
    odd = Note(code="odd", text="a column is odd")
    after = replace(
        tie(), data=data, notes=(odd,), settings=replace(before.settings, random_state=7, budget_s=3.0)
    )
    after = replace(after, strength=replace(after.strength, regularizer=Regularizer(l1=0.001)))
    said = shown(
        "compare", saved(before, tmp_path / "a.json"), saved(after, tmp_path / "b.json")
    ).splitlines()
    assert said[0].startswith(
        "The answer changed from L2: LogisticRegression(C=0.57) on standardised features to L1: "
    )
    assert "The verdict changed from one winner to a tie." in said
    assert "As good now: L1 and L1+L2." in said
    assert "569 rows became 600 rows." in said
    assert "Settings changed: budget from 40 s to 3.0 s and seed from 0 to 7." in said
    assert "New: A column is odd." in said


def test_the_same_advice_twice_has_not_changed() -> None:
    assert changes(advice(), advice()) == (
        "The answer is the same: L2: LogisticRegression(C=0.57) on standardised features.",
    )


def test_a_changed_reply_and_loss_are_said() -> None:
    said = changes(advice(), cant_tell())
    assert any(
        line.startswith("How well does L1+L2 perform compared to the baseline? The reply changed from better")
        for line in said
    )
    assert any(line.startswith("Held-out losses changed: ") for line in said)
    without = advise_without_data(correlated=True).record
    assert "One of the two was given without data." in changes(advice(), without)


def test_open_needs_a_page_and_opens_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    page = tmp_path / "r.html"
    path = saved(advice(), tmp_path / "a.json")
    shown("report", path, "-o", str(page), "--open")
    assert opened == [str(page)]
    done = CliRunner().invoke(main, ["advise", "d.csv", "-t", "y", "--open"])
    assert done.exit_code == 2
    assert "-o PATH.html" in done.output


@pytest.mark.parametrize(
    ("training", "library"),
    [
        ({"family": "fitted", "estimator": "SGDClassifier"}, "sklearn"),
        ({"family": "fitted", "module": "net", "engine": "skorch"}, "skorch"),
        ({"family": "fitted", "module": "fit"}, None),
        ({"family": "module"}, "torch"),
    ],
)
def test_the_command_that_prints_code_is_one_that_works(
    training: dict[str, str], library: str | None
) -> None:
    record = advice()
    record = replace(record, training=Training(seed=0, **training))  # type: ignore[arg-type]
    text = to_text(for_shell(view(record), record, saved="m.json"))
    found = re.search(r"snippet m.json --for (\w+)", text)
    assert (found[1] if found else None) == library


def test_two_ways_to_read_parts_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    asked = ["advise", str(tmp_path / "a.csv"), "-t", "y", "--workers", "2", "--dask", "tcp://localhost:1"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 2
    assert "exclude each other" in done.output


def test_errors_keep_the_names_that_they_quote():
    said = "column 'of X, call advise() once' must hold numbers, got 'as time'; pass None for a missing one"
    assert complaint(said) == said
    assert (
        complaint("target must be 'sklearn' or 'torch', got 'of X'")
        == "--for must be 'sklearn' or 'torch', got 'of X'"
    )


def test_codes_are_told_in_a_shell_without_python():
    note = "If they name kinds, pass X['my zip'].astype('category'), or write a letter in front of each."
    assert in_options(note) == "If they name kinds, write a letter in front of each."
    steps = "steps of your own, such as model=f('a. b'), or with Ridge() for a number"
    prose = f"Leave it out, or use its words with {steps}."
    assert in_options(prose) == "Leave it out."
