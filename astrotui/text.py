"""Text that comes from files, made safe to show on a terminal and to use in a path."""

import re
import unicodedata

_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NOT_IN_A_NAME = re.compile(r'[\\/:*?"<>|\s]+')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))}


def same_name(name: str | None) -> str:
    """What names of one object have in common however they are typed: `M 42` and `m42`."""
    return "".join((name or "").split()).casefold()


def clean(value: object, limit: int = 200) -> str:
    """`value` as one line without control, format or surrogate characters, at most `limit` characters long.

    Escape sequences of a hostile header or file name lose their control character and so stay visible,
    harmless text.
    """
    raw = str(value)[: 4 * limit]  # bound the work before looking at each character
    kept = raw
    if not (raw.isascii() and raw.isprintable()):  # as nearly all text of headers is
        kept = "".join(
            " " if ch in "\t\r\n" else "\N{REPLACEMENT CHARACTER}" if unicodedata.category(ch) == "Cs" else ch
            for ch in raw
            if ch in "\t\r\n" or unicodedata.category(ch) not in _UNSAFE_CATEGORIES - {"Cs"}
        )
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def file_stem(value: object, fallback: str = "untitled", limit: int = 80) -> str:
    """`value` as one safe component of a path: no separators, no leading dots, never empty or reserved."""
    name = _NOT_IN_A_NAME.sub("_", clean(value, limit)).strip("._ ")
    if not name or name.upper() in _RESERVED:
        return fallback
    while len(name.encode()) > 120:
        name = name[:-1]
    return name


def plural(count: int, noun: str) -> str:
    """`3 frames`, `1 frame`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: int) -> str:
    """Bytes as people say them: `1.2 GB`."""
    value = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: `45 s`, `12 min`, `3 h 20 min`; a dash when unknown."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == int(seconds) else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def exposed(seconds: float, frames: int) -> str:
    """The exposures of so many frames, summed up; a dash where there are frames and none says how long it was."""
    return duration(seconds if seconds or not frames else None)


def query_phrase(word: str) -> str:
    """A quoted argument like 'm 94' as one word of a query; one that holds a query of its own stays as it is."""
    plain = " " in word.strip() and not any(mark in word for mark in ':,"') and not word.startswith("-")
    return f'"{word}"' if plain and not word.rstrip().endswith(("+", "-")) else word
