"""The errors that people see: one small hierarchy, each with a message of one line."""


class AstrotuiError(Exception):
    """An error whose message is meant for people; the command line prints it and exits with `exit_code`."""

    exit_code = 1


class UsageError(AstrotuiError):
    """The words of a command were wrong: an unknown option, field, name or value."""

    exit_code = 2


class FrameError(AstrotuiError):
    """A file cannot be used as a frame; `reason` says why without repeating the path."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["FrameError"], tuple[str, str]]:
        return type(self), (self.path, self.reason)  # it crosses process borders


class CatalogError(AstrotuiError):
    """The catalogue cannot be opened, is damaged, locked, too new or in the wrong place."""


class QueryError(UsageError):
    """A query names a field or value that does not exist."""


class PlanError(AstrotuiError):
    """A stack cannot be planned or run as asked."""


class OutputError(AstrotuiError):
    """A result cannot be written where it was asked for."""


class JobError(AstrotuiError):
    """A job does not exist or cannot do what was asked of it."""


class NoSuchJobError(JobError, UsageError):
    """No job has that id: a wrong word, as every unknown id is."""
