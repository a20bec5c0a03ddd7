"""What a Pandera schema costs a chunk without a fault, beside transform and cast, and its rules by themselves.

python -m benchmarks.schema_cost
"""

from __future__ import annotations

import sys
import time
from types import ModuleType

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pyarrow.compute as pc

from benchmarks.catalogue import BLOCK_ROWS, SCHEMA, Catalogue
from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SUPERSEDED, ChunkRef
from restock.contract import Contract, FieldSpec, Kind
from restock.feeds import Feed
from transforms.apply import transform_chunk

ROUNDS = 7
KINDS = {
    **dict.fromkeys(("id", "quantity"), Kind.INTEGER),
    **dict.fromkeys(("sku", "name", "description", "brand", "category", "currency"), Kind.TEXT),
    **{"price": Kind.DECIMAL, "active": Kind.BOOLEAN, "weight": Kind.FLOAT, "updated_at": Kind.DATETIME},
}


class ProductSchema(pa.DataFrameModel):
    """A range, a length, a pattern and a rule across columns."""

    sku: str = pa.Field(str_matches=r"^[A-Z0-9-]+$")
    name: str = pa.Field(str_length={"max_value": 300}, nullable=True)
    price: float = pa.Field(ge=0, nullable=True)
    quantity: int = pa.Field(ge=0, nullable=True)

    @pa.dataframe_check
    def is_new_or_has_a_name(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["name"].notna() | (frame["id"] > 0)


def measure(chunk: pd.DataFrame, **keys: object) -> float:
    """The least processor time of some rounds, in milliseconds."""
    feed = Feed.model_validate({"name": "x", "source": "x", "app": "x:y", "model": "x:Y", **keys})
    contract = Contract({name: FieldSpec(name, kind, precision=12, scale=2) for name, kind in KINDS.items()}, ("id",))
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        done = transform_chunk(chunk, ChunkRef("run", 1, "", 1, len(chunk), 1), feed, contract)
        best = min(best, time.process_time() - started)
        assert not done.rejects
        assert len(done.frame) == len(chunk)
    return best * 1000


def measure_rules(chunk: pd.DataFrame) -> float:
    """The least processor time of the schema's rules as anybody would write them in pandas, in milliseconds."""
    best = float("inf")
    typed = {"price": "double[pyarrow]", "quantity": "Int64", "id": "Int64"}
    values = chunk.assign(**{name: chunk[name].astype(dtype) for name, dtype in typed.items()})
    for _ in range(ROUNDS):
        started = time.process_time()
        fits = values["sku"].str.match(r"^[A-Z0-9-]+$") & (values["name"].str.len() <= 300)
        fits &= (values["price"].isna() | (values["price"] >= 0)) & (
            values["quantity"].isna() | values["quantity"].ge(0)
        )
        fits &= values["name"].notna() | (values["id"] > 0)
        best = min(best, time.process_time() - started)
        assert fits.all()
    return best * 1000


def text_chunk() -> pd.DataFrame:
    """A chunk of the catalogue as a CSV source spools it: every cell is text."""
    table = next(Catalogue(BLOCK_ROWS, 7).first_night())
    texts = {name: pc.cast(table[name], arrow.large_string()) for name in SCHEMA.names}
    dtype = pd.StringDtype("pyarrow", na_value=np.nan)
    frame = pd.DataFrame({name: pd.Series(cells.to_pandas(), dtype=dtype) for name, cells in texts.items()})
    rows = len(frame)
    spool = {ROW: np.arange(1, rows + 1), LINE: np.arange(2, rows + 2), SUPERSEDED: np.zeros(rows, bool)}
    nothing = {name: pd.Series([None] * rows, dtype=dtype) for name in (FAULT, RAW)}
    return frame.assign(**spool, **nothing, **{BYTE: pd.array([None] * rows, dtype="Int64")})


def main() -> None:
    """Print the times of a chunk with and without the schema."""
    module = ModuleType("measured_schema")
    module.ProductSchema = ProductSchema  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    chunk, schema = text_chunk(), "measured_schema:ProductSchema"
    for transform in ((), "transforms.products:clean"):
        without, with_it = measure(chunk, transform=transform), measure(chunk, transform=transform, schema=schema)
        name, rules = transform or "no transform", measure_rules(chunk)
        print(
            f"{name}: {without:.1f} ms for {len(chunk):,} rows, a schema {with_it - without:.1f} ms more "
            f"(+{with_it / without - 1:.0%}); its rules in plain pandas take {rules:.1f} ms"
        )


if __name__ == "__main__":
    main()
