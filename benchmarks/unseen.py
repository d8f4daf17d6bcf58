"""Lay out data sets that nothing was tuned on, for ``benchmarks/regret.py --data OUT``.

usage: python benchmarks/unseen.py OUT [--arff DIR] [--features DIR] [--series DIR]

Each DIR is a checkout of a public repository on GitHub; the sets of those that are given are written:

--arff      renatopp/arff-datasets: tables of the UCI, Delve and StatLib collections
--features  jundongl/scikit-feature: gene expression, speech, faces
--series    iwuqing/Time-Series-Classification-based-on-KNN: spectra and series of the UCR archive

The sets were chosen by their names and sizes before anything was trained on them. The last attribute of an
ARFF file is its target, and rows without one are left out.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import arff, loadmat

#: Tables by folder; those in `regression` have a number to predict, the others a class.
ARFF = {
    "classification": (
        *("anneal", "arrhythmia", "breast.cancer", "cmc", "colic", "column3C", "credit.a", "credit.g"),
        *("dermatology", "diabetes", "glass", "heart.c", "hepatitis", "hypothyroid", "ionosphere"),
        *("kr.vs.kp", "letter", "lymph", "nursery", "optdigits", "page.blocks", "pendigits", "primary.tumor"),
        *("segment", "vehicle", "vote", "waveform5000"),
    ),
    "agridata": ("eucalyptus",),
    "statlib/nominal": ("analcatdata_authorship", "analcatdata_halloffame"),
    "regression": (
        *("abalone", "ailerons", "autompg", "bank32nh", "bank8FM", "bodyfat", "cpu", "cpu.act", "elevators"),
        *("fried", "housing", "kin8nm", "lowbwt", "meta", "pbc", "pol", "pollution", "puma32H", "pyrim"),
        *("quake", "sensory", "stock", "strike", "triazines"),
    ),
}
#: What names a row, not a feature.
IDENTIFIERS = ("Player",)
FEATURES = {
    "glioma": "GLIOMA",
    "isolet": "Isolet",
    "lung_small": "lung_small",
    "lymphoma": "lymphoma",
    "madelon": "madelon",
    "warp_pie": "warpPIE10P",
}
SERIES = (
    *("Adiac", "Beef", "Chinatown", "Coffee", "DistalPhalanxTW", "ECGFiveDays", "Earthquakes", "FacesUCR"),
    *("Ham", "Meat", "MelbournePedestrian"),
)


def read_arff(path: Path, *, is_regression: bool) -> pd.DataFrame:
    """Return an ARFF file as a frame with the column ``target``; ``?`` is missing unless it is a level."""
    lines = path.read_text(encoding="latin-1").splitlines()
    is_header = [line.lower().startswith(("@", "%")) for line in lines]
    # Some files have spaces around values, or a comma at the end of a row: no two readers agree on these.
    clean = (
        line if header else ",".join(value.strip() for value in line.rstrip(", ").split(","))
        for line, header in zip(lines, is_header, strict=True)
    )
    rows, attributes = arff.loadarff(io.StringIO("\n".join(clean)))
    frame = pd.DataFrame({name: rows[name] for name in attributes.names()})
    for name in frame:
        kind, levels = attributes[name]
        if kind == "nominal":
            values = frame[name].str.decode("latin-1")
            frame[name] = pd.Categorical(values if "?" in levels else values.replace("?", None))
    frame.columns = pd.Index([name.strip("'") for name in frame])
    frame = frame.drop(columns=[name for name in IDENTIFIERS if name in frame])
    frame = frame.rename(columns={frame.columns[-1]: "target"}).dropna(subset="target", ignore_index=True)
    return frame.astype({"target": float if is_regression else str})


def read_mat(path: Path) -> pd.DataFrame:
    """Return the arrays ``X`` and ``Y`` of a MATLAB file as a frame with the column ``target``."""
    arrays = loadmat(path)
    return _frame(arrays["X"], arrays["Y"], prefix="f")


def read_series(folder: Path) -> pd.DataFrame:
    """Return training and test series of one set together; the first column of its files is the class."""
    parts = [np.loadtxt(folder / f"{folder.name}_{part}.tsv") for part in ("TRAIN", "TEST")]
    together = np.vstack(parts)
    return _frame(together[:, 1:], together[:, 0], prefix="t")


def _frame(X: Any, y: Any, *, prefix: str) -> pd.DataFrame:
    names = [f"{prefix}{i}" for i in range(X.shape[1])]
    frame = pd.DataFrame(np.asarray(X, dtype=float), columns=names)
    return frame.assign(target=[str(int(label)) for label in np.ravel(y)])


def entry(name: str, frame: pd.DataFrame, *, kind: str, source: str) -> dict[str, Any]:
    """Return the line of ``index.csv``; `source`: repository or package, a colon and what is read there."""
    n_levels = frame["target"].nunique()
    task = "multiclass" if n_levels > 2 else "binary"
    if pd.api.types.is_float_dtype(frame["target"]):
        task = "regression"
    n_rows, n_columns = frame.shape
    about = {"name": name, "task": task, "n": n_rows, "p": n_columns - 1, "kind": kind}
    n_classes = n_levels if task != "regression" else None
    rest = {
        "n_targets": 1,
        "n_classes": n_classes,
        "has_group": 0,
        "has_time": 0,
        "file": f"{name}.parquet",
        "source": source,
    }
    return {**about, **rest}


def main(words: list[str] | None = None) -> None:
    """Write the sets and the index."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    for name in ("arff", "features", "series"):
        parser.add_argument(f"--{name}", type=Path)
    asked = parser.parse_args(words)
    asked.out.mkdir(parents=True, exist_ok=True)
    frames: dict[str, tuple[pd.DataFrame, str, str]] = {}
    for folder, names in ARFF.items() if asked.arff else ():
        for name in names:
            file = f"{folder}/{name}.arff"
            frame = read_arff(asked.arff / file, is_regression=folder == "regression")
            frames[name.removeprefix("analcatdata_")] = frame, "tabular", f"renatopp/arff-datasets:{file}"
    for name, file in FEATURES.items() if asked.features else ():
        source = f"skfeature/data/{file}.mat"
        frame = read_mat(asked.features / source)
        kind = "p>>n" if frame.shape[1] > len(frame) else "tabular"
        frames[name] = frame, kind, f"jundongl/scikit-feature:{source}"
    for name in SERIES if asked.series else ():
        source = f"iwuqing/Time-Series-Classification-based-on-KNN:data/{name}"
        frames[f"ucr_{name}"] = read_series(asked.series / "data" / name), "spectra", source
    lines = []
    for original, (frame, kind, source) in frames.items():
        name = original.replace(".", "_").lower()
        lines.append(entry(name, frame, kind=kind, source=source))
        frame.to_parquet(asked.out / f"{name}.parquet")
    pd.DataFrame(lines).to_csv(asked.out / "index.csv", index=False)
    print(f"{len(lines)} sets in {asked.out}")


if __name__ == "__main__":
    main()
