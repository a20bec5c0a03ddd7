"""The one page of the example shop: its products, with search and paging."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from sqlalchemy import or_, select

from example_app.models import Product, db

PRODUCTS_PER_PAGE = 25
LAST_PAGE = 1_000_000  # a larger number in the address would be more than a database can count

pages = Blueprint("pages", __name__)


@pages.get("/")
def products() -> str:
    """List the products whose SKU, name or description contains what `q` asks for."""
    wanted = request.args.get("q", "").strip()
    statement = select(Product).order_by(Product.name, Product.id)
    if wanted:
        searched = (Product.sku, Product.name, Product.description)
        statement = statement.where(or_(*(column.icontains(wanted, autoescape=True) for column in searched)))
    page = min(request.args.get("page", 1, type=int), LAST_PAGE)
    found = db.paginate(statement, page=page, per_page=PRODUCTS_PER_PAGE, error_out=False)
    return render_template("products.html", found=found, wanted=wanted)
