"""The SQLite catalogue: models, database, query language."""
