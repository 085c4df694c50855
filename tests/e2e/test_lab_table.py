"""The student's lab: two nights 43 px apart, each number of its table against truth."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def test_shift_scale_and_combine_give_true_numbers(home: Path) -> None:
    words = [sys.executable, "-m", "sample_sessions.lab", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert len(table["frames"]) == 16
    for row in table["frames"]:
        dx, dy, scale = row["true"]
        assert row["astrotui"] == pytest.approx((dx, dy, scale), abs=0.05, rel=0.01)
        assert math.hypot(row["centroid"][0] - dx, row["centroid"][1] - dy) < 0.05
        assert row["ratio"] == pytest.approx(scale, rel=0.01)
    apart = [row["true"][:2] for row in table["frames"][8:]]
    assert sum(math.hypot(*shift) for shift in apart) / 8 == pytest.approx(43, abs=2)
    single = table["reference"]["box_sd"]
    noise = {row["stack"]: row["box_sd"] for row in table["stacks"]}
    assert 2.5 < single / noise["median"] < single / noise["min-max (3, 3)"] < single / noise["average"] < 4.0
    for row in table["stacks"]:
        assert row["frames"] == 16
        assert row["median"] == pytest.approx(table["reference"]["median"], abs=0.5)
        assert row["ratios"] == pytest.approx([1.0] * 6, abs=0.01)
