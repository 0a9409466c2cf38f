"""`python -m benchmarks.webhooks [--quick] [--runs N]`: Stripe's webhooks, verified, kept and applied, beside dj-stripe.

Two questions, each asked of both sides in turns. How many webhooks a second are verified and kept? And how many are applied,
each with a fetch of what it is about from an API on this machine? The hub applies `payment_intent.succeeded`: an invoice
is paid, the payment and its fee are posted to the ledger, and what happened is told. dj-stripe applies `product.updated`,
which brings one row up to date.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import attrs
from rich.console import Console

from adapters.providers.stripe.webhook import HEADER, signature
from benchmarks.load import Load, load, request
from benchmarks.peers import djstripe
from benchmarks.peers.servers import Postgres, postgres, until_it_listens
from benchmarks.peers.side import Missing, cpu_of
from benchmarks.rows import Row, keep, row, show
from benchmarks.sink.stripe_api import AMOUNT, CREATED
from benchmarks.stage import HOST, Process, Stage, staged

RESULTS = Path(__file__).parent / "results"
SECRET = "whsec_" + "bench" * 8
CONNECTIONS = 32
BAR = 8.0
"""How many times dj-stripe's rate ours is to be."""

_PATIENCE = 180.0

ALONE = "account.application.authorized"
"""A type that dj-stripe keeps and does nothing about."""


class NotApplied(Exception):
    """What was posted did not all become true. The text says what did."""


@attrs.frozen
class Outcome:
    """Webhooks a second; CPU milliseconds of each, over all processes of the side but its database."""

    per_second: float
    cpu: float


def main() -> None:
    """Measure, show a table, keep JSON. Exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few webhooks, one run: a first look, no number to quote")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="the hub alone, without a ratio")
    parser.add_argument("--out", type=Path, default=RESULTS / "webhooks.json")
    asked = parser.parse_args()
    webhooks, runs = (300, 1) if asked.quick else (2000, asked.runs)
    console = Console(stderr=True, highlight=False)
    with ExitStack() as exits:
        server = programs = None
        try:
            server = exits.enter_context(postgres())
            programs = None if asked.no_peer else djstripe.install()
        except Missing as missing:
            console.print(f"[yellow]Left out: {missing}[/]")
        with console.status("measuring …"):
            rows = list(measured(server, programs, webhooks, runs))
    show(rows)
    if not asked.quick:
        keep(rows, asked.out)
        raise SystemExit(any(one.holds is False for one in rows))


def measured(server: Postgres | None, programs: Path | None, webhooks: int, runs: int) -> Iterator[Row]:
    """Every row; the sides take turns."""
    kept: dict[str, list[Outcome]] = {}
    applied: dict[str, list[Outcome]] = {}
    few = max(webhooks // 10, 50)
    """dj-stripe's rate does not change with more of them, and it takes ten times as long."""
    for _ in range(runs):
        for name, database in (("SQLite", None), *((("PostgreSQL", server),) if server else ())):
            kept.setdefault(name, []).append(keeping(database, webhooks))
            applied.setdefault(name, []).append(applying(database, webhooks))
        if server is not None and programs is not None:
            with peer(server, programs) as side:
                kept.setdefault("dj-stripe", []).append(asked_of(side, ALONE, few))
                applied.setdefault("dj-stripe", []).append(asked_of(side, "product.updated", few))
    for what, outcomes in (("verified and kept", kept), ("verified and applied, with a fetch each", applied)):
        for name, ours in outcomes.items():
            theirs = outcomes.get("dj-stripe")
            if name == "dj-stripe" or not theirs:
                yield row(f"{what}: {name}", [one.per_second for one in ours], "1/s")
            else:
                ratios = [mine.per_second / other.per_second for mine, other in zip(ours, theirs, strict=True)]
                yield row(
                    f"{what}: Patchbay, {name}",
                    [one.per_second for one in ours],
                    "1/s",
                    peer="dj-stripe on gunicorn, 2 workers, PostgreSQL",
                    ratio=round(median(ratios), 2),
                    bar=BAR,
                    bar_is="at least",
                )
            yield row("  CPU of it, without the database", [one.cpu for one in ours], "ms each")


