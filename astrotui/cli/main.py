"""The entry of the command line: finds a command, opens the app without one, turns errors into one line."""

import difflib
import importlib
import logging
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any, NoReturn

import click

from astrotui import __version__
from astrotui.cli.common import State, shared_options
from astrotui.errors import AstrotuiError
from astrotui.loading import collect_rarely
from astrotui.text import clean

# Command -> module and function. Modules load when their command runs, so that none pays for another's imports.
COMMANDS = {
    "index": "library_commands:index",
    "sessions": "library_commands:sessions",
    "frames": "library_commands:frames",
    "set": "library_commands:set_",
    "queries": "query_commands:queries",
    "darks": "darks_commands:darks",
    "measure": "choose_commands:measure",
    "cull": "choose_commands:cull",
    "accept": "choose_commands:accept",
    "reject": "choose_commands:reject",
    "undo": "choose_commands:undo",
    "redo": "choose_commands:redo",
    "decisions": "decisions_commands:decisions",
    "stack": "stack_commands:stack",
    "stacks": "stack_commands:stacks",
    "watch": "watch_commands:watch",
    "masters": "masters_commands:masters",
    "render": "render_commands:render",
    "compose": "compose_commands:compose",
    "export": "export_commands:export",
    "solve": "solve_commands:solve",
    "report": "report_commands:report",
    "jobs": "job_commands:jobs",
    "worker": "job_commands:worker",
    "exposure": "help_commands:exposure",
    "help": "help_commands:help_",
    "doctor": "doctor_commands:doctor",
}


class ReaderGoneError(Exception):
    """What was written to is closed, such as the pipe to `head`; click would make a plain failure of it."""


class Commands(click.Group):
    """Loads commands when they are asked for; words that are folders open the app on them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"astrotui.cli.{module}"), function)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS:
            return super().resolve_command(ctx, args)
        if Path(name).expanduser().is_dir():
            return "open", open_app, args
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; `astrotui help` lists the commands"
        raise click.UsageError(f"no command or folder {clean(name, 100)!r}{hint}")


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, message="astrotui %(version)s")
@shared_options
@click.pass_context
def cli(context: click.Context) -> None:
    """Index, judge, calibrate and stack night-sky frames on the machine that holds them.

    Without a command, or with folders instead of one, the app opens.
    """
    if context.invoked_subcommand is None:
        context.invoke(open_app, roots=())


@click.command("open")
@click.argument("roots", nargs=-1, type=click.Path(path_type=Path))
@click.pass_context
def open_app(context: click.Context, roots: tuple[Path, ...]) -> None:
    """Open the app; add and index ROOTS in the background."""
    state = context.ensure_object(State)
    if state.json:
        raise click.UsageError("--json needs a command; `astrotui help` lists them")
    # It would draw into a file, and be woken without end by an input that is over.
    if not all(stream and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__)):
        raise click.ClickException("the app needs a terminal; `astrotui help` lists the commands")
    if roots:
        from astrotui.library.roots import check_outside

        for root in roots:
            check_outside(state.catalog_file, root)
    from astrotui.tui.start import run_app

    context.exit(run_app(state.catalog_file, roots))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 nothing asked for was done, 2 the words were wrong."""
    collect_rarely()
    warnings.filterwarnings("ignore")  # stderr is for people; libraries warn into job logs
    logging.getLogger("astrotui").addHandler(logging.NullHandler())
    _open_closed_streams()
    state = State()
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    try:
        code: Any = cli.main(args=words, prog_name="astrotui", obj=state, standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - said in one line
        end_with(error, debug=debug)


def end_with(error: BaseException, *, debug: bool = False) -> NoReturn:
    """Say in one line on stderr what went wrong, and exit with its code."""
    try:
        raise error
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.UsageError as wrong:
        _fail(wrong.format_message(), 2, debug)
    except click.ClickException as wrong:
        _fail(wrong.format_message(), wrong.exit_code, debug)
    except AstrotuiError as wrong:
        _fail(str(wrong), wrong.exit_code, debug)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except (ReaderGoneError, BrokenPipeError):
        # The reader of a pipe went away; nothing is left to say, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except MemoryError:
        _fail("out of memory; try a smaller --memory", 1, debug)
    except OSError as wrong:
        name = f"{clean(wrong.filename, 300)}: " if wrong.filename else ""
        _fail(f"{name}{wrong.strerror or wrong}", 1, debug)
    except Exception as wrong:  # noqa: BLE001  # a mistake of ours: the last place to make one line of it
        _fail(f"internal error: {type(wrong).__name__}: {wrong}; --debug shows where", 1, debug)


def _open_closed_streams() -> None:
    """Let what a shell closed (`>&-`) swallow what is written: Python has None there, and the next file the number."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        os.set_inheritable(number, True)
        number = os.dup(number)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _fail(message: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    click.echo(f"astrotui: {clean(message, 1000)}", err=True)
    sys.exit(code)
