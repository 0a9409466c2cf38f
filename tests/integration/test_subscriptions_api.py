"""Plans and subscriptions over the API: renewed by Stripe's sandbox, and by the hub itself through Flutterwave's."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from application.billing.subscriptions.renewals import Renewals, SweepSubscriptions
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, both_databases, faults, made, read, rows, work_off
from tests.integration.things import Page, a_client, a_plan, a_subscription, an_invoice, stripe

DEEDS = ("preview", "change", "cancel", "resume", "pause", "unpause")
PLAN: dict[str, Any] = {
    "code": "studio",
    "name": "Studio",
    "interval": "month",
    "prices": [{"amount": "90.00", "currency": "USD"}],
}


async def agreed(asking: Client, hub: Hub, box: Sandbox, **more: Any) -> Any:
    """One that its client agreed to on Stripe's page, and came back from."""
    one = await a_subscription(asking, **more)
    answer = await Page(one["url"], box).pay()
    back = httpx.URL(str(answer.headers["location"])).raw_path.decode()
    returned = await asking.get(back, headers={"Authorization": ""})
    assert returned.status_code == 200, returned.text
    await work_off(hub)
    return await read(asking, "/api/billing/subscription", subscription_id=one["id"])


@both_databases
async def test_a_plan_is_made_changed_and_archived(client: Client) -> None:
    """By its id or its code; the list has archived ones too, unless it is asked for the others."""
    plan = await a_plan(client)
    assert (plan["code"], plan["status"], plan["limits"]) == ("studio", "active", {"seats": 5, "projects": -1})
    assert [price["decimal"] for price in plan["prices"]] == ["90.00", "12000"]
    changed = await client.patch(
        "/api/billing/plans/studio", json={"name": "Studio+", "features": []}, headers={"If-Match": '"1"'}
    )
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    stale = await client.patch("/api/billing/plans/studio", json={"name": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    await client.patch(f"/api/billing/plans/{plan['id']}", json={"archived": True})
    assert (await read(client, "/api/billing/plans", status="active"))["items"] == []
    (listed,) = (await read(client, "/api/billing/plans"))["items"]
    assert listed == await read(client, "/api/billing/plans/studio")
    body = {"client_id": (await a_client(client))["id"], "plan": "studio", "currency": "USD"}
    assert (await client.post("/api/billing/subscription", json=body)).status_code == 409


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "no good"}, "code"),
        ({"interval": "decade"}, "interval"),
        ({"interval_count": 13}, "count"),
        ({"prices": [{"amount": "1.234", "currency": "USD"}]}, "prices.0.amount"),
        ({"prices": [{"amount": "1", "currency": "XXX"}]}, "prices.0.currency"),
        ({"prices": []}, "prices"),
        ({"limits": {"seats": -2}}, "limits.seats"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_plan_that_cannot_be_names_its_field(client: Client, changes: dict[str, Any], field: str) -> None:
    """As every other body does."""
    answer = await client.post("/api/billing/plans", json={**PLAN, **changes})
    assert (answer.status_code, faults(answer)) == (422, {field}), answer.text


async def test_a_code_is_given_once(client: Client, other_client: Client) -> None:
    """In one organisation; another may use it too."""
    await a_plan(client)
    again = await client.post("/api/billing/plans", json=PLAN)
    assert (again.status_code, faults(again)) == (409, {"code"})
    await a_plan(other_client)


@both_databases
async def test_a_client_subscribes_on_stripes_page(client: Client, hub: Hub, sandbox: Sandbox, live: str) -> None:
    """One call says what they have now; the bill is an invoice of ours, paid."""
    await stripe(client)
    await a_plan(client)
    has = await agreed(client, hub, sandbox)
    one = has["subscription"]
    assert (one["status"], one["renewed_by"], one["url"]) == ("active", "provider", None)
    assert (has["access"], has["features"], has["limits"]) == (True, ["api", "exports"], {"seats": 5, "projects": -1})
    assert has["access_until"] == one["current_period_end"]
    assert has == await read(client, "/api/billing/subscription", client_id=one["client"]["id"])
    (invoice,) = (await read(client, "/api/billing/invoices"))["items"]
    assert (invoice["status"], invoice["total"]["decimal"]) == ("paid", "90.00")
    assert (await read(client, "/api/billing/subscriptions", status="active"))["items"] == [one]
    assert (await read(client, f"/api/billing/subscriptions/{one['id']}"))["subscription"] == one


async def test_a_trial_a_change_an_end_and_its_taking_back(
    client: Client, hub: Hub, sandbox: Sandbox, live: str
) -> None:
    """Each by the client or by the subscription's id."""
    await stripe(client)
    await a_plan(client)
    await a_plan(client, code="bureau", name="Bureau", prices=[{"amount": "180.00", "currency": "USD"}])
    has = await agreed(client, hub, sandbox, trial_days=14)
    one = has["subscription"]
    assert (one["status"], one["trial_ends_at"]) == ("trialing", one["current_period_end"])
    which = {"client_id": one["client"]["id"]}
    preview = await made(client, "/api/billing/subscription/preview", {**which, "plan": "bureau"}, status=200)
    assert (preview["computed_by"], preview["plan"]["code"]) == ("provider", "bureau")
    changed = await made(client, "/api/billing/subscription/change", {**which, "plan": "bureau"}, status=200)
    assert changed["price"]["decimal"] == "180.00"
    ending = await made(client, "/api/billing/subscription/cancel", {**which, "at_period_end": True}, status=200)
    assert ending["cancel_at_period_end"]
    kept = await made(client, "/api/billing/subscription/resume", which, status=200)
    assert not kept["cancel_at_period_end"]
    again = await client.post("/api/billing/subscription/resume", json=which)
    assert again.status_code == 409
    paused = await made(client, "/api/billing/subscription/pause", which, status=200)
    assert (paused["status"], paused["access"]) == ("paused", False)
    assert (await read(client, "/api/billing/subscription", **which))["features"] == []
    await made(client, "/api/billing/subscription/unpause", which, status=200)
    ended = await made(client, "/api/billing/subscription/cancel", {**which, "reason": "Enough"}, status=200)
    assert (ended["status"], ended["reason"]) == ("canceled", "Enough")
    await work_off(hub)
    gone = await client.get("/api/billing/subscription", params=which)
    assert gone.status_code == 404


async def test_renewals_at_stripe_become_invoices(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """Also one whose webhooks never came: the sweep finds it."""
    await stripe(client)
    await a_plan(client)
    one = (await agreed(client, hub, sandbox))["subscription"]
    async with Client() as control:
        address = f"{sandbox.url}/stripe/_sandbox/subscriptions/{one['reference']}/renew"
        renewed = await control.post(address, json={"declined": False})
    assert renewed.status_code < 300, renewed.text
    clock.advance(timedelta(days=32))
    await hub.resolve(SweepSubscriptions)()
    await work_off(hub)
    invoices = (await read(client, "/api/billing/invoices"))["items"]
    assert [invoice["status"] for invoice in invoices] == ["paid", "paid"]
    later = (await read(client, "/api/billing/subscription", subscription_id=one["id"]))["subscription"]
    assert later["current_period_start"] == one["current_period_end"]


async def test_one_call_opens_a_hosted_checkout(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """For a plan, for an invoice, or for an amount, which gets an invoice first; once for one key."""
    await stripe(client)
    await a_plan(client)
    who = (await a_client(client))["id"]
    plan = await made(client, "/api/billing/checkout", {"plan": "studio", "currency": "USD", "client_id": who})
    assert plan["url"]
    assert plan["subscription_id"]
    invoice = await an_invoice(client)
    page = await made(client, "/api/billing/checkout", {"invoice_id": invoice["id"]})
    assert page["invoice_id"] == invoice["id"]
    assert page["link"].startswith(hub.settings.public_url)
    body = {"client_id": who, "amount": "12.50", "currency": "USD", "description": "Deposit"}
    first, again = [
        await client.post("/api/billing/checkout", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert (first.status_code, again.json()) == (201, first.json())
    shown = await read(client, f"/api/invoices/{first.json()['invoice_id']}")
    assert shown["invoice"]["total"]["decimal"] == "12.50"
    for wrong, field in (
        ({}, "invoice_id"),
        ({"amount": "12.50"}, "invoice_id"),
        ({"plan": "studio"}, "client_id"),
        ({"plan": "studio", "client_id": who, "amount": "1"}, "plan"),
        ({"client_id": who, "amount": "0", "currency": "USD"}, "amount"),
    ):
        answer = await client.post("/api/billing/checkout", json=wrong)
        assert (answer.status_code, faults(answer)) == (422, {field}), answer.text


async def test_which_subscription_is_meant_must_be_clear(client: Client, hub: Hub, sandbox: Sandbox, live: str) -> None:
    """Neither or both is a mistake; a client with several is asked for the id."""
    await stripe(client)
    await a_plan(client)
    one = await a_subscription(client)
    for query in ({}, {"subscription_id": one["id"], "client_id": one["client"]["id"]}):
        answer = await client.get("/api/billing/subscription", params=query)
        assert (answer.status_code, faults(answer)) == (422, {"subscription_id"})
    body = {"client_id": one["client"]["id"], "plan": "studio", "currency": "USD"}
    other = await made(client, "/api/billing/subscription", body)
    several = await client.get("/api/billing/subscription", params={"client_id": one["client"]["id"]})
    assert several.status_code == 409
    assert one["id"] in several.json()["detail"]
    assert other["id"] in several.json()["detail"]


async def test_the_jobs_run_where_there_is_nothing_to_do(hub: Hub, client: Client) -> None:
    """Counts of nothing, no trouble."""
    assert set((await hub.resolve(Renewals)()).values()) == {0}
    assert await hub.resolve(SweepSubscriptions)() == {"asked": 0}


async def test_nobody_elses_plan_client_or_subscription_can_be_named(
    client: Client, other_client: Client, hub: Hub, sandbox: Sandbox
) -> None:
    """Ids come in bodies too; what is another organisation's is not there."""
    await stripe(client)
    await stripe(other_client, "sk_test_rivals")
    plan = await a_plan(client)
    theirs = await a_subscription(client)
    own = (await a_client(other_client))["id"]
    before = await rows(hub)
    body = {"client_id": own, "plan": plan["id"], "currency": "USD"}
    for path, given, status in (
        ("subscription", body, 404),
        ("checkout", body, 404),
        *((f"subscription/{deed}", {"subscription_id": theirs["id"]}, 404) for deed in DEEDS),
        *((f"subscription/{deed}", {"client_id": theirs["client"]["id"]}, 404) for deed in DEEDS),
    ):
        answer = await other_client.post(f"/api/billing/{path}", json=given)
        assert answer.status_code == status, (path, answer.text)
    await a_plan(other_client)
    foreign = {"client_id": theirs["client"]["id"], "plan": "studio", "currency": "USD"}
    answer = await other_client.post("/api/billing/subscription", json=foreign)
    assert (answer.status_code, faults(answer)) == (422, {"client_id"})
    returned = await other_client.get(f"/pay/agreed/{plan['id']}/{theirs['id']}", headers={"Authorization": ""})
    assert returned.status_code == 404
    after = await rows(hub)
    assert {name: after[name] - before[name] for name in ("subscriptions", "invoices", "payments")} == {
        "subscriptions": 0,
        "invoices": 0,
        "payments": 0,
    }
