"""Small FITS files made card by card, so that tests hold what a device wrote and nothing else."""

import struct
from pathlib import Path

BLOCK = 2880


def card(key: str, value: object, comment: str = "") -> str:
    """One card in fixed format; text in quotes, everything else as it prints."""
    if isinstance(value, str):
        shown = f"'{value.replace(chr(39), chr(39) * 2):8}'".ljust(20)
    elif isinstance(value, bool):
        shown = ("T" if value else "F").rjust(20)
    else:
        shown = str(value).rjust(20)
    return f"{key:8}= {shown}{' / ' + comment if comment else ''}"[:80].ljust(80)


def header_bytes(cards: list[str]) -> bytes:
    """Cards, END and padding."""
    text = "".join(c.ljust(80) for c in cards) + "END".ljust(80)
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("latin-1")


def make_fits(
    path: Path,
    cards: dict[str, object] | None = None,
    *,
    width: int = 32,
    height: int = 16,
    planes: int = 1,
    bitpix: int = 16,
    bzero: int | None = 32768,
    extra: list[str] | None = None,
) -> Path:
    """A plain FITS file at `path`, its folders made too. Values may be (value, comment)."""
    lines = [card("SIMPLE", True), card("BITPIX", bitpix), card("NAXIS", 3 if planes > 1 else 2)]
    lines += [card("NAXIS1", width), card("NAXIS2", height)]
    if planes > 1:
        lines.append(card("NAXIS3", planes))
    if bzero is not None:
        lines += [card("BZERO", bzero), card("BSCALE", 1)]
    for key, value in (cards or {}).items():
        lines.append(card(key, *value) if isinstance(value, tuple) else card(key, value))
    lines += extra or []
    count = width * height * planes
    samples = {16: "h", 32: "i", 8: "B", -32: "f", -64: "d"}[bitpix]
    values = [i % 97 for i in range(count)]
    data = struct.pack(f">{count}{samples}", *values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header_bytes(lines) + data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0"))
    return path
