"""`report` from the shell: where the page goes, what it holds, what is refused."""

import base64
import re
from pathlib import Path

from tests.cli.conftest import Run


def test_report_of_frames_as_they_are(run: Run, samples: Path, tmp_path: Path) -> None:
    run("index", samples)
    page = tmp_path / "m45.html"
    made = run("report", "m45", "-o", page, "--json")
    assert made.code == 0, made.err
    facts = made.json
    assert facts["output"] == str(page) and facts["frames"] == 4 and facts["private"] is True
    html = page.read_text("utf-8")
    assert facts["bytes"] == len(html.encode()) < 1_000_000
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert (
        len(pictures) == facts["pictures"] >= 1
    )  # a frame as it is, and the one that the telescope rejected
    assert all(base64.b64decode(p).startswith(b"\x89PNG") and len(p) < 41_000 for p in pictures)
    assert "Not measured yet" in html and "rejected by the device" in html
    assert str(samples) not in html
    # A file is never written over.
    again = run("report", "m45", "-o", page)
    assert again.code == 1 and "exists already" in again.err and again.err.count("\n") == 1
    assert page.read_text("utf-8") == html
    assert not list(tmp_path.glob(".*"))


def test_several_sessions_share_a_page_and_get_a_name(run: Run, samples: Path, home: Path) -> None:
    run("index", samples)
    first, second = (Path(run("report", "m45", "m51", "--json").json["output"]) for _ in range(2))
    assert first != second and first.parent == second.parent == home / "data" / "astrotui" / "stacks"
    html = first.read_text("utf-8")
    assert len(re.findall(r'href="#session-(\d+)"', html)) == 2
    for session in re.findall(r'href="#session-(\d+)"', html):
        assert f'id="session-{session}"' in html


def test_never_into_the_library_unasked(run: Run, home: Path, samples: Path) -> None:
    (home / "config" / "astrotui").mkdir()
    (home / "config" / "astrotui" / "config.toml").write_text(f'output = "{samples}"\n')
    run("index", samples)
    made = Path(run("report", "m45", "--json").json["output"])
    assert made.parent == home / "data" / "astrotui" / "reports"
    assert not list(samples.rglob("*.html"))


def test_wrong_words(run: Run, samples: Path, tmp_path: Path) -> None:
    run("index", samples)
    assert run("report").code == 2
    wrong = run("report", "m45", "-o", tmp_path / "page.pdf")
    assert wrong.code == 2 and ".html" in wrong.err
    nothing = run("report", "target:pluto")
    assert nothing.code == 1 and nothing.err.count("\n") == 1
    absent = run("report", "m45", "-o", tmp_path / "no" / "page.html")
    assert absent.code == 1 and "folder does not exist" in absent.err
