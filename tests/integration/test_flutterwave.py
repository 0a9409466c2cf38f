"""A whole hub that takes payments through Flutterwave, emulated beside it: what comes of webhooks that say little, lie, or
never arrive."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.providers.flutterwave.webhook import signature
from adapters.sandbox.faults import Fault
from application.billing.janitor import PollPages, ResumeRefunds
from application.billing.links import CreatePaymentLink
from application.billing.reconcile import Reconcile
from application.caller import Caller
from domain.inbox import HOLDING_TRIES
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, made, read, work_off
from tests.integration.things import an_invoice

KEY, HASH = "FLWSECK_TEST-integration-X", "a long secret hash"


async def flutterwave(asking: Client, **more: str) -> Any:
    """A connection to the sandbox's Flutterwave."""
    body = {"secret_key": KEY, "webhook_secret": HASH, **more}
    return await made(asking, "/api/integrations/flutterwave/connect", body)


async def a_page(hub: Hub, organisation: str, invoice: Any) -> tuple[str, str]:
    """(the link of ours, the page of Flutterwave's that it leads to)."""
    made_link = await hub.resolve(CreatePaymentLink)(
        Caller(organisation, "tests"), invoice_id=invoice["id"], provider="flutterwave"
    )
    async with httpx.AsyncClient() as payer:
        answer = await payer.get(made_link.url)
    assert answer.status_code == 303, answer.text
    return made_link.url, answer.headers["location"]


async def the_invoice(asking: Client, invoice: Any) -> Any:
    """As it is now."""
    return (await read(asking, f"/api/invoices/{invoice['id']}"))["invoice"]


async def payments_of(asking: Client, invoice: Any) -> Any:
    """Its payments as they are now."""
    return (await read(asking, f"/api/invoices/{invoice['id']}"))["payments"]


async def pay(page: str, **form: str) -> httpx.Response:
    """As a person does."""
    async with httpx.AsyncClient() as payer:
        return await payer.post(page, data={"method": "card", "card": "5531886652142950", **form})


async def arrived(hub: Hub, sandbox: Sandbox) -> None:
    """Whatever is on its way has come, and is handled."""
    await sandbox.flutterwave.post.idle()
    await work_off(hub)


def door(live: str, connection: Any | None = None) -> str:
    """Where Flutterwave sends its webhooks."""
    return f"{live}/api/integrations/flutterwave/webhook" + (f"/{connection['id']}" if connection else "")


