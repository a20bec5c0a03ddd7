"""Column functions for numbers, prices and quantities. Money never passes through a float."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from restock.contract import FieldSpec
from restock.csv_rules import CsvRules
from transforms.columns import TEXT, Column, is_text, keep, one_by_one, places, wrong_type
from transforms.text_bytes import TextBytes

_PLAIN = r"^-?[0-9]+(?:\.[0-9]+)?$"
_BLANK = "[ \u00a0\u202f]?"
# More digits than any column holds; Python refuses to read integers of more than 4300.
_DIGITS_AT_MOST = 1000
_LEAST, _MOST = -(2**63), 2**63 - 1  # of 64 bits
# Digits that Arrow computes decimals with, in all and in its narrow type; beyond them it gives wrong numbers unnoticed.
_WIDE, _NARROW = 76, 38


def read_integer(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """Whole numbers within the column's range: 64-bit, or Python integers where some need more."""
    if pa.types.is_integer(cells.type):
        return _in_range(cells, {}, spec)
    if pa.types.is_floating(cells.type):
        return _in_range(*_whole_floats(cells), spec)
    numbers = _cast_at_once(cells, pa.int64(), rules)
    if numbers is not None:
        return _in_range(numbers, {}, spec)
    plain, faults = _plain_numbers(cells, rules)
    if not is_text(cells.type):
        plain = pc.replace_substring_regex(plain, r"\.0+$", "")  # the type says decimals, the value may be whole
    fractions = pc.match_substring(plain, ".")
    faults.update(dict.fromkeys(places(fractions), "not_an_integer"))
    return _in_range(keep(plain, pc.invert(fractions)), faults, spec)


