"""
Advice in one job, training in another
======================================

Advice carried to another script: one job advises and saves, the next one loads and trains.
"""

import tempfile
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import regadvisor


def advising_job(folder: Path) -> None:
    """Advise on the training rows and leave advice.json behind."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X_train, _, y_train, _ = train_test_split(X, y, random_state=0, stratify=y)
    regadvisor.advise(X_train, y_train, effort="quick").to_json(folder / "advice.json")


def training_job(folder: Path) -> None:
    """Know nothing but the file and the data."""
    advice = regadvisor.Advice.load(folder / "advice.json")
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    advice.check_same_data(X_train, y_train)
    model = advice.build().fit(X_train, y_train)
    print(advice.verdict)
    print("accuracy on held-out rows:", round(model.score(X_test, y_test), 3))


with tempfile.TemporaryDirectory() as name:
    advising_job(Path(name))
    training_job(Path(name))
