"""Reports: what a page says, that it is whole HTML, that nothing in it is foreign, private or without bound."""

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Session, Stack
from astrotui.errors import AstrotuiError
from astrotui.library.choose import decide
from astrotui.library.index import index_roots
from astrotui.library.listing import list_sessions
from astrotui.library.report import MOST_SESSIONS, gather
from astrotui.library.report_charts import METRICS, MOST_POINTS, chart
from astrotui.library.report_html import Markup, tag, text
from astrotui.library.report_page import write_page
from tests.library.conftest import WriteFrame

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
VOID = {"meta", "img", "br", "hr"}
HOSTILE = "<script>alert('x')</script>\x1b[31m\"&"


class Checked(HTMLParser):
    """A page's elements and words; an element that is not closed, or closed twice, is an error."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def night(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> Iterator[tuple[int, Path]]:
    """A measured session of eight lights with known numbers, and two darks that fit; its id and its root."""
    root = tmp_path / "library"
    for n in range(8):
        write_frame(root / "m1" / f"light_{n}.fits", DATE_OBS=f"2025-01-02T22:0{n}:00")
    for n in range(2):
        write_frame(root / "darks" / f"dark_{n}.fits", IMAGETYP="Dark", value=100)
    index_roots(catalog, [root])
    [session] = list_sessions(catalog)
    with catalog.write() as db:
        frames = db.scalars(select(Frame).where(Frame.session_id == session.id).order_by(Frame.path)).all()
        for n, frame in enumerate(frames):
            db.add(
                Measurement(
                    frame_id=frame.id, version=1, measured=NOW, stars=100 + n, fwhm_px=2.0 + n / 10, score=100.0 - 10 * n,
                    background_adu=500.0 + n, transparency=1.0 - n / 20, eccentricity=0.3,
                )
            )  # fmt: skip
        row = db.get_one(Session, session.id)
        row.reference_id = frames[0].id
    decide(
        catalog,
        [frames[7].id],
        "rejected",
        reasons={frames[7].id: ["clouded: 0.65"]},
        by="person",
        description="a look at the sky",
    )
    yield session.id, root


def page_of(catalog: Catalog, ids: list[int], **options: object) -> str:
    return write_page(gather(catalog, ids, **options), {}, {}, now=NOW)  # type: ignore[arg-type]


def test_a_page_tells_what_is_known(catalog: Catalog, night: tuple[int, Path]) -> None:
    session_id, _ = night
    page = Checked(page_of(catalog, [session_id]))
    assert "M 1, 2025-01-02" in page.said
    # 7 frames of 10 s are kept, worth 1 + .9 + .8 + .7 + .6 + .5 + .4 best frames: 1.25 log10 4.9 = 0.86
    assert "of 8 frames kept" in page.said and "1 session, 7 frames kept, 70 s" in page.said
    assert "49 s worth of the best frame" in page.said and "+0.86 mag" in page.said
    # all 8 would reach 1.25 log10 5.2 = 0.895
    assert "-0.03 mag against all frames" in page.said
    assert "2.30 px median FWHM of the kept" in page.said
    assert "7 undecided, 1 rejected" in page.said and "2025-01-02 22:00 to 22:07 UTC" in page.said
    assert "clouded: 0.65 (by person)" in page.said and "a look at the sky" in page.said
    assert "2 frames: chosen, exact: same exposure, 10 s" in page.said
    assert "none in the library" in page.said  # of flats
    for metric in METRICS:
        assert metric.name in page.said
    rows = re.findall(r"light_(\d)\.fits 22:0\1:00 (\d+) (\d+) ([\d.]+)", page.said)
    assert [(int(s), int(n), float(w)) for _, s, n, w in rows] == [
        (100 - 10 * n, 100 + n, 2.0 + n / 10) for n in range(8)
    ]
    assert "Made by astrotui" in page.said and "2026-01-02 03:04 UTC" in page.said


def test_a_page_needs_nothing_but_itself(catalog: Catalog, night: tuple[int, Path]) -> None:
    session_id, _ = night
    told = gather(catalog, [session_id])
    first = told.sessions[0].picked[0].frame.id
    html = write_page(told, {first: b"\x89PNG\r\n\x1a\n picture"}, {}, now=NOW)
    page = Checked(html)
    assert not page.names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"https?:|//[a-z]|url\(|@import", html.replace("data:image/png;base64,", ""))
    sources = [value for name, value in page.attributes if name in ("src", "href", "srcset", "xlink:href")]
    assert len(sources) == 1 and str(sources[0]).startswith("data:image/png;base64,")
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in page.attributes
    assert "prefers-color-scheme: dark" in html


def test_hostile_text_is_text(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "<b>library"
    write_frame(
        root / "a" / "<img src=x onerror=alert(1)>.fits", OBJECT="<script>alert(1)</script>", FILTER="<i>&"
    )
    index_roots(catalog, [root])
    [session] = list_sessions(catalog)
    with catalog.write() as db:
        row = db.get_one(Session, session.id)
        row.note, row.tags, row.warnings = HOSTILE, [HOSTILE], [HOSTILE]
        frame = db.scalars(select(Frame)).one()
        frame.reasons = [HOSTILE]
        db.add(
            Stack(
                created=NOW, output=str(root / HOSTILE), target=HOSTILE, sessions=[session.id], frames_used=1,
                summary=dict.fromkeys(
                    "reference dark flat bias noise_adu fwhm_px seconds".split(), None
                ) | {"integration_s": 1.0, "rejected_fraction": 0.0, "warnings": [HOSTILE], "stages": {}, "frames_skipped": [
                    {"path": f"/x/{HOSTILE}", "reason": HOSTILE}]},
            )
        )  # fmt: skip
    html = page_of(catalog, [session.id], private=False)
    page = Checked(html)
    assert "<script" not in html and "<img" not in html and "\x1b" not in html
    assert "<script>alert(1)</script>" in page.said and "<img src=x onerror=alert(1)>.fits" in page.said
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_markup_is_escaped_unless_it_was_made_here() -> None:
    assert tag("p", "<b>", title='"') == '<p title="&quot;">&lt;b&gt;</p>'
    assert tag("p", Markup("<b></b>"), None, "", 0) == "<p><b></b>0</p>"
    assert text("a\x1b[31m\n\u202eb") == "a[31m b"


def test_private_things_are_left_out(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "home" / "ana" / "astro"
    cards = {
        "INSTRUME": "QHY268M-4ec8b3f5",
        "TELESCOP": "S50_153dd4e2",
        "SITELAT": "48.137154",
        "SITELONG": "11.576124",
    }
    write_frame(root / "m1" / "light.fits", **cards)
    index_roots(catalog, [root])
    [session] = list_sessions(catalog)
    with catalog.write() as db:
        db.get_one(Session, session.id).warnings = [f"{root}/m1/light.fits: SITELAT = 48.137154"]
        frame = db.scalars(select(Frame)).one()
        frame.decision, frame.reasons = "rejected", [f"{root}/m1/light.fits is blurred at 48.137154"]
        lost = {"path": f"{root}/m1/light.fits", "reason": f"{root}/m1/light.fits: has changed"}
        summary = dict.fromkeys("reference dark flat bias noise_adu fwhm_px seconds".split()) | {
            "integration_s": 1.0, "rejected_fraction": 0.0, "warnings": [f"{root}: odd"], "stages": {},
            "frames_skipped": [lost],
        }  # fmt: skip
        output = str(tmp_path / "home" / "ana" / "m1.fits")
        db.add(Stack(created=NOW, output=output, sessions=[session.id], frames_used=1, summary=summary))

    def hide(words: str) -> str:
        return words.replace("48.137154", "<private>")

    html = page_of(catalog, [session.id], hide=hide)
    for secret in ("ana", str(tmp_path), "4ec8b3f5", "153dd4e2", "48.137154", "11.576124"):
        assert secret not in html
    assert "QHY268M" in html and "m1" in html and "are left out" in html
    shown = page_of(catalog, [session.id], private=False)
    assert str(root) in shown and "4ec8b3f5" in shown and "are left out" not in shown


def test_an_unmeasured_session_is_a_page_too(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    write_frame(tmp_path / "lib" / "light.fits")
    index_roots(catalog, [tmp_path / "lib"])
    [session] = list_sessions(catalog)
    page = Checked(page_of(catalog, [session.id]))
    assert (
        f"Not measured yet: there are no scores, stars or charts. `astrotui measure {session.id}`"
        in page.said
    )
    assert (
        "svg" not in page.names and "light.fits" in page.said and "Nobody has decided anything" in page.said
    )


def test_a_result_is_told_from_its_manifest(
    catalog: Catalog, night: tuple[int, Path], tmp_path: Path
) -> None:
    session_id, root = night
    output, manifest = tmp_path / "m1.fits", tmp_path / "m1.json"
    output.write_bytes(b"")
    files = [str(root / "m1" / f"light_{n}.fits") for n in range(8)]
    dark = {
        "kind": "dark",
        "inputs": [{"path": str(root / "darks" / f"dark_{n}.fits")} for n in range(2)],
        "ready": False,
    }
    plan = {
        "frames": [{"file": {"path": f}, "exposure_s": 10.0, "score": 100.0 - 10 * n} for n, f in enumerate(files[:7])],
        "skipped": [{"path": files[7], "reason": "clouded"}],
        "calibrations": [{"dark": dark, "bias": None, "flat": None, "dark_scale": None, "reasons": ["dark: it fits"]}],
        "recipe": {"combine": "median", "reject": "auto", "low": None, "comet": [], "min_score": 40.0},
    }  # fmt: skip
    rows = [
        {"path": f, "used": n < 5, "weight": 1 - n / 10 if n < 5 else None} for n, f in enumerate(files[:7])
    ]
    table = {
        "plan": plan,
        "result": {"notes": ["dark: scaled"]},
        "frames": rows,
        "digest": "d" * 64,
        "versions": {"numpy": "9"},
    }
    manifest.write_text(json.dumps(table))
    summary = {
        "integration_s": 50.0, "rejected_fraction": 0.0123, "noise_adu": 3.21, "fwhm_px": 2.5, "seconds": 7.0, "stages": {},
        "reference": files[0], "dark": None, "flat": None, "bias": None, "warnings": ["few frames"], "width": 24, "height": 16,
        "frames_skipped": [{"path": files[7], "reason": "clouded"}], "coverage_min": 3, "coverage_max": 5,
    }  # fmt: skip
    with catalog.write() as db:
        names = {"output": str(output), "manifest": str(manifest), "target": "M 1"}
        db.add(Stack(created=NOW, sessions=[session_id], frames_used=5, summary=summary, **names))
    told = gather(catalog, [session_id])
    page = Checked(write_page(told, {}, {told.stacks[0].stack["id"]: b"\xff\xd8 jpeg"}, now=NOW))
    assert "5 of 8 frames" in page.said and "50 s integration" in page.said
    # 5 frames of 10 s with scores from 100 to 60: 40 s, 1.25 log10 4 = 0.75
    assert "40 s worth of the best frame" in page.said and "+0.75 mag" in page.said
    assert (
        "Master dark 2 frames: darks" in page.said
        and "dark: it fits" in page.said
        and "dark: scaled" in page.said
    )
    assert "astrotui stack --plan m1.json -o NEW.fits" in page.said
    assert f"astrotui stack {session_id} --combine median --min-score 40.0 plans it anew" in page.said
    assert (
        "Left out of the stack: 1 frame" in page.said and "clouded" in page.said and "few frames" in page.said
    )
    assert re.search(r"light_1\.fits .*?0\.90 undecided", page.said)
    # A manifest that is damaged takes nothing but its own facts away.
    manifest.write_text('{"plan": {"frames": 7}}')
    page = Checked(page_of(catalog, [session_id]))
    assert "not one that this version can read" in page.said and "50 s integration" in page.said


def test_a_page_is_bounded(catalog: Catalog, night: tuple[int, Path]) -> None:
    session_id, _ = night
    told = gather(catalog, [session_id])
    story = told.sessions[0]
    first = story.frames[0]
    many = tuple(
        dataclasses.replace(
            first, id=n, date=first.date + timedelta(seconds=n) if first.date else None, score=float(n % 97), fwhm_px=2.0,
            status="rejected" if n % 10 == 0 else "undecided", path=f"/lib/light_{n}.fits",
        )
        for n in range(20_000)
    )  # fmt: skip
    drawn = chart(many, METRICS[0])
    assert drawn is not None and drawn.count("<circle") <= 2 * MOST_POINTS
    assert "extremes of 20,000 frames" in drawn
    large = dataclasses.replace(told, sessions=(dataclasses.replace(story, frames=many),))
    html = write_page(large, {}, {}, now=NOW)
    assert (
        "1,000 of 20,000 frames are listed: 500 that were left out, the worst first, and the best 500" in html
    )
    assert html.count("light_") <= 1100 and len(html) < 1_500_000
    Checked(html)
    with pytest.raises(AstrotuiError, match="name fewer"):
        gather(catalog, list(range(MOST_SESSIONS + 1)))


def test_a_chart_keeps_the_extremes(catalog: Catalog, night: tuple[int, Path]) -> None:
    first = gather(catalog, [night[0]]).sessions[0].frames[0]
    many = [dataclasses.replace(first, id=n, date=None, fwhm_px=2.0 + (n == 4321)) for n in range(9000)]
    drawn = chart(many, METRICS[1])
    assert drawn is not None
    heights = {float(y) for y in re.findall(r'cy="([\d.]+)"', drawn)}
    assert len(heights) == 2  # the one soft frame is not thinned away
    assert chart(many[:1], METRICS[1]) is None
    flat = chart(many[:9], METRICS[1])
    assert flat is not None and "nan" not in flat
