"""Guesses the rules by which a feed writes numbers, flags and dates: those under which most of a sample can be cast."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from restock.contract import Contract, FieldSpec, Kind
from restock.csv_rules import CsvRules
from restock.key_form import SHORTENED
from restock.originals import texts_of
from restock.records import plain_values
from restock.wording import counted
from transforms.contract_check import cast_column

NUMBERS = (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT)
# Decimal sign and thousands sign; the first of several that read the sample equally well is taken.
_SIGNS = [(".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (",", "\u00a0"), (",", "\u202f")]
_SIGNS += [(".", "'"), (".", "’"), (",", "'")]
_NULL_WORDS = ("NULL", "null", "N/A", "n/a", "NA", "#N/A", "None", "none", "NaN", "nan", "-", "--", "\\N", "?", ".")
_WORDS_FOR_FLAGS = (
    *(("ja", "nein"), ("oui", "non"), ("sí", "no"), ("si", "no"), ("sim", "não"), ("tak", "nie"), ("on", "off")),
    *(("x", "-"), ("in stock", "out of stock"), ("available", "unavailable")),
)
_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d", "%d.%m.%y", "%d %b %Y")
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "T%H:%M:%S")
_NOT_OF_A_NUMBER = re.compile(r"[\d.,'’+\-\s]+")
_WORDS_SHOWN = 20
_SAMPLES_SHOWN = 3
_LONG_NUMBER = 6  # digits of a code; shorter ones may simply be counted
_CURRENCIES = ("$", "€", "£", "¥", "₹", "₽", "kr", "zł", "USD", "EUR", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK")


@dataclass
class GuessedRules:
    """Keys of `csv:` with their values, and what is not certain: by key, or by attribute as `columns.<name>`."""

    rules: dict[str, Any] = field(default_factory=dict)
    doubts: dict[str, list[str]] = field(default_factory=dict)

    def doubt(self, key: str, text: str) -> None:
        """Note what a person should look at."""
        self.doubts.setdefault(key, []).append(text)


def guess_rules(sample: pd.DataFrame, contract: Contract) -> GuessedRules:
    """Guess the rules of a feed from a sample of its rows.

    Args:
        sample: columns are attributes; text as it stands in the source, the empty field missing.
        contract: what the columns must be, and which of them are the key.
    """
    guessed = GuessedRules()
    texts = {
        name: sample[name].dropna()
        for name in sample.columns
        if name in contract.fields and isinstance(sample[name].dtype, pd.StringDtype)
    }
    columns = [(contract.fields[name], cells) for name, cells in texts.items()]
    columns = _guess_null_words(columns, guessed)
    _guess_number_signs([each for each in columns if each[0].kind in NUMBERS], guessed)
    _guess_flag_words([cells for spec, cells in columns if spec.kind is Kind.BOOLEAN], guessed)
    formats = tuple(day + clock for clock in _CLOCKS for day in ("%Y-%m-%d", *_DAYS))
    _guess_dates([each for each in columns if each[0].kind is Kind.DATE], "date_format", formats, guessed)
    moments = [each for each in columns if each[0].kind is Kind.DATETIME]
    _guess_dates(moments, "datetime_format", formats, guessed)
    if any(not cells.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$").all() for _, cells in moments):
        guessed.doubt(
            "timezone",
            "timestamps that name no zone are taken for UTC; name theirs, such as Europe/Berlin: a column without a "
            "zone then gets UTC, so leave timezone out to store the clock time as it is written",
        )
        guessed.rules["timezone"] = "UTC"
    _doubt_misfits(columns, guessed)
    _doubt_empty(sample, contract, guessed)
    _doubt_digits([(spec, cells) for spec, cells in columns if spec.kind is Kind.TEXT], contract.key, guessed)
    return guessed


def could_hold(spec: FieldSpec, cells: pd.Series) -> bool:
    """Whether there are rules without an unknown currency under which an attribute takes all cells but null words."""
    guessed = guess_rules(cells.to_frame(spec.name), Contract({spec.name: spec}, ()))
    rules = CsvRules.model_validate(guessed.rules)
    known = cells[~cells.isin(rules.null_values)]
    return "currency" not in guessed.doubts and not known.empty and not _read([(spec, known)], rules)[1]


def _guess_null_words(
    columns: list[tuple[FieldSpec, pd.Series]], guessed: GuessedRules
) -> list[tuple[FieldSpec, pd.Series]]:
    """Null words are those that stand where a number, flag or date should; in text they may be words like any other."""
    found: dict[str, None] = {}
    for spec, cells in columns:
        if spec.kind not in (Kind.TEXT, Kind.ENUM, Kind.JSON):
            found |= dict.fromkeys(word for word in _NULL_WORDS if (cells == word).any())
    if found:
        guessed.rules["null_values"] = ["", *found]
    for spec, cells in columns:
        if spec.kind is Kind.TEXT:
            for word in _NULL_WORDS[:12]:
                rows = int((cells == word).sum())
                told = "is read as no value here too" if word in found else "stays text unless null_values names it"
                if rows:
                    guessed.doubt(f"columns.{spec.name}", f"{word} stands in {counted(rows, 'row')} and {told}")
    return [(spec, cells[~cells.isin(list(found))]) for spec, cells in columns]


def _guess_number_signs(columns: list[tuple[FieldSpec, pd.Series]], guessed: GuessedRules) -> None:
    if not columns:
        return
    currencies = _currencies([cells for _, cells in columns])
    readings = []
    for decimal, thousands in _SIGNS:
        rules = CsvRules.model_validate({"decimal": decimal, "thousands": thousands, "currency": currencies})
        values, faults = _read(columns, rules)
        readings.append((faults, rules, values))
    fewest = min(faults for faults, _, _ in readings)
    _, best, values = next(reading for reading in readings if reading[0] == fewest)
    if currencies:
        guessed.rules["currency"] = currencies
    for sign in currencies:
        if sign not in _CURRENCIES:
            told = f"{sign} stands beside most numbers of a column; take it out if it is no currency"
            guessed.doubt("currency", told)
    for key, value in (("decimal", best.decimal), ("thousands", best.thousands)):
        if value != CsvRules.model_fields[key].default:
            guessed.rules[key] = value
    for faults, rules, other in readings:
        place = next((at for at, value in enumerate(values) if other[at] != value), None)
        if faults == fewest and place is not None:
            text = [text for _, cells in columns for text in cells][place]
            readings_differ = f"{text} is read as {values[place]}; with decimal {rules.decimal!r} it is {other[place]}"
            guessed.doubt("decimal", readings_differ)
            guessed.rules["decimal"] = best.decimal
            break
    _doubt_thousands(columns, best, guessed)


def _doubt_thousands(columns: list[tuple[FieldSpec, pd.Series]], rules: CsvRules, guessed: GuessedRules) -> None:
    """What is taken for thousands may be more decimals than the model holds, unless another number shows its sign."""
    texts = [text for _, cells in columns for text in cells]
    sign = rules.thousands or ""
    if sign not in (".", ",") or any(rules.decimal in text or text.count(sign) > 1 for text in texts):
        return
    for spec, cells in columns:
        if spec.kind is not Kind.INTEGER and cells.str.contains(sign, regex=False).any():
            text = next(text for text in cells if sign in text)
            value = _read([(spec, pd.Series([text], dtype="str"))], rules)[0][0]
            told = f"{text} is read as {value}; {sign!r} may be the decimal sign, of more decimals than the model holds"
            guessed.doubt("thousands", told)
            return


def _currencies(columns: list[pd.Series]) -> list[str]:
    """Signs that stand beside digits: known ones, or what stands beside most numbers of a column."""
    found: Counter[str] = Counter()
    for cells in columns:
        with_digits = cells[cells.str.contains(r"\d", regex=True)]
        signs = Counter(sign for text in with_digits for sign in _NOT_OF_A_NUMBER.split(text) if sign)
        found.update({s: n for s, n in signs.items() if s in _CURRENCIES or n > len(with_digits) / 2})
    return [sign for sign, _ in found.most_common(5) if sign not in ("e", "E")]


def _guess_flag_words(columns: list[pd.Series], guessed: GuessedRules) -> None:
    true, false = CsvRules().true_values, CsvRules().false_values
    words = {word.strip().lower() for cells in columns for word in cells.unique()}
    for yes, no in _WORDS_FOR_FLAGS:
        if words - {*true, *false} and words & {yes, no} - {*true, *false}:
            true, false = (*true, yes), (*false, no)
            guessed.rules |= {"true_values": list(true), "false_values": list(false)}


def _guess_dates(
    columns: list[tuple[FieldSpec, pd.Series]], key: str, formats: tuple[str, ...], guessed: GuessedRules
) -> None:
    """The declared format that reads most; none where the default, ISO 8601, reads as much."""
    columns = [(spec, cells.drop_duplicates()) for spec, cells in columns if len(cells)]
    if not columns:
        return
    fewest = _read(columns, CsvRules())[1]
    best: tuple[str, list[Any]] | None = None
    for pattern in formats if fewest else ():
        values, faults = _read(columns, CsvRules.model_validate({key: pattern}))
        if faults < fewest:
            best, fewest = (pattern, values), faults
        elif best is not None and faults == fewest and values != best[1]:
            guessed.doubt(key, f"{pattern} would read the sample as well, as other days")
    if best is not None:
        guessed.rules[key] = best[0]


def _read(columns: list[tuple[FieldSpec, pd.Series]], rules: CsvRules) -> tuple[list[Any], int]:
    """The values under some rules, those of each column in turn, and how many cells have a fault."""
    values: list[Any] = []
    faults = 0
    for spec, cells in columns:
        column = cast_column(cells, spec, rules)
        values += column.values if isinstance(column.values, list) else column.values.to_pylist()
        faults += len(column.faults)
    return values, faults


def _doubt_misfits(columns: list[tuple[FieldSpec, pd.Series]], guessed: GuessedRules) -> None:
    rules = CsvRules.model_validate(guessed.rules)
    for spec, cells in columns:
        codes = Counter(cast_column(cells, spec, rules).faults.values())
        for code, rows in codes.most_common(3):
            does = "does" if rows == 1 else "do"
            told = f"{rows:,} of the {counted(len(cells), 'cell')} {does} not fit ({code})"
            if code == "not_in_enum":
                words = ", ".join(spec.choices[:_WORDS_SHOWN]) + (" …" if len(spec.choices) > _WORDS_SHOWN else "")
                told += f"; the model's Enum stores {words}; a transform can make these words of others"
            guessed.doubt(f"columns.{spec.name}", told)


def _doubt_empty(sample: pd.DataFrame, contract: Contract, guessed: GuessedRules) -> None:
    """A column without values is seldom meant to empty what the shop has."""
    for name in sample.columns:
        if len(sample) and sample[name].isna().all() and name not in contract.key:
            guessed.doubt(
                f"columns.{name}", "no values: it would empty what the table has; leave it out, or say `blank: keep`"
            )


def _doubt_digits(texts: list[tuple[FieldSpec, pd.Series]], key: tuple[str, ...], guessed: GuessedRules) -> None:
    """What spreadsheets do to text that looks like numbers; zeros in front matter to keys."""
    for spec, cells in texts:
        name = spec.name
        if cells.str.contains(SHORTENED, regex=True).any():
            guessed.doubt(f"columns.{name}", "some look like numbers that a spreadsheet shortened, such as 4.00638E+12")
        if name not in key:
            continue
        widths = Counter(cells.str.len())
        most = max(widths, default=0)
        if most < _LONG_NUMBER or len(widths) < 2 or widths[most] <= len(cells) / 2:
            continue
        if cells.str.fullmatch("[1-9][0-9]*").all() and min(widths) > most - 3:
            guessed.doubt(
                f"columns.{name}",
                f"{len(cells) - widths[most]:,} of {len(cells):,} with fewer than {most} digits; if zeros in front "
                f"were lost, `key_form: {{zero_pad: {most}}}` puts them back",
            )


def clean_samples(cells: pd.Series) -> Iterator[str]:
    """The first different values of a column, as text."""
    known = cells.dropna()
    if isinstance(known.dtype, pd.ArrowDtype) and pa.types.is_nested(known.dtype.pyarrow_dtype):
        known = pd.Series(texts_of(known), dtype="str")  # Arrow compares no lists
    yield from map(str, plain_values(known.drop_duplicates().head(_SAMPLES_SHOWN)))
