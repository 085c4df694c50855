"""Where things live (XDG folders) and the user's settings (TOML)."""

import hashlib
import os
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from astrotui.errors import UsageError

CATALOG_ENV = "ASTROTUI_CATALOG"


@dataclass(frozen=True)
class Places:
    """The folders astrotui uses; none of them lies inside a library root."""

    config: Path
    data: Path
    cache: Path
    state: Path

    @property
    def settings_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def catalog(self) -> Path:
        return self.data / "catalog.sqlite"

    @property
    def masters(self) -> Path:
        return self.cache / "masters"

    @property
    def kernels(self) -> Path:
        return self.cache / "kernels" / kernels_digest()

    @property
    def previews(self) -> Path:
        return self.cache / "previews"

    @property
    def logs(self) -> Path:
        return self.state / "logs"


@cache
def kernels_digest(folder: Path = Path(__file__).parent / "imaging") -> str:
    """What the code of the kernels is like; numba sees no change in other files of what a kept kernel calls."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def places() -> Places:
    """The user's folders, by the XDG rules of this platform."""
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("astrotui", appauthor=False)
    return Places(dirs.user_config_path, dirs.user_data_path, dirs.user_cache_path, dirs.user_state_path)


def catalog_path(option: Path | None = None) -> Path:
    """The catalogue to use: the option, else the environment variable, else the user's data folder."""
    if option is not None:
        return option.expanduser().absolute()
    if named := os.environ.get(CATALOG_ENV):
        return Path(named).expanduser().absolute()
    return places().catalog


@dataclass(frozen=True)
class Settings:
    """What a user may set in `config.toml`; every key has a default that works.

    Attributes
    ----------
    output : folder for results without `-o`; empty means `stacks` in the user's data folder
    memory : memory budget of a stack, like "1GB"
    workers : threads of a stack; 0 means as many as there are processors
    nice : niceness of background work, 0 to 19
    masters_cap : size cap of the cache of masters
    previews_cap : size cap of the cache of previews
    solve : ask an installed plate solver where a stack lies when its frames do not say
    private : leave site coordinates and serial numbers out of results
    theme : name of the app's theme
    graphics : "blocks" (always works), "kitty" or "sixel"
    keys : key bindings of the app by binding id
    warnings : what was wrong with the file, for `doctor` and stderr
    """

    output: str = ""
    memory: str = "1GB"
    workers: int = 0
    nice: int = 10
    masters_cap: str = "5GB"
    previews_cap: str = "500MB"
    solve: bool = False
    private: bool = True
    theme: str = "astrotui-dark"
    graphics: str = "blocks"
    keys: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def output_folder(self) -> Path:
        return Path(self.output).expanduser().absolute() if self.output else places().data / "stacks"


def load_settings(path: Path | None = None) -> Settings:
    """Settings from `path` (default: the user's file). A wrong key or type warns and keeps the default."""
    source = path or places().settings_file
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        return Settings(warnings=(f"{source}: {error}; defaults are used",))
    import tomllib  # most have no settings, and the app begins with reading them

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Settings(warnings=(f"{source}: {error}; defaults are used",))
    return _from_table(table, source)


def _from_table(table: dict[str, Any], source: Path) -> Settings:
    defaults = Settings()
    known = {f.name for f in fields(Settings)} - {"warnings"}
    chosen: dict[str, Any] = {}
    warnings: list[str] = []
    for key, value in table.items():
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"
            warnings.append(f"{source}: unknown key {key!r}{hint}")
        elif type(value) is not type(getattr(defaults, key)):
            wanted = type(getattr(defaults, key)).__name__
            warnings.append(f"{source}: {key} must be a {wanted}, not {type(value).__name__}")
        else:
            chosen[key] = value
    for key in ("memory", "masters_cap", "previews_cap"):
        try:
            parse_size(chosen.get(key, "1"))
        except UsageError as error:
            warnings.append(f"{source}: {key}: {error}")
            del chosen[key]
    return replace(defaults, **chosen, warnings=tuple(warnings))


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_size(text: str) -> int:
    """Bytes from `1GB`, `800 MB`, `1.5g`, `512MiB` or a plain number."""
    word = text.strip().lower().removesuffix("b")
    binary = word.endswith("i")
    word = word.removesuffix("i")
    unit = word[-1:] if word[-1:] in "kmgt" else ""
    try:
        number = float(word.removesuffix(unit) if unit else word)
    except ValueError:
        raise UsageError(f"{text!r} is not a size; write it like 1GB or 800MB") from None
    if not 0 < number < 1e15:
        raise UsageError(f"{text!r} is not a usable size; write it like 1GB or 800MB")
    factor = 1024 ** ("kmgt".index(unit) + 1) if binary and unit else _UNITS[unit]
    return int(number * factor)
