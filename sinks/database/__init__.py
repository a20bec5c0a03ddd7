"""The user's app and its database: its engine, its transactions, and what its errors mean."""
