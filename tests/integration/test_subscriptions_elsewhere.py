"""Subscriptions where the hub has to stand in for the provider: PayPal in part, Flutterwave altogether."""

from datetime import timedelta
from typing import Any

import httpx

from application.billing.subscriptions.renewals import Renewals, SweepSubscriptions
from application.ports.store import Store
from domain.money import Money
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, made, read, work_off
from tests.integration.things import a_plan, a_subscription, flutterwave, paypal, stripe

EUR = [{"amount": "90.00", "currency": "EUR"}]
NGN = [{"amount": "9000.00", "currency": "NGN"}]


async def now(asking: Client, one: Any) -> Any:
    """The subscription as it is now."""
    return (await read(asking, f"/api/billing/subscriptions/{one['id']}"))["subscription"]


async def bills(asking: Client) -> list[tuple[str, str]]:
    """Every invoice's total and state, oldest first."""
    items = (await read(asking, "/api/invoices"))["items"]
    return [(invoice["total"]["decimal"], invoice["status"]) for invoice in reversed(items)]


async def paypal_heard(hub: Hub, box: Sandbox) -> None:
    """What PayPal tells has come and is handled."""
    for _ in range(2):
        await box.paypal.post.idle()
        await work_off(hub)


async def at_paypal(asking: Client, hub: Hub, box: Sandbox) -> Any:
    """One that its client has agreed to at PayPal."""
    await paypal(asking)
    await a_plan(asking, prices=EUR)
    one = await a_subscription(asking, currency="EUR")
    async with httpx.AsyncClient() as payer:
        answer = await payer.post(one["url"], data={"answer": "agree"})
    assert answer.status_code == 303, answer.text
    back = httpx.URL(answer.headers["location"]).raw_path.decode()
    assert (await asking.get(back, headers={"Authorization": ""})).status_code == 200
    await paypal_heard(hub, box)
    return await now(asking, one)


async def test_paypal_renews_and_the_hub_mirrors_it(client: Client, hub: Hub, sandbox: Sandbox, live: str) -> None:
    """The client agrees there; each charge becomes an invoice of ours."""
    one = await at_paypal(client, hub, sandbox)
    assert (one["status"], one["renewed_by"]) == ("active", "provider")
    async with httpx.AsyncClient() as control:
        renewed = await control.post(f"{sandbox.url}/paypal/_sandbox/subscriptions/{one['reference']}/renew", json={})
    assert renewed.is_success, renewed.text
    await paypal_heard(hub, sandbox)
    assert await bills(client) == [("90.00", "paid")] * 2


async def _told(hub: Hub, box: Sandbox, one: Any, what: str) -> None:
    """PayPal's next try to charge for the period fails, or succeeds, and its webhooks are handled."""
    async with httpx.AsyncClient() as control:
        address = f"{box.url}/paypal/_sandbox/subscriptions/{one['reference']}/{what}"
        assert (await control.post(address, json={})).is_success
    await paypal_heard(hub, box)


async def test_a_bill_that_paypal_tries_again_is_paid_there_alone(
    client: Client, hub: Hub, sandbox: Sandbox, live: str
) -> None:
    """A link would take the money a second time; where it came by another way all the same, PayPal's is a conflict."""
    one = await at_paypal(client, hub, sandbox)
    await _told(hub, sandbox, one, "fail")
    assert await bills(client) == [("90.00", "paid"), ("90.00", "open")]
    bill = (await read(client, "/api/invoices"))["items"][0]
    refused = await client.post(f"/api/invoices/{bill['id']}/payment-link", json={})
    assert refused.status_code == 409, refused.text
    assert "PayPal charges this bill" in refused.text
    store = hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.of((await store.organisations())[0].id) as work:
        invoice = await work.invoices.get(bill["id"])
        paid, _ = invoice.settle(invoice.total, Money.zero(invoice.currency), invoice.updated_at)
        await work.invoices.save(paid)
        await work.commit()
    await _told(hub, sandbox, one, "renew")
    payments = (await read(client, f"/api/invoices/{bill['id']}"))["payments"]
    (second,) = [payment for payment in payments if payment["amount"]["decimal"] != "0.00"]
    assert (second["status"], second["conflict_kind"]) == ("conflicted", "paid_twice")
    assert second["client_id"] == one["client"]["id"]


async def test_what_paypal_did_not_get_is_withdrawn_with_the_end(
    client: Client, hub: Hub, sandbox: Sandbox, live: str
) -> None:
    """Nobody asks for it any more."""
    one = await at_paypal(client, hub, sandbox)
    await _told(hub, sandbox, one, "fail")
    await made(client, "/api/billing/subscription/cancel", {"subscription_id": one["id"]}, status=200)
    assert await bills(client) == [("90.00", "paid"), ("90.00", "void")]
    await paypal_heard(hub, sandbox)
    assert await bills(client) == [("90.00", "paid"), ("90.00", "void")]
    gone = await client.post("/api/billing/subscription/resume", json={"client_id": one["client"]["id"]})
    assert (gone.status_code, "has ended" in gone.text) == (409, True)


