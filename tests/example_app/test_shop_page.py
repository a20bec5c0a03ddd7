"""The page of the example shop, on a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

import example_app
from example_app.models import Product, db

Visit = Callable[[str], str]


@pytest.fixture
def app(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", database_url)
    shop = example_app.create_app()
    yield shop
    close(shop)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def close(shop: Flask) -> None:
    with shop.app_context():
        db.engine.dispose()


def stock(app: Flask, *products: Product) -> None:
    with app.app_context():
        db.session.add_all(products)
        db.session.commit()


def test_an_empty_shop_says_how_to_fill_it(client: FlaskClient) -> None:
    answer = client.get("/")

    assert answer.status_code == 200
    assert "restock sync buy-com" in answer.text


def test_products_are_listed_with_their_price(app: Flask, client: FlaskClient) -> None:
    stock(app, Product(sku="1", name="Camera", price=Decimal("1849.77")), Product(sku="2", name="Lens"))

    page = client.get("/").text

    assert "2 products" in page
    assert "$1,849.77" in page
    assert page.index("Camera") < page.index("Lens")


@pytest.mark.parametrize("wanted", ["net", "fs-105", "DESKTOP"])
def test_search_looks_into_sku_name_and_description(app: Flask, client: FlaskClient, wanted: str) -> None:
    stock(
        app,
        Product(sku="FS-105", name="Netgear switch", description="for the desktop"),
        Product(sku="B7", name="Camera"),
    )

    page = client.get("/", query_string={"q": wanted}).text

    assert "Netgear switch" in page
    assert "Camera" not in page


def test_search_takes_percent_and_underscore_as_they_are(app: Flask, client: FlaskClient) -> None:
    stock(app, Product(sku="1", name="100% cotton"), Product(sku="2", name="Camera"))

    assert "1 product for" in client.get("/", query_string={"q": "0%"}).text
    assert "0 products for" in client.get("/", query_string={"q": "_"}).text


def test_whatever_products_and_visitors_write_is_escaped(app: Flask, client: FlaskClient) -> None:
    stock(app, Product(sku="<i>1", name="<script>alert(1)</script>", description='"><b>bold'))

    page = client.get("/").text
    searched = client.get("/", query_string={"q": '"><script>'}).text

    assert "<script>" not in page + searched
    assert "<b>bold" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_pages_hold_25_products_and_keep_the_search(app: Flask, client: FlaskClient) -> None:
    stock(app, *(Product(sku=f"s{n:02}", name=f"Cup {n:02}") for n in range(60)))

    second = client.get("/", query_string={"q": "cup", "page": 2}).text

    assert "Page 2 of 3" in second
    assert "Cup 25" in second
    assert "Cup 24" not in second
    assert 'href="/?q=cup&amp;page=3"' in second


@pytest.mark.parametrize("page", ["0", "-1", "x", "99", "9" * 30])
def test_a_page_that_does_not_exist_is_no_error(app: Flask, client: FlaskClient, page: str) -> None:
    stock(app, Product(sku="1", name="Camera"))

    assert client.get("/", query_string={"page": page}).status_code == 200


def test_the_page_can_only_be_read(client: FlaskClient) -> None:
    assert client.post("/").status_code == 405


def test_the_database_refuses_a_negative_price(app: Flask) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        stock(app, Product(sku="1", name="Camera", price=Decimal("-0.01")))


def test_without_a_setting_the_shop_keeps_a_file_in_its_instance_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SQLALCHEMY_DATABASE_URI", raising=False)
    monkeypatch.setattr(example_app, "INSTANCE_FOLDER", tmp_path / "instance")

    close(example_app.create_app())

    assert (tmp_path / "instance" / "shop.sqlite").exists()


def test_the_instance_folder_stands_beside_the_package() -> None:
    root = Path(__file__).resolve().parents[2]

    assert root / "instance" == example_app.INSTANCE_FOLDER
