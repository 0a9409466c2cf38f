"""Being paid, over the sandbox: once, whatever arrives, in whatever order, however often; and paying back."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from adapters.providers.stripe.sandbox_gate import Fault
from application.inbox.handle import HandleInbox
from entrypoints.sandbox import Sandbox
from entrypoints.scheduler import Scheduler
from entrypoints.wiring import Hub
from entrypoints.worker import Worker
from tests.integration.conftest import (
    Client,
    MovingClock,
    both_databases,
    faults,
    made,
    read,
    rows,
    until,
    work_off,
)
from tests.integration.things import (
    a_link,
    an_endpoint,
    an_invoice,
    events_of,
    hosted,
    paid,
    secret_of,
    signed,
    stripe,
)

DOORS = (
    "/api/integrations/stripe/webhook",
    "/api/billing/webhooks/stripe",
    "/api/payments/stripe/webhook",
    "/api/webhooks/stripe",
)
PAID = ("payment_intent.succeeded", "charge.succeeded", "checkout.session.completed")


async def told(client: Client, type_: str) -> list[Any]:
    """The events of a type."""
    items: list[Any] = (await read(client, "/api/events", type=type_, limit=200))["items"]
    return items


class Postman:
    """Brings Stripe's events to the hub's doors by hand, signed as Stripe signs them."""

    def __init__(self, client: Client, secret: str, clock: MovingClock) -> None:
        self._client, self._secret, self._clock = client, secret, clock

    async def bring(self, event: Any, door: str = DOORS[0]) -> Any:
        """The answer, which is always 200."""
        body = json.dumps(event).encode()
        headers = signed(self._secret, body, self._clock.now().timestamp())
        answer = await self._client.post(door, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def a_postman(client: Client, hub: Hub, connection: Any, clock: MovingClock) -> Postman:
    """For one connection."""
    return Postman(client, await secret_of(hub, connection), clock)


async def check_paid_once(client: Client, invoice_id: str, *, amount: str = "100.00") -> Any:
    """The invoice is paid, by one payment, told once. Returns the payment."""
    shown = await read(client, f"/api/invoices/{invoice_id}")
    invoice, (payment,) = shown["invoice"], shown["payments"]
    assert (invoice["status"], invoice["amount_paid"]["decimal"]) == ("paid", amount)
    assert (invoice["amount_due"]["amount"], invoice["overpaid"]["amount"]) == (0, 0)
    assert (payment["status"], payment["amount"]["decimal"], payment["conflict"]) == ("succeeded", amount, None)
    assert [link["status"] for link in shown["links"]] == ["completed"]
    for type_ in ("invoice.paid", "payment.received"):
        assert len(await told(client, type_)) == 1, type_
    return payment


@both_databases
async def test_a_client_pays_on_the_hosted_page_and_everyone_is_told(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, worker: Worker
) -> None:
    """The main job, with everything real but the provider: link, page, form, signed webhooks, worker, receiver."""
    await stripe(client)
    endpoint = await an_endpoint(client, sandbox, events=["invoice.paid", "payment.received"])
    invoice = await an_invoice(client)
    link = await a_link(client, invoice)
    page = await hosted(client, sandbox, link)
    answer = await page.pay()
    assert answer.headers["location"] == f"{link['url']}?returned=1"

    async def everyone_told() -> bool:
        return len(sandbox.receivers.receiver("app").received) == 2

    await until(everyone_told, "both webhooks")
    await sandbox.stripe.post.idle()

    async def all_handled() -> bool:
        inbox = (await read(client, "/api/inbox"))["items"]
        return bool(inbox) and all(received["status"] in ("handled", "ignored") for received in inbox)

    await until(all_handled, "the inbox's end")
    await check_paid_once(client, invoice["id"])
    received = sandbox.receivers.receiver("app").received
    assert {json.loads(request.body)["type"] for request in received} == {"invoice.paid", "payment.received"}
    assert all(request.verified for request in received)
    deliveries = sandbox.stripe.post.deliveries
    assert {delivery.state for delivery in deliveries} == {"delivered"}
    assert {len(delivery.attempts) for delivery in deliveries} == {1}, "each webhook was acknowledged the first time"
    page_now = await client.get("/pay/" + link["url"].rpartition("/")[2])
    assert page_now.status_code == 200
    assert (await read(client, f"/api/webhooks/{endpoint['id']}/deliveries"))["success_rate"] == 1.0


@pytest.mark.parametrize("door", DOORS)
async def test_every_door_for_stripe_leads_to_the_same_handler(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock, door: str
) -> None:
    """The requirement files name four addresses; what came in by one is a duplicate at the others."""
    postman = await a_postman(client, hub, await stripe(client), clock)
    invoice = await an_invoice(client)
    await (await hosted(client, sandbox, await a_link(client, invoice))).pay()
    for event in events_of(sandbox, *PAID):
        assert await postman.bring(event, door) == {"received": True, "duplicate": False}
    await work_off(hub)
    await check_paid_once(client, invoice["id"])
    for other in DOORS:
        for event in events_of(sandbox, *PAID):
            assert await postman.bring(event, other) == {"received": True, "duplicate": True}
    await work_off(hub)
    await check_paid_once(client, invoice["id"])


@both_databases
async def test_webhooks_may_come_in_any_order_and_many_times_at_once(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Last first, five of each in parallel, two workers at once: paid once, told once."""
    postman = await a_postman(client, hub, await stripe(client), clock)
    invoice = await an_invoice(client)
    await (await hosted(client, sandbox, await a_link(client, invoice))).pay()
    events = events_of(sandbox)[::-1]
    answers = await asyncio.gather(*(postman.bring(event) for event in events for _ in range(5)))
    assert sum(not answer["duplicate"] for answer in answers) == len(events)
    handle = hub.resolve(HandleInbox)
    await asyncio.gather(handle(), handle(), handle())
    clock.advance(timedelta(seconds=3))
    await work_off(hub)
    await check_paid_once(client, invoice["id"])
    inbox = (await read(client, "/api/inbox"))["items"]
    assert len(inbox) == len(events)
    assert {received["status"] for received in inbox} <= {"handled", "ignored"}


