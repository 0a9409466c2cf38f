"""Names that are not found: retried, said so, and nobody else waits for them."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.installation import installed
from tests.faults.reckoning import Books, reckon

pytestmark = pytest.mark.faults

NAMELESS = 12
"""Endpoints whose name does not exist (RFC 6761, section 6.4: .invalid never does)."""

EVENTS = 40
QUICKLY_S = 10.0


def test_a_name_that_is_not_found_is_tried_again_and_holds_up_nobody(tmp_path: Path) -> None:
    """Most failures of a name server pass, so that it is no reason to give up."""
    database = tmp_path / "data" / "patchbay.db"
    with installed(tmp_path, "names") as site:
        site.start("hub", "serve")
        site.until_ready()
        paths = {site.endpoint(f"/{number}"): f"/{number}" for number in range(3)}
        nameless = [site.endpoint(f"/nameless/{number}") for number in range(NAMELESS)]
        assert site.stop("hub") == 0
        with closing(sqlite3.connect(database)) as connection, connection:
            # An endpoint is not made with such a name; its name goes later.
            for number, id_ in enumerate(nameless):
                connection.execute(
                    "UPDATE endpoints SET url = ? WHERE id = ?", (f"https://nobody-{number}.invalid/", id_)
                )
        site.start_again("hub")
        site.until_ready()
        acknowledged = dict(enumerate(site.publish(0, 1)))

        def again() -> list[Any]:
            mine = [one for one in site.deliveries("&status=pending") if one["destination_id"] == nameless[-1]]
            return [one for one in mine if one["attempts"] >= 2]

        tried = site.until("a second try", again)
        assert all("not found" in one["last_error"] for one in tried), tried[0]
        attempts = site.call("GET", f"/api/deliveries/{tried[0]['id']}")["attempts"]
        assert len(attempts) >= 2
        assert all("not found" in one["error"] for one in attempts)
        assert all(site.call("GET", f"/api/webhooks/{one}")["status"] == "active" for one in nameless)

        # With more, their breakers open, and close again for one try after the other.
        began = time.monotonic()
        acknowledged.update(zip(range(2, EVENTS), site.publish(*range(2, EVENTS)), strict=True))
        site.until("the others' deliveries", lambda: len(site.received()) == 3 * EVENTS)
        assert time.monotonic() - began < QUICKLY_S
        assert site.stop("hub") == 0
        received = site.received()
    books = Books.at(f"sqlite:///{database}")
    waiting = [row for row in books.deliveries if row[2] in nameless]
    assert len(waiting) == EVENTS * NAMELESS
    assert {row[4] for row in waiting} == {"pending"}
    done = reckon(books, received, acknowledged, paths)
    assert [fault for fault in done.faults if not fault.startswith("not delivered")] == []
    assert done.received == 3 * EVENTS
