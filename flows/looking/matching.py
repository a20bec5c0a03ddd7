"""Which column of a source resembles which attribute of a model: by their names, or by values where it has none."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass

import pandas as pd

from restock.contract import Contract, FieldSpec, Kind

# Words that suppliers and shops use for the same thing, in lower case and without signs between them.
_SAME_MEANING = (
    "sku article articleno articlenumber articleid artikel artikelnummer artikelnr artnr itemno itemnumber itemid "
    "itemcode productid productcode productnumber productno partnumber uniqueid code ref reference référence handle",
    "ean ean13 gtin gtin13 gtin14 barcode upc",
    "name title productname itemname bezeichnung artikelbezeichnung titel nom désignation label headline",
    "description longdescription desc beschreibung text details descriptif",
    "price unitprice regularprice listprice retailprice preis prix amount vk verkaufspreis precio prezzo",
    "stock quantity qty inventory onhand available bestand menge lagerbestand quantité",
    "brand brands manufacturer vendor make marke hersteller marque",
    "updatedat modifiedat lastmodified changedat lastupdate modified geändert geändertam aktualisiert",
    "category categories productcategory kategorie warengruppe catégorie producttype",
    "weight gewicht poids peso",
    "net netto",
    "gross brutto",
    "vat tax mwst ust tva iva",
    "status state condition zustand état",
    "active isactive enabled aktiv actif activo",
    "warehouse location lager lagerort depot entrepôt",
    "url link producturl deeplink",
    "image images imageurl imagelink picture bild",
)
_GROUPS = [frozenset(words.split()) for words in _SAME_MEANING]
_NEAR = 0.82
# How values of a kind may be written, for columns without a name.
_LOOKS = {
    Kind.INTEGER: r"[-+]?\d+",
    Kind.DECIMAL: r"\D{0,4}\d[\d.,' ]*\D{0,4}",
    Kind.FLOAT: r"\D{0,4}\d[\d.,' ]*\D{0,4}",
    Kind.BOOLEAN: r"(?i)true|false|yes|no|[tfyn01]",
    Kind.DATE: r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}",
    Kind.DATETIME: r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}[T ]\d.*",
}


@dataclass(frozen=True)
class Match:
    """A column that seems to fill an attribute; `doubt` says why that is not certain, if it is not."""

    attribute: str
    column: str
    score: float
    doubt: str | None = None


def match_columns(columns: list[str], attributes: list[str]) -> list[Match]:
    """Match each attribute with at most one column and the other way round, the surest matches first.

    Returns:
        The matches in the order of the attributes.
    """
    pairs = [match for attribute in attributes for column in columns if (match := _match(attribute, column))]
    chosen: dict[str, Match] = {}
    taken: set[str] = set()
    for match in sorted(pairs, key=lambda each: -each.score):  # sorted keeps the order of the file among equals
        if match.attribute not in chosen and match.column not in taken:
            chosen[match.attribute] = match
            taken.add(match.column)
    return [chosen[name] for name in attributes if name in chosen]


def match_values(sample: pd.DataFrame, contract: Contract) -> list[Match]:
    """Match columns without names by what they hold: keys first, then each attribute with the next column that fits."""
    attributes = [*contract.key, *(name for name in contract.fields if name not in contract.key)]
    chosen: dict[str, Match] = {}
    for attribute in attributes:
        spec = contract.fields[attribute]
        taken = {match.column for match in chosen.values()}
        for column in [name for name in sample.columns if name not in taken]:
            if _fits(sample[column], spec, attribute in contract.key):
                chosen[attribute] = Match(attribute, column, 0.5, "matched by its values and its place alone")
                break
    return [chosen[name] for name in contract.fields if name in chosen]


def _fits(cells: pd.Series, spec: FieldSpec, is_key: bool) -> bool:
    known = cells.dropna()
    if known.empty or (is_key and (len(known) < len(cells) or known.duplicated().any())):
        return False
    pattern = _LOOKS.get(spec.kind)
    if pattern is not None:
        return bool(known.str.fullmatch(pattern).all())
    is_number = bool(known.str.fullmatch(_LOOKS[Kind.DECIMAL]).all())
    return spec.kind is Kind.TEXT and (is_key or not is_number) and known.str.len().max() <= (spec.length or math.inf)


def _match(attribute: str, column: str) -> Match | None:
    if attribute == column:
        return Match(attribute, column, 1.0)
    ours, theirs = _plain(attribute), _plain(column)
    if ours == theirs:
        return Match(attribute, column, 0.95)
    if any(ours in group and theirs in group for group in _GROUPS):
        return Match(attribute, column, 0.9, "matched by its meaning")
    wanted, words = _meanings(attribute), _meanings(column)
    if wanted == words:
        return Match(attribute, column, 0.85, "matched by its meaning")
    if wanted < words and "id" not in wanted:
        return Match(attribute, column, 0.8 - 0.01 * len(words), "matched because its name holds the attribute's")
    likeness = difflib.SequenceMatcher(None, ours, theirs).ratio()
    if likeness >= _NEAR and len(ours) > 3:
        return Match(attribute, column, likeness * 0.75, "matched because the names are alike")
    return None


def _meanings(name: str) -> set[str]:
    """The words of a name, those of one meaning as one."""
    words = re.findall(r"[^\W_]+", name.casefold())
    return {next((min(group) for group in _GROUPS if word in group), word) for word in words}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
