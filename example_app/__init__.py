"""A small Flask shop: the target of the example feed, and a model for connecting an app of your own.

`flask --app example_app run` shows its products. Its database is the one that `SQLALCHEMY_DATABASE_URI` names, or else
the SQLite file `instance/shop.sqlite` beside this package. Nothing imports the shop: feeds.yaml names it as
`example_app:create_app`, as it would name any user's app.
"""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from example_app.models import db
from example_app.pages import pages

INSTANCE_FOLDER = Path(__file__).resolve().parent.parent / "instance"


def create_app() -> Flask:
    """Make the shop. Its tables are created where they are missing, so that the example needs no migrations."""
    app = Flask(__name__, instance_path=str(INSTANCE_FOLDER))
    # A relative SQLite path is one inside the instance folder.
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("SQLALCHEMY_DATABASE_URI") or "sqlite:///shop.sqlite"
    db.init_app(app)
    app.register_blueprint(pages)
    with app.app_context():
        db.create_all()
    return app
