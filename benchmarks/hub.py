"""The hub from outside: taking in events, delivering them, taking in a provider's webhooks."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from itertools import count

from adapters.providers.stripe.webhook import HEADER, signature
from benchmarks.load import Load, load, request
from benchmarks.rows import Row, row
from benchmarks.stage import PATIENCE, Process, Stage, staged

CONNECTIONS = 16
_numbers = count()


def doors(requests: int, runs: int) -> Iterator[Row]:
    """What comes in, acknowledged when it is durable: POST /api/events of 500 bytes, each with an Idempotency-Key and
    nobody listening; and Stripe's webhooks of 3 KB, whose signatures are verified. No worker runs meanwhile."""
    secret = "whsec_" + "bench" * 8
    with staged() as stage:
        stage.sandbox()
        hub = stage.hub("serve", "--no-worker", "--no-scheduler")
        connect = {"secret_key": "sk_test_bench", "webhook_secret": secret}
        stage.call("POST", "/api/integrations/stripe/connect", connect)
        _through(stage, hub, [_events(stage, 50), _webhooks(secret, 50)])  # the first pay for what is made once
        events = [_events(stage, requests) for _ in range(runs)]
        yield from _of_loads("events taken in by POST", *_through(stage, hub, events))
        webhooks = [_webhooks(secret, requests) for _ in range(runs)]
        yield from _of_loads("Stripe webhooks verified and stored", *_through(stage, hub, webhooks))


def deliveries(events: int, few: int, per_second: int, runs: int) -> Iterator[Row]:
    """From the POST to a local receiver that answers 200, signed, each attempt recorded; the hub in one process. First as
    many as it can; then a few at a rate that it can keep up with, and how long each of them takes."""
    rates, cpu, halves, tails = [], [], [], []
    for _ in range(runs):
        with staged() as stage:
            stage.receiver()
            hub = stage.hub("serve", "--no-scheduler")
            secret = stage.listen()
            before, began = hub.cpu, time.time()
            asyncio.run(load(stage.port, _events(stage, events), CONNECTIONS))
            rates.append(events / (_all_heard(stage, events) - began))
            cpu.append((hub.cpu - before) / events * 1000)
            stage.forget(secret)
            asyncio.run(_paced(stage, _events(stage, few), 1 / per_second))
            _all_heard(stage, few)
            waits = stage.heard()["waits"]
            halves.append(waits[len(waits) // 2] * 1000)
            tails.append(waits[int(len(waits) * 0.95)] * 1000)
    yield row("deliveries, events by POST", rates, "1/s")
    yield row("  CPU of the hub, intake and worker", cpu, "ms each")
    yield row(f"event to receiver at {per_second}/s, p50", halves, "ms")
    yield row(f"event to receiver at {per_second}/s, p95", tails, "ms")


def backlog(events: int, runs: int) -> Iterator[Row]:
    """The same, but a worker of its own finds everything waiting."""
    rates, cpu = [], []
    for _ in range(runs):
        with staged() as stage:
            stage.receiver()
            stage.hub("serve", "--no-worker", "--no-scheduler")
            stage.listen()
            asyncio.run(load(stage.port, _events(stage, events), CONNECTIONS))
            worker = stage.hub("worker")
            _all_heard(stage, events)
            report = stage.heard()
            rates.append((events - 1) / (report["last"] - report["first"]))
            cpu.append(worker.cpu / events * 1000)
    yield row("deliveries, draining a backlog", rates, "1/s")
    yield row("  CPU of the worker, its start included", cpu, "ms each")


def _through(stage: Stage, hub: Process, batches: Sequence[Sequence[bytes]]) -> tuple[list[Load], list[float]]:
    """Each batch as a load of its own, and the hub's CPU for each of its requests, in ms."""
    loads, cpu = [], []
    for batch in batches:
        before = hub.cpu
        loads.append(asyncio.run(load(stage.port, batch, CONNECTIONS)))
        cpu.append((hub.cpu - before) / len(batch) * 1000)
    return loads, cpu


def _of_loads(name: str, loads: Sequence[Load], cpu: Sequence[float]) -> Iterator[Row]:
    for one in loads:
        if not one.statuses <= {200, 201}:
            raise ValueError(f"{name}: not everything was taken: {sorted(one.statuses)}")
    yield row(name, [one.per_second for one in loads], "1/s")
    yield row(f"  p50, {CONNECTIONS} at a time", [one.percentile(0.5) for one in loads], "ms")
    yield row(f"  p95, {CONNECTIONS} at a time", [one.percentile(0.95) for one in loads], "ms")
    yield row("  CPU of the hub", cpu, "ms each")


def _all_heard(stage: Stage, events: int) -> float:
    """Wait until the receiver has every event, and check that each is genuine and came once. Returns when the last came."""
    deadline = time.monotonic() + PATIENCE
    while (report := stage.heard())["requests"] < events:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {report['requests']} of {events} events were delivered")
        time.sleep(0.1)
    if (report["ids"], report["wrong"], report["requests"]) != (events, 0, events):
        raise ValueError(f"the receiver did not get each event once and genuine: {report['ids']}, {report['wrong']}")
    last: float = report["last"]
    return last


async def _paced(stage: Stage, requests: Sequence[bytes], pause: float) -> None:
    async with asyncio.TaskGroup() as group:
        for one in requests:
            group.create_task(load(stage.port, [one], 1))
            await asyncio.sleep(pause)


def _events(stage: Stage, many: int) -> list[bytes]:
    padding = "x" * 380
    return [
        request(
            "/api/events",
            json.dumps({"type": "kiln.fired", "data": {"number": number, "padding": padding}}).encode(),
            {**stage.headers, "Idempotency-Key": f"bench-{number}"},
        )
        for number in (next(_numbers) for _ in range(many))
    ]


def _webhooks(secret: str, many: int) -> list[bytes]:
    made = []
    at = int(time.time())
    for number in (next(_numbers) for _ in range(many)):
        about = {
            "id": f"pi_{number}", "object": "payment_intent", "amount": 2000, "amount_received": 2000, "currency": "usd",
            "status": "succeeded", "metadata": {"patchbay_invoice": f"inv_{number}"}, "description": "x" * 2500,
        }  # fmt: skip
        event = {
            "id": f"evt_{number}", "object": "event", "type": "payment_intent.succeeded", "created": at,
            "livemode": False, "api_version": "2025-01-01", "data": {"object": about},
        }  # fmt: skip
        body = json.dumps(event, indent=2).encode()
        headers = {"Content-Type": "application/json", HEADER: f"t={at},v1={signature(secret, at, body)}"}
        made.append(request("/api/integrations/stripe/webhook", body, headers))
    return made