async def test_an_invoice_is_paid_by_mobile_money_that_is_confirmed_late(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """Nobody comes back from the page: the webhook alone leads to the money."""
    connection = await flutterwave(client)
    assert (connection["provider"], connection["live"]) == ("flutterwave", False)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    invoice = await an_invoice(client, price="100.00", currency="GHS")
    _, page = await a_page(hub, organisation, invoice)
    assert (await pay(page, method="mobile_money", phone="233547000011")).status_code == 200
    await arrived(hub, sandbox)
    assert (await the_invoice(client, invoice))["status"] == "open"
    account = sandbox.flutterwave.account_of(KEY)
    account.settle()
    sandbox.flutterwave.flush(account)
    await arrived(hub, sandbox)
    now = await the_invoice(client, invoice)
    assert (now["status"], now["amount_due"]["decimal"]) == ("paid", "0.00")
    (payment,) = await payments_of(client, invoice)
    assert (payment["status"], payment["provider"]) == ("succeeded", "flutterwave")


async def test_a_forged_webhook_moves_nothing(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """Whoever saw one v3 call knows the hash for ever: what the body says is not believed, only asked for."""
    connection = await flutterwave(client)
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    _, page = await a_page(hub, organisation, invoice)
    declined = await pay(page, card="5258585922666506")
    assert declined.status_code == 402
    (transaction,) = sandbox.flutterwave.account_of(KEY).transactions.values()
    claimed = {"id": transaction["id"], "tx_ref": transaction["tx_ref"], "amount": 100, "currency": "NGN"}
    forged = json.dumps({"event": "charge.completed", "data": {**claimed, "status": "successful"}}).encode()
    async with httpx.AsyncClient() as anybody:
        for headers in ({}, {"verif-hash": "guessed"}, {"flutterwave-signature": signature(HASH, forged)}):
            answer = await anybody.post(door(live, connection), content=forged, headers=headers)
            assert answer.status_code == 400, headers
        answer = await anybody.post(door(live, connection), content=forged, headers={"verif-hash": HASH})
        assert answer.is_success
    await work_off(hub)
    assert (await the_invoice(client, invoice))["status"] == "open"
    payments = await payments_of(client, invoice)
    assert [one["status"] for one in payments] == ["failed"]


async def test_a_forged_webhook_does_not_keep_the_real_one_out(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """All that whoever knows the hash can do is to make the hub ask: also by telling first what is only going to happen."""
    connection = await flutterwave(client)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    invoice = await an_invoice(client, price="100.00", currency="GHS")
    _, page = await a_page(hub, organisation, invoice)
    assert (await pay(page, method="mobile_money", phone="233547000011")).status_code == 200
    account = sandbox.flutterwave.account_of(KEY)
    (transaction,) = account.transactions.values()
    data = {"id": transaction["id"], "tx_ref": transaction["tx_ref"], "status": "successful"}
    forged = json.dumps({"event": "charge.completed", "data": data}).encode()
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.post(door(live), content=forged, headers={"verif-hash": HASH})).is_success
    await arrived(hub, sandbox)
    assert (await the_invoice(client, invoice))["status"] == "open"
    account.settle()
    sandbox.flutterwave.flush(account)
    await arrived(hub, sandbox)
    assert (await the_invoice(client, invoice))["status"] == "paid"


async def test_a_webhook_about_what_flutterwave_does_not_know_yet_is_not_lost(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """It may be quicker than the answers; and when it was given up, a copy that Flutterwave sends later counts."""
    connection = await flutterwave(client)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    account = sandbox.flutterwave.account_of(KEY)
    for again in (False, True):
        invoice = await an_invoice(client, price="100.00", currency="NGN")
        _, page = await a_page(hub, organisation, invoice)
        await pay(page)
        id_, transaction = account.transactions.popitem()
        await arrived(hub, sandbox)
        for _ in range(HOLDING_TRIES if again else 2):
            clock.advance(timedelta(minutes=5))
            await work_off(hub)
        waiting = (await read(client, "/api/inbox"))["items"][0]
        assert waiting["status"] == ("ignored" if again else "pending")
        account.transactions[id_] = transaction
        if again:
            async with httpx.AsyncClient() as postman:
                body = (await client.get(f"/api/inbox/{waiting['id']}/body")).content
                copy = await postman.post(door(live), content=body, headers={"verif-hash": HASH})
            assert copy.json() == {"received": True, "duplicate": True}
        clock.advance(timedelta(minutes=5))
        await work_off(hub)
        assert (await the_invoice(client, invoice))["status"] == "paid", again


async def test_an_amount_that_cannot_be_kept_blocks_nothing_else(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """Half a shilling: its webhook fails with a sentence, and in the books it is one difference beside what agrees."""
    connection = await flutterwave(client)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    account = sandbox.flutterwave.account_of(KEY)
    invoices = [await an_invoice(client, price="5000", currency="UGX") for _ in range(2)]
    for invoice in invoices:
        _, page = await a_page(hub, organisation, invoice)
        await pay(page)
    odd = next(iter(account.transactions.values()))
    odd["amount"] = 1000.5
    await arrived(hub, sandbox)
    for _ in range(HOLDING_TRIES):
        clock.advance(timedelta(minutes=5))
        await work_off(hub)
    assert [(await the_invoice(client, invoice))["status"] for invoice in invoices] == ["open", "paid"]
    (failed,) = (await read(client, "/api/inbox", status="failed"))["items"]
    assert failed["error"] == "Flutterwave refused: 1000.5 UGX of Flutterwave's is no whole amount."
    now = clock.now()
    window = {"since": (now - timedelta(days=1)).isoformat(), "until": (now - timedelta(minutes=16)).isoformat()}
    run = await made(client, "/api/billing/reconciliations", {"connection": "flutterwave", **window})
    await hub.resolve(Reconcile)()
    path = f"/api/billing/reconciliations/{run['id']}"
    assert (await read(client, path))["status"] == "done"
    (difference,) = (await read(client, f"{path}/differences"))["items"]
    assert (difference["kind"], difference["reference"]) == ("missing_here", str(odd["id"]))
    assert difference["theirs"] == "1000.5 UGX, which is no whole amount"


async def test_a_connection_for_v4_takes_signed_webhooks_only(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """The setting decides, not the header that came."""
    connection = await flutterwave(client, webhook_version="v4")
    sandbox.flutterwave.set_webhook(KEY, door(live), HASH, "v4")
    body = b'{"event": "charge.completed", "data": {"id": 1, "status": "successful"}}'
    async with httpx.AsyncClient() as anybody:
        hashed = await anybody.post(door(live, connection), content=body, headers={"verif-hash": HASH})
        stale = {"flutterwave-signature": signature(HASH, body + b" ")}
        changed = await anybody.post(door(live, connection), content=body, headers=stale)
    assert (hashed.status_code, changed.status_code) == (400, 400)
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    _, page = await a_page(hub, organisation, invoice)
    assert (await pay(page)).status_code == 303
    await arrived(hub, sandbox)
    assert (await the_invoice(client, invoice))["status"] == "paid"


async def test_a_webhook_that_comes_five_times_is_one_payment(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """Flutterwave promises no order and no single delivery."""
    connection = await flutterwave(client)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    sandbox.flutterwave.post.behaviour.copies = 5
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    _, page = await a_page(hub, organisation, invoice)
    await pay(page)
    await arrived(hub, sandbox)
    (payment,) = await payments_of(client, invoice)
    assert payment["status"] == "succeeded"
    now = await the_invoice(client, invoice)
    assert (now["status"], now["amount_paid"]["decimal"]) == ("paid", "100.00")


async def test_a_payer_who_comes_back_is_enough(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str
) -> None:
    """No webhook was ever set up in the dashboard; the way back asks."""
    await flutterwave(client)
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    link, page = await a_page(hub, organisation, invoice)
    back = (await pay(page)).headers["location"]
    assert back.startswith(link)
    async with httpx.AsyncClient() as payer:
        assert (await payer.get(back)).status_code == 200
    assert (await the_invoice(client, invoice))["status"] == "paid"


@pytest.mark.parametrize(
    ("sent", "kind", "due"), [("60", "underpaid", "40.00"), ("100.00", None, "0.00"), ("130.50", "overpaid", "0.00")]
)
async def test_what_was_sent_counts_and_not_what_was_asked_for(
    hub: Hub,
    client: Client,
    organisation: str,
    sandbox: Sandbox,
    live: str,
    sent: str,
    kind: str | None,
    due: str,
) -> None:
    """A bank transfer can be of any amount; a person must see which it was."""
    connection = await flutterwave(client)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    _, page = await a_page(hub, organisation, invoice)
    await pay(page, method="bank_transfer", amount=sent)
    await arrived(hub, sandbox)
    (payment,) = await payments_of(client, invoice)
    now = await the_invoice(client, invoice)
    assert Decimal(payment["amount"]["decimal"]) == Decimal(sent)
    assert (payment["conflict_kind"], now["amount_due"]["decimal"]) == (kind, due)


async def test_part_goes_back(hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str) -> None:
    """With our id in the comment, by which it could be found again."""
    connection = await flutterwave(client)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    _, page = await a_page(hub, organisation, invoice)
    await pay(page)
    await arrived(hub, sandbox)
    (payment,) = await payments_of(client, invoice)
    answer = await client.post(f"/api/payments/{payment['id']}/refunds", json={"amount": "25.00", "reason": "Late"})
    assert answer.is_success, answer.text
    (refund,) = sandbox.flutterwave.account_of(KEY).refunds.values()
    assert (refund["amount_refunded"], answer.json()["id"] in refund["comment"]) == (25, True)
    (now,) = await payments_of(client, invoice)
    assert now["status"] == "partially_refunded"


async def test_a_refund_whose_answer_is_lost_is_looked_up_and_not_sent_twice(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """Flutterwave knows no idempotency keys: a second question would send the money twice."""
    await flutterwave(client)
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    _, page = await a_page(hub, organisation, invoice)
    async with httpx.AsyncClient() as payer:
        await payer.get((await pay(page)).headers["location"])
    (payment,) = await payments_of(client, invoice)
    path = f"/v3/transactions/{payment['reference']}/refund"
    sandbox.flutterwave.faults.order(Fault(path=path, status=500, after_work=True))
    answer = await client.post(f"/api/payments/{payment['id']}/refunds", json={"amount": "25.00"})
    assert answer.status_code == 503, answer.text
    for _ in range(3):
        clock.advance(timedelta(hours=25))
        await hub.resolve(ResumeRefunds)()
    assert len(sandbox.flutterwave.account_of(KEY).refunds) == 1
    (now,) = await payments_of(client, invoice)
    assert (now["status"], now["refunded"]["decimal"]) == ("partially_refunded", "25.00")


async def test_mobile_money_whose_webhook_is_lost_is_found_by_its_reference(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """Nobody comes back, nothing is sent: without being asked for, this money would never be seen."""
    connection = await flutterwave(client)
    sandbox.flutterwave.set_webhook(KEY, door(live, connection), HASH)
    sandbox.flutterwave.post.behaviour.drop = 5
    invoice = await an_invoice(client, price="100.00", currency="GHS")
    _, page = await a_page(hub, organisation, invoice)
    await pay(page, method="mobile_money", phone="233547000011")
    account = sandbox.flutterwave.account_of(KEY)
    account.settle()
    sandbox.flutterwave.flush(account)
    await arrived(hub, sandbox)
    assert (await the_invoice(client, invoice))["status"] == "open"
    clock.advance(timedelta(minutes=20))
    await hub.resolve(PollPages)()
    assert (await the_invoice(client, invoice))["status"] == "paid"


async def test_a_wrong_key_is_told_by_its_field(client: Client, sandbox: Sandbox) -> None:
    """Before anything is kept."""
    sandbox.flutterwave.revoked.add(KEY)
    for body, field in (
        ({"secret_key": KEY, "webhook_secret": HASH}, "secret_key"),
        ({"secret_key": "sk_test_1", "webhook_secret": HASH}, "secret_key"),
        ({"secret_key": KEY}, "webhook_secret"),
        ({"secret_key": KEY, "webhook_secret": HASH, "webhook_version": "v5"}, "webhook_version"),
    ):
        answer = await client.post("/api/integrations/flutterwave/connect", json=body)
        assert answer.status_code == 422, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