# The hub.


def keeping(server: Postgres | None, webhooks: int) -> Outcome:
    """Posted, verified, in the inbox. No worker runs."""
    with hub(server, webhooks) as (stage, connection, _):
        process = stage.hub("serve", "--no-worker", "--no-scheduler")
        path = f"/api/integrations/stripe/webhook/{connection}"
        warm, counted = _intents(path, range(100)), _intents(path, range(100, webhooks))
        _check(asyncio.run(load(stage.port, warm, CONNECTIONS)))
        before = process.cpu
        done = _check(asyncio.run(load(stage.port, counted, CONNECTIONS)))
        used = (process.cpu - before) / len(counted) * 1000
        if (found := _count(stage, server, "SELECT count(*) FROM inbox")) != webhooks:
            raise NotApplied(f"{found} of {webhooks} webhooks are kept")
        return Outcome(done.per_second, used)


def applying(server: Postgres | None, webhooks: int) -> Outcome:
    """From the first POST until every invoice is paid and every webhook is done with. The door and the worker are two
    processes, as the peer's workers are."""
    with hub(server, webhooks) as (stage, connection, _):
        processes = [stage.hub("serve", "--no-worker", "--no-scheduler"), stage.hub("worker")]
        path = f"/api/integrations/stripe/webhook/{connection}"
        _check(asyncio.run(load(stage.port, _intents(path, range(50)), CONNECTIONS)))
        _until(stage, server, 50)
        before, began = cpu_of(processes), time.perf_counter()
        _check(asyncio.run(load(stage.port, _intents(path, range(50, webhooks)), CONNECTIONS)))
        _until(stage, server, webhooks)
        seconds = time.perf_counter() - began
        used = (cpu_of(processes) - before) / (webhooks - 50) * 1000
        paid = _count(stage, server, "SELECT count(*) FROM invoices WHERE state = 'paid'")
        payments = _count(stage, server, "SELECT count(*) FROM payments")
        odd = _count(
            stage,
            server,
            "SELECT count(*) FROM (SELECT 1 FROM ledger GROUP BY posting HAVING sum(amount_amount) <> 0) x",
        )
        if (paid, payments, odd) != (webhooks, webhooks, 0):
            raise NotApplied(f"{paid} invoices paid by {payments} payments of {webhooks}, {odd} postings do not add up")
        return Outcome((webhooks - 50) / seconds, used)


@contextmanager
def hub(server: Postgres | None, invoices: int) -> Iterator[tuple[Stage, str, list[str]]]:
    """A hub's folder with a connection to Stripe and so many invoices, each of 20 dollars; nothing runs."""
    with staged() as stage:
        if server is not None:
            server.execute("DROP DATABASE IF EXISTS patchbay WITH (FORCE)")
            server.execute("CREATE DATABASE patchbay")
            stage.more["PATCHBAY_DATABASE_URL"] = f"postgresql://postgres@/patchbay?host={server.socket}"
        known = stage.folder / "known.json"
        known.write_text(json.dumps({"organisation": "", "invoices": []}))
        api = _api(stage, known)
        door = stage.hub("serve", "--no-worker", "--no-scheduler")
        fields = {"secret_key": "sk_test_" + "bench" * 5, "webhook_secret": SECRET}
        connection = stage.call("POST", "/api/integrations/stripe/connect", fields)["id"]
        client = stage.call("POST", "/api/clients", {"name": "Bench", "email": "bench@example.com"})["id"]
        line = {"description": "Care", "quantity": 1, "unit_price": "20.00"}
        body = json.dumps({"client_id": client, "currency": "USD", "lines": [line]}).encode()
        made = [request("/api/invoices", body, stage.headers)] * invoices
        _check(asyncio.run(load(stage.port, made, 16)), {201})
        ids = _ids(stage)
        stage.end(door)
        stage.end(api)
        organisation = _value(stage, server, "SELECT id FROM organisations")
        known.write_text(json.dumps({"organisation": organisation, "invoices": ids}))
        _api(stage, known)
        yield stage, connection, ids


def _api(stage: Stage, known: Path) -> Process:
    process = stage.start(sys.executable, "-m", "benchmarks.sink.stripe_api", str(stage.box_port), str(known))
    until_it_listens(process, stage.box_port)
    return process


