"""What a side is put to in the delivery benchmark: each scene once, in a store that is empty at first.

Every scene ends by checking that each delivery came exactly once, that a sample of the signatures is genuine, and that
an attempt is recorded for each; else it raises Unfinished and there is no number.
"""

import asyncio
import time

import attrs

from benchmarks.load import load, request
from benchmarks.peers.hub import BATCH, Patchbay, batch
from benchmarks.peers.side import Side, Sitting
from benchmarks.sink.programs import Unfinished, send, template

PACE = 200
"""Events a second for the latency: what Convoy published its figure at."""

_WARM = 500
"""Events before those that count: a compiler or a cache that has to warm up is not what is asked."""

_SLOWEST = 50.0
"""Deliveries a second; a side that is slower than this is given up."""

_RECORDED_WITHIN = 5.0


@attrs.frozen
class Outcome:
    """Deliveries a second; CPU milliseconds of each over all the processes of the side."""

    per_second: float
    cpu: float


def drain(side: Side, events: int) -> Outcome:
    """A backlog that a worker finds when it starts: from the first arrival at the receiver to the last.

    The worker's start is in neither number; what it has to compile or cache is in both.
    """
    with side.sitting() as sitting:
        sink = sitting.sink
        secrets = sitting.listen([sink.url(1)])
        sitting.intake()
        sitting.fill(events)
        if sink.count()["requests"]:
            raise Unfinished(f"{side.name} delivered before it was to")
        sitting.worker()
        already = sink.until(1, 60)["requests"]
        before = sitting.cpu()
        counted = sink.until(events, 60 + events / _SLOWEST)
        _until_recorded(sitting, events)
        used = sitting.cpu() - before
        sink.check(events, secrets)
        return Outcome((events - 1) / (counted["last"] - counted["first"]), used / max(events - already, 1) * 1000)


@attrs.frozen
class Load:
    """CPU milliseconds of a delivery; the most memory that a process of the worker's held, in MiB."""

    cpu: float
    memory: float


def under_a_backlog(hub: Patchbay, waiting: int, counted: int) -> Load:
    """So many deliveries wait; the worker starts, and the first `counted` that arrive are what counts.

    Those before them (a quarter as many) pay for what is read and compiled at the start.
    """
    with hub.sitting() as sitting:
        sink = sitting.sink
        sitting.listen([sink.url(1)])
        sitting.intake()
        sitting.fill(waiting)
        sitting.worker()
        worker = sitting.processes[-1]
        already = int(sink.until(counted // 4, 120)["requests"])
        before = worker.cpu
        until = sink.until(already + counted, 60 + counted / _SLOWEST)["requests"]
        used = worker.cpu - before
        return Load(used / (until - already) * 1000, worker.peak_memory / 2**20)


def end_to_end(side: Side, events: int, endpoints: int = 1) -> Outcome:
    """One POST for each event over 64 connections: from the first POST to the last arrival. Counts deliveries."""
    with side.sitting() as sitting:
        sink = sitting.sink
        secrets = sitting.listen([sink.url(number) for number in range(endpoints)])
        sitting.everything()
        _warm_up(sitting, _WARM // endpoints, endpoints)
        deliveries = events * endpoints
        before = sitting.cpu()
        sent = send(
            sitting.port, template(sitting.path, sitting.headers), events, seconds=round(60 + events / _SLOWEST)
        )
        counted = sink.until(deliveries, 60 + deliveries / _SLOWEST)
        _until_recorded(sitting, deliveries + _WARM // endpoints * endpoints)
        used = sitting.cpu() - before
        sink.check(deliveries, secrets)
        return Outcome(deliveries / (counted["last"] - sent.began), used / deliveries * 1000)


def batches(hub: Patchbay, many: int, endpoints: int, connections: int = 4) -> tuple[float, float]:
    """Batches of 1,000 events over a few connections, no worker running. Events a second; CPU ms of each.

    The hub is then killed, not stopped, and every event that it had answered for has to be in its file.
    """
    with hub.sitting() as sitting:
        sitting.listen([sitting.sink.url(number) for number in range(endpoints)])
        sitting.intake()
        headers = {**sitting.headers, "Content-Type": "application/json"}
        asyncio.run(load(sitting.port, [request("/api/events/batch", batch(BATCH), headers)], 1))
        requests = [request("/api/events/batch", batch(BATCH), headers) for _ in range(many)]
        before = sitting.cpu()
        loaded = asyncio.run(load(sitting.port, requests, connections))
        used = sitting.cpu() - before
        if loaded.statuses != {201}:
            raise Unfinished(f"not every batch was taken: {sorted(loaded.statuses)}")
        for process in sitting.processes:
            process.popen.kill()
            process.popen.wait()
        if (kept := sitting.kept()) != (many + 1) * BATCH:
            raise Unfinished(f"{kept:,} of {(many + 1) * BATCH:,} events were kept")
        return many * BATCH / loaded.seconds, used / (many * BATCH) * 1000


def latency(side: Side, per_second: int, seconds: int) -> dict[str, float]:
    """From when a POST was due to the arrival of its event, in ms: p50, p95, p99."""
    events = per_second * seconds
    with side.sitting() as sitting:
        sink = sitting.sink
        secrets = sitting.listen([sink.url(0)])
        sitting.everything()
        _warm_up(sitting, _WARM, 1)
        given = template(sitting.path, sitting.headers)
        send(sitting.port, given, events, rate=per_second, seconds=seconds + 60)
        sink.until(events, 60)
        _until_recorded(sitting, events + _WARM)
        sink.check(events, secrets)
        waits = sink.waits()
        return {f"p{part}": waits[len(waits) * part // 100] for part in (50, 95, 99)}


def _warm_up(sitting: Sitting, events: int, endpoints: int) -> None:
    send(sitting.port, template(sitting.path, sitting.headers), events)
    sitting.sink.until(events * endpoints, 60)
    _until_recorded(sitting, events * endpoints)
    sitting.sink.forget()


def _until_recorded(sitting: Sitting, attempts: int) -> None:
    deadline = time.monotonic() + _RECORDED_WITHIN
    while (recorded := sitting.recorded()) != attempts:
        if time.monotonic() > deadline:
            raise Unfinished(f"{recorded:,} attempts are recorded; {attempts:,} were made")
        time.sleep(0.05)
