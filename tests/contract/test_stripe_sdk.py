"""The official SDK as a client of the sandbox, and as a second opinion on our signatures."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.providers.stripe import webhook
from adapters.providers.stripe.client import API_VERSION, Transport
from application.ports.outgoing import Unreachable
from application.ports.payments import BadSignature
from tests.contract.stripe_sandbox import KEY, Mailbox, Stage, served, staged

# The SDK hands its body to httpx in a way that httpx 0.28 warns of; our own transport does not.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh sandbox."""
    async with staged() as stage:
        yield stage


@pytest.fixture
async def sdk(stage: Stage) -> AsyncIterator[stripe.StripeClient]:
    """The SDK with its own HTTP client, as a stranger would use it."""
    transport = stripe.HTTPXClient(timeout=10)
    yield stripe.StripeClient(KEY, base_addresses={"api": stage.base}, http_client=transport)
    await transport.close_async()  # type: ignore[no-untyped-call]


def _order(**more: Any) -> Any:
    line = {"price_data": {"currency": "usd", "unit_amount": 1250, "product_data": {"name": "Tea"}}, "quantity": 2}
    return {
        "mode": "payment",
        "line_items": [line],
        "success_url": "https://shop.example/{CHECKOUT_SESSION_ID}",
        **more,
    }


async def _paid(sdk: stripe.StripeClient, amount: int = 5000, currency: str = "usd") -> stripe.PaymentIntent:
    return await sdk.v1.payment_intents.create_async(
        {
            "amount": amount,
            "currency": currency,
            "confirm": True,
            "payment_method": "pm_card_visa",
            "return_url": "https://shop.example",
        }
    )


async def test_the_sdk_was_made_for_the_version_that_we_pin() -> None:
    """Another version has other shapes; whoever updates the SDK must look at both."""
    assert stripe.api_version == API_VERSION


async def test_the_sdk_reads_what_the_sandbox_answers(sdk: stripe.StripeClient) -> None:
    """Its own classes, not ours, come out."""
    intent = await _paid(sdk)
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.amount_received) == ("succeeded", 5000)
    session = await sdk.v1.checkout.sessions.create_async(_order())
    assert isinstance(session, stripe.checkout.Session)
    assert (session.amount_total, session.status) == (2500, "open")
    lines = await sdk.v1.checkout.sessions.line_items.list_async(session.id)
    assert [(line.description, line.quantity, line.amount_total) for line in lines.data] == [("Tea", 2, 2500)]
    assert (await sdk.v1.balance.retrieve_async()).available[0].amount == 5000 - 175


async def test_the_sdk_pages_both_ways(sdk: stripe.StripeClient) -> None:
    """Cursors, has_more and the order are Stripe's."""
    made = [(await sdk.v1.customers.create_async({"name": f"N{number}"})).id for number in range(23)]
    page = await sdk.v1.customers.list_async({"limit": 10})
    assert ([row.id for row in page.data], page.has_more) == (made[:12:-1], True)
    assert [row.id async for row in page.auto_paging_iter()] == made[::-1]
    before = await sdk.v1.customers.list_async({"limit": 3, "ending_before": made[10]})
    assert ([row.id for row in before.data], before.has_more) == ([made[13], made[12], made[11]], True)
    last = await sdk.v1.customers.list_async({"limit": 100, "starting_after": made[1]})
    assert ([row.id for row in last.data], last.has_more) == ([made[0]], False)


