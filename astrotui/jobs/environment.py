"""What around a background worker may end it: facts for `doctor`, each with its remedy."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LOGIND = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd", "lib/systemd")


@dataclass(frozen=True)
class Fact:
    """One line of `doctor`: `text` says how it is; `remedy` what to do, None when all is well."""

    text: str
    remedy: str | None = None


def facts(
    root: Path = Path("/"), environment: Mapping[str, str] = os.environ, user: str | None = None
) -> list[Fact]:
    """What a background worker has to reckon with on this machine.

    Parameters
    ----------
    root : where the file system begins; tests give a folder
    environment, user : of this login; the real ones unless given
    """
    name = user or _user()
    found = [_logout(root, environment, name), *_terminal(environment)]
    if (kind := container(root, environment)) is not None:
        found.append(
            Fact(
                f"this is a container ({kind}): background work ends when the container stops",
                "let `astrotui worker` be a service of the container, or run `astrotui worker --drain` in it",
            )
        )
    return found


def container(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> str | None:
    """The kind of container that this process is in, None for none."""
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    marker = root / "run/systemd/container"
    if marker.is_file():
        return marker.read_text(encoding="utf-8", errors="replace").strip() or "container"
    return environment.get("container") or None


def kills_user_processes(root: Path = Path("/"), user: str | None = None) -> bool | None:
    """Whether systemd ends a user's processes at logout; None when its configuration does not say.

    Read from `logind.conf` and its drop-ins in the order of precedence of logind.conf(5); a commented line
    in the shipped file shows the default that systemd was built with.
    """
    name = user or _user()
    values = _logind(root)
    if name in values.get("KillExcludeUsers", "root").split():
        return False
    only = values.get("KillOnlyUsers", "").split()
    if only and name not in only:
        return False
    answer = values.get("KillUserProcesses", "").lower()
    if answer in ("yes", "true", "on", "1"):
        return True
    return False if answer in ("no", "false", "off", "0") else None


def lingers(root: Path = Path("/"), user: str | None = None) -> bool:
    """Whether the user's processes may outlive the last logout (`loginctl enable-linger`)."""
    return (root / "var/lib/systemd/linger" / (user or _user())).exists()


def _logout(root: Path, environment: Mapping[str, str], user: str) -> Fact:
    if not (root / "run/systemd/system").is_dir():
        return Fact("background work outlives the terminal (no systemd that could end it)")
    kills = kills_user_processes(root, user)
    if kills is None:
        return Fact(
            "systemd may end background work at logout (its KillUserProcesses is not known)",
            None if lingers(root, user) else "loginctl enable-linger",
        )
    if not kills:
        return Fact("background work outlives the terminal (systemd's KillUserProcesses is off)")
    if lingers(root, user):
        return Fact(
            "systemd ends what a login started when that login ends (KillUserProcesses is on)",
            "lingering is on, so start work with `systemd-run --user astrotui worker --drain`,"
            " or set KillUserProcesses=no in /etc/systemd/logind.conf",
        )
    return Fact(
        "systemd ends background work at logout (KillUserProcesses is on); tmux and screen do not help",
        "run `loginctl enable-linger`, then `systemd-run --user astrotui worker --drain`,"
        " or set KillUserProcesses=no in /etc/systemd/logind.conf",
    )


def _terminal(environment: Mapping[str, str]) -> list[Fact]:
    found = []
    if environment.get("TMUX"):
        found.append(Fact("inside tmux: the app itself outlives a dropped connection, too"))
    elif environment.get("STY"):
        found.append(Fact("inside screen: the app itself outlives a dropped connection, too"))
    elif environment.get("SSH_CONNECTION"):
        found.append(Fact("over SSH: a dropped connection closes the app and leaves jobs running"))
    return found


def _logind(root: Path) -> dict[str, str]:
    """The effective `[Login]` values."""
    values: dict[str, str] = {}
    for folder in reversed(_LOGIND):  # the default a systemd was built with stands commented in its file
        values |= _assignments(root / folder / "logind.conf", commented=True)
    for folder in _LOGIND:
        if (root / folder / "logind.conf").is_file():  # the first one found replaces the others
            values |= _assignments(root / folder / "logind.conf")
            break
    drop_ins: dict[str, Path] = {}
    for folder in reversed(_LOGIND):
        for path in (root / folder / "logind.conf.d").glob("*.conf"):
            drop_ins[path.name] = path  # of equal names the one in /etc counts
    for name in sorted(drop_ins):
        values |= _assignments(drop_ins[name])
    return values


def _assignments(path: Path, *, commented: bool = False) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in map(str.strip, lines):
        text = line
        if commented:
            if not line.startswith("#"):
                continue
            text = line.lstrip("# ")
        elif line.startswith(("#", ";", "[")):
            continue
        key, equals, value = text.partition("=")
        if equals and key.strip().isidentifier():
            found[key.strip()] = value.strip()
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