async def test_the_hub_ends_it_for_paypal_when_what_was_paid_for_is_used_up(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """PayPal only ends at once, for ever: until then the end can be taken back."""
    one = await at_paypal(client, hub, sandbox)
    which = {"subscription_id": one["id"]}
    await made(client, "/api/billing/subscription/cancel", {**which, "at_period_end": True}, status=200)
    await made(client, "/api/billing/subscription/resume", which, status=200)
    await made(client, "/api/billing/subscription/cancel", {**which, "at_period_end": True}, status=200)
    await hub.resolve(Renewals)()
    assert (await now(client, one))["status"] == "active"
    clock.advance(timedelta(days=27, hours=23))
    while (await now(client, one))["status"] == "active":
        clock.advance(timedelta(hours=1))
        await hub.resolve(Renewals)()
    ended = await now(client, one)
    assert (ended["status"], ended["ended_at"]) == ("canceled", one["current_period_end"])
    assert clock.now().isoformat() < one["current_period_end"], "before it is charged again"
    assert await bills(client) == [("90.00", "paid")]


async def test_a_change_at_paypal_waits_for_the_client(client: Client, hub: Hub, sandbox: Sandbox, live: str) -> None:
    """They agree to it at PayPal; the hub's preview says what it costs."""
    one = await at_paypal(client, hub, sandbox)
    await a_plan(client, code="bureau", name="Bureau", prices=[{"amount": "180.00", "currency": "EUR"}])
    which = {"subscription_id": one["id"], "plan": "bureau"}
    preview = await made(client, "/api/billing/subscription/preview", which, status=200)
    assert (preview["computed_by"], preview["next_total"]["decimal"]) == ("hub", "180.00")
    waits = await made(client, "/api/billing/subscription/change", which, status=200)
    assert waits["url"]
    assert waits["plan_id"] == one["plan_id"]


async def at_flutterwave(asking: Client, hub: Hub, box: Sandbox, live: str) -> Any:
    """One whose client has paid the first period by card on Flutterwave's page."""
    await flutterwave(asking, box, live)
    await a_plan(asking, prices=NGN)
    one = await a_subscription(asking, currency="NGN")
    async with httpx.AsyncClient() as payer:
        page = await payer.get(one["url"])
        answer = await payer.post(page.headers["location"], data={"method": "card", "card": "5531886652142950"})
    assert answer.status_code < 400, answer.text
    await flutterwave_heard(hub, box)
    return await now(asking, one)


async def flutterwave_heard(hub: Hub, box: Sandbox) -> None:
    """What Flutterwave tells has come and is handled."""
    await box.flutterwave.post.idle()
    await work_off(hub)


async def test_the_hub_renews_at_flutterwave_by_the_cards_token(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """Once a period, however often the job runs."""
    one = await at_flutterwave(client, hub, sandbox, live)
    assert (one["status"], one["renewed_by"], one["reference"]) == ("active", "hub", None)
    for _ in range(2):
        clock.advance(timedelta(days=31))
        await hub.resolve(Renewals)()
        await hub.resolve(Renewals)()
    await flutterwave_heard(hub, sandbox)
    assert await bills(client) == [("9000.00", "paid")] * 3
    assert (await now(client, one))["status"] == "active"
    assert await hub.resolve(SweepSubscriptions)() == {"asked": 0}


async def test_the_hub_sets_off_a_change_at_flutterwave(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """The difference is charged at once."""
    one = await at_flutterwave(client, hub, sandbox, live)
    which = {"subscription_id": one["id"], "quantity": 2}
    clock.advance(timedelta(days=1))
    preview = await made(client, "/api/billing/subscription/preview", which, status=200)
    assert preview["computed_by"] == "hub"
    changed = await made(client, "/api/billing/subscription/change", which, status=200)
    assert (changed["quantity"], changed["planned"]) == (2, None)
    (_, difference) = await bills(client)
    assert difference[1] == "paid"
    assert 8000 < float(difference[0]) < 9000


async def test_what_nobody_agreed_to_yet_can_be_canceled(client: Client, hub: Hub, sandbox: Sandbox, live: str) -> None:
    """At Stripe its page is closed, where the hub renews its invoice is void; PayPal has no way, and the answer says so."""
    await stripe(client)
    await paypal(client)
    await flutterwave(client, sandbox, live)
    await a_plan(client, prices=EUR)
    for provider in ("stripe", "flutterwave"):
        one = await a_subscription(client, currency="EUR", provider=provider)
        over = await made(client, "/api/billing/subscription/cancel", {"subscription_id": one["id"]}, status=200)
        assert (over["status"], over["url"]) == ("expired", None), provider
    one = await a_subscription(client, currency="EUR", provider="paypal")
    refused = await client.post("/api/billing/subscription/cancel", json={"subscription_id": one["id"]})
    assert (refused.status_code, "expires by itself" in refused.json()["detail"]) == (409, True)
