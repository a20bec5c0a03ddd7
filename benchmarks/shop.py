"""The app that every contestant loads into; its database is named by BENCH_DATABASE."""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Float, Numeric, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What the shop's models have in common: nothing."""


db = SQLAlchemy(model_class=Base)


class Product(db.Model):  # type: ignore[name-defined, misc]
    """One product of the catalogue."""

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(String(20), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    brand: Mapped[str | None] = mapped_column(String(50))
    category: Mapped[str | None] = mapped_column(String(50))
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    currency: Mapped[str | None] = mapped_column(String(3))
    quantity: Mapped[int | None]
    active: Mapped[bool | None]
    weight: Mapped[float | None] = mapped_column(Float)
    updated_at: Mapped[dt.datetime | None]


def create_app() -> Flask:
    """The shop, with its table created."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["BENCH_DATABASE"]
    db.init_app(app)
    with app.app_context():
        db.create_all()
    return app
