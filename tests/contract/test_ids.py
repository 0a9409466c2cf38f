"""Each maker of ids keeps the contract of the port Ids; so do the clocks, whose contract is one line."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from adapters.clock import RandomIds, SystemClock
from application.ports.clock import Clock
from application.ports.ids import Ids
from tests.contract.ids import IdsContract
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds


class TestRandomIds(IdsContract):
    """The real one."""

    def make(self) -> Ids:
        return RandomIds()


class TestCountingIds(IdsContract):
    """The fake."""

    def make(self) -> Ids:
        return CountingIds()


def test_ids_made_in_several_threads_are_all_different_and_ordered_in_each() -> None:
    """The command line and the scheduler may use threads."""
    ids = RandomIds()
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: [ids.new("event") for _ in range(2000)], range(8)))
    assert all(batch == sorted(batch) for batch in made)
    assert len({one for batch in made for one in batch}) == 16_000


def test_a_clock_that_is_set_back_does_not_set_back_the_ids() -> None:
    """Machines correct their clocks; pages must not lose rows by it."""
    at = iter([2_000_000_000_000, 1_000_000_000_000, 2_000_000_000_000, 2_000_000_001_000])
    ids = RandomIds(lambda: next(at) * 1_000_000)
    made = [ids.new("event") for _ in range(4)]
    assert made == sorted(set(made))


def test_a_used_up_millisecond_is_followed_by_the_next() -> None:
    """The random part cannot overflow into an id that sorts before the last."""
    ids = RandomIds(lambda: 1_000_000_000_000 * 1_000_000)
    ids.new("event")
    ids._random = (1 << 80) - 2
    made = [ids.new("event") for _ in range(4)]
    assert made == sorted(set(made))
    assert made[0].endswith("ZZZZZZZZZZZZZZZZ")


@pytest.mark.parametrize("clock", [SystemClock(), FrozenClock()])
def test_a_clock_s_time_is_aware_and_in_utc(clock: Clock) -> None:
    """A naive time in the database is a time nobody knows."""
    assert clock.now().tzinfo is UTC


def test_a_frozen_clock_moves_only_when_it_is_told_to() -> None:
    """A test decides what time it is."""
    clock = FrozenClock(datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == clock.now() == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert clock.advance(timedelta(minutes=1)) == clock.now() == datetime(2026, 1, 1, 10, 1, tzinfo=UTC)
