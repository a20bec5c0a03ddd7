"""Other tools at the same works on PostgreSQL. Runs in the environment of peers.lock: `make bench-peers`.

`python -m benchmarks.peers NAME FILE [FIRST]` prints seconds as JSON, like `benchmarks.contestants`. Where a tool has
no upsert, it loads into unlogged staging, and the SQL that merges from there is written by hand, as its users do.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

# dlt otherwise asks the network and a file in the user's home.
os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

ROWS_AT_ONCE = 50_000
COLUMNS = (
    "id", "sku", "name", "description", "brand", "category", "price", "currency", "quantity", "active", "weight",
    "updated_at",
)  # fmt: skip


def dlt_merge(strategy: str) -> Callable[[str, str | None], float]:
    """dlt at its fastest: Arrow from Parquet, ADBC, and a primary key on its own table."""

    def merge(file: str, first: str | None) -> float:
        import dlt
        import pyarrow.parquet as pq

        def rows(path: str) -> Iterator[Any]:
            for piece in pq.ParquetFile(path).iter_batches(100_000):
                import pyarrow as pa

                yield pa.Table.from_batches([piece])

        def load(path: str, disposition: Any) -> None:
            source = dlt.resource(
                rows(path),
                name="product",
                primary_key="id",
                write_disposition=disposition,
                columns={"updated_at": {"data_type": "timestamp", "timezone": False}},  # type: ignore[arg-type]
            )
            pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()

        execute("DROP TABLE product")
        with tempfile.TemporaryDirectory() as folder:
            pipeline = dlt.pipeline(
                "peer",
                pipelines_dir=folder,
                destination=dlt.destinations.postgres(url_with_host()),
                dataset_name="public",
            )
            if first is not None:
                load(first, "append")
                execute("ALTER TABLE product ADD PRIMARY KEY (id)", "VACUUM ANALYZE product")
            started = time.perf_counter()
            load(file, "append" if first is None else {"disposition": "merge", "strategy": strategy})
            return time.perf_counter() - started

    return merge


def duckdb_postgres(file: str, first: str | None) -> float:
    """DuckDB's postgres extension, from the Parquet file."""
    import duckdb
    import duckdb_extension_postgres_scanner as package

    [extension] = Path(package.__file__).parent.rglob("*.duckdb_extension")
    with duckdb.connect() as session:
        session.execute(f"LOAD '{extension}'")
        session.execute(f"ATTACH '{libpq_url()}' AS shop (TYPE postgres)")
        return merged(
            lambda table: session.execute(f"INSERT INTO shop.public.{table} SELECT * FROM read_parquet('{file}')"),
            first,
        )


def polars_adbc(file: str, first: str | None) -> float:
    """polars' `write_database` with its ADBC engine."""
    import adbc_driver_postgresql.dbapi  # noqa: F401 - found now rather than while it is measured
    import polars

    def load(table: str) -> None:
        # ADBC sends what the frame holds, and the column of the table has 32 bits.
        frame = polars.read_parquet(file).with_columns(polars.col("quantity").cast(polars.Int32))
        frame.write_database(table, libpq_url(), if_table_exists="append", engine="adbc")

    return merged(load, first)


def pandas_copy(file: str, first: str | None) -> float:
    """pandas' `to_sql` with the COPY method of its documentation."""
    import pandas as pd
    import sqlalchemy as sa

    def copy(table: Any, connection: Any, keys: list[str], rows: Any) -> None:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        text.seek(0)
        with connection.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table.name} ({', '.join(keys)}) FROM STDIN WITH CSV", text)

    def load(table: str) -> None:
        frame = pd.read_parquet(file)
        frame["quantity"] = frame["quantity"].astype("Int64")
        engine = sa.create_engine(libpq_url().replace("postgresql://", "postgresql+psycopg2://", 1))
        frame.to_sql(table, engine, if_exists="append", index=False, method=copy, chunksize=ROWS_AT_ONCE)
        engine.dispose()

    return merged(load, first)


def pangres_upsert(file: str, _first: str | None) -> float:
    """pangres' `upsert`."""
    import pandas as pd
    import pangres
    import sqlalchemy as sa

    engine = sa.create_engine(libpq_url().replace("postgresql://", "postgresql+psycopg2://", 1))
    started = time.perf_counter()
    frame = pd.read_parquet(file).set_index("id")
    frame["quantity"] = frame["quantity"].astype("Int64")
    pangres.upsert(engine, frame, "product", if_row_exists="update", chunksize=4_000)
    return time.perf_counter() - started


def merged(load: Callable[[str], Any], first: str | None) -> float:
    """The seconds of a load into the table, or into staging with a merge by hand."""
    started = time.perf_counter()
    if first is None:
        load("product")
    else:
        names = ", ".join(COLUMNS)
        sets = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
        now, sent = (", ".join(f"{table}.{name}" for name in COLUMNS[1:]) for table in ("product", "excluded"))
        execute(f"CREATE UNLOGGED TABLE staging AS SELECT {names} FROM product WITH NO DATA")
        load("staging")
        execute(
            f"INSERT INTO product ({names}) SELECT {names} FROM staging "
            f"ON CONFLICT (id) DO UPDATE SET {sets} WHERE ({now}) IS DISTINCT FROM ({sent})",
            "DROP TABLE staging",
        )
    return time.perf_counter() - started


def execute(*statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    import psycopg

    with psycopg.connect(libpq_url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def libpq_url() -> str:
    """The database as PostgreSQL's own library wants it."""
    return os.environ["BENCH_DATABASE"].replace("postgresql+psycopg://", "postgresql://", 1)


def url_with_host() -> str:
    """The same with a host: a socket's folder can stand there as well."""
    import sqlalchemy as sa

    at = sa.make_url(os.environ["BENCH_DATABASE"])
    host = str(at.query.get("host") or at.host)
    return f"postgresql://{at.username}:{at.password or 'none'}@{quote(host, safe='')}:{at.port or 5432}/{at.database}"


PEERS: dict[str, Callable[[str, str | None], float]] = {
    "dlt, upsert": dlt_merge("upsert"),
    "dlt, delete-insert": dlt_merge("delete-insert"),
    "DuckDB": duckdb_postgres,
    "polars": polars_adbc,
    "pandas to_sql with COPY": pandas_copy,
    "pangres": pangres_upsert,
}


def main() -> None:
    """Do the work of one tool and print how long it took."""
    name, file, *first = sys.argv[1:]
    import pandas  # noqa: F401 - imports do not count
    import pyarrow.parquet  # noqa: F401
    import sqlalchemy  # noqa: F401

    print(json.dumps({"seconds": PEERS[name](file, first[0] if first else None)}))


if __name__ == "__main__":
    main()
