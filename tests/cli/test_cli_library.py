"""`index`, `sessions`, `frames`, `set`, `darks`, `accept`, `reject`, `undo`, `redo` from the shell."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SESSION_KEYS = (
    "id path device camera target date night exposure_s gain binning filter temperature_c width height cfa lights accepted "
    "rejected undecided unmeasured integration_s dark warnings"
).split()
FRAME_KEYS = (
    "id path sequence date exposure_s gain temperature_c status reasons score stars fwhm_px hfr_px eccentricity "
    "background_adu noise_adu transparency streak dx_px dy_px rotation_deg"
).split()
DARK_KEYS = "id path exposure_s gain binning temperature_c frames grade distance reasons chosen".split()


def test_json_keeps_its_keys(run: Run, samples: Path) -> None:
    counts = run("index", samples, "--json")
    assert counts.code == 0 and counts.json["frames"] == 62 and counts.err == ""
    sessions = run("sessions", "--json").json
    assert len(sessions) == 3 and all(key in sessions[0] for key in SESSION_KEYS)
    m42 = run("sessions", "target:m42", "--json").json[0]
    assert m42["date"].startswith("2025-01-25T") and m42["dark"]["grade"] == "exact"
    frames = run("frames", str(m42["id"]), "--json").json
    assert len(frames) == 16 and all(key in frames[0] for key in FRAME_KEYS)
    assert (
        Path(frames[0]["path"]).is_file()
        and frames[0]["score"] is None
        and frames[0]["status"] == "undecided"
    )
    darks = run("darks", str(m42["id"]), "--json").json
    assert all(key in darks[0] for key in DARK_KEYS)
    assert [d["chosen"] for d in darks] == [True, False, False, False]
    assert [d["grade"] for d in darks] == ["exact", "near", "refused", "refused"]
    assert len(run("darks", "--json").json) == 6


def test_broken_and_vanished_files_are_listed_with_their_session(
    run: Run, samples: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "LIGHT"
    shutil.copytree(samples / "NINA" / "2025-04-02" / "M 51" / "LIGHT", folder)
    first, second, *_ = sorted(folder.iterdir())
    first.write_bytes(b"")
    assert "1 file quarantined" in run("index", tmp_path).err
    second.unlink()
    run("index", tmp_path)
    assert "1 quarantined, 1 missing, 8 unmeasured" in run("sessions").out
    (session,) = run("sessions", "--json").json
    assert (session["lights"], session["undecided"], session["quarantined"]) == (10, 8, 1)
    (held,) = run("frames", str(session["id"]), "status:quarantined", "--json").json
    assert held["path"] == str(first) and "empty" in held["reasons"][0] and held["date"] is None


def test_sessions_by_id_folder_and_query(run: Run, samples: Path) -> None:
    run("index", samples)
    by_folder = run("frames", samples / "DWARF_II", "--json").json
    by_query = run("frames", "target:m42", "--json").json
    by_id = run("frames", str(by_query[0]["session_id"]), "--json").json
    assert by_folder == by_query == by_id
    assert run("frames", "999").code == 2
    assert "no session 999" in run("frames", "999").err
    assert run("frames", "target:pluto").code == 1
    assert run("sessions", "target:pluto", "--json").json == []


def test_deciding_by_query_and_taking_it_back(run: Run, samples: Path) -> None:
    run("index", samples)
    assert run("reject", "m42", "sequence:<6", "--json").json["changed"] == 2
    assert len(run("frames", "m42", "status:rejected", "--json").json) == 2
    assert run("accept", "m42", "sequence:0", "--json").json["changed"] == 1
    assert run("undo", "--json").json["steps"] == 1
    assert run("undo", "5", "--json").json["changed"] == 2
    assert run("frames", "m42", "status:rejected", "--json").json == []
    assert run("redo", "2", "--json").json["steps"] == 2
    assert [f["status"] for f in run("frames", "m42", "sequence:<6", "--json").json] == [
        "accepted",
        "rejected",
    ]
    nothing = run("reject", "m42", "score:>200")
    assert nothing.code == 1 and "no frame matches" in nothing.err


def test_queries_with_minus_and_sort(run: Run, samples: Path) -> None:
    run("index", samples)
    frames = run("frames", "m45", "-status:rejected", "date-", "--json").json
    assert len(frames) == 3 and frames == sorted(frames, key=lambda f: f["date"], reverse=True)


def test_listing_for_other_programs(run: Run, samples: Path) -> None:
    run("index", samples)
    table = run("frames", "m45", "--csv").out.splitlines()
    assert len(table) == 5 and table[0].startswith("id,path")
    assert run("frames", "m45").out.count("\n") == 6


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["sessions", "colour:red"], 2, "no field 'colour'"),
        (["sessions", "--jsno"], 2, "no such option"),
        (["index"], 2, "name a folder"),
        (["index", "/nowhere/at/all"], 1, "no such folder"),
        (["sesions"], 2, "did you mean 'sessions'"),
        (["undo"], 1, "nothing to undo"),
        (["accept", "1"], 2, "say which frames"),
        (["set", "1"], 2, "nothing to set"),
        (["help", "nothing"], 2, "no help on"),
        (["jobs", "show"], 2, "needs the id"),
        (["jobs", "show", "7"], 2, "no job 7"),
        (["stack"], 2, "name a session"),
        (["render", "/nowhere.fits", "-o", "x.png"], 1, "/nowhere.fits"),
        (["cull", "1", "--preset", "brutal"], 2, "brutal"),
        (["compose", "rgb", "/a.fits"], 2, "rgb takes 3 images"),
        (["compose", "hoo", "/nowhere.fits"], 1, "/nowhere.fits"),
        (["exposure", "--focal", "nan", "--json"], 2, "--focal"),
        (["exposure", "--focal", "inf"], 2, "--focal"),
        (["exposure", "--focal", "1e-300", "--crop", "1e-300"], 2, "--focal"),
        (["exposure", "--focal", "50", "--dec", "nan"], 2, "--dec"),
        (["solve", "1", "--limit", "nan"], 2, "--limit"),
    ],
)
def test_one_clear_line(run: Run, words: list[str], code: int, message: str) -> None:
    ran = run(*words)
    assert ran.code == code and message in ran.err
    assert ran.out == "" and ran.err.count("\n") == 1 and "Traceback" not in ran.err


def test_a_mistake_of_ours_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("astrotui.cli.common.State.open", broken)
    ran = run("sessions", "--json")
    assert ran.code == 1 and ran.out == ""
    assert ran.err == "astrotui: internal error: ZeroDivisionError: division by zero; --debug shows where\n"
    assert "Traceback" in run("sessions", "--debug").err


@pytest.mark.parametrize(
    "words",
    [
        "frames 99", "darks 99", "measure 99", "cull 99 --preset gentle", "accept 99 score:>1", "reject 99 score:>1",
        "set 99 --note x", "set stack:99 --note x", "stack 99", "stack 1 --dark 99", "stack 1 --reference 99999",
        "decisions 99 --export -", "export 99 --to png", "render 99", "jobs log 99", "jobs cancel 99", "jobs retry 99",
        "jobs priority 99 1", "masters export 99 -o x.fits", "set 1 --dark 99", "report 99", "watch 99 --once",
    ],
)  # fmt: skip
def test_an_unknown_id_is_a_wrong_word(run: Run, samples: Path, words: str) -> None:
    assert run("index", samples / "DWARF_II").code == 0
    ran = run(*words.split())
    assert ran.code == 2 and ran.err.count("\n") == 1 and ran.out == "", ran


@pytest.mark.parametrize("place", ["night/catalog.sqlite", "night/deep/er/catalog.sqlite"])
def test_a_catalogue_never_lies_among_frames(run: Run, samples: Path, tmp_path: Path, place: str) -> None:
    shutil.copytree(samples / "DWARF3", tmp_path / "night")
    before = sorted((tmp_path / "night").rglob("*"))
    ran = run("--catalog", str(tmp_path / place), "index", str(tmp_path / "night"))
    assert ran.code == 1 and "--catalog" in ran.err and ran.err.count("\n") == 1
    assert sorted((tmp_path / "night").rglob("*")) == before
    # A catalogue that came to lie there otherwise is not indexed around, either.
    assert run("--catalog", str(tmp_path / place), "sessions").code == 0
    assert run("--catalog", str(tmp_path / place), "index", str(tmp_path / "night")).code == 1
    hidden = tmp_path / "night" / ".local" / "catalog.sqlite"  # such as that of a home folder
    assert run("--catalog", str(hidden), "index", str(tmp_path / "night")).code == 0


def test_control_sequences_never_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    from tests.library.conftest import _write

    _write(tmp_path / "root" / "evil\x1b[31m.fits", OBJECT="M 1")
    ran = run("index", tmp_path / "root")
    listed = run("frames", str(tmp_path / "root"))
    assert ran.code == 0 and listed.code == 0
    assert "\x1b" not in ran.out + ran.err + listed.out + listed.err


def test_set_pins_and_notes(run: Run, samples: Path) -> None:
    run("index", samples)
    near = next(d for d in run("darks", "m42", "--json").json if d["grade"] == "near")
    assert run("set", "m42", "--dark", str(near["id"]), "--note", "test", "--tag", "keep").code == 0
    session = run("sessions", "tag:keep", "--json").json[0]
    assert session["dark"] == {"id": near["id"], "grade": "near"} and session["note"] == "test"
    run("set", "m42", "--dark", "none")
    assert run("sessions", "m42", "--json").json[0]["dark"] is None
    run("set", "m42", "--dark", "auto")
    assert run("sessions", "m42", "--json").json[0]["dark"]["grade"] == "exact"


def test_help_and_doctor(run: Run, samples: Path) -> None:
    assert "stack" in run("help").out
    assert "--reject" in run("help", "stack").out
    assert "rejection" in run("help", "stacking").out.lower()
    run("index", samples)
    facts = run("doctor", "--json").json
    assert facts["catalog"]["integrity"] == "ok"


def test_exposure_rules(run: Run) -> None:
    found = run("exposure", "--focal", "4.71", "--crop", "5.35", "--json").json
    assert found["rule_500_s"] == pytest.approx(19.84, abs=0.005)
    full = run("exposure", "--focal", "24", "--aperture", "2.8", "--pitch", "4.3", "--json").json
    assert full["npf_simple_s"] == pytest.approx((35 * 2.8 + 30 * 4.3) / 24)
    assert full["npf_s"] == pytest.approx((16.9 * 2.8 + 2.4 + 13.7 * 4.3) / 24)


def test_saved_queries(run: Run, samples: Path) -> None:
    run("index", samples)
    assert run("queries", "save", "seestar", "camera:dwarf", "-filter:astro").code == 0
    assert run("queries", "--json").json == [
        {"name": "seestar", "scope": "sessions", "query": "camera:dwarf -filter:astro"}
    ]
    assert [s["target"] for s in run("sessions", "query:seestar", "--json").json] == ["M42"]
    assert run("queries", "save", "bad", "colour:red").code == 2
    assert run("queries", "delete", "seestar").code == 0
    assert run("sessions", "query:seestar").code == 2
    assert len(run("sessions", f"root:{samples}", "--json").json) == 3


def test_copies_and_empty_disks_are_told(run: Run, samples: Path, tmp_path: Path) -> None:
    shutil.copytree(samples / "DWARF_II", tmp_path / "copy" / "DWARF_II")
    run("index", samples)
    first = run("index", tmp_path / "copy")
    assert first.code == 0 and "are copies of others" in first.out
    assert "are also in" in run("sessions").out
    shutil.move(tmp_path / "copy" / "DWARF_II", tmp_path / "aside")
    gone = run("index", tmp_path / "copy")
    assert (gone.code, gone.err.count("\n")) == (1, 1) and "is the disk mounted" in gone.err
    assert len(run("jobs", "--json").json) == 2  # nothing was queued
    told = run("index")
    assert (
        told.code == 0 and told.err.startswith("NOT INDEXED: ") and told.err.count("is the disk mounted") == 1
    )
    (tmp_path / "bare").mkdir()
    bare = run("index", tmp_path / "bare", "--detach")
    assert (bare.code, bare.err) == (
        1,
        f"astrotui: {tmp_path / 'bare'}: no frames found: the folder is empty\n",
    )
    both = run("index", "--json")
    assert len(both.json["unread"]) == 1
    assert both.code == 0 and "is the disk mounted" in both.json["notes"][0] and both.json["missing"] == 0
    assert run("index", "--emptied", tmp_path / "copy", "--json").json["missing"] > 0


def test_all_files_can_be_read_again(run: Run, samples: Path) -> None:
    first = run("index", samples, "--json").json
    again = run("index", samples, "--again", "--json").json
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, first["new"])


def test_a_folder_can_be_corrected_and_pinned_things_need_sessions(run: Run, samples: Path) -> None:
    run("index", samples)
    before = len(run("sessions", "--json").json)
    darks = next(d for d in run("darks", "--json").json if d["kind"] == "dark" and not d["is_master"])
    assert run("set", darks["path"], "--type", "light").code == 0
    assert len(run("sessions", "--json").json) == before + 1
    assert run("set", darks["path"], "--type", "dark").code == 0
    assert len(run("sessions", "--json").json) == before
    refused = run("set", darks["path"], "--dark", "none")
    assert refused.code == 2 and "only sessions" in refused.err


def test_a_bare_word_finds_frames_by_name(run: Run, samples: Path) -> None:
    run("index", samples)
    (frame,) = run("frames", "m45", "failed", "--json").json
    assert "failed_" in frame["path"]


def test_flats_and_bias_are_ranked_with_reasons(run: Run, samples: Path) -> None:
    run("index", samples)
    for kind in ("flat", "bias"):
        found = run("darks", "m42", "--kind", kind, "--json").json
        assert all(c["kind"] == kind and (c["reasons"] or c["grade"] == "exact") for c in found)
        assert run("darks", "m42", "--kind", kind).code == 0


def test_a_quoted_name_is_one_word(run: Run, samples: Path) -> None:
    run("index", samples)
    assert [s["target"] for s in run("sessions", "m 42", "--json").json] == ["M42"]
    assert run("sessions", "42 m", "--json").json == []
    assert len(run("sessions", "42", "m", "--json").json) == 1  # two words, each found
    assert run("frames", "m 42", "--json").json
    assert run("frames", "m42", "--csv", "--json").code == 2


def test_what_can_never_fit_is_refused_before_anything_is_queued(run: Run, samples: Path) -> None:
    run("index", samples)
    small = next(d for d in run("darks", "--json").json if d["width"] == 448 and d["kind"] == "dark")
    ran = run("set", "m42", "--dark", str(small["id"]))
    assert ran.code == 2 and ran.err.count("\n") == 1 and "can never fit" in ran.err and "448x300" in ran.err
    assert run("sessions", "m42", "--json").json[0]["dark"]["grade"] == "exact"  # nothing was pinned
    for words, message in (
        (["--dark", str(small["id"])], "448x300"),
        (["--dark", "999"], "no such dark set"),
        (["--memory", "10MB"], "--memory: 10 MB are too few for any stack"),
        (["--memory", "0"], "not a usable size"),
    ):
        ran = run("stack", "m42", *words)
        assert ran.code in (1, 2) and message in ran.err and ran.err.count("\n") == 1
    assert [job["kind"] for job in run("jobs", "--json").json] == ["index"]


def test_two_jobs_for_one_file_are_refused(run: Run, samples: Path, tmp_path: Path) -> None:
    run("index", samples)
    run("jobs", "pause")
    first = run("stack", "m45", "-o", tmp_path / "out.fits", "--no-start", "--json").json
    assert first["title"] == "M 45: 3 frames"
    again = run("stack", "m45", "-o", tmp_path / "out.fits", "--no-start")
    assert again.code == 1 and f"job {first['id']} is going to write this file" in again.err
    run("jobs", "cancel", str(first["id"]))
    assert run("stack", "m45", "-o", tmp_path / "out.fits", "--no-start").code == 0
    ended = run("jobs", "show", str(first["id"]), "--wait")
    assert ended.code == 1 and "cancelled" in ended.err


def test_people_see_the_jobs_of_late(run: Run, samples: Path) -> None:
    run("index", samples / "DWARF3")
    run("jobs", "pause")
    for number in range(24):
        queued = run("stack", "m45", "-o", f"/tmp/{number}.fits", "--no-start", "--json").json
        if number:
            run("jobs", "cancel", str(queued["id"]))
    listed = run("jobs").out.splitlines()
    ids = [
        int(line.split()[0]) for line in listed[1:] if line.split()[0].isdigit() and "not listed" not in line
    ]
    assert ids == [2, *range(6, 26)]  # the one that waits, and the twenty that ended last
    assert "4 older jobs not listed" in listed[-2]
    assert len(run("jobs", "--all").out.splitlines()) == 1 + 25 + 1
    assert [job["id"] for job in run("jobs", "--json").json] == list(range(1, 26))


def test_queries_of_stacks_can_be_saved(run: Run) -> None:
    assert run("queries", "save", "best", "--stacks", "rating:>3").code == 0
    assert run("queries", "--json").json == [{"name": "best", "scope": "stacks", "query": "rating:>3"}]
    assert run("stacks", "query:best", "--json").json == []
    assert run("stacks", "-tag:bad", "noise+").code == 0
    wrong = run("stacks", "query:worst")
    assert wrong.code == 2 and "saved are best" in wrong.err


def test_a_disk_that_is_away_is_told(run: Run, samples: Path, tmp_path: Path) -> None:
    shutil.copytree(samples / "DWARF3", tmp_path / "disk")
    run("index", tmp_path / "disk")
    (tmp_path / "disk").rename(tmp_path / "away")
    ran = run("stack", "m45", "-o", tmp_path / "out.fits")
    assert (ran.code, ran.err.count("\n")) == (1, 1) and "is the disk mounted?" in ran.err
