"""The estimate of the end: none at first, then right, and fair to stages that are still to come."""

import pytest

from astrotui.jobs.eta import FIRST_SHARE, SMOOTHING_S, Eta


def run(eta: Eta, stage: str, steps: int, total: int, step_s: float, begin: float = 100.0) -> float:
    """Report `steps` of `total` steps that take `step_s` each; returns the time then."""
    for number in range(steps + 1):
        eta.update(begin + number * step_s, stage, number, total)
    return begin + steps * step_s


def test_nothing_is_said_before_the_first_few_percent() -> None:
    eta = Eta()
    assert eta.remaining(0.0) is None
    eta.update(0.0, "stacking", 0, 1000)
    assert eta.remaining(50.0) is None
    eta.update(60.0, "stacking", int(FIRST_SHARE * 1000) - 1, 1000)
    assert eta.remaining(60.0) is None
    eta.update(61.0, "stacking", int(FIRST_SHARE * 1000), 1000)
    assert eta.remaining(61.0) is not None


def test_nothing_is_said_of_a_stage_of_unknown_length() -> None:
    eta = Eta()
    for number in range(10):
        eta.update(float(number), "reading", number, None)
    assert eta.remaining(10.0) is None


@pytest.mark.parametrize("step_s", [0.05, 0.5, 20.0])
def test_an_even_rate_gives_the_exact_rest(step_s: float) -> None:
    eta = Eta()
    at = run(eta, "stacking", 40, 100, step_s)
    assert eta.remaining(at) == pytest.approx(60 * step_s)
    assert eta.remaining(at + step_s / 2) == pytest.approx(59.5 * step_s)


def test_the_rate_follows_a_change_and_forgets_the_past() -> None:
    eta = Eta()
    at = run(eta, "measuring", 100, 1000, 0.1)
    for number in range(1, 101):
        eta.update(at + number * 1.0, "measuring", 100 + number, 1000)
    left = eta.remaining(at + 100.0)
    assert left is not None and left == pytest.approx(800.0, rel=0.05)


def test_one_slow_step_does_not_upset_it() -> None:
    eta = Eta()
    at = run(eta, "measuring", 200, 1000, 0.1)
    before = eta.remaining(at)
    eta.update(at + 1.0, "measuring", 201, 1000)
    after = eta.remaining(at + 1.0)
    assert before is not None and after is not None and before < after < 1.5 * before


def test_a_stall_makes_it_longer() -> None:
    eta = Eta()
    at = run(eta, "measuring", 50, 100, 1.0)
    early, late = eta.remaining(at), eta.remaining(at + 10 * SMOOTHING_S)
    assert early is not None and late is not None and late > 2 * early


def test_stages_to_come_count_with_their_shares() -> None:
    eta = Eta({"measuring": 1.0, "stacking": 3.0, "preview": 1.0})
    at = run(eta, "measuring", 50, 100, 1.0)
    assert eta.remaining(at) == pytest.approx(50.0 + 300.0 + 100.0)
    eta.finished("preview")
    assert eta.remaining(at) == pytest.approx(50.0 + 300.0)
    eta.finished("measuring")
    at = run(eta, "stacking", 10, 20, 10.0, begin=at)
    assert eta.remaining(at) == pytest.approx(100.0)


def test_a_stage_that_nobody_announced_counts_alone() -> None:
    eta = Eta({"stacking": 3.0})
    at = run(eta, "unpacking", 50, 100, 1.0)
    assert eta.remaining(at) == pytest.approx(50.0)


def test_a_stage_that_an_earlier_attempt_began_counts_from_there() -> None:
    eta = Eta()
    eta.update(0.0, "measuring", 900, 1000)
    eta.update(10.0, "measuring", 950, 1000)
    assert eta.remaining(10.0) == pytest.approx(10.0)
