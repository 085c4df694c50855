"""When a watch makes pictures and when it ends, on a clock that the test moves."""

from collections.abc import Set
from dataclasses import dataclass, field
from itertools import pairwise

from astrotui.jobs.watch_folder import Look
from astrotui.jobs.watch_loop import FIRST_FRAMES, Loop, Orders


@dataclass
class Night:
    """A folder, a maker and a clock in one. `arrivals` are the times at which frames 1, 2, ... settle."""

    arrivals: list[float]
    cost_s: float = 1.0
    unusable: frozenset[int] = frozenset()
    rejected_at: dict[float, int] = field(default_factory=dict)
    absent_until: float = 0.0
    at: float = 0.0
    told_of: int = 0
    seen: int = 0
    pictures: list[tuple[float, int]] = field(default_factory=list)
    indexed: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    made: frozenset[int] = frozenset()

    def clock(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.waits.append(seconds)
        self.at += seconds

    def here(self) -> int:
        return sum(when <= self.at for when in self.arrivals)

    def look(self) -> Look:
        here = self.here()
        news = here != self.seen
        self.seen = here
        return Look(dict.fromkeys(map(str, range(here)), (0, 0)), frozenset(), here - self.told_of, news, ())

    def told(self, look: Look) -> None:
        self.told_of = len(look.settled)

    def index(self) -> bool:
        self.indexed.append(self.at)
        return self.at >= self.absent_until

    def frames(self, writing: Set[str]) -> frozenset[int]:
        rejected = {frame for when, frame in self.rejected_at.items() if when <= self.at}
        return frozenset(range(1, self.told_of + 1)) - self.unusable - rejected

    def make(self, writing: Set[str]) -> int | None:
        wanted = self.frames(writing)
        if wanted != self.made:  # else the plan would be the same
            self.at += self.cost_s
            self.pictures.append((self.at, len(wanted)))
            self.made = wanted
        return len(wanted)

    def rest(self, look: Look) -> None:
        pass

    def watch(self, orders: Orders, elapsed_s: float = 0.0) -> str:
        return Loop(orders, self, self, elapsed_s=elapsed_s, clock=self.clock, wait=self.wait).run()


def test_the_first_picture_waits_for_three_frames() -> None:
    night = Night([10.0, 20.0, 30.0, 100.0])
    assert night.watch(Orders(idle_s=300)) == "nothing new came for 5 min"
    (first, three), (second, four) = night.pictures
    assert (three, four) == (FIRST_FRAMES, 4)
    assert 31 <= first <= 33 and 101 <= second <= 103 and 400 <= night.at <= 405


def test_a_night_of_two_frames_has_a_picture_in_the_end() -> None:
    night = Night([10.0, 20.0])
    night.watch(Orders(idle_s=60))
    assert [frames for _, frames in night.pictures] == [2]


def test_pictures_take_half_of_the_time_at_most() -> None:
    night = Night([float(n) for n in range(0, 600, 5)], cost_s=60.0)
    night.watch(Orders(idle_s=120, every_s=10))
    begins = [at - 60 for at, _ in night.pictures]
    assert all(b - a >= 120 for a, b in pairwise(begins[1:-1]))
    assert begins[1] - begins[0] <= 75  # the first one compiles: it says nothing of the second
    assert night.pictures[-1][1] == 120  # all are in at the end


def test_every_so_many_frames_and_so_many_seconds() -> None:
    night = Night([float(n) for n in range(1, 101)], cost_s=0.0)
    night.watch(Orders(idle_s=50, every_frames=20, every_s=1.0))
    counts = [frames for _, frames in night.pictures]
    assert all(b - a >= 20 for a, b in pairwise(counts[:-1])) and counts[-1] == 100
    slow = Night([float(n) for n in range(1, 101)], cost_s=0.0)
    slow.watch(Orders(idle_s=50, every_s=30.0))
    times = [at for at, _ in slow.pictures]
    assert all(b - a >= 30 for a, b in pairwise(times[:-1])) and slow.pictures[-1][1] == 100


def test_it_ends_after_its_time_with_what_is_there() -> None:
    night = Night([float(n) for n in range(1, 1000)], cost_s=0.0)
    assert night.watch(Orders(for_s=120, every_frames=50)) == "2 min are over"
    assert night.pictures[-1][1] >= 119
    later = Night([1.0, 2.0, 3.0, 4.0], cost_s=0.0)  # the second attempt at a job that watched for 100 s
    later.watch(Orders(for_s=120), elapsed_s=100.0)
    assert 20 <= later.at <= 25


def test_it_ends_with_enough_frames() -> None:
    night = Night([float(n) for n in range(1, 1000)], cost_s=0.0)
    assert "frames are in the picture" in night.watch(Orders(frames=10))
    assert night.pictures[-1][1] >= 10 and night.at < 60


def test_a_decision_makes_a_new_picture() -> None:
    night = Night([1.0, 2.0, 3.0, 4.0, 5.0], cost_s=0.0, rejected_at={100.0: 2})
    night.watch(Orders(idle_s=200))
    assert [frames for _, frames in night.pictures[-2:]] == [5, 4]
    assert 100 <= night.pictures[-1][0] <= 105  # and not only in the end


def test_frames_that_cannot_be_used_make_no_picture() -> None:
    night = Night([1.0, 2.0, 3.0], unusable=frozenset((1, 2, 3)))
    night.watch(Orders(idle_s=60))
    assert night.pictures == []


def test_a_folder_that_cannot_be_read_is_tried_again() -> None:
    night = Night([1.0, 2.0, 3.0], cost_s=0.0, absent_until=100.0)
    night.watch(Orders(idle_s=150, every_s=10))
    assert [frames for _, frames in night.pictures] == [3] and night.pictures[0][0] >= 100
    assert len([at for at in night.indexed if at < 100]) <= 10  # and not at every look


def test_looking_takes_a_tenth_of_the_time_at_most() -> None:
    class Slow(Night):
        def look(self) -> Look:
            self.at += 3.0
            return super().look()

    night = Slow([1.0])
    night.watch(Orders(idle_s=100, poll_s=2.0))
    assert all(seconds >= 30.0 for seconds in night.waits)
