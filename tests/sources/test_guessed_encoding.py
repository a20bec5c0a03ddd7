"""The encoding of a text is guessed for a person to correct: right where its signs tell it, the usual one in a tie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sources.looking.guessing import guess_dialect
from sources.places.locations import SourceFile

Found = Callable[..., tuple[SourceFile, object]]

GERMAN = "Gartenschlauch Säge Müll Gießkanne Öl Häcksler Grün Rückenspritze Türschloß Kästen Überzug Löffel Draht"
FRENCH = "Râteau Pelle Crème légère Chêne foncé Poêle émaillée Français Garçon Théière Fenêtre Clé Maïs"
POLISH = "Wąż Młotek Łopata Śruba Źródło Żarówka Ćwikła Piła Gwóźdź Zielony Klucz płaski Święty zębów Koń Krzesło"
CZECH = "Hadice Kladivo Žárovka Šroub Řetěz Dřevo Červená barva Kůň Hřebík Kleště Čaj Ručník Stůl Židle Nůž Pěna"
GREEK = "Σφυρί Πριόνι Φτυάρι Λάμπα Βίδα Λάστιχο κήπου Κόκκινο χρώμα Ψωμί Νερό"
RUSSIAN = "Молоток Пила Лопата Лампа Шуруп Шланг садовый Красный цвет Хлеб Вода"

TEXTS = {
    "German": ("cp1252", GERMAN),
    "German with few umlauts": ("cp1252", "Säge Müll"),
    "German with a few more": ("cp1252", "Säge Müll Öl"),
    "German with other languages' words": ("cp1252", "Säge Müll Öl Gruyère Garçon Soufflé Jalapeño Brühe Käse"),
    "German quotes, dashes and euros": ("cp1252", "Gartenschlauch_„XL“_–_10_€ Gießkanne_„S“_–_5_€ Hose_‚L‘_–_8_€"),
    "euros alone": ("cp1252", "Holzkiste_5_€ Draht_7_€"),
    "signs alone": ("cp1252", "Holz™ Draht® Besen_–_rot Kanne_•_blau Eimer_…"),
    "German without cp1252's signs": ("iso8859-15", "Säge_5_€ Müll_6_€ Gießkanne_7_€ Öl_8_€"),
    "German of DOS": ("cp850", GERMAN),
    "German of DOS with few umlauts": ("cp850", "Säge Löffel Möhre Draht"),
    "German of an old Macintosh": ("mac-roman", GERMAN),
    "French": ("cp1252", FRENCH),
    "French of DOS": ("cp850", FRENCH),
    "Spanish": ("cp1252", "Niño Señal Jamón Camión Cañón Aceituna Plátano Azúcar Lámpara Cajón Cigüeña"),
    "Spanish of DOS": ("cp850", "Niño Señal Jamón Camión Plátano Azúcar Lámpara Cajón pequeña"),
    "Italian": ("cp1252", "Caffè Città Tè Qualità Perché Più Martello Sega"),
    "Catalan": ("cp1252", "Col·lecció Català Pèl Raïm Cotó"),
    "Swedish": ("cp1252", "Såg Hammare Träd Krätta Grönsak Blå Åkgräsklippare Möbel Räka Smör"),
    "Polish": ("cp1250", POLISH),
    "Polish by ISO": ("iso8859-2", POLISH),
    "Polish of DOS": ("cp852", POLISH),
    "Czech": ("cp1250", CZECH),
    "Czech of DOS": ("cp852", CZECH),
    "Hungarian": ("cp1250", "Fűrész Kalapács Tömlő Villanykörte Ernyő Fűnyíró Hőmérő Szőnyeg Gyűrű Könyv"),
    "Turkish": ("cp1254", "Çekiç Testere Kürek Işık Yeşil Kırmızı Ağaç Şeker Bıçak Kaşık Gümüş Yağ"),
    "Lithuanian": ("cp1257", "Plaktukas Pjūklas Žalias Šaukštas Sėkla Žąsis Ąžuolas Rožė Čiužinys Šviežia"),
    "Greek": ("cp1253", GREEK),
    "Russian": ("cp1251", RUSSIAN),
    "Russian of DOS": ("cp866", RUSSIAN),
    "Russian of Unix": ("koi8-r", RUSSIAN),
    "Hebrew": ("cp1255", "פטיש מסור את חפירה מנורה בורג צינור אדום לחם מים"),
    "Hebrew of DOS": ("cp862", "פטיש מסור את חפירה מנורה בורג צינור אדום לחם מים"),
    "Japanese": ("cp932", "ハンマー のこぎり スコップ 電球 ねじ 庭用ホース 赤い色 パン 水"),
    "UTF-8": ("utf-8", GERMAN + RUSSIAN),
    "UTF-16": ("utf-16", GERMAN),
}


def table_of(names: str, rows: int) -> str:
    """Rows of a table with these names in turn; `_` stands for a blank."""
    words = [name.replace("_", " ") for name in names.split()]
    cells = [f"{row:04};{words[row % len(words)]} {row};{row},50\n" for row in range(rows)]
    return "sku;name;price\n" + "".join(cells)


@pytest.mark.parametrize("rows", [20, 300])
@pytest.mark.parametrize("case", TEXTS)
def test_the_encoding_of_a_table_is_guessed_by_its_signs(case: str, rows: int, tmp_path: Path, found: Found) -> None:
    encoding, names = TEXTS[case]
    (tmp_path / "f.csv").write_bytes(table_of(names, rows).encode(encoding))

    guessed = guess_dialect(found(tmp_path / "f.csv")[0])

    assert guessed.rules["encoding"] == encoding


@pytest.mark.parametrize("case", [case for case, (encoding, _) in TEXTS.items() if not encoding.startswith("utf")])
def test_cp1252_is_named_wherever_the_bytes_may_be_it(case: str, tmp_path: Path, found: Found) -> None:
    encoding, names = TEXTS[case]
    content = table_of(names, 20).encode(encoding)
    (tmp_path / "f.csv").write_bytes(content)

    told = guess_dialect(found(tmp_path / "f.csv")[0]).doubts["encoding"]

    may_be = not any(byte in content for byte in b"\x81\x8d\x8f\x90\x9d")
    assert ("cp1252" in told) is may_be