async def test_the_sdk_knows_each_refusal(stage: Stage, sdk: stripe.StripeClient) -> None:
    """Its classes are chosen by status and body."""
    intents = sdk.v1.payment_intents
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await intents.create_async({"amount": 100, "currency": "usd", "colour": "red"})  # type: ignore[typeddict-unknown-key]
    assert (unknown.value.code, unknown.value.param, unknown.value.http_status) == ("parameter_unknown", "colour", 400)
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await intents.retrieve_async("pi_none")
    assert (missing.value.code, missing.value.http_status) == ("resource_missing", 404)
    assert missing.value.request_id
    waiting = await intents.create_async({"amount": 100, "currency": "usd"})
    with pytest.raises(stripe.CardError) as declined:
        await intents.confirm_async(
            waiting.id, {"payment_method": "pm_card_chargeDeclined", "return_url": "https://a.example"}
        )
    assert declined.value.code == "card_declined"
    assert declined.value.error is not None
    assert declined.value.error.decline_code == "generic_decline"
    for amount, currency, code in ((49, "usd", "amount_too_small"), (100_000_000, "usd", "amount_too_large")):
        with pytest.raises(stripe.InvalidRequestError) as wrong:
            await intents.create_async({"amount": amount, "currency": currency})
        assert wrong.value.code == code
    for amount, currency in ((5124, "kwd"), (550, "isk"), (501, "ugx")):
        with pytest.raises(stripe.InvalidRequestError):
            await intents.create_async({"amount": amount, "currency": currency})
    with pytest.raises(stripe.AuthenticationError):
        await _with_key(stage, "pk_test_1")
    await stage.control("rate", per_second=0)
    with pytest.raises(stripe.RateLimitError):
        await intents.list_async()


async def _with_key(stage: Stage, key: str) -> None:
    transport = Transport()
    other = stripe.StripeClient(key, base_addresses={"api": stage.base}, http_client=transport)
    try:
        await other.v1.balance.retrieve_async()
    finally:
        await transport.close_async()


async def test_an_idempotency_key_keeps_its_promise(stage: Stage, sdk: stripe.StripeClient) -> None:
    """Same request, same answer; another request, an error; a declined card stays declined under its key."""
    create = sdk.v1.payment_intents.create_async
    first = await create({"amount": 100, "currency": "usd"}, {"idempotency_key": "k"})
    again = await create({"amount": 100, "currency": "usd"}, {"idempotency_key": "k"})
    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        await create({"amount": 101, "currency": "usd"}, {"idempotency_key": "k"})
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await sdk.v1.payment_intents.confirm_async(
                first.id,
                {"payment_method": "pm_card_chargeDeclined", "return_url": "https://a.example"},
                {"idempotency_key": "c"},
            )
    assert len((await sdk.v1.charges.list_async({"payment_intent": first.id})).data) == 1
    with pytest.raises(stripe.InvalidRequestError):
        await create({"amount": 1, "currency": "usd"}, {"idempotency_key": "v"})
    kept = await create({"amount": 100, "currency": "usd"}, {"idempotency_key": "v"})  # a refused one was not kept
    assert kept.amount == 100
    stage.clock.advance(timedelta(hours=25))
    assert (await create({"amount": 100, "currency": "usd"}, {"idempotency_key": "k"})).id != first.id


async def test_two_requests_under_one_key_at_once_collide(stage: Stage, sdk: stripe.StripeClient) -> None:
    """The second is told to come back, and nothing is done twice."""
    await stage.control("faults", delay_ms=300)
    create = sdk.v1.customers.create_async
    slow = asyncio.create_task(create({"name": "A"}, {"idempotency_key": "k"}))
    await asyncio.sleep(0.1)
    with pytest.raises(stripe.APIError) as collided:
        await create({"name": "A"}, {"idempotency_key": "k"})
    assert collided.value.http_status == 409
    done = await slow
    assert (await create({"name": "A"}, {"idempotency_key": "k"})).id == done.id
    assert len((await sdk.v1.customers.list_async()).data) == 1


async def test_refunds_never_exceed_the_payment(sdk: stripe.StripeClient) -> None:
    """Not even when they are asked for at once."""
    intent = await _paid(sdk, 10_000)
    asked = [
        sdk.v1.refunds.create_async({"payment_intent": intent.id, "amount": 6000}, {"idempotency_key": f"r{n}"})
        for n in range(4)
    ]
    given = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, stripe.Refund) for each in given) == 1
    assert sum(isinstance(each, stripe.InvalidRequestError) for each in given) == 3


