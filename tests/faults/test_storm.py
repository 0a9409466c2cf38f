"""Deliveries while processes are killed, the broker loses everything and the database is stopped: the small size.

`make faults` plays the full size and writes benchmarks/results/faults.json; see docs/reliability.md.
"""

import os
from pathlib import Path

import pytest

from tests.faults.storm import Plan, on_postgres, on_sqlite

pytestmark = pytest.mark.faults

SEED = os.environ.get("PATCHBAY_FAULT_SEED", "2026")

RECOVERED_S = 30
"""From a kill to the next delivery at every endpoint, at most: issue 3's bar."""


def test_a_hub_on_sqlite_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    """Every acknowledged event arrives, nothing is recorded that did not, nothing is kept twice."""
    outcome = on_sqlite(tmp_path, Plan(deliveries=1_000, kills=8), SEED)
    assert outcome.reckoned.faults == ()
    assert (outcome.kills, outcome.reckoned.events, outcome.reckoned.deliveries) == (8, 250, 1_000)
    assert outcome.recovery_worst < RECOVERED_S
    assert outcome.falls == 0, "a hub ended by itself"


def test_workers_over_postgres_and_nats_lose_nothing_either(tmp_path: Path) -> None:
    """Also when the broker comes back knowing nothing, and the database is stopped at once."""
    outcome = on_postgres(tmp_path, Plan(deliveries=1_000, kills=6, wipes=1, restarts=1), SEED)
    assert outcome.reckoned.faults == ()
    assert (outcome.kills, outcome.reckoned.events, outcome.reckoned.deliveries) == (6, 250, 1_000)
    assert outcome.recovery_worst < RECOVERED_S
