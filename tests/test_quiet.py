"""Warnings are silenced without leaving a trace in the caller's filters, whatever the order of threads."""

from __future__ import annotations

import warnings

import pytest

from regadvisor.quiet import ignoring


def test_only_the_category_is_ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ignoring(FutureWarning):
            warnings.warn("not seen", FutureWarning, stacklevel=1)
            with pytest.raises(UserWarning, match="seen"):
                warnings.warn("seen", UserWarning, stacklevel=1)
        with pytest.raises(FutureWarning, match="seen again"):
            warnings.warn("seen again", FutureWarning, stacklevel=1)


def test_blocks_that_end_in_another_order_leave_the_filters_as_they_were():
    """As two threads would: the first to enter is the first to leave."""
    before = list(warnings.filters)
    first, second = ignoring(UserWarning), ignoring(UserWarning)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    warnings.warn("still silenced by the second", UserWarning, stacklevel=1)
    second.__exit__(None, None, None)
    assert list(warnings.filters) == before


def test_a_caller_who_swaps_the_filters_meanwhile_gets_the_old_ones_back():
    before = list(warnings.filters)
    block = ignoring(UserWarning)
    with warnings.catch_warnings():
        block.__enter__()
        inside = list(warnings.filters)
    block.__exit__(None, None, None)
    assert len(inside) == len(before) + 1
    assert list(warnings.filters) == before


def test_an_error_inside_restores_the_filters():
    before = list(warnings.filters)
    with pytest.raises(RuntimeError), ignoring(UserWarning):
        raise RuntimeError
    assert list(warnings.filters) == before
