"""References resolve to objects, or to an error that says which part is wrong."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest

from restock.errors import ConfigurationError
from restock.references import add_to_import_path, resolve, resolve_call


def test_a_reference_names_an_object_by_module_and_dotted_name():
    assert resolve("decimal:Decimal", "the type") is Decimal
    assert resolve("decimal:Decimal.from_float", "the type") == Decimal.from_float


@pytest.mark.parametrize("reference", ["decimal", "decimal:", ":Decimal", ""])
def test_a_malformed_reference_is_told(reference):
    with pytest.raises(ConfigurationError, match=r"The app is given as .*; write it as package\.module:name"):
        resolve(reference, "the app")


@pytest.mark.parametrize(
    "reference, sentence",
    [
        ("decimal:Decimals", "decimal has no 'Decimals'; correct the name after the colon"),
        ("no_such_module:x", "there is no module 'no_such_module'; correct the reference, or put the module beside"),
        ("decimal.more:x", "'decimal' is not a package|there is no module 'decimal.more'"),
        ("transforms.mine:x", "correct the reference, or rename a package of yours: 'transforms' is restock's own and"),
    ],
)
def test_what_cannot_be_found_is_told_with_the_part_that_is_wrong(reference, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        resolve(reference, "the app")


@pytest.mark.parametrize(
    "body, sentence",
    [
        ("import no_such_library\n", "it needs the module 'no_such_library', which is not installed here"),
        ("\nraise ValueError('secret')\n", r"failed while it was imported \(ValueError in .*broken_app.py, line 2\)"),
        ("x = (\n", r"failed while it was imported \(SyntaxError in .*broken_app.py, line 1\)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_place(tmp_path, monkeypatch, body, sentence):
    (tmp_path / "broken_app.py").write_text(body, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigurationError, match=sentence) as caught:
        resolve("broken_app:app", "the app")

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "reference, arguments",
    [
        ("decimal:Decimal", ((), {})),
        ("decimal:Decimal()", ((), {})),
        ('decimal:Decimal("a(b", -1, debug=False)', (("a(b", -1), {"debug": False})),
        ('decimal:Decimal.from_float(1.5, name=")")', ((1.5,), {"name": ")"})),
    ],
)
def test_a_reference_may_give_arguments(reference, arguments):
    found, *given = resolve_call(reference, "the app")

    assert found in (Decimal, Decimal.from_float)
    assert tuple(given) == arguments


@pytest.mark.parametrize(
    "call",
    [
        'Decimal(**{"testing": True})',
        'Decimal(testing=True, **{"debug": False})',
        'Decimal(*["testing"])',
        "Decimal(name)",
        "Decimal(make())",
        'Decimal("a")("b")',
        'Decimal("a").scaled("b")',
        'Decimal("a").scaled',
        'Decimal("a") or Decimal("b")',
        'Decimal("a"',
        "Decimal(1); Decimal(2)",
    ],
)
def test_arguments_that_are_no_plain_values_of_one_call_are_refused_and_never_dropped(call):
    with pytest.raises(ConfigurationError, match=r"The app is given as .*; write it as .* plain values as arguments"):
        resolve_call(f"decimal:{call}", "the app")


def test_a_folder_joins_the_import_path_once_and_last(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["first"])

    add_to_import_path(str(tmp_path))
    add_to_import_path(str(tmp_path))

    assert sys.path == ["first", str(tmp_path)]
