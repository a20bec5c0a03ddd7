"""What is written into the shops of some tests: models and transforms that make trouble."""

from __future__ import annotations

# A category that must be there when the transaction ends, and not before.
DEFERRED = """\
@sa.event.listens_for(sa.Engine, "connect")
def check_foreign_keys(connection, record):
    if "sqlite" in type(connection).__module__:
        connection.execute("PRAGMA foreign_keys = ON")


class Category(db.Model):
    __tablename__ = "category"

    id: Mapped[int] = mapped_column(primary_key=True)


class Product(db.Model):
    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(32), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    category_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("category.id", deferrable=True, initially="DEFERRED")
    )
"""

# Ends the process at the chunk that holds the product named DEADLY; written for the shop of one test.
DEADLY = """\
import os, signal

def clean(frame):
    if (frame["name"] == "Product 8").any():
        os.kill(os.getpid(), signal.SIGKILL)
    return frame
"""

# Sleeps at the chunk that holds the eighth product, for as long as a file of that name lies beside feeds.yaml.
SLEEPY = """\
import os, pathlib, time
FLAG = pathlib.Path(os.environ["RESTOCK_FEEDS"]).with_name("asleep")

def clean(frame):
    while (frame["name"] == "Product 8").any() and FLAG.exists():
        time.sleep(0.02)
    return frame
"""
