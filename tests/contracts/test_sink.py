from contracts.loads import MakeTable, chunk_of
from factories import make_products
from restock.chunks import WriteCounts

def test_an_empty_chunk_is_loaded_and_writes_nothing(make_table: MakeTable) -> None:
    products = make_table()

    with products.recorded_writes() as writes:
        counts = products.load([])

    assert (counts, writes, products.rows()) == (WriteCounts(), [], [])


def test_records_whose_key_is_absent_are_inserted(make_table: MakeTable) -> None:
    products = make_table()

    counts = products.load(make_products(3))

    assert counts == WriteCounts(inserted=3)
    assert products.rows("sku", "name", "price", "stock") == [
        {name: record[name] for name in ("sku", "name", "price", "stock")} for record in make_products(3)
    ]
