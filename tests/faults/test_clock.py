"""A clock that is set forth and back by an hour: leases change hands, nothing stands still, nothing is recorded twice."""

import time
from pathlib import Path

import pytest

from tests.faults.installation import Installation, installed
from tests.faults.reckoning import Books, reckon

pytestmark = pytest.mark.faults

HOUR = 3600.0
SOON_S = 15.0
"""Seconds within which what is published after a jump is delivered: the machine may be busy."""


def test_a_jump_of_the_clock_stops_no_lane(tmp_path: Path) -> None:
    """In the middle of the attempts, each time."""
    with installed(tmp_path, "clock") as site:
        site.start("hub", "serve", clock=True)
        site.until_ready()
        paths = {site.endpoint(f"/{number}"): f"/{number}" for number in range(3)}
        site.mood(slowest_s=0.5)
        acknowledged: dict[int, str] = {}
        for ahead in (0.0, HOUR, 0.0, -HOUR, HOUR, 0.0):
            under_way(site, acknowledged)
            site.set_clock(ahead)
            under_way(site, acknowledged)
            began = time.monotonic()
            site.until("the deliveries", lambda: came(site, acknowledged, len(paths)))
            assert time.monotonic() - began < SOON_S, f"{ahead:.0f} s ahead"
        # An attempt that a jump found under way may be made again; all are written down in the end.
        site.until_delivered(patience=40)
        assert site.stop("hub") == 0, site.story("hub")
        received = site.received()
    done = reckon(Books.at(f"sqlite:///{tmp_path / 'data' / 'patchbay.db'}"), received, acknowledged, paths)
    assert done.faults == ()
    assert done.deliveries == 3 * len(acknowledged)


def under_way(site: Installation, acknowledged: dict[int, str]) -> None:
    """Twenty more events; returns when something of them came."""
    before = site.heard()
    numbers = range(len(acknowledged), len(acknowledged) + 20)
    acknowledged.update(zip(numbers, site.publish(*numbers), strict=True))
    site.until("a delivery", lambda: site.received(before))


def came(site: Installation, acknowledged: dict[int, str], endpoints: int) -> bool:
    """Whether all of it arrived."""
    taken = {(one.path, one.number) for one in site.received() if one.taken}
    return len(taken) == endpoints * len(acknowledged)
