"""What happens to a run when something goes wrong: kills, dying workers, bad disks and damaged files.

usage: python benchmarks/soak.py [--kills 50] [--inputs 100000] [--only kills,workers,files,reads]
                                 [--seed 0] [--write]

Every run is a process of its own, forked from this one, on scikit-learn's breast cancer set. A run that was
stopped is run again with the same ``storage=``, and must end in the record of a run that nothing happened to
(words equal, numbers up to rounding); every fit that the journal held is read and none is stored again.
`reads` feeds files of anything to the readers of data and of saved advices (strategies of
``tests/test_hostile_files.py``): what comes out is a table, an advice or an error of ours. With `--write` the
table of all faults goes into RESULTS.md. The first thing that goes wrong ends the script with an error.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from journal_files import size
from rounding import assert_same_records
from soak_files import files
from soak_runs import Case, Child, lines_of, told, told_in

MODELS = ("linear", "network", "module", "executor")
TESTS = Path(__file__).parent.parent / "tests"
#: The random tests of reading, and the examples that each makes once.
EXAMPLES = {
    "test_any_bytes_are_a_table_or_an_error_of_ours": 150,
    "test_a_file_in_a_folder_means_what_it_means_by_itself": 100,
    "test_an_edited_advice_is_refused_or_reads_without_harm": 200,
}


def kills(base: Path, chance: random.Random, n_kills: int) -> list[tuple[str, str]]:
    """SIGKILL at random moments, sometimes twice; then Ctrl-C."""
    rows = []
    for model in MODELS:
        whole = Case.undisturbed(model, base / model / "whole")
        n_own, n_read, done = max(1, n_kills // len(MODELS)), [], 0
        for number in range(n_own):
            case = whole.anew(f"kill-{number}")
            for _ in range(chance.choice([1, 1, 2])):
                child, n_before = case.child(), len(case.told)
                # By fits, not by the clock: how long they take depends on what else the machine does.
                wanted = n_before + chance.randrange(len(whole.keys))
                while not child.is_over and len(case.told) < wanted:
                    time.sleep(0.002)
                time.sleep(chance.uniform(0.0, 0.1))
                done += child.is_over
                child.end(signal.SIGKILL)
            n_read.append(case.goes_on())
        rows.append(
            told(
                f"SIGKILL at {n_own} random moments, {model}",
                f"the advice of the undisturbed run each time; {min(n_read)} to {max(n_read)} of "
                f"{len(whole.keys)} fits were read, none was made again ({done} had ended before)",
            )
        )
    return [*rows, interrupts(base, chance, max(1, n_kills // 4))]


def interrupts(base: Path, chance: random.Random, n_times: int) -> tuple[str, str]:
    """Ctrl-C in a shell: exit code 130, the best so far or what to do, and a journal to go on with."""
    from sklearn.datasets import load_breast_cancer

    data = base / "shell" / "data.csv"
    data.parent.mkdir()
    load_breast_cancer(as_frame=True).frame.to_csv(data, index=False)

    def command(folder: Path) -> None:
        from regadvisor.cli.main import main

        told_in(folder)
        for number, name in ((1, "out.txt"), (2, "err.txt")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        journal = folder / "run.journal"
        resume = ["--resume"] if journal.exists() and size(journal) else []
        options = ["--effort", "standard", "--json", "--storage", str(journal), *resume]
        try:
            main(["advise", str(data), "-t", "target", *options])
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(int(ended.code or 0))

    def start(folder: Path) -> Child:
        folder.mkdir(exist_ok=True)
        return Child(lambda: command(folder), folder / "errors")

    start(data.parent / "whole").run()
    expected = (data.parent / "whole" / "out.txt").read_text()
    n_fits = len(lines_of(data.parent / "whole" / "stored.txt"))
    said: Counter[str] = Counter()
    for number in range(n_times):
        folder = data.parent / str(number)
        child, wanted = start(folder), chance.randrange(n_fits)
        while not child.is_over and len(lines_of(folder / "stored.txt")) < wanted:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.1))
        code, text = child.end(signal.SIGINT), (folder / "err.txt").read_text()
        assert code in (0, 130), (code, text)
        assert "Traceback" not in text, text
        has_best = bool((folder / "out.txt").read_text())
        said[
            "ended before" if code == 0 else "with the best so far" if has_best else "before a first fit"
        ] += 1
        if code == 130:
            start(folder).run()
        assert_same_records((folder / "out.txt").read_text(), expected)
    counts = ", ".join(f"{n} {what}" for what, n in said.items())
    return told(
        f"Ctrl-C at {n_times} random moments, shell", f"exit code 130 ({counts}); resumed: the same advice"
    )


def workers(base: Path, chance: random.Random, n_kills: int) -> list[tuple[str, str]]:
    """SIGKILL to a worker in the middle of the run."""
    whole = Case.undisturbed("executor", base / "workers" / "whole")
    n_hit = 0
    for number in range(n_kills):
        case = whole.anew(f"worker-{number}")
        child = case.child()
        time.sleep(chance.uniform(0.2, 1.0) * whole.took_s)
        found = [] if child.is_over else [pid for pid in descendants(child.pid) if is_worker(pid)]
        if found:
            os.kill(chance.choice(found), signal.SIGKILL)
            n_hit += 1
        child.run()
        assert_same_records((case.folder / "advice.json").read_text(), whole.expected)
        assert case.stored == whole.keys
    return [told(f"SIGKILL to a worker, {n_hit} times", "replaced; the same advice, without a resume")]


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, from /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found += [int(path.parent.name), *descendants(int(path.parent.name))]
    return found


def is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def reads(base: Path, chance: random.Random, n_inputs: int) -> list[tuple[str, str]]:
    """Files of anything, for the readers of tables, of folders and of saved advices."""
    times = max(1, n_inputs // sum(EXAMPLES.values()))
    rows = []
    for test, n in EXAMPLES.items():
        # Each in a process of its own, so that the memory of one is not that of the next.
        started = time.monotonic()
        command = [
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"{TESTS}/test_hostile_files.py",
            "-k",
            test,
        ]
        subprocess.run([sys.executable, *command], env={**os.environ, "SOAK_TIMES": str(times)}, check=True)
        took_s = time.monotonic() - started
        name = test.removeprefix("test_").replace("_", " ")
        rows.append(told(f"{n * times:,} random files", f"{name} ({took_s:.0f} s)"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--only", default="kills,workers,files,reads")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    # What every child needs, so that they need not load it.
    import sklearn.datasets  # noqa: F401
    import torch

    import regadvisor.api
    import regadvisor.families.neural.module.family  # noqa: F401

    torch.set_num_threads(1)
    chance = random.Random(asked.seed)
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        base.chmod(0o755)
        sizes = {
            "kills": asked.kills,
            "workers": asked.kills // 10,
            "files": asked.kills // 2,
            "reads": asked.inputs,
        }
        for what, work in {"kills": kills, "workers": workers, "files": files, "reads": reads}.items():
            if what in asked.only.split(","):
                rows += work(base, chance, max(1, sizes[what]))
    if asked.write:
        from results import write

        lines = ["| fault | what happened |", "|---|---|", *(f"| {fault} | {said} |" for fault, said in rows)]
        write("soak", "\n".join(lines))


if __name__ == "__main__":
    main()