def read_decimal(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """Exact numbers that the column can hold exactly; Python Decimals where it has no fixed number of digits."""
    type_ = _decimal_type(spec)
    if type_ is not None and (spec.significant is None or type_.precision <= spec.significant):
        numbers = _cast_at_once(cells, type_, rules)
        if numbers is not None:
            return Column(numbers)
    plain, faults = _plain_numbers(cells, rules)
    if type_ is None:
        suspects = list(range(len(plain)))
    else:
        digits = min(type_.precision, spec.significant or type_.precision)
        room, scale = max(0, digits - type_.scale), min(digits, type_.scale)
        fits = pc.match_substring_regex(plain, rf"^-?0*[0-9]{{0,{room}}}(?:\.[0-9]{{0,{scale}}}0*)?$")
        suspects = places(pc.invert(fits))
        if not suspects:
            return Column(_without_idle_zeros(plain, type_).cast(type_), faults)
    texts = plain.to_pylist()
    for place in suspects:
        code = None if texts[place] is None else _decimal_fault(texts[place], spec)
        if code is not None:
            texts[place], faults[place] = None, code
    if type_ is not None:
        return Column(_without_idle_zeros(pa.array(texts, TEXT), type_).cast(type_), faults)
    return Column([None if text is None else Decimal(text) for text in texts], faults)


def read_float(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    """Finite double precision numbers, of no more digits than the column has; text may have an exponent."""
    found = _finite_floats(cells, rules)
    if spec.scale is None:
        return found
    # A float of Parquet has the digits of its own width.
    told = cells if pa.types.is_floating(cells.type) else found.values
    beyond = read_decimal(told, spec, rules).faults
    fits = [place not in beyond for place in range(len(found.values))]
    return Column(keep(found.values, pa.array(fits, pa.bool_())), {**beyond, **found.faults})


def _finite_floats(cells: Any, rules: CsvRules) -> Column:
    faults: dict[int, str] = {}
    if pa.types.is_floating(cells.type):
        numbers, beyond = cells if cells.type == pa.float64() else cells.cast(pa.float64()), "not_a_number"
    elif pa.types.is_integer(cells.type):
        return Column(cells.cast(pa.float64(), safe=False))
    else:
        numbers, beyond = _cast_at_once(cells, pa.float64(), rules), "out_of_range"
        if numbers is None:
            plain, faults = _plain_numbers(cells, rules, exponent=True)
            numbers = plain.cast(pa.float64())
    # Neither infinity nor NaN is lost in a sum.
    if math.isfinite(pc.sum(numbers, min_count=0).as_py()):
        return Column(numbers, faults)
    numbers = keep(numbers, pc.invert(pc.is_nan(numbers)))
    finite = pc.is_finite(numbers)
    faults.update(dict.fromkeys(places(pc.invert(finite)), beyond))
    return Column(keep(numbers, finite), faults)


def _cast_at_once(cells: Any, type_: pa.DataType, rules: CsvRules) -> Any | None:
    """Decimals, and text of nothing but digits, signs and points, as exact numbers; None where some cell needs care.

    Such text Arrow reads as a feed's grammar does, but for a point at its end.
    """
    if cells.type == type_:
        return cells
    if is_text(cells.type):
        content = TextBytes(cells)
        points = content.beyond("-0123456789")
        if points.strip(b"." if rules.decimal == "." else b"") or (points and content.is_last(".")):
            return None
    elif not (pa.types.is_decimal(cells.type) and pa.types.is_decimal(type_)):
        return None
    digits = _digits_on_the_way(cells, type_) if pa.types.is_decimal(type_) else 0
    if digits > _WIDE:
        return None
    try:
        if digits > _NARROW and type_.precision <= _NARROW:
            cells = cells.cast(pa.decimal256(_WIDE, type_.scale))
        return cells.cast(type_)
    except pa.ArrowInvalid:  # some cell is no number, or does not fit
        return None


def _digits_on_the_way(cells: Any, type_: pa.DataType) -> int:
    """The most digits that a cell can have while Arrow moves its point to where a decimal type has it."""
    whole = TextBytes(cells).longest() if is_text(cells.type) else cells.type.precision - cells.type.scale
    return int(whole + type_.scale)


def _without_idle_zeros(plain: Any, type_: pa.DataType) -> Any:
    """Plain numbers that fit a decimal type, without zeros in front and behind so many that Arrow could not compute."""
    if _digits_on_the_way(plain, type_) <= _NARROW:
        return plain
    return pc.replace_substring_regex(
        plain, rf"^(-?)(?:0*([0-9]+))?(?:(\.[0-9]{{0,{type_.scale}}})[0-9]*)?$", r"\10\2\3"
    )


def _plain_numbers(cells: Any, rules: CsvRules, exponent: bool = False) -> tuple[Any, dict[int, str]]:
    """The cells as `-12.50`: sign, digits, point, digits. Missing where a cell is at fault."""
    type_ = cells.type
    if is_text(type_):
        return _plain_texts(cells, rules, exponent)
    if pa.types.is_null(type_) or pa.types.is_integer(type_):
        return cells.cast(TEXT), {}
    if pa.types.is_boolean(type_):
        return cells.cast(pa.int8()).cast(TEXT), {}
    if pa.types.is_decimal(type_):
        return pa.array([None if value is None else format(value, "f") for value in cells.to_pylist()], TEXT), {}
    if pa.types.is_floating(type_):
        cells = cells.cast(pa.float32()) if pa.types.is_float16(type_) else cells
        cells = keep(cells, pc.invert(pc.is_nan(cells)))
        finite = pc.is_finite(cells)
        faults = dict.fromkeys(places(pc.invert(finite)), "not_a_number")
        # str of a numpy number is its shortest text in its own width: 0.1 and not 0.10000000149011612.
        numbers = keep(cells, finite)
        present = pc.is_valid(numbers).to_pylist()
        values = numbers.to_numpy(zero_copy_only=False)
        texts = [format(Decimal(str(v)), "f") if there else None for v, there in zip(values, present, strict=True)]
        return pa.array(texts, TEXT), faults
    column = wrong_type(cells, TEXT)
    return column.values, column.faults


def _plain_texts(cells: Any, rules: CsvRules, exponent: bool) -> tuple[Any, dict[int, str]]:
    if rules.decimal == "." and pc.all(pc.match_substring_regex(cells, _PLAIN)).as_py() is not False:
        return cells, {}
    trimmed = pc.utf8_trim_whitespace(cells)
    grammar, kept_groups = _grammar(rules.decimal, rules.thousands, rules.currency, exponent)
    written_well = pc.match_substring_regex(trimmed, grammar)
    faults = dict.fromkeys(places(pc.invert(written_well)), "not_a_number")
    plain = pc.replace_substring_regex(keep(trimmed, written_well), grammar, kept_groups)
    if rules.thousands is not None:
        plain = pc.replace_substring(plain, rules.thousands, "")
    if rules.decimal != ".":
        plain = pc.replace_substring(plain, rules.decimal, ".")
    return pc.utf8_ltrim(plain, "+"), faults


@lru_cache(maxsize=64)
def _grammar(decimal: str, thousands: str | None, currency: tuple[str, ...], exponent: bool) -> tuple[str, str]:
    """How a feed writes numbers, as a pattern, and the replacement that keeps sign and digits of what it matches."""
    point = re.escape(decimal)
    whole = "[0-9]+"
    if thousands is not None:
        whole = rf"(?:[0-9]{{1,3}}(?:{re.escape(thousands)}[0-9]{{3}})+|[0-9]+)"
    number = rf"(?:{whole}(?:{point}[0-9]+)?|{point}[0-9]+)" + ("(?:[eE][+-]?[0-9]+)?" if exponent else "")
    if not currency:
        return rf"^([+-]?)({number})$", r"\1\2"
    sign = "(?:" + "|".join(re.escape(each) for each in sorted(currency, key=len, reverse=True)) + ")"
    before = rf"(?:([+-]?)(?:{sign}{_BLANK})?|{sign}{_BLANK}([+-]))({number})"
    after = rf"([+-]?)({number}){_BLANK}{sign}"
    return rf"^(?:{before}|{after})$", r"\1\2\3\4\5"


def _whole_floats(cells: Any) -> tuple[Any, dict[int, str]]:
    numbers = cells.cast(pa.float64())
    numbers = keep(numbers, pc.invert(pc.is_nan(numbers)))
    finite = pc.is_finite(numbers)
    whole = pc.equal(pc.floor(numbers), numbers)
    faults = dict.fromkeys(places(pc.invert(whole)), "not_an_integer")
    faults |= dict.fromkeys(places(pc.invert(finite)), "not_a_number")
    exact = keep(numbers, pc.and_(whole, finite)).to_pylist()
    return pa.array([None if number is None else str(int(number)) for number in exact], TEXT), faults


def _in_range(whole: Any, faults: dict[int, str], spec: FieldSpec) -> Column:
    try:
        numbers = whole if whole.type == pa.int64() else whole.cast(pa.int64())
    except pa.ArrowInvalid:  # some need more than 64 bits
        return _large_in_range(whole, faults, spec)
    low = _LEAST if spec.minimum is None else spec.minimum
    high = _MOST if spec.maximum is None else spec.maximum
    if low > _LEAST or high < _MOST:
        ends = pc.min_max(numbers).as_py()
        if ends["min"] is not None and (ends["min"] < low or ends["max"] > high):
            return _large_in_range(whole, faults, spec)
    return Column(numbers, faults)


def _large_in_range(whole: Any, faults: dict[int, str], spec: FieldSpec) -> Column:
    texts = whole.cast(TEXT)
    too_many = pc.greater(pc.utf8_length(texts), _DIGITS_AT_MOST)
    faults = {**faults, **dict.fromkeys(places(too_many), "out_of_range")}
    numbers, _ = one_by_one(keep(texts, pc.invert(too_many)).to_pylist(), int)
    for place, number in enumerate(numbers):
        if number is None:
            continue
        below = spec.minimum is not None and number < spec.minimum
        if below or (spec.maximum is not None and number > spec.maximum):
            numbers[place], faults[place] = None, "out_of_range"
    try:
        return Column(pa.array(numbers, pa.int64()), faults)
    except OverflowError:
        return Column(numbers, faults)


def _decimal_type(spec: FieldSpec) -> pa.DataType | None:
    """The Arrow type with the column's digits, if there is one."""
    if not spec.precision or spec.scale is None or not 0 <= spec.scale <= spec.precision <= _WIDE:
        return None
    return (pa.decimal128 if spec.precision <= _NARROW else pa.decimal256)(spec.precision, spec.scale)


def _decimal_fault(text: str, spec: FieldSpec) -> str | None:
    """Why a column cannot hold a number exactly, or None if it can."""
    whole, _, fraction = text.removeprefix("-").partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    scale = len(fraction) if spec.scale is None else spec.scale
    rounded = "" if scale >= 0 else whole[scale:]  # a negative scale keeps whole tens, hundreds, …
    if len(fraction) > max(scale, 0) or rounded.strip("0"):
        return "scale"
    digits = (whole + fraction.ljust(scale, "0") if scale >= 0 else whole[:scale]).lstrip("0")
    if spec.significant is not None and len((whole + fraction).strip("0")) > spec.significant:
        return "precision"
    return "precision" if spec.precision is not None and len(digits) > spec.precision else None
