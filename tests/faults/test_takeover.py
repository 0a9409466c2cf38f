"""Who takes over from a dead worker, and when: at once on its machine, elsewhere when its lease is over."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from adapters.persistence.presence import Presence
from tests.faults.installation import ROOT, installed
from tests.faults.reckoning import Books, reckon

pytestmark = pytest.mark.faults

_SHOW_AND_WAIT = """
from adapters.persistence.presence import Presence
presence = Presence()
print(presence.mark(), flush=True)
input()
"""


def test_the_kernel_tells_who_is_gone() -> None:
    """However it died. Of marks from another boot, another name space or none nothing is known."""
    other = subprocess.Popen(
        [sys.executable, "-c", _SHOW_AND_WAIT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        mark, presence = other.stdout.readline().strip(), Presence()
        assert mark.count("/") == 2
        assert " " not in mark
        assert not presence.is_gone(mark)
        other.kill()
        other.wait()
        assert presence.is_gone(mark)
    boot, names, drawn = mark.split("/")
    for unknown in (f"{boot}/1/{drawn}", f"another/{names}/{drawn}", f"{boot}/{names}/", drawn, "", "wrk_1"):
        assert not presence.is_gone(unknown)
    assert not presence.is_gone(presence.mark())
    assert presence.mark() == presence.mark()


def test_a_hub_that_is_started_again_on_its_machine_waits_for_no_lease(tmp_path: Path) -> None:
    """A lease lasts 20 s. What the dead process had under way is sent again at once, under the same webhook-id."""
    with installed(tmp_path, "takeover") as site:
        site.start("hub", "serve")
        site.until_ready()
        paths = {site.endpoint(f"/{number}"): f"/{number}" for number in range(3)}
        site.mood(hanging=list(paths.values()))
        acknowledged = dict(enumerate(site.publish(*range(5))))
        site.until("the attempts", lambda: len(site.received()) >= 15)
        site.kill("hub")
        site.mood()
        site.start_again("hub")
        site.until_ready()
        ready = time.monotonic()
        site.until_delivered()
        assert time.monotonic() - ready < 10, "it waited for the lease of its predecessor"
        assert site.stop("hub") == 0
        received = site.received()
    done = reckon(Books.at(f"sqlite:///{tmp_path / 'data' / 'patchbay.db'}"), received, acknowledged, paths)
    assert done.faults == ()
    assert (done.duplicates, done.refused_and_repeated) == (0, 15)


def test_a_worker_that_dies_for_good_is_taken_over_by_another_within_half_a_minute(tmp_path: Path) -> None:
    """The other one lives already and is told nothing: it finds the lanes when the lease of the first is over."""
    with installed(tmp_path, "lease") as site:
        site.start("hub", "serve", "--no-worker", "--no-scheduler")
        site.start("first", "worker")
        site.until_ready()
        paths = {site.endpoint(f"/{number}"): f"/{number}" for number in range(3)}
        site.mood(hanging=list(paths.values()))
        acknowledged = dict(enumerate(site.publish(*range(5))))
        site.until("the attempts", lambda: len(site.received()) >= 15)
        site.start("second", "worker")
        site.until("the second's lease", lambda: workers(tmp_path) == 2)
        site.mood()
        killed = site.kill("first")
        site.until_delivered()
        assert time.time() - killed < 30
        assert site.stop("second") == site.stop("hub") == 0
        received = site.received()
    done = reckon(Books.at(f"sqlite:///{tmp_path / 'data' / 'patchbay.db'}"), received, acknowledged, paths)
    assert done.faults == ()
    assert done.duplicates == 0


def workers(folder: Path) -> int:
    """How many leases there are."""
    with closing(sqlite3.connect(folder / "data" / "patchbay.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM workers").fetchone()[0])
