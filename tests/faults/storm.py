"""Deliveries in a storm: `python -m tests.faults.storm` plays the full size on both databases and keeps the counts.

Real processes are killed at random moments while a publisher publishes and a receiver, which nobody kills, writes down what
it gets; broker and database are taken away in between. A seed chooses the moments; it cannot choose how a machine
schedules its processes, so a repetition is alike, not the same.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import attrs

from benchmarks.rows import machine, versions
from tests.faults.durable import DurableServer
from tests.faults.installation import Installation, installed
from tests.faults.publisher import Publisher, units
from tests.faults.reckoning import Books, Reckoned, percentile, reckon, recoveries
from tests.nats import Server as NatsServer

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"

ENDPOINTS = 4

_EARLY = 0.25
"""The part of the kills that come before the process that was just born is ready."""

_STARTING_S = 1.0
_DELIVERING_S = 0.3
"""The first come so long at most after its birth, the others after it delivered something."""


@attrs.frozen
class Plan:
    """What is to happen. wipes and restarts: how often the broker loses everything, and the database is stopped at once."""

    deliveries: int
    kills: int
    wipes: int = 0
    restarts: int = 0


@attrs.frozen
class Outcome:
    """What happened. Times in seconds; recovery: from a kill to the first delivery after it, at the endpoint served last."""

    store: str
    seed: str
    kills: int
    in_an_attempt: int
    wipes: int
    restarts: int
    seconds: float
    reckoned: Reckoned
    retried_calls: int
    repeated_calls: int
    falls: int
    recovery_median: float
    recovery_p99: float
    recovery_worst: float
    after_restart_worst: float | None


@attrs.define
class Weather:
    """Who can be killed, and what else can be taken away."""

    victims: Sequence[str]
    wipe: Callable[[], None] = lambda: None
    restart: Callable[[], None] = lambda: None


def on_sqlite(folder: Path, plan: Plan, seed: str) -> Outcome:
    """One hub in one process, as most run it."""
    with installed(folder, seed) as site:
        site.start("hub", "serve")
        return _storm(site, Weather(("hub",)), plan, seed, "SQLite", f"sqlite:///{folder / 'data' / 'patchbay.db'}")


def on_postgres(folder: Path, plan: Plan, seed: str) -> Outcome:
    """A hub without a worker, and two workers; NATS carries the calls between them."""
    with ExitStack() as exits:
        database, broker = DurableServer(), NatsServer()
        exits.callback(broker.stop)
        exits.callback(database.stop)
        name = database.create()
        environment = {"PATCHBAY_DATABASE_URL": database.url(name), "PATCHBAY_QUEUE_URL": broker.url}
        site = exits.enter_context(installed(folder, seed, environment))

        def restart() -> None:
            database.halt()
            database.start()

        site.start("hub", "serve", "--no-worker")
        site.start("worker-1", "worker")
        site.start("worker-2", "worker")
        weather = Weather(("hub", "worker-1", "worker-2"), broker.wipe, restart)
        return _storm(site, weather, plan, seed, "PostgreSQL + NATS", database.url(name))


def _storm(site: Installation, weather: Weather, plan: Plan, seed: str, store: str, url: str) -> Outcome:
    dice = random.Random(f"{seed} kills")
    site.until_ready()
    paths = {site.endpoint(f"/{number}"): f"/{number}" for number in range(ENDPOINTS)}
    site.mood(slowest_s=0.4, refused=0.01)
    began = time.time()
    publisher = Publisher(site.url, site.headers, units(plan.deliveries // ENDPOINTS, seed), seed)
    try:
        kills, restarts = _kill(site, weather, plan, dice, publisher)
        publisher.finish(120)
        site.until_ready()
        site.until_delivered(120)
    finally:
        publisher.stop()
    seconds = time.time() - began
    for role in site.roles.values():
        if role.wanted:
            assert site.stop(role.name) == 0, site.story(role.name)
    for role in site.roles.values():
        if role.falls:
            ages = ", ".join(f"{age:.1f}" for age in role.falls)
            print(f"{role.name} ended by itself, {ages} s old:\n{site.story(role.name)}", file=sys.stderr)
    received = site.received()
    found = recoveries(kills, received, tuple(paths.values()))
    after = recoveries(restarts, received, tuple(paths.values()))
    return Outcome(
        store=store,
        seed=seed,
        kills=len(kills),
        in_an_attempt=sum(any(one.came < killed < one.answered for one in received) for killed, _ in kills),
        wipes=plan.wipes,
        restarts=len(restarts),
        seconds=round(seconds, 1),
        reckoned=reckon(Books.at(url), received, publisher.acknowledged, paths),
        retried_calls=publisher.retried,
        repeated_calls=publisher.repeated,
        falls=sum(len(role.falls) for role in site.roles.values()),
        recovery_median=round(median(found), 2),
        recovery_p99=round(percentile(found, 0.99), 2),
        recovery_worst=round(max(found), 2),
        after_restart_worst=round(max(after), 2) if after else None,
    )


def _kill(
    site: Installation, weather: Weather, plan: Plan, dice: random.Random, publisher: Publisher
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Kill and start again, and publish a part more after each. Returns the kills and the restarts of the database."""
    wipes = set(dice.sample(range(plan.kills), plan.wipes))
    gone = set(dice.sample(range(plan.kills), plan.restarts))
    kills: list[tuple[float, float]] = []
    restarts: list[tuple[float, float]] = []
    publisher.release(1 / (plan.kills + 1))
    for number in range(plan.kills):
        early = dice.random() < _EARLY
        if not early:
            born, heard = kills[-1][1] if kills else 0.0, site.heard()
            site.until("a delivery", lambda born=born, heard=heard: any(r.came > born for r in site.received(heard)))
        time.sleep(dice.uniform(0.005, _STARTING_S if early else _DELIVERING_S))
        if number in wipes:
            weather.wipe()
        if number in gone:
            before = time.time()
            weather.restart()
            restarts.append((before, time.time()))
        victim = dice.choice(weather.victims)
        killed = site.kill(victim)
        kills.append((killed, site.start_again(victim)))
        publisher.release((number + 2) / (plan.kills + 1))
    return kills, restarts


def main() -> int:
    """Play it, say what came of it, keep it as JSON. The exit code is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.storm", description=__doc__)
    parser.add_argument("--seed", default=os.environ.get("PATCHBAY_FAULT_SEED", "2026"))
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    few = max(1, asked.kills // 20)
    runs: list[tuple[str, Callable[[Path, Plan, str], Outcome], Plan]] = [
        ("sqlite", on_sqlite, Plan(asked.deliveries, asked.kills)),
        ("postgres", on_postgres, Plan(asked.deliveries, asked.kills, few, few)),
    ]
    kept: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "runs": [],
    }
    broken = False
    for name, play, plan in runs:
        if asked.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="patchbay-storm-") as folder:
            outcome = play(Path(folder), plan, asked.seed)
        print(json.dumps(attrs.asdict(outcome), indent=1), flush=True)
        kept["runs"].append(attrs.asdict(outcome))
        broken |= bool(outcome.reckoned.faults)
        asked.out.write_text(json.dumps(kept, indent=2) + "\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