async def test_expanding_gives_objects(sdk: stripe.StripeClient) -> None:
    """Four levels deep, and in lists."""
    intent = await _paid(sdk)
    charge = (await sdk.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})).latest_charge
    assert isinstance(charge, stripe.Charge)
    await sdk.v1.refunds.create_async({"payment_intent": intent.id})
    rows = (await sdk.v1.refunds.list_async({"expand": ["data.charge.payment_intent"]})).data
    assert isinstance(rows[0].charge, stripe.Charge)
    assert rows[0].charge.refunded
    assert isinstance(rows[0].charge.payment_intent, stripe.PaymentIntent)


async def test_the_sdk_believes_the_sandbox_s_webhooks(stage: Stage, sdk: stripe.StripeClient) -> None:
    """The signature over real bytes on a real connection; and so do we."""
    box = Mailbox()
    async with served(box) as url:
        asked = await sdk.v1.webhook_endpoints.create_async({"url": f"{url}/in", "enabled_events": ["*"]})
        assert asked.secret
        await _paid(sdk)
        await stage.sandbox.post.idle()
    assert box.types == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    for headers, body in box.got:
        event = stripe.Webhook.construct_event(body, headers["stripe-signature"], asked.secret, api_key=KEY)
        ours = webhook.read_webhook((asked.secret,), headers, body, stage.clock.now())
        assert (ours.external_id, ours.type) == (event.id, event.type)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, headers["stripe-signature"], "whsec_other", api_key=KEY)
    stored = await sdk.v1.events.list_async({"types": ["payment_intent.*", "charge.succeeded"]})
    assert {event.id for event in stored.data} == {event["id"] for event in box.events}


_SECRETS = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=40).map("whsec_".__add__)
_TAMPERINGS = st.sampled_from(
    [
        "none",
        "none",
        "body",
        "secret",
        "moment",
        "v0 only",
        "second v1",
        "first v1 wrong",
        "no t",
        "case",
        "spaces",
        "cut",
    ]
)


@settings(max_examples=600, deadline=None)
@given(
    body=st.text(st.characters(codec="utf-8"), max_size=200),
    secret=_SECRETS,
    age=st.integers(-900, 900),
    tampering=_TAMPERINGS,
    other=st.text(st.characters(codec="utf-8"), min_size=1, max_size=5),
)
def test_we_and_the_sdk_agree_on_every_signature(body: str, secret: str, age: int, tampering: str, other: str) -> None:
    """Two readings of one rule, on thousands of honest and dishonest webhooks. We differ in one thing only: we also
    refuse what is more than 300 s in the future."""
    now = int(time.time())
    at = now - age
    header = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    assert header == f"t={at},v1={webhook.signature(secret, at, body.encode())}"
    stamp, _, signed = header.partition(",")
    header, body, secret = {
        "body": (header, body + other, secret),
        "secret": (header, body, secret + "x"),
        "moment": (f"t={at + 1},{signed}", body, secret),
        "v0 only": (f"{stamp},v0{signed[2:]}", body, secret),
        "second v1": (f"{stamp},v1={'0' * 64},{signed}", body, secret),
        "first v1 wrong": (f"{stamp},{signed[:-1]}{'0' if signed[-1] != '0' else '1'}", body, secret),
        "no t": (signed, body, secret),
        "case": (f"{stamp},v1={signed[3:].upper()}", body, secret),
        "spaces": (f"{stamp}, {signed}", body, secret),
        "cut": (header[:-1], body, secret),
    }.get(tampering, (header, body, secret))

    try:
        theirs = stripe.WebhookSignature.verify_header(body, header, secret, 300)
    except stripe.SignatureVerificationError:
        theirs = False
    try:
        # The SDK takes whole seconds from the machine's clock; so does this, at the same moment.
        webhook.verify((secret,), header, body.encode(), datetime.fromtimestamp(now, UTC))
        ours = True
    except BadSignature:
        ours = False
    if abs(abs(age) - 300) > 2:  # the clock may tick between the two
        assert ours is (theirs and age >= -300)


