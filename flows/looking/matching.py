"""Which column of a source resembles which attribute of a model: by their names, or by values where it has none."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from restock.contract import Contract, FieldSpec, Kind
from transforms.guessed_rules import could_hold

# Words that suppliers and shops use for the same thing, in lower case, without accents and without signs between them.
_SAME_MEANING = (
    "sku article articleno articlenumber articleid artikel artikelnummer artikelnr artnr itemno itemnumber "
    "itemid itemcode productid productcode productnumber productno partnumber uniqueid code ref reference "
    "handle produktid idprodukt idproduit idproducto idprodotto referencia ugs codigo clave codice riferimento "
    "kod indeks symbol артикул код",
    "ean ean13 gtin gtin13 gtin14 barcode upc codigobarras codigodebarras codebarres codebarre codiceabarre "
    "kodkreskowy штрихкод",
    "name title productname itemname bezeichnung artikelbezeichnung titel nom designation label headline nombre "
    "titulo libelle intitule denominacion nome titolo denominazione nazwa наименование название",
    "description longdescription desc beschreibung text details descriptif descripcion descrizione opis описание",
    "price unitprice regularprice listprice retailprice preis prix amount vk verkaufspreis precio prezzo pvp "
    "tarif cena цена",
    "stock quantity qty inventory onhand available bestand menge lagerbestand quantite existencias cantidad "
    "giacenza quantita ilosc stan остаток количество",
    "brand brands manufacturer vendor make marke hersteller marque marca fabricante fabricant produttore marka "
    "producent бренд производитель",
    "supplier lieferant proveedor fournisseur fornitore dostawca поставщик",
    "updatedat modifiedat lastmodified changedat lastupdate modified geandert geandertam aktualisiert "
    "actualizado aggiornato zaktualizowano",
    "category categories productcategory kategorie warengruppe categorie producttype categoria familia famille "
    "kategoria категория",
    "weight gewicht poids peso waga вес",
    "net netto neto ht",
    "gross brutto bruto lordo ttc",
    "vat tax mwst ust tva iva ндс",
    "status state condition zustand etat estado stato",
    "active isactive enabled aktiv actif activo attivo aktywny",
    "availability verfugbarkeit disponibilidad disponibilite disponibilita dostepnosc наличие",
    "warehouse location lager lagerort depot entrepot almacen magazzino magazyn склад",
    "url link producturl deeplink enlace lien",
    "image images imageurl imagelink picture bild imagen immagine zdjecie",
)
_GROUPS = [frozenset(words.split()) for words in _SAME_MEANING]
_MEANING = {word: min(group) for group in _GROUPS for word in group}
_MEANINGS = set(_MEANING.values())
# So many letters at the end of a longer word, as in Nettopreis, are a word of their own.
_LETTERS_OF_A_WORD = 5
_LETTERS_BEFORE_IT = 3
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


def match_leftovers(sample: pd.DataFrame, contract: Contract, required: tuple[str, ...]) -> list[Match]:
    """Match columns whose names told nothing by what they hold: each with the only attribute that could hold it.

    Text fits too much to mean something: columns of text are asked only for what the model demands, and for its key.

    Args:
        sample: rows of the columns that no attribute has yet.
        contract: the attributes that no column fills yet, and the key.
        required: the attributes that a new row cannot do without.
    """
    wanted = [n for n, spec in contract.fields.items() if spec.kind is not Kind.TEXT or n in (*required, *contract.key)]
    fitting = {
        column: {name for name in wanted if _could_be(sample[column], column, contract.fields[name], contract.key)}
        for column in sample.columns
    }
    chosen: list[Match] = []
    while sure := _only_ones(fitting):
        for attribute, column in sure.items():
            chosen.append(Match(attribute, column, 0.5, "matched by its values alone"))
            del fitting[column]
        for names in fitting.values():
            names.difference_update(sure)
    return chosen


def _only_ones(fitting: dict[str, set[str]]) -> dict[str, str]:
    """Of columns that fit one attribute only, those that no other such column fits: attribute by attribute."""
    found = Counter(min(names) for names in fitting.values() if len(names) == 1)
    return {min(names): column for column, names in fitting.items() if len(names) == 1 and found[min(names)] == 1}


def _could_be(cells: pd.Series, column: str, spec: FieldSpec, key: tuple[str, ...]) -> bool:
    """Whether a column holds what an attribute takes, and is not named as something else."""
    ours, theirs = _meanings(spec.name) & _MEANINGS, _meanings(column) & _MEANINGS
    is_else = bool(ours and theirs and not ours & theirs)
    if is_else or not (spec.nullable or (cells.fillna("").str.strip() != "").all()):
        return False
    return _fits(cells, spec, spec.name in key) and could_hold(spec, cells.dropna())


def _fits(cells: pd.Series, spec: FieldSpec, is_key: bool) -> bool:
    known = cells[cells.str.strip() != ""].dropna()
    if known.empty or (is_key and (len(known) < len(cells) or known.duplicated().any())):
        return False
    if spec.choices:
        return bool(known.isin(spec.choices).all())
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
    if ours in _MEANING and _MEANING[ours] == _MEANING.get(theirs):
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
    apart = "".join(
        f" {sign}" if sign.isupper() and before.islower() else sign for before, sign in pairwise(f" {name}")
    )
    return {meaning for word in re.findall(r"[^\W_]+", _folded(apart)) for meaning in _meanings_of_word(word)}


def _meanings_of_word(word: str) -> set[str]:
    """What a word means; of one put together from others, as Nettopreis is, what its parts mean."""
    if word in _MEANING:
        return {_MEANING[word]}
    for place in range(_LETTERS_BEFORE_IT, len(word)):
        before, end = word[:place], word[place:]
        if end in _MEANING and (len(end) >= _LETTERS_OF_A_WORD or before in _MEANING):
            return {_MEANING.get(before, before), _MEANING[end]}
    return {word}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", _folded(name))


def _folded(name: str) -> str:
    """In lower case and without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(sign))
