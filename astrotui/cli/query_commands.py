"""`queries`: queries with a name."""

from typing import TYPE_CHECKING

import click

from astrotui.cli.common import QUERY_SETTINGS, State, emit, pass_state, query_text, shared_options, table

if TYPE_CHECKING:
    from astrotui.catalog.fields import Scope


@click.command(context_settings=QUERY_SETTINGS)
@click.argument("action", type=click.Choice(["list", "save", "delete"]), default="list")
@click.argument("name", required=False)
@click.argument("query", nargs=-1, type=click.UNPROCESSED)
@click.option("--frames", "scope", flag_value="frames", help="save: the query is about frames, not sessions.")
@click.option("--stacks", "scope", flag_value="stacks", help="save: the query is about stacks.")
@shared_options
@pass_state
def queries(
    state: State, action: str, name: str | None, query: tuple[str, ...], scope: "Scope | None"
) -> None:
    """Queries with a name: list, save NAME QUERY, delete NAME. The word query:NAME stands for one."""
    from astrotui.catalog.saved import delete_query, list_queries, save_query

    if action != "list" and name is None:
        raise click.UsageError(f"queries {action} needs a name")
    with state.open() as catalog:
        if action == "save":
            text = query_text(query)
            if not text:
                raise click.UsageError("queries save needs a name and a query")
            with catalog.write() as db:
                save_query(db, str(name), scope or "sessions", text)
        elif action == "delete":
            with catalog.write() as db:
                delete_query(db, str(name))
        with catalog.read() as db:
            found = list_queries(db)
    if state.json:
        emit([{"name": q.name, "scope": q.scope, "query": q.text} for q in found])
    elif action == "list":
        click.echo(table(("NAME", "ABOUT", "QUERY"), [(q.name, q.scope, q.text) for q in found]))
    else:
        click.echo(f"{action}d {name}")