@both_databases
async def test_without_any_webhook_the_payer_s_return_settles_the_invoice(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Stripe is asked at once; the webhook that comes late changes nothing."""
    connection = await stripe(client)
    invoice = await an_invoice(client)
    link = await a_link(client, invoice)
    page = await hosted(client, sandbox, link)
    answer = await page.pay()
    assert (await read(client, "/api/inbox"))["items"] == []
    back = "/pay/" + str(answer.headers["location"]).rpartition("/pay/")[2]
    returned = await client.get(back)
    assert returned.status_code == 200
    payment = await check_paid_once(client, invoice["id"])
    again = await client.get(back)
    assert again.status_code == 200
    postman = await a_postman(client, hub, connection, clock)
    for event in events_of(sandbox):
        await postman.bring(event)
    await work_off(hub)
    assert (await check_paid_once(client, invoice["id"]))["id"] == payment["id"]
    assert await read(client, f"/api/payments/{payment['id']}") == payment
    assert (await read(client, "/api/billing/payments"))["items"] == [payment]
    assert (await read(client, "/api/billing/payments", invoice_id=invoice["id"]))["items"] == [payment]


@both_databases
async def test_the_return_and_the_webhooks_at_the_same_moment_pay_once(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Which of them is first is chance."""
    postman = await a_postman(client, hub, await stripe(client), clock)
    invoice = await an_invoice(client)
    answer = await (await hosted(client, sandbox, await a_link(client, invoice))).pay()
    back = "/pay/" + str(answer.headers["location"]).rpartition("/pay/")[2]
    for event in events_of(sandbox):
        await postman.bring(event)
    handle = hub.resolve(HandleInbox)
    looked = await asyncio.gather(client.get(back), handle(), client.get(back), handle())
    assert {looked[0].status_code, looked[2].status_code} == {200}
    clock.advance(timedelta(seconds=3))
    await work_off(hub)
    await check_paid_once(client, invoice["id"])


async def test_a_declined_card_leaves_the_invoice_open(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """The failure is told once, and the client pays with another card on the same page."""
    postman = await a_postman(client, hub, await stripe(client), clock)
    invoice = await an_invoice(client)
    page = await hosted(client, sandbox, await a_link(client, invoice))
    form = {"email": "ada@northwind.example", "expiry": "12 / 34", "cvc": "123", "name": "Ada"}
    async with Client() as browser:
        declined = await browser.post(page.url, data={**form, "card": "4000000000000002"})
    assert declined.status_code == 402
    for _ in range(2):
        for event in events_of(sandbox):
            await postman.bring(event)
        await work_off(hub)
    shown = await read(client, f"/api/invoices/{invoice['id']}")
    assert (shown["invoice"]["status"], shown["payments"][0]["status"]) == ("open", "failed")
    assert len(await told(client, "payment.failed")) == 1
    assert len(await told(client, "invoice.payment_failed")) == 1
    await page.pay()
    for event in events_of(sandbox):
        await postman.bring(event)
    await work_off(hub)
    await check_paid_once(client, invoice["id"])


@both_databases
async def test_a_provider_that_is_away_is_asked_again(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """The webhook waits in the inbox, with the reason, and is handled when its time comes."""
    postman = await a_postman(client, hub, await stripe(client), clock)
    invoice = await an_invoice(client)
    await (await hosted(client, sandbox, await a_link(client, invoice))).pay()
    (event,) = events_of(sandbox, "payment_intent.succeeded")
    sandbox.stripe.faults.append(Fault(path="/v1/payment_intents", status=503))
    await postman.bring(event)
    await work_off(hub)
    (received,) = (await read(client, "/api/inbox"))["items"]
    assert (received["status"], received["tries"]) == ("pending", 1)
    assert "Stripe could not answer" in received["error"]
    now = await client.post(f"/api/inbox/{received['id']}/retry")
    assert now.status_code == 202, "a person need not wait for its next try"
    await work_off(hub)
    await check_paid_once(client, invoice["id"])
    (received,) = (await read(client, "/api/inbox"))["items"]
    assert (received["status"], received["tries"], received["error"]) == ("handled", 1, None)


@both_databases
async def test_a_second_payment_is_set_aside_until_a_person_settles_it(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """The invoice was paid with an intent while somebody had the hosted page open: the page is closed, and where
    Stripe was quicker, the second payment does not count until somebody keeps, moves or refunds it."""
    connection = await stripe(client)
    postman = await a_postman(client, hub, connection, clock)
    invoice = await an_invoice(client)
    link = await a_link(client, invoice)
    page = await hosted(client, sandbox, link)
    started = await made(client, "/api/payments/intent", {"invoice_id": invoice["id"]})
    headers = {"Authorization": "Bearer sk_test_integration"}
    async with Client(headers=headers) as shop:
        base = f"{sandbox.url}/stripe/v1/payment_intents/{started['payment']['reference']}"
        confirmed = await shop.post(f"{base}/confirm", data={"payment_method": "pm_card_visa"})
    assert confirmed.json()["status"] == "succeeded"
    await page.pay()  # at the same moment: the hub does not know of the first yet
    for event in events_of(sandbox, *PAID):
        await postman.bring(event)
    await work_off(hub)
    shown = await read(client, f"/api/invoices/{invoice['id']}")
    assert (shown["invoice"]["status"], len(shown["payments"])) == ("paid", 2)
    assert (shown["invoice"]["amount_paid"]["decimal"], shown["invoice"]["overpaid"]["amount"]) == ("100.00", 0)
    (second,) = [one for one in shown["payments"] if one["status"] == "conflicted"]
    assert second["conflict_kind"] == "paid_twice"
    assert len(await told(client, "invoice.paid")) == 1
    assert len(await told(client, "payment.received")) == 2
    assert len(await told(client, "payment.conflicted")) == 1
    back = await client.post(f"/api/payments/{second['id']}/resolve", json={"resolution": "refund"})
    assert (back.status_code, back.json()["status"], back.json()["refunded"]["decimal"]) == (200, "refunded", "100.00")
    again = await client.post(f"/api/payments/{second['id']}/resolve", json={"resolution": "accept"})
    assert again.status_code == 409, "it went back"
    shown = await read(client, f"/api/invoices/{invoice['id']}")
    assert (shown["invoice"]["status"], shown["invoice"]["amount_paid"]["decimal"]) == ("paid", "100.00")


@both_databases
async def test_links_asked_for_at_the_same_moment_are_one(client: Client, sandbox: Sandbox) -> None:
    """A double click, or two workers of the host application: the client gets one address, and one page to pay on."""
    await stripe(client)
    invoice = await an_invoice(client)
    made_ = await asyncio.gather(*(a_link(client, invoice) for _ in range(6)))
    assert len({link["url"] for link in made_}) == 1
    assert len((await read(client, f"/api/invoices/{invoice['id']}"))["links"]) == 1


@both_databases
async def test_an_invoice_that_was_paid_otherwise_closes_its_open_pages(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """So that nobody pays a second time on a page that was left open in a tab."""
    connection = await stripe(client)
    postman = await a_postman(client, hub, connection, clock)
    invoice = await an_invoice(client)
    link = await a_link(client, invoice)
    page = await hosted(client, sandbox, link)
    started = await made(client, "/api/payments/intent", {"invoice_id": invoice["id"]})
    assert (started["status"], started["payment"]["status"]) == ("waiting", "pending")
    assert started["client_secret"].startswith(started["payment"]["reference"])
    async with Client(headers={"Authorization": "Bearer sk_test_integration"}) as shop:
        base = f"{sandbox.url}/stripe/v1/payment_intents/{started['payment']['reference']}"
        await shop.post(f"{base}/confirm", data={"payment_method": "pm_card_visa"})
    for event in events_of(sandbox, "payment_intent.succeeded"):
        await postman.bring(event)
    await work_off(hub)
    payment = await check_paid_once(client, invoice["id"])
    assert payment["id"] == started["payment"]["id"], "the payment that was started is the one that was made"
    assert page.session["status"] == "expired"
    paid_page = await client.get("/pay/" + link["url"].rpartition("/")[2])
    assert paid_page.status_code == 200
    for path in (f"/api/invoices/{invoice['id']}/payment-link", "/api/payments/intent"):
        body = {"invoice_id": invoice["id"]} if path.endswith("intent") else {}
        answer = await client.post(path, json=body)
        assert (answer.status_code, "already paid" in answer.json()["detail"]) == (409, True)


async def test_a_payment_is_started_for_a_page_of_one_s_own(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """For any amount, or for what is due on an invoice; its client secret is for the payer's page alone."""
    await stripe(client)
    started = await made(
        client, "/api/payments/intent", {"amount": "12.50", "currency": "EUR", "description": "Deposit"}
    )
    payment = started["payment"]
    assert (payment["asked"]["decimal"], payment["asked"]["currency"], payment["invoice_id"]) == ("12.50", "EUR", None)
    assert payment["amount"]["amount"] == 0
    intent = sandbox.stripe.holder("intents", payment["reference"])[1]
    assert (intent["amount"], intent["currency"], intent["description"]) == (1250, "eur", "Deposit")
    shown = await client.get(f"/api/payments/{payment['id']}")
    assert shown.json() == payment
    assert started["client_secret"] not in shown.text
    yen = await made(client, "/api/payments/intent", {"amount": "5000", "currency": "JPY"})
    assert sandbox.stripe.holder("intents", yen["payment"]["reference"])[1]["amount"] == 5000
    sandbox.stripe.faults.append(Fault(path="/v1/payment_intents", status=500))
    before = await rows(hub)
    away = await client.post("/api/payments/intent", json={"amount": "1.00", "currency": "USD"})
    assert (away.status_code, away.headers["retry-after"]) == (503, "30")
    assert await rows(hub) == before
    assert (await client.post("/api/payments/intent", json={"provider": "slack"})).status_code == 404


# Refunds


@both_databases
async def test_money_goes_back_in_part_and_in_full(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Never more than came in; each refund told once; without an amount, all that is left."""
    await stripe(client)
    bill = await paid(client, hub, sandbox)
    payment = bill["payments"][0]["id"]
    path = f"/api/payments/{payment}/refunds"
    part = await made(client, path, {"amount": "39.90", "reason": "Two boards broken"})
    assert (part["status"], part["amount"]["decimal"], part["reason"]) == ("succeeded", "39.90", "Two boards broken")
    now = await read(client, f"/api/payments/{payment}")
    assert (now["status"], now["refunded"]["decimal"], now["refundable"]["decimal"]) == (
        "partially_refunded", "39.90", "60.10",
    )  # fmt: skip
    for amount, status, fields in (
        ("60.11", 409, {"amount"}),
        ("0", 422, {"amount"}),
        ("-1", 422, {"amount"}),
        ("0.001", 422, {"amount"}),
        ("all", 422, {"amount"}),
        ("9" * 30, 422, {"amount"}),
    ):
        answer = await client.post(path, json={"amount": amount})
        assert (answer.status_code, faults(answer)) == (status, fields), amount
    rest = await made(client, path)
    assert rest["amount"]["decimal"] == "60.10"
    now = await read(client, f"/api/payments/{payment}")
    assert (now["status"], now["refundable"]["amount"]) == ("refunded", 0)
    assert (await client.post(path)).status_code in (409, 422)
    shown = await read(client, f"/api/invoices/{bill['invoice']['id']}")
    assert shown["invoice"]["amount_refunded"]["decimal"] == "100.00"
    assert {refund["id"] for refund in shown["refunds"]} == {part["id"], rest["id"]}
    assert [refund["id"] for refund in (await read(client, path))["items"]] == [rest["id"], part["id"]]
    for type_ in ("payment.refunded", "invoice.refunded"):
        amounts = [event["data"]["refund"]["amount"]["decimal"] for event in await told(client, type_)]
        assert amounts == ["60.10", "39.90"], type_
    refunds = sandbox.stripe.shops()[0].refunds.values()
    assert sorted(refund["amount"] for refund in refunds) == [3990, 6010]


@both_databases
async def test_two_refunds_of_sixty_at_once_send_back_sixty(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """Of a hundred. The first is counted before Stripe is asked."""
    await stripe(client)
    bill = await paid(client, hub, sandbox)
    path = f"/api/payments/{bill['payments'][0]['id']}/refunds"
    sandbox.stripe.faults.append(Fault(path="/v1/refunds", delay_ms=200))
    answers = await asyncio.gather(*(client.post(path, json={"amount": "60.00"}) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refunds = sandbox.stripe.shops()[0].refunds.values()
    assert [refund["amount"] for refund in refunds] == [6000]
    assert len(await told(client, "payment.refunded")) == 1


@both_databases
async def test_a_refund_whose_answer_is_lost_is_asked_for_again_once(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Stripe did it and said 500: the same key finds it, and no second one is made."""
    await stripe(client)
    bill = await paid(client, hub, sandbox)
    payment = bill["payments"][0]["id"]
    path = f"/api/payments/{payment}/refunds"
    sandbox.stripe.faults.append(Fault(path="/v1/refunds", status=500, after_work=True))
    lost = await client.post(path, json={"amount": "60.00"})
    assert (lost.status_code, lost.headers["retry-after"]) == (503, "30")
    (refund,) = (await read(client, path))["items"]
    assert refund["status"] == "requested"
    greedy = await client.post(path, json={"amount": "60.00"})
    assert greedy.status_code == 409, "what is on its way counts"
    clock.advance(timedelta(minutes=3))
    assert (await Scheduler(hub).run("hanging-refunds"))["refunds"] == 1
    (refund,) = (await read(client, path))["items"]
    assert refund["status"] == "succeeded"
    assert len(sandbox.stripe.shops()[0].refunds) == 1
    assert (await read(client, f"/api/payments/{payment}"))["refunded"]["decimal"] == "60.00"


@both_databases
async def test_a_refund_made_in_stripe_s_dashboard_is_noted(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """`charge.refunded` arrives twice; the amounts are Stripe's, and it is told once."""
    connection = await stripe(client)
    postman = await a_postman(client, hub, connection, clock)
    bill = await paid(client, hub, sandbox)
    payment = bill["payments"][0]
    async with Client(headers={"Authorization": "Bearer sk_test_integration"}) as shop:
        form = {"payment_intent": payment["reference"], "amount": "2500"}
        assert (await shop.post(f"{sandbox.url}/stripe/v1/refunds", data=form)).status_code == 200
    for _ in range(2):
        for event in events_of(sandbox, "charge.refunded", "refund.created"):
            await postman.bring(event)
        await work_off(hub)
    now = await read(client, f"/api/payments/{payment['id']}")
    assert (now["status"], now["refunded"]["decimal"]) == ("partially_refunded", "25.00")
    assert len(await told(client, "payment.refunded")) == 1
    too_much = await client.post(f"/api/payments/{payment['id']}/refunds", json={"amount": "75.01"})
    assert too_much.status_code == 409


async def test_a_refund_that_comes_back_is_refundable_again(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """The bank sent it back days later: it no longer counts."""
    connection = await stripe(client)
    postman = await a_postman(client, hub, connection, clock)
    invoice = await an_invoice(client)
    answer = await (await hosted(client, sandbox, await a_link(client, invoice))).pay("4000000000005126")
    await client.get("/pay/" + str(answer.headers["location"]).rpartition("/pay/")[2])
    payment = (await read(client, f"/api/invoices/{invoice['id']}"))["payments"][0]
    path = f"/api/payments/{payment['id']}/refunds"
    assert (await made(client, path, {"amount": "40.00"}))["status"] == "succeeded"
    assert (await read(client, f"/api/payments/{payment['id']}"))["refundable"]["decimal"] == "60.00"
    (refund,) = sandbox.stripe.shops()[0].refunds.values()
    async with Client() as control:
        await control.post(f"{sandbox.url}/stripe/_sandbox/refunds/{refund['id']}/settle", json={"status": "failed"})
    for event in events_of(sandbox):
        await postman.bring(event)
    await work_off(hub)
    assert (await read(client, f"/api/payments/{payment['id']}"))["refundable"]["decimal"] == "100.00"
    (ours,) = (await read(client, path))["items"]
    assert ours["status"] == "failed"


async def test_a_payment_that_is_not_ours_is_ignored(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """The same Stripe account sells other things too."""
    connection = await stripe(client)
    postman = await a_postman(client, hub, connection, clock)
    async with Client(headers={"Authorization": "Bearer sk_test_integration"}) as shop:
        form = {
            "amount": "500",
            "currency": "usd",
            "confirm": "true",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
        }
        assert (await shop.post(f"{sandbox.url}/stripe/v1/payment_intents", data=form)).json()["status"] == "succeeded"
    for event in events_of(sandbox):
        await postman.bring(event)
    await work_off(hub)
    inbox = (await read(client, "/api/inbox"))["items"]
    assert inbox
    assert {received["status"] for received in inbox} == {"ignored"}
    assert (await read(client, "/api/billing/payments"))["items"] == []


async def test_one_account_connected_by_two_organisations_pays_the_right_one(
    client: Client, other_client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Both get every webhook of the account; only the invoice's own organisation has a payment."""
    mine, theirs = await stripe(client), await stripe(other_client)
    invoice = await an_invoice(client)
    await (await hosted(client, sandbox, await a_link(client, invoice))).pay()
    for asking, connection in ((client, mine), (other_client, theirs)):
        postman = await a_postman(asking, hub, connection, clock)
        for event in events_of(sandbox, *PAID):
            await postman.bring(event, f"/api/integrations/stripe/webhook/{connection['id']}")
    await work_off(hub)
    await check_paid_once(client, invoice["id"])
    assert (await read(other_client, "/api/billing/payments"))["items"] == []
    assert {received["status"] for received in (await read(other_client, "/api/inbox"))["items"]} == {"ignored"}
