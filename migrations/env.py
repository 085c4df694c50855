"""Alembic's environment. The connection, its transaction and its pragmas are the caller's.

Driven by astrotui/catalog/migrate.py, never by an alembic.ini. To write a migration after a change of
astrotui/catalog/models.py:

    python -c "from astrotui.catalog.migrate import write_revision; write_revision('what changes')"

then clean it by hand (plain SQLAlchemy types, explicit names), add its number to REVISIONS in migrate.py and
run the tests: they hold migrations and models equal. Triggers vanish with a table that a batch rebuilds:
make them again. There are no downgrades: the copy kept before an upgrade is the way back.
"""

from typing import Any

from alembic import context

from astrotui.catalog.base import UtcDateTime
from astrotui.catalog.models import Frame


def plain_type(kind: str, item: Any, _: Any) -> str | bool:
    """Migrations outlive the models' own types, so they name SQLAlchemy's only."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Frame.metadata,
    render_item=plain_type,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
    transactional_ddl=True,  # all steps or none
)
with context.begin_transaction():
    context.run_migrations()
