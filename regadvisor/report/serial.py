"""A record as JSON text and back, exactly.

The text is documented, versioned (``schema`` and ``format`` come first, see ``records.FORMAT``) and
deterministic: equal records give equal bytes. The ``summary`` after them is what :func:`brief` makes of the
record, and not read back. Members stand in the order of the fields of :class:`~regadvisor.records.Record`;
members of mappings are sorted by name.

JSON has no NaN and no infinity, and both occur (a run that diverged has an infinite loss). They are written
as an object, ``{"$float": "inf"}`` (or ``"-inf"``, ``"nan"``), which cannot be mistaken for a text such as a
column called ``inf``, and come back as the number they were.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from regadvisor.errors import RecordError, reason_of
from regadvisor.records import FORMAT, Record
from regadvisor.regularizer import LABELS
from regadvisor.report.sections import warnings
from regadvisor.report.units import parameters
from regadvisor.report.verdict import headline, main_claim

#: Name of the form of the text, for programs that read it.
SCHEMA = "regadvisor/1"
#: The only member of the object that stands for a number that JSON cannot write.
FLOAT_KEY = "$float"

#: Larger files are no advice: one about a million columns takes a third of it.
_MOST_BYTES = 500_000_000

#: From the width of a 95% interval to the half width at the level of replies, both of a normal distribution.
_INNER = 0.8416 / (2 * 1.96)

#: What a terminal may obey instead of showing it: control characters beyond ASCII, changes of direction.
_UNSEEN = re.compile(r"[\x7f-\uffff\U00010000-\U0010ffff]")

_DO = "save it again with advice.to_json(path) or `regadvisor advise … -o advice.json`"


def to_json(record: Record) -> str:
    """Return `record` as JSON text, indented by two spaces, ending in a newline.

    Raises RecordError if a field holds a value of another type than it declares.
    """
    import msgspec

    try:
        # There and back once: an int in a float field becomes the float it equals, so equal records
        # give equal bytes.
        plain = msgspec.to_builtins(record, order="deterministic", enc_hook=_plain_number)
        plain = msgspec.to_builtins(msgspec.convert(plain, Record), order="deterministic")
    except (msgspec.ValidationError, TypeError, NotImplementedError, OverflowError) as error:
        raise RecordError(
            f"record must hold plain values of the declared types, got {error}; please report this as a bug"
        ) from error
    # What people look for comes first; it is made of the record, and not read back.
    plain = {"schema": SCHEMA, "format": plain.pop("format"), "summary": brief(record), **plain}
    text = msgspec.json.format(msgspec.json.encode(_portable(plain)), indent=2).decode() + "\n"
    return _UNSEEN.sub(lambda found: _escaped(found[0]), text)


def json_schema() -> str:
    """Return the JSON Schema of what :func:`to_json` writes, as JSON text."""
    import msgspec

    schema = msgspec.json.schema(Record)
    definitions = schema["$defs"]
    whole = definitions["Record"]
    number_or_name = {
        "anyOf": [
            {"type": "number"},
            {
                "type": "object",
                "properties": {FLOAT_KEY: {"enum": ["inf", "-inf", "nan"]}},
                "required": [FLOAT_KEY],
                "additionalProperties": False,
            },
        ]
    }
    definitions = {name: _with_floats(each) for name, each in definitions.items()}
    definitions["Float"] = number_or_name
    first = {"schema": {"const": SCHEMA}, "summary": {"type": "object"}}
    definitions["Record"] |= {
        "properties": first | definitions["Record"]["properties"],
        "required": ["schema", *whole.get("required", ())],
    }
    plain = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "regadvisor advice",
        "$ref": schema["$ref"],
        "$defs": definitions,
    }
    return json.dumps(plain, indent=2) + "\n"


def _with_floats(schema: Any) -> Any:
    """Return a schema in which a number may be one that JSON cannot write."""
    if schema == {"type": "number"}:
        return {"$ref": "#/$defs/Float"}
    if isinstance(schema, dict):
        return {key: _with_floats(value) for key, value in schema.items()}
    return [_with_floats(value) for value in schema] if isinstance(schema, list) else schema


def read_json(path: str | Path) -> Record:
    """Return the record in a file; see :func:`from_json`.

    Raises RecordError if it cannot be read, or is no record.
    """
    do = "give the path that advice.to_json(path) wrote to"
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)  # a device may have no end
    except (OSError, ValueError, TypeError) as error:
        raise RecordError(
            f"path must be a readable advice file, got {str(path)!r}: {reason_of(error)}; {do}"
        ) from error
    if len(content) > _MOST_BYTES:
        raise RecordError(
            f"path must be an advice file, got {str(path)!r} of more than {_MOST_BYTES / 1e9:g} GB; an "
            f"advice is never as large: {do}"
        )
    if content.strip() and not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        raise RecordError(f"path must be an advice file, got {str(path)!r}, which holds no JSON object: {do}")
    return from_json(content)


def from_json(text: str | bytes) -> Record:
    """Return the record that :func:`to_json` wrote.

    Members that this version does not know are ignored.

    Raises RecordError if the text is no JSON, is not an advice, is damaged, or has a newer format than this
    version reads.

    >>> from_json("{}")
    Traceback (most recent call last):
    ...
    regadvisor.errors.RecordError: advice must be a JSON object with a format number, got one without: ...
    """
    import msgspec

    plain = _parsed(text)
    _check_format(plain)
    try:
        upgraded = _upgraded(_restored(plain))
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # an edited file
        raise RecordError(
            f"advice must have the fields of its format, got something else ({reason_of(error)}): {_DO}"
        ) from error
    try:
        record = msgspec.convert(upgraded, Record)
    except msgspec.ValidationError as error:
        raise RecordError(
            f"advice must have the fields of format {FORMAT}, got {reason_of(error)}: {_DO}"
        ) from error
    _check_numbers(record)
    return record


def _check_numbers(record: Record) -> None:
    """Refuse numbers that no run can have written, and no report can show."""
    for claim in record.claims:
        if claim.support is not None and not 0 <= claim.support <= 1:  # NaN is not
            got = claim.support
            raise RecordError(f"advice must have a support from 0 to 1 of each claim, got {got}: {_DO}")
    features = record.features
    if features is None:
        return
    if not math.isfinite(features.effective_rank):
        raise RecordError(f"advice must have a finite effective rank, got {features.effective_rank}: {_DO}")
    n = len(features.names)
    if len(features.strengths) > n or any(len(row) > n for row in features.strengths):
        raise RecordError(f"advice must have a name for each feature in its map, got {n}: {_DO}")


def _plain_number(value: object) -> object:
    """Return the plain number in a NumPy scalar, without importing NumPy."""
    if hasattr(value, "item"):
        return value.item()
    raise NotImplementedError(f"a value of type {type(value).__name__}")


def _escaped(character: str) -> str:
    """Return a character inside a JSON string so that printing it does nothing but show it."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _portable(value: Any) -> Any:
    """Return `value` with everything JSON cannot hold written another way."""
    if isinstance(value, dict):
        return {_portable(key): _portable(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(member) for member in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT_KEY: str(value)}
    if isinstance(value, str) and not value.isascii():
        # A file read with the wrong encoding leaves lone surrogates in names; UTF-8 cannot hold them.
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _parsed(text: str | bytes) -> Any:
    import msgspec

    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(
            f"advice must be JSON, got {len(raw):,} bytes that are not ({error}). "
            f"The file may be truncated: {_DO}"
        ) from error


def _check_format(plain: Any) -> None:
    """Raise RecordError unless the text says that it is an advice in a format that is known here."""
    number = plain.get("format") if isinstance(plain, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        got = "one without" if isinstance(plain, dict) else type(plain).__name__
        raise RecordError(f"advice must be a JSON object with a format number, got {got}: {_DO}")
    if number > FORMAT:
        settings = plain.get("settings")
        version = settings.get("version") if isinstance(settings, dict) else None
        known = isinstance(version, str) and version != ""
        by = f" (written by regadvisor {version})" if known else ""
        do = f"pip install 'regadvisor>={version}'" if known else "pip install --upgrade regadvisor"
        raise RecordError(f"advice must be of format {FORMAT} or older, got {number}{by}: {do}")
    if number < 1:
        raise RecordError(f"advice must be of format 1 to {FORMAT}, got {number}: {_DO}")


def _upgraded(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a record of an older format in the form of today's."""
    evidence = plain.get("evidence") or {}
    scores, growth = evidence.get("scores"), evidence.get("growth")
    if isinstance(growth, dict) and growth.get("source") == "measured":  # strengths on a quarter of the rows
        growth["source"] = "prior"
    if isinstance(scores, dict) and (plain.get("data") or {}).get("task") == "regression":
        # The smallest of many best least squares was called a limit, too.
        scores["scores"] = [each | {"is_limit": False} for each in scores.get("scores", ())]
    if isinstance(scores, dict) and isinstance(
        scores.get("comparisons"), dict
    ):  # every pair was kept in both directions, by "a:b"
        pairs = {frozenset(name.split(":")): found for name, found in scores["comparisons"].items()}
        for found in pairs.values():
            inner = _INNER * (found["high"] - found["low"])
            found |= {"least": found["difference"] - inner, "most": found["difference"] + inner}
        name, _, scale = scores["loss_name"].partition(" / ")
        scale = scale and f"the {scale}"
        scores |= {"comparisons": list(pairs.values()), "loss_name": name, "loss_scale": scale}
    if any(isinstance(flip, str) for flip in plain.get("flips", ())):  # "L2 if the gain fell"
        said = (flip.partition(" if ") for flip in plain["flips"])
        kinds = {label: kind for kind, label in LABELS.items()} | {"no signal": "no signal"}
        plain["flips"] = [
            {"outcome": kinds[name], "condition": condition} for name, _, condition in said if name in kinds
        ]
    return plain | {"format": FORMAT}


def _restored(value: Any) -> Any:
    """Return `value` with the numbers that :func:`_portable` wrote as objects."""
    if isinstance(value, dict):
        if value.keys() == {FLOAT_KEY} and value[FLOAT_KEY] in ("inf", "-inf", "nan"):
            return float(value[FLOAT_KEY])
        return {key: _restored(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_restored(member) for member in value]
    return value


def brief(record: Record) -> dict[str, Any]:
    """Return the summary of a record as plain data.

    Returns
    -------
    dict
        verdict : str
            The sentences a person reads first.
        status : str
            "advice", "tie", "no_signal" or "cant_tell".
        kind, l1, l2, dropout, coupling
            The regularizer for the full data; strengths are None where they are unknown.
        parameters : dict
            By the name of what takes them, such as ``{"Ridge": {"alpha": 13.5}}``.
        gain, gain_low, gain_high : float or None
            Share of the loss without a regularizer that it takes off, and the ends of its interval, each 80%
            sure.
        support : float or None
            Of the claim that the verdict rests on; see ``advice.confidence``.
        ties : list of str
        most_lost : float or None
            What another kind saves at most in 90% of the resamplings, as a share of the loss.
        took_s : float
        n_rows, n_sample : int or None
        warnings : list of str
            What is odd about the data.

    Examples
    --------
    >>> from regadvisor import advise_without_data
    >>> brief(advise_without_data(correlated=True).record)["kind"]
    'l2'
    """
    regularizer, claim = record.strength.regularizer, main_claim(record)
    sample = record.evidence.sample
    return {
        "verdict": " ".join(headline(record)),
        "status": record.status,
        "kind": regularizer.kind,
        "l1": regularizer.l1,
        "l2": regularizer.l2,
        "dropout": regularizer.dropout,
        "coupling": regularizer.coupling,
        "parameters": parameters(record),
        **dict(zip(("gain", "gain_low", "gain_high"), gains(record), strict=True)),
        "support": None if claim is None else claim.support,
        "ties": list(record.ties),
        "most_lost": record.most_lost,
        "took_s": record.timings.total_s,
        "n_rows": None if record.data is None else record.data.n_rows,
        "n_sample": None if sample is None else sample.n_rows,
        "warnings": list(warnings(record)),
    }


def gains(record: Record) -> tuple[float, float, float] | tuple[None, None, None]:
    """Return the gain over no regularizer with its ends, as shares of the loss; None where there are none."""
    scores = record.evidence.scores
    found = None if scores is None else scores.comparison(record.strength.regularizer.kind, "none")
    if found is None or found.loss_b <= 0:
        return (None, None, None)
    return (-found.difference / found.loss_b, -found.most / found.loss_b, -found.least / found.loss_b)
