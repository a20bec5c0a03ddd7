"""The reason codes of rejects and the sentence that each stands for: the one list of them.

Codes are stable: the ledger keeps them and dashboards count them. A feed's own transforms may add codes of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

from restock.chunks import Fault

REASONS: dict[str, str] = {
    # Found while the source was read.
    "too_few_fields": "The row has fewer fields than the header.",
    "too_many_fields": "The row has more fields than the header.",
    "encoding": "The text holds bytes or characters that the declared encoding cannot stand for.",
    "quote": "A quoted field is not closed, or text follows its closing quote.",
    "field_too_large": "A field is larger than restock accepts.",
    "drift": "The columns of the row's file differ from those of the first file, and the feed rejects such rows.",
    "duplicate_key": "Another row of the source, or of its correction, has the same key.",
    "key_twice": "The table has several rows whose {column} is this one in the feed's form of keys; keep one of them.",
    "key_conflict": "{column} is that of another row than the one its key meets.",
    "other_kind": "The table has the row of this {column} as one of another model that shares it.",
    "overtaken": (
        "The table has the row of this {column} with other values, and a newer run or another row may have brought "
        "them: if they are wrong, send the row with the feed's next changes."
    ),
    # Found by the cast to what the model demands.
    "missing_key": "{column} is part of the key and is missing.",
    "shortened_key": "{column} is a number that a spreadsheet shortened, so its digits are lost: export it as text.",
    "null": "{column} must have a value and has none.",
    "wrong_type": "{column} came as a type that cannot become the type of its column.",
    "not_a_number": "{column} is not a number as the feed's rules write numbers.",
    "not_an_integer": "{column} is not a whole number.",
    "out_of_range": "{column} is below or above what its column can hold.",
    "scale": "{column} has more digits after the point than its column holds.",
    "precision": "{column} has more digits than its column holds.",
    "not_a_flag": "{column} is none of the feed's words for true and false.",
    "not_a_date": "{column} is not a date as the feed's rules write dates.",
    "not_a_time": "{column} is not a time of day.",
    "not_a_timestamp": "{column} is not a timestamp as the feed's rules write timestamps.",
    "time_gap": "{column} is a local time that was skipped when the clocks went forward.",
    "time_overlap": "{column} is a local time that occurred twice when the clocks went back.",
    "not_an_interval": "{column} is not a span of time such as P1DT2H.",
    "too_long": "{column} is longer than its column.",
    "nul": "{column} holds the character U+0000, which the database cannot store.",
    "not_in_enum": (
        "{column} is none of the words that the model's Enum stores: the names of its members unless values_callable "
        "says otherwise."
    ),
    "not_a_kind": "{column} is none of the kinds of rows that the model knows (its polymorphic identities).",
    "not_a_list": "{column} is no list, nor the JSON text of one, as [1, 2] is.",
    "not_a_uuid": "{column} is not a UUID.",
    "json": "{column} is not valid JSON.",
    # Found by the feed's own schema; the name of the check follows, as in `schema:str_matches`.
    "schema": "{column} breaks the rule {constraint} of the feed's schema.",
    # Found by the database; a constraint follows, as in `unique:uq_product_sku`, or the code of the database itself.
    "unique": "Another row already has the same values ({constraint}).",
    "held_by": "{column} names the row that has them; `restock rejects` shows its value.",
    "foreign_key": "{column} refers to a row that does not exist ({constraint}).",
    "check": "The row breaks a rule of the table ({constraint}).",
    "exclusion": "The row excludes another one ({constraint}).",
    "trigger": "A trigger of the table does not take the row.",
    "model_type": "{column} is nothing that the model's own type of its column takes.",
    "model": "The model's own code refuses the row ({constraint}).",
    "refused": "The database does not take the row (its error code is {constraint}).",
}


def sentence(code: str, column: str | None) -> str:
    """What a reason code says about a row, for people.

    Args:
        code: a code of `REASONS`, one followed by `:` and a constraint, or one that a transform gave.
        column: the attribute at fault, if it is one.
    """
    reason, _, constraint = code.partition(":")
    if reason not in REASONS:
        return f"A transform set the row aside as {code}{f' because of {column}' if column else ''}."
    return REASONS[reason].format(
        column=column or ("The row" if reason == "schema" else "A value"), constraint=constraint or "unnamed"
    )


def sentences(faults: Iterable[Fault]) -> str:
    """All that is wrong with a row, for people."""
    return " ".join(sentence(fault.code, fault.column) for fault in faults)