def _ids(stage: Stage) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        page = stage.call("GET", f"/api/billing/invoices?limit=200{after}")
        found += [one["id"] for one in page["items"]]
        if not page["next_cursor"]:
            return found
        after = "&cursor=" + page["next_cursor"]


def _intents(path: str, numbers: Sequence[int] | range) -> list[bytes]:
    made = []
    at = int(time.time())
    for number in numbers:
        about = {
            "id": f"pi_{number:06d}", "object": "payment_intent", "amount": AMOUNT, "amount_received": AMOUNT,
            "currency": "usd", "status": "succeeded", "metadata": {}, "description": "x" * 2500,
        }  # fmt: skip
        made.append(_posted(path, f"evt_{number}", "payment_intent.succeeded", about, at))
    return made


def _posted(path: str, id_: str, kind: str, about: dict[str, Any], at: int) -> bytes:
    event = {
        "id": id_, "object": "event", "type": kind, "created": at, "livemode": False, "pending_webhooks": 1,
        "api_version": "2026-05-27.dahlia", "request": {"id": None, "idempotency_key": None}, "data": {"object": about},
    }  # fmt: skip
    body = json.dumps(event, indent=2).encode()
    headers = {"Content-Type": "application/json", HEADER: f"t={at},v1={signature(SECRET, at, body)}"}
    return request(path, body, headers)


def _check(done: Load, expected: frozenset[int] | set[int] = frozenset({200})) -> Load:
    if not done.statuses <= expected:
        raise NotApplied(f"answered {sorted(done.statuses)}")
    return done


def _until(stage: Stage, server: Postgres | None, webhooks: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        handled = _count(stage, server, "SELECT count(*) FROM inbox WHERE state = 'handled'")
        if handled == webhooks:
            return
        if time.monotonic() > deadline:
            raise NotApplied(f"{handled} of {webhooks} webhooks are handled")
        time.sleep(0.1)


def _count(stage: Stage, server: Postgres | None, query: str) -> int:
    return int(_value(stage, server, query))


def _value(stage: Stage, server: Postgres | None, query: str) -> Any:
    if server is None:
        path = stage.folder / "data" / "patchbay.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query).fetchone()[0]

    async def ask() -> Any:
        connection = await asyncpg.connect(**{**server.address, "database": "patchbay"})
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


# The peer.


@contextmanager
def peer(server: Postgres, programs: Path) -> Iterator[djstripe.DjStripe]:
    """dj-stripe, ready, with the same API."""
    with staged() as stage:
        known = stage.folder / "known.json"
        known.write_text(json.dumps({"organisation": "", "invoices": []}))
        _api(stage, known)
        api = f"http://{HOST}:{stage.box_port}"
        with djstripe.djstripe(stage, server, programs, SECRET, api) as side:
            yield side


def asked_of(side: djstripe.DjStripe, kind: str, webhooks: int) -> Outcome:
    """dj-stripe handles a webhook before it answers: how many answers a second."""
    warm, counted = _others(side, kind, 20, "warm"), _others(side, kind, webhooks, "counted")
    _check(asyncio.run(load(side.port, warm, 8)))
    before = cpu_of(side.processes)
    done = _check(asyncio.run(load(side.port, counted, 8)))
    return Outcome(done.per_second, (cpu_of(side.processes) - before) / webhooks * 1000)


def _others(side: djstripe.DjStripe, kind: str, webhooks: int, name: str) -> list[bytes]:
    at = int(time.time())
    made = []
    for number in range(webhooks):
        reference = f"{name}_{number}"
        about: dict[str, Any] = {"id": f"prod_{reference}", "object": "product", "active": True, "created": CREATED}
        about |= {"livemode": False, "name": "Care", "description": "x" * 2500, "metadata": {}, "type": "service"}
        if kind == ALONE:
            # Nothing in dj-stripe listens to it: the event becomes a row and that is all.
            about = {"id": f"acct_{reference}", "object": "application", "name": "Care", "description": "x" * 2500}
        made.append(_posted(side.path, f"evt_{kind}_{reference}", kind, about, at))
    return made


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
