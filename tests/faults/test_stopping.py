"""SIGTERM in the middle of the work: what is under way finishes and is written down, nothing is sent twice."""

import time
from pathlib import Path

import pytest

from tests.faults.installation import installed
from tests.faults.publisher import Publisher, units
from tests.faults.reckoning import Books, reckon

pytestmark = pytest.mark.faults

ROUNDS = 5


def test_a_hub_that_is_stopped_again_and_again_sends_nothing_twice(tmp_path: Path) -> None:
    """An upgrade while events come in and deliveries go out: exit code 0, and each event arrives exactly once."""
    with installed(tmp_path, "stopping") as site:
        site.start("hub", "serve")
        site.until_ready()
        paths = {site.endpoint(f"/{number}"): f"/{number}" for number in range(3)}
        site.mood(slowest_s=0.5)
        publisher = Publisher(site.url, site.headers, units(300, "stopping"), "stopping")
        try:
            for round_ in range(ROUNDS):
                before = site.heard()
                publisher.release((round_ + 1) / (ROUNDS + 1))
                site.until("a delivery", lambda before=before: site.received(before))
                asked = time.monotonic()
                assert site.stop("hub") == 0, site.story("hub")
                assert time.monotonic() - asked < 15
                site.start_again("hub")
                site.until_ready()
            publisher.finish(60)
        finally:
            publisher.stop()
        site.until_delivered()
        assert site.stop("hub") == 0
        received = site.received()
    done = reckon(Books.at(f"sqlite:///{tmp_path / 'data' / 'patchbay.db'}"), received, publisher.acknowledged, paths)
    assert done.faults == ()
    assert (done.events, done.received, done.duplicates) == (300, 900, 0)
