"""A page of HTML that can hold any text: whatever is not made by `tag` is escaped."""

from html import escape

from astrotui.text import clean

_VOID = frozenset("meta img br hr line rect circle path polyline".split())
_SELF_CLOSED = frozenset("line rect circle path polyline".split())  # of SVG


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object, limit: int = 400) -> Markup:
    """A value as harmless text: one line, without control characters, escaped. Markup stays as it is."""
    return value if isinstance(value, Markup) else Markup(escape(clean(value, limit), quote=True))


def tag(element: str, /, *children: object, **attributes: object) -> Markup:
    """An element; children that are not markup are escaped, None and "" are left out.

    `class_` stands for `class`, other underscores for dashes; an attribute that is None or False is left out,
    True has no value.
    """
    words = [element]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        plain = key.rstrip("_").replace("_", "-")
        # A picture as data may be long, and so may a path of a chart; both are made here, of ASCII without quotes.
        raw = isinstance(value, Markup)
        words.append(plain if value is True else f'{plain}="{value if raw else text(value, 2000)}"')
    start = f"<{' '.join(words)}"
    if element in _VOID:
        return Markup(start + ("/>" if element in _SELF_CLOSED else ">"))
    return Markup(f"{start}>{joined(children)}</{element}>")


def joined(children: object, between: str = "") -> Markup:
    """Several children after each other."""
    parts = children if isinstance(children, (list, tuple)) else (children,)
    return Markup(between.join(text(part) for part in parts if part is not None and part != ""))


def table(
    headings: tuple[str, ...], rows: list[tuple[object, ...]], *, right: frozenset[int] = frozenset()
) -> Markup:
    """A table that scrolls sideways where it is wider than the page; columns of `right` are numbers."""
    kinds = ["n" if i in right else None for i in range(len(headings))]
    head = tag("tr", *(tag("th", h, class_=kind) for h, kind in zip(headings, kinds, strict=True)))
    body = [
        tag("tr", *(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="wide")


def facts(pairs: list[tuple[str, object]]) -> Markup:
    """Names with their values; pairs whose value is None or "" are left out."""
    known = [(name, value) for name, value in pairs if value is not None and value != ""]
    return tag("dl", *(joined((tag("dt", name), tag("dd", value))) for name, value in known))


def page(title: str, body: Markup) -> str:
    """The whole document. It asks nobody for anything: its policy allows pictures that are in it and no more."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', body), lang='en')}\n"


STYLE = """
:root { --back: #fbfaf7; --card: #ffffff; --text: #1d2129; --dim: #667080; --line: #dcdfe5; --blue: #2f6db3;
  --good: #1d7a46; --bad: #b3372f; --warn: #8a5a00; --tint: #eef3f9; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0d1117; --card: #151b24; --text: #dde3ec; --dim: #8d98a8; --line: #2a3340; --blue: #74aef0;
    --good: #67c58d; --bad: #f08a80; --warn: #dfb15b; --tint: #1b2431; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 22px; margin: 44px 0 4px; padding-top: 18px; border-top: 2px solid var(--line); }
h3 { font-size: 16px; margin: 28px 0 8px; }
h1, h2, p { overflow-wrap: anywhere; } p { margin: 6px 0; } a { color: var(--blue); }
.dim, figcaption, dt, th { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.warn { color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: 10px; margin: 16px 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
.tile b { display: block; font-size: 21px; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 8px 0; }
dt { font-size: 14px; } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 500; white-space: nowrap; } .n { text-align: right; white-space: nowrap; }
th.n { padding-left: 10px; }
code { font: 13px/1.5 ui-monospace, monospace; background: var(--tint); border-radius: 4px; padding: 1px 5px;
  overflow-wrap: anywhere; }
details { margin: 10px 0; } summary { cursor: pointer; color: var(--blue); }
figure { margin: 0; } figcaption { font-size: 13px; padding-top: 4px; overflow-wrap: anywhere; }
img { display: block; width: 100%; height: auto; border-radius: 6px; background: #000; }
.result { margin: 16px 0; } .result img { max-height: 900px; object-fit: contain; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px; }
.frames img { max-height: 420px; object-fit: contain; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 8px 24px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; } svg .name { fill: var(--text); font-size: 13px; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .middle { stroke: var(--dim); stroke-dasharray: 4 4; }
svg .kept { fill: var(--blue); } svg .out { fill: none; stroke: var(--bad); stroke-width: 1.6; }
footer { margin-top: 50px; color: var(--dim); font-size: 13px; }
@media (max-width: 520px) { .charts { grid-template-columns: 1fr; } }
@media print { body { background: #fff; } .tile, figure, svg { break-inside: avoid; } details { display: block; } }
"""
