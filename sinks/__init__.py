"""Records to tables: the write path into the user's Flask-SQLAlchemy app, and the ledger beside it."""
