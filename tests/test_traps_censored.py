"""Times that had not ended are told by the names of two columns, and by nothing else."""

import numpy as np
import pandas as pd
import pytest

from regadvisor import advise

N = 120
R = np.random.default_rng(0)
TIME, AGE = R.exponential(30.0, size=N), R.normal(size=N)
EVENT = (R.random(N) < 0.6).astype(int)
LABELS = np.where(EVENT == 1, "dead", "alive")


def codes(frame, target, **options):
    advice = advise(frame, target, effort="quick", **options)
    return {note.code: note.text for note in advice.record.notes}


@pytest.mark.parametrize(
    ("time", "event", "values"),
    [
        ("time", "cens", EVENT),
        ("OS", "death", EVENT == 1),
        ("time_to_death", "death_status", EVENT),
        ("OS_MONTHS", "OS_STATUS", np.where(EVENT, "1:DECEASED", "0:LIVING")),
        ("rfs.time", "rfs.event", EVENT),
        ("tumour_days", "tumour_status", EVENT),
        ("survival.time", "Status", LABELS),
        ("observationTime", "dead", EVENT),
        ("dtime", "death", EVENT),
        ("follow up", "DEATH_EVENT", np.where(np.arange(N) < 5, np.nan, EVENT)),
    ],
)
def test_a_time_beside_whether_it_had_ended_is_censored(time, event, values):
    frame = pd.DataFrame({"age": AGE, time: TIME, event: values})
    text = codes(frame, time)["censored-target"]
    assert f"'{event}' seems to say whether '{time}' had ended" in text
    text = codes(frame, event)["time-to-event"]
    assert text.startswith(f"'{time}' seems to be the time until '{event}'")


@pytest.mark.parametrize(
    ("frame", "target"),
    [
        (pd.DataFrame({"age": AGE, "time": TIME}), "time"),
        (pd.DataFrame({"cens": EVENT, "price": TIME}), "price"),
        (pd.DataFrame({"status": np.where(EVENT, "new", "used"), "duration": TIME}), "duration"),
        (pd.DataFrame({"status": np.where(EVENT, "new", "used"), "duration": TIME}), "status"),
        (pd.DataFrame({"timeline": EVENT, "time": TIME}), "time"),
        (pd.DataFrame({"event": [f"run {i % 5}" for i in range(N)], "time": TIME}), "time"),
        (pd.DataFrame({"event": EVENT, "time": TIME - 50}), "time"),  # below 0: no duration
        (pd.DataFrame({"death": EVENT, "time": np.round(TIME) % 3}), "death"),  # three values: no duration
        (pd.DataFrame({"sick": LABELS, "time": TIME}), "sick"),
        (pd.DataFrame({"status": EVENT, "duration": R.choice([6, 12, 15, 24, 36, 48], size=N)}), "status"),
        (pd.DataFrame({"status": EVENT, "duration": R.choice([6, 12, 15, 24, 36, 48], size=N)}), "duration"),
        (pd.DataFrame({"age": AGE, "status": EVENT, "time": 10.0 * np.arange(N)}), "status"),
        (pd.DataFrame({"failure": EVENT, "years": R.integers(1990, 2020, size=N)}), "failure"),
        (pd.DataFrame({"order_status": EVENT, "delivery_time": TIME}), "delivery_time"),
        (pd.DataFrame({"status": EVENT, "reaction_time": TIME}), "reaction_time"),
    ],
    ids=[
        *[
            "no event",
            "no time",
            "words",
            "words to predict",
            "another word",
            "many events",
            "negative",
            "few times",
            "no event's name",
        ],
        *["terms of loans", "terms to predict", "clock", "calendar", "of something else", "of a task"],
    ],
)
def test_other_tables_are_not(frame, target):
    assert not {"censored-target", "time-to-event"} & set(codes(frame, target))


def test_a_target_without_a_name_says_nothing():
    X = pd.DataFrame({"age": AGE, "cens": EVENT})
    assert "censored-target" not in codes(X, TIME)
    assert "censored-target" not in codes(X.assign(days=AGE), X["age"].to_numpy())
