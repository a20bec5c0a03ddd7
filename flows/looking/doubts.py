"""Text that an encoding or a spreadsheet may have damaged: it can be right all the same, so its row is accepted."""

from __future__ import annotations

import re
from contextlib import suppress

from restock.key_form import SHORTENED

# What text is doubtful for, by code.
DOUBTS = {
    "encoded_twice": "looks encoded twice, as CafÃ© for Café",
    "control_characters": (
        "holds control characters (U+0080 to U+009F), as text of cp1252 does that is read as ISO 8859"
    ),
    "shortened": "looks like a long number that a spreadsheet shortened, as 4.00638E+12",
}
# Letters that would be UTF-8 if they were bytes stand side by side, as in `CafÃ©`.
_NO_ASCII = re.compile("[^\\x00-\\x7f]{2,}")
_CONTROL = re.compile("[\\x80-\\x9f]")
# What no text without this is doubtful for.
SUSPECT = f"{_NO_ASCII.pattern}|{_CONTROL.pattern}|{SHORTENED}"


def doubt_about(text: str) -> str | None:
    """What a text is doubtful for, if it is: a code of `DOUBTS`."""
    if _is_encoded_twice(text):
        return "encoded_twice"
    if re.match(SHORTENED, text):
        return "shortened"
    return "control_characters" if _CONTROL.search(text) else None


def _is_encoded_twice(text: str) -> bool:
    for letters in _NO_ASCII.findall(text):
        for encoding in ("cp1252", "latin-1"):
            with suppress(UnicodeError):
                letters.encode(encoding).decode("utf-8")
                return True
    return False
