"""What a reader should know about how the caller's module was taken: its columns, its weights, its modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from regadvisor.families.neural.module.stack import ModuleArchitecture
from regadvisor.families.neural.parameters import stays_in_eval
from regadvisor.records import DataFacts, Note
from regadvisor.words import counted

#: Entries of a list in a note; the rest is counted.
_MOST_LISTED = 12


def notes_of(
    architecture: ModuleArchitecture, facts: DataFacts, feature_names: Sequence[str], *, label: str
) -> Iterator[Note]:
    """Yield the notes on a module that was looked at.

    `feature_names`: what the module gets, in this order. `label`: how people call the module.
    """
    inputs = architecture.source.inputs
    if inputs.layout != "flat":
        how = (
            f"{label} gets {inputs.described()}; to change that: Recipe(layout=...), here {inputs.layout!r}."
        )
        yield Note(code="module-layout", text=how)
    if architecture.n_heads > 1:
        text = (
            f"{label} returns {architecture.n_heads} predictions for each row: each is trained by the loss, "
            "and they are averaged. If these are steps of a sequence, return the last one alone."
        )
        yield Note(code="module-heads", text=text)
    is_table = facts.image_shape is None and not facts.inputs
    if is_table and any(column.kind != "numeric" or column.has_missing for column in facts.columns):
        yield _columns(architecture, facts, feature_names, label)
    if not architecture.layout.penalised_names:
        text = (
            f"L1 and L2 act on no parameter of {label}: biases, norms, embeddings, and what weight_norm or "
            "spectral_norm scales by itself are exempt; to penalise some of them, name them: "
            "Recipe(penalised=(...,))."
        )
        yield Note(code="nothing-penalised", text=text, is_warning=True)
    names = [name for name, part in architecture.template.named_modules() if stays_in_eval(part)]
    roots = [name for name in names if name.rpartition(".")[0] not in names]
    if roots:
        text = (
            f"Parts of {label} stay in evaluation mode, as you left them ({_listed(roots)}): running "
            "statistics do not move there, and nothing is dropped."
        )
        yield Note(code="module-eval", text=text)


def _listed(entries: Sequence[str]) -> str:
    more = "" if len(entries) <= _MOST_LISTED else f" and {len(entries) - _MOST_LISTED} more"
    return ", ".join(entries[:_MOST_LISTED]) + more


def _columns(
    architecture: ModuleArchitecture, facts: DataFacts, feature_names: Sequence[str], label: str
) -> Note:
    """Say which columns became what, where they are not the module's columns any more."""
    parts = architecture.template.modules()
    has_embedding = any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in parts)
    has_codes = has_embedding and architecture.source.inputs.layout != "codes"
    text = (
        f"{label} gets {counted(len(feature_names), 'number')} per row, made of "
        f"{counted(facts.n_features, 'column')}: {_listed(list(_grouped(feature_names)))} (counted from 0)."
    )
    if has_codes:
        text += (
            " Its embedding finds no codes there: to give it codes, pass a factory that names cardinalities, "
            "or Recipe(layout='codes'); forward(numbers, codes) then gets both."
        )
    return Note(code="module-columns", text=text, is_warning=has_codes)


def _grouped(names: Sequence[str]) -> Iterator[str]:
    """Yield encoded features as their places and column, those of one column together.

    >>> list(_grouped(["age", "city=a", "city=b", "when: year", "when: month"]))
    ['0 age', '1-2 city (one-hot)', '3-4 when (parts of the date)']
    """
    start = 0
    while start < len(names):
        for sign, what in (("=", "one-hot"), (": ", "parts of the date")):
            head, found, _ = names[start].partition(sign)
            if found:
                stop = next(
                    (j for j in range(start, len(names)) if not names[j].startswith(head + sign)), len(names)
                )
                place = f"{start}" if stop == start + 1 else f"{start}-{stop - 1}"
                yield f"{place} {head} ({what})"
                break
        else:
            stop = start + 1
            yield f"{start} {names[start]}"
        start = stop