async def test_our_transport_says_whether_the_request_left(stage: Stage) -> None:
    """That decides whether a payment may have happened."""
    transport = Transport()
    with pytest.raises(stripe.APIConnectionError) as error:
        await transport.request_async("get", "http://127.0.0.1:9/", {})
    cause = error.value.__cause__
    assert isinstance(cause, Unreachable)
    assert not cause.sent
    body, status, headers = await transport.request_async("get", f"{stage.base}/v1/balance", {})
    assert (status, b"error" in body) == (401, True)
    assert headers["request-id"].startswith("req_")
    await transport.close_async()


async def test_the_sdk_reads_what_is_charged_again_and_again(sdk: stripe.StripeClient) -> None:
    """Products, prices, subscriptions, their bills and a preview, by its own classes."""
    product = await sdk.v1.products.create_async({"name": "Care"})
    price = await sdk.v1.prices.create_async(
        {"product": product.id, "currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    )
    payer = await sdk.v1.customers.create_async({"email": "pat@example.com"})
    kept = await sdk.v1.payment_methods.attach_async("pm_card_visa", {"customer": payer.id})
    await sdk.v1.customers.update_async(payer.id, {"invoice_settings": {"default_payment_method": kept.id}})
    of = await sdk.v1.subscriptions.create_async({"customer": payer.id, "items": [{"price": price.id, "quantity": 2}]})
    assert isinstance(of, stripe.Subscription)
    assert (of.status, of["items"].data[0].quantity) == ("active", 2)
    (bill,) = (await sdk.v1.invoices.list_async({"subscription": of.id, "expand": ["data.payments"]})).data
    assert isinstance(bill, stripe.Invoice)
    assert bill.payments is not None
    assert (bill.total, bill.payments.data[0].status) == (4000, "paid")
    following = await sdk.v1.invoices.create_preview_async({"subscription": of.id})
    assert (following.amount_due, following.billing_reason) == (4000, "upcoming")
    await sdk.v1.subscriptions.update_async(of.id, {"cancel_at_period_end": True})
    ended = await sdk.v1.subscriptions.cancel_async(of.id)
    assert (ended.status, bool(ended.canceled_at)) == ("canceled", True)
    assert (await sdk.v1.subscriptions.list_async({"customer": payer.id})).data == []
    assert len((await sdk.v1.subscriptions.list_async({"customer": payer.id, "status": "all"})).data) == 1
    await sdk.v1.payment_methods.detach_async(kept.id)
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.payment_methods.attach_async(kept.id, {"customer": payer.id})


async def test_the_sdk_reads_the_books(stage: Stage, sdk: stripe.StripeClient) -> None:
    """Balance transactions with what they are of, payouts and disputes."""
    paid = await _paid(sdk)
    dispute = await stage.control(f"intents/{(await _paid(sdk)).id}/dispute")
    sent = await sdk.v1.payouts.create_async({"amount": 1000, "currency": "usd"})
    assert isinstance(sent, stripe.Payout)
    lines = (await sdk.v1.balance_transactions.list_async({"expand": ["data.source"]})).data
    kinds = [type(line.source) for line in reversed(lines)]
    assert kinds == [stripe.Charge, stripe.Charge, stripe.Dispute, stripe.Payout]
    assert sum(line.net for line in lines) == (await sdk.v1.balance.retrieve_async()).available[0].amount
    (found,) = (await sdk.v1.disputes.list_async()).data
    assert (found.id, found.status) == (dispute["id"], "needs_response")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await sdk.v1.payouts.create_async({"amount": 10**9, "currency": "usd"})
    assert missing.value.code == "balance_insufficient"
    again = await sdk.v1.payment_intents.search_async({"query": 'metadata["a"]:"b"'})
    assert again.data == []
    assert paid.id
