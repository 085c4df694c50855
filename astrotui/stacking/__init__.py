"""A plan becomes a result: plan, masters, engine, provenance."""
