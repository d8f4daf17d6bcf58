"""Groups of rows of which exactly one is of a class."""

import numpy as np
import pandas as pd
import pytest

from regadvisor import advise

R = np.random.default_rng(0)
N_GROUPS = 60


def codes(frame, **options):
    advice = advise(frame, "taken", effort="quick", **options)
    return {note.code: note.text for note in advice.record.notes}


def table(sizes, names=lambda group: group, is_shuffled=False):
    """Alternatives of choices: the one of the highest utility is taken."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    cost = R.normal(size=len(group))
    utility = -cost + R.gumbel(size=len(group))
    best = pd.Series(utility).groupby(group).transform("max").to_numpy() == utility
    taken = R.permutation(best) if is_shuffled else best
    return pd.DataFrame({"who": [names(each) for each in group], "cost": cost, "taken": taken.astype(int)})


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        (np.full(N_GROUPS, 4), lambda group: group),
        (R.integers(2, 6, size=N_GROUPS), lambda group: f"person {group}"),
        (np.full(N_GROUPS, 2), lambda group: 1_000 + 7 * group),  # a case and its control
    ],
    ids=["four alternatives", "some", "pairs"],
)
def test_one_row_of_each_group_is_told(sizes, names):
    frame = table(sizes, names)
    text = codes(frame)["one-of-each-group"]
    assert "with the same 'who' exactly one is of class 1" in text
    other = frame.assign(taken=1 - frame["taken"])
    expected = "exactly one is of class 1" if (sizes == 2).all() else "exactly one is of class 0"
    assert expected in codes(other)["one-of-each-group"]
    assert "one-of-each-group" not in codes(frame, groups=frame["who"])


def test_groups_with_any_number_of_them_are_not_told():
    assert "one-of-each-group" not in codes(table(np.full(N_GROUPS, 4), is_shuffled=True))
    assert "one-of-each-group" not in codes(table(np.full(8, 2)))  # luck
