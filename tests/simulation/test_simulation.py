"""The engine in invented histories; a failure names its seed, which replays it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import repeatable

HISTORIES = int(os.environ.get("SIMULATION_HISTORIES", "400"))
FIRST = int(os.environ.get("SIMULATION_SEED", "20260301"))


@pytest.mark.parametrize("part", [0, 1])
def test_whatever_happens_nothing_is_lost_and_nothing_is_told_that_was_not_so(part: int) -> None:
    """Workers die, the database and the network fail, clocks jump; every accepted event still ends as it should."""
    half = HISTORIES // 2
    asked = ["--seed", str(FIRST + part * half), "--histories", str(half)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *asked],
        cwd=Path(__file__).parents[2],
        env=repeatable(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"{half} histories" in done.stdout
