"""The jobs: by hand, when they are due, on one node at a time, and once when the hub was away."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest

from adapters.vault import KeyRing
from application.ports.leases import Held, Leases
from application.ports.store import Store
from entrypoints.sandbox import Sandbox
from entrypoints.scheduler import Scheduler, UnknownJob
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, both_databases, made, read, rows, work_off
from tests.integration.things import a_link, an_endpoint, an_event, an_invoice, hosted, smtp, stripe

NAMES = {"overdue-invoices", "invoice-reminders", "expiring-links", "hanging-refunds", "retention"}


async def mark_of(hub: Hub, name: str) -> str | None:
    """What is noted of a job's last run."""
    store: Store = hub.resolve(Store)  # type: ignore[type-abstract]
    return await store.marked(f"job:{name}")


def test_every_job_has_a_name_a_time_and_a_text(hub: Hub) -> None:
    """`patchbay scheduler jobs` shows them to people."""
    jobs = Scheduler(hub).jobs
    assert set(jobs) >= NAMES
    for job in jobs.values():
        assert timedelta(minutes=1) <= job.every <= timedelta(days=1)
        assert job.what.endswith(".")


@both_databases
async def test_an_invoice_whose_day_has_passed_becomes_overdue_once(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Sent ones only, on the day after; told once, and it can still be paid."""
    await stripe(client)
    today = clock.now().date()
    due = await an_invoice(client, due_on=today.isoformat())
    draft = await an_invoice(client, due_on=today.isoformat())
    later = await an_invoice(client, due_on=(today + timedelta(days=9)).isoformat())
    never = await an_invoice(client)
    link = await a_link(client, due)
    for invoice in (later, never):
        await a_link(client, invoice)
    scheduler = Scheduler(hub)
    assert await scheduler.run("overdue-invoices") == {"invoices": 0}, "the day itself is not late yet"
    clock.advance(timedelta(days=1))
    assert await scheduler.run("overdue-invoices") == {"invoices": 1}
    assert await scheduler.run("overdue-invoices") == {"invoices": 0}
    states = {i["id"]: i["status"] for i in (await read(client, "/api/invoices"))["items"]}
    assert states == {due["id"]: "overdue", draft["id"]: "draft", later["id"]: "open", never["id"]: "open"}
    (event,) = (await read(client, "/api/events", type="invoice.overdue"))["items"]
    assert event["data"]["invoice"]["id"] == due["id"]
    await hosted(client, sandbox, link)


async def test_a_link_that_lapsed_is_expired_and_its_page_closed(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """By the job, before anybody clicks; a provider that is away is asked again the next time."""
    await stripe(client)
    invoice = await an_invoice(client)
    body = {"invoice_id": invoice["id"], "expires_at": (clock.now() + timedelta(hours=1)).isoformat()}
    link = await made(client, "/api/integrations/stripe/payment-link", body)
    kept = await a_link(client, await an_invoice(client))
    page, other = await hosted(client, sandbox, link), await hosted(client, sandbox, kept)
    scheduler = Scheduler(hub)
    assert await scheduler.run("expiring-links") == {"links": 0, "pages": 0}
    clock.advance(timedelta(hours=1))
    sandbox.stripe.revoked.add("sk_test_integration")
    assert await scheduler.run("expiring-links") == {"links": 1, "pages": 0}
    assert page.session["status"] == "open"
    sandbox.stripe.revoked.clear()
    assert await scheduler.run("expiring-links") == {"links": 0, "pages": 1}
    assert (page.session["status"], other.session["status"]) == ("expired", "open")
    links = (await read(client, f"/api/invoices/{invoice['id']}"))["links"]
    assert [each["status"] for each in links] == ["expired"]


@both_databases
async def test_what_is_old_and_done_is_forgotten(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Deliveries with their attempts and kept answers; not the money, not what still waits, not the audit trail."""
    await smtp(client, sandbox)
    await an_endpoint(client, sandbox)
    answer = await client.post("/api/events", json={"type": "a.b"}, headers={"Idempotency-Key": "old"})
    assert answer.status_code == 201
    await an_invoice(client)
    await work_off(hub)
    clock.advance(hub.settings.retention + timedelta(days=1))
    sandbox.receivers.control("app", {"fail_next": 9})
    await an_event(client, "still.waiting")
    await work_off(hub)
    before = await rows(hub)
    counts = await Scheduler(hub).run("retention")
    after = await rows(hub)
    assert (counts["deliveries"], counts["answers"]) == (before["deliveries"] - 1, 1)
    assert (after["deliveries"], after["attempts"], after["answers"]) == (1, 1, 0)
    for table in ("invoices", "audit", "api_keys", "connections", "endpoints", "counters"):
        assert after[table] == before[table], table
    again = await client.post("/api/events", json={"type": "c.d"}, headers={"Idempotency-Key": "old"})
    assert again.status_code == 201, "the key is free again"


async def test_each_job_runs_when_it_is_due_and_not_before(hub: Hub, clock: MovingClock) -> None:
    """All at the first look; then each in its own time."""
    scheduler = Scheduler(hub)
    await scheduler.run_due()
    first = {name: await mark_of(hub, name) for name in scheduler.jobs}
    assert all(first.values())
    await scheduler.run_due()
    assert {name: await mark_of(hub, name) for name in scheduler.jobs} == first
    clock.advance(timedelta(minutes=6))
    await scheduler.run_due()
    ran = {name for name in scheduler.jobs if await mark_of(hub, name) != first[name]}
    assert ran == {name for name, job in scheduler.jobs.items() if job.every <= timedelta(minutes=6)}
    assert "hanging-refunds" in ran
    assert "retention" not in ran


async def test_a_hub_that_was_away_catches_up_once(hub: Hub, clock: MovingClock) -> None:
    """Three days later every job runs, one time each, on whichever node is first."""
    await Scheduler(hub).run_due()
    clock.advance(timedelta(days=3))
    scheduler = Scheduler(hub)
    runs = dict.fromkeys(scheduler.jobs, 0)
    for name, job in dict(scheduler.jobs).items():
        scheduler.jobs = {**scheduler.jobs, name: counted(job, runs)}
    await scheduler.run_due()
    await scheduler.run_due()
    assert set(runs.values()) == {1}


def counted(job: Any, runs: dict[str, int]) -> Any:
    """The job, counting."""

    @attrs.frozen
    class Counted:
        name: str = job.name
        every: timedelta = job.every

        async def __call__(self) -> Any:
            runs[job.name] += 1
            return await job()

    return Counted()


@both_databases
async def test_one_node_at_a_time_runs_a_job(hub: Hub, clock: MovingClock) -> None:
    """By hand it is said that another is at it; when due it is passed over without a word."""
    other = Hub.open(hub.settings, KeyRing.new(), clock=clock)  # another process would have the same database
    try:
        leases: Leases = other.resolve(Leases)  # type: ignore[type-abstract]
        async with leases.hold("job:retention", for_=timedelta(minutes=1)):
            with pytest.raises(Held):
                await Scheduler(hub).run("retention")
            await Scheduler(hub).run_due()
            assert await mark_of(hub, "retention") is None
            assert await mark_of(hub, "overdue-invoices") is not None
        await Scheduler(hub).run("retention")
        both = await asyncio.gather(
            Scheduler(hub).run("retention"), Scheduler(other).run("retention"), return_exceptions=True
        )
        assert all(isinstance(result, dict | Held) for result in both)
    finally:
        await other.close()


async def test_a_node_that_died_at_a_job_is_replaced(hub: Hub, clock: MovingClock) -> None:
    """Its lease runs out."""
    leases: Leases = hub.resolve(Leases)  # type: ignore[type-abstract]
    held = leases.hold("job:retention", for_=timedelta(minutes=30))
    await held.__aenter__()
    clock.advance(timedelta(minutes=31))
    await Scheduler(hub).run_due()
    assert await mark_of(hub, "retention") is not None
    await held.__aexit__(None, None, None)


async def test_a_job_that_fails_does_not_keep_the_others_from_running(hub: Hub) -> None:
    """And is tried again at the next look."""

    @attrs.frozen
    class Broken:
        name: str = "broken"
        every: timedelta = timedelta(hours=1)

        async def __call__(self) -> Any:
            raise RuntimeError("on purpose")

    scheduler = Scheduler(hub)
    broken: Any = Broken()
    scheduler.jobs = {"broken": broken, **scheduler.jobs}
    await scheduler.run_due()
    assert await mark_of(hub, "broken") is None
    assert await mark_of(hub, "retention") is not None
    assert hub.metrics.jobs.labels("broken", "failed")._value.get() == 1


async def test_an_unknown_job_is_named(hub: Hub) -> None:
    """With the names there are."""
    with pytest.raises(UnknownJob, match="retention"):
        await Scheduler(hub).run("nonsense")


async def test_it_starts_and_stops_with_the_hub(hub: Hub) -> None:
    """Nothing keeps running."""
    scheduler = Scheduler(hub)
    scheduler.start()
    await asyncio.sleep(0.05)
    scheduler.stop()
    await asyncio.sleep(0.05)
    scheduler.stop()
