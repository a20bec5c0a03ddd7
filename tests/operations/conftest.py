"""One station for all tests of this folder: `make up` in a house of its own, with a shop beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from fix_databases import MakeDatabase
from operations.houses import House, build_house
from takers import Taken, open_taker

from flows.orchestration.prefect_server import free_port


@pytest.fixture(scope="session")
def standing_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The house, its station up."""
    folder = tmp_path_factory.mktemp("house")
    house = build_house(folder, f"sqlite:///{folder / 'shop.sqlite'}")
    house.environment["PORT"] = str(free_port())
    try:
        house.succeed("-m", "flows.station", "up")
        yield house
    finally:
        house.run("flows.station", "down")
        house.shop.engine.dispose()


@pytest.fixture
def house(standing_house: House) -> Iterator[House]:
    """The house with an empty shop, six products in its feed, and a client of its Prefect server."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    shop = standing_house.shop
    for table in ("product", "restock_run", "restock_chunk", "restock_reject"):
        if table in shop.tables():
            shop.execute(f"DELETE FROM {table}")
    standing_house.fill(6)
    caller = standing_house.caller
    settings = {PREFECT_API_URL: caller["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: standing_house.secret}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        standing_house.client = client
        yield standing_house


@pytest.fixture
def mailbox() -> Iterator[Taken]:
    """An address that takes notifications, and what was sent there."""
    with open_taker() as opened:
        yield opened


@pytest.fixture
def prefects(make_database: MakeDatabase) -> sa.URL:
    """An empty database on PostgreSQL that Prefect's server can use."""
    url = sa.make_url(make_database("postgresql"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        there = connection.exec_driver_sql("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'").first()
    if there is None:
        pytest.skip("Install PostgreSQL with pg_trgm, which Prefect needs.")
    return url
