"""The inbox: every webhook ends handled, ignored with a reason, or failed with what went wrong; none takes another along."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from application.inbox.handle import AT_ONCE_AGAIN, LEASE, held
from application.inbox.receive import SignatureRefused
from application.ports.leases import Held
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.store import StaleWrite
from application.ports.vault import WrongKey
from domain.billing.invoices import InvoiceState
from domain.inbox import HOLDING_TRIES, MAX_TRIES, InboxState, Received
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid, NotFound
from tests.unit.application.bench import Bench


async def only(bench: Bench) -> Received:
    """The one webhook there is."""
    async with bench.look() as work:
        (received,) = await work.inbox.all()
    return received


async def paid_body(bench: Bench) -> bytes:
    """The webhook of a payment."""
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    return next(body for body in bench.fake.events if b"intent.succeeded" in body)


async def test_a_webhook_is_kept_and_then_handled(bench: Bench) -> None:
    """At the door only the signature is looked at."""
    body = await paid_body(bench)
    taken = await bench.webhook(body)
    assert (await only(bench)) == taken.received
    assert await bench.payments() == ()
    assert await bench.handle() == 1
    handled = await only(bench)
    assert (handled.state, handled.tries, handled.handled_at) == (InboxState.HANDLED, 1, bench.clock.now())
    assert len(await bench.payments()) == 1
    assert await bench.handle() == 0


async def test_a_webhook_that_comes_again_is_acknowledged_and_dropped(bench: Bench) -> None:
    """Also after it was handled."""
    body = await paid_body(bench)
    assert not (await bench.webhook(body)).duplicate
    assert (await bench.webhook(body)).duplicate
    await bench.handle()
    assert (await bench.webhook(body)).duplicate
    assert (await only(bench)).state is InboxState.HANDLED


async def test_a_wrong_signature_is_refused_and_nothing_is_kept(bench: Bench) -> None:
    """Missing, another secret's, or too old; and what is signed but is no event."""
    body = await paid_body(bench)
    forged = bench.fake.sign(body, "another secret", bench.clock.now())
    old = bench.fake.sign(body, bench.fake.webhook_secret, bench.clock.now() - timedelta(minutes=6))
    for headers in ({}, forged, old):
        lower = {name.lower(): value for name, value in headers.items()}
        with pytest.raises(SignatureRefused):
            await bench.receive("fake", lower, body)
    with pytest.raises(Invalid, match="no event"):
        await bench.webhook(b"[]")
    with pytest.raises(NotFound):
        await bench.receive("fake", {}, body, connection_id="con_none")
    async with bench.look() as work:
        assert await work.inbox.all() == ()


async def test_a_webhook_finds_the_organisation_whose_secret_signed_it(bench: Bench) -> None:
    """Its address need not say whose it is."""
    other = await bench.found()
    theirs = await bench.connect(other, secrets={"secret_key": "x", "webhook_secret": "theirs"})
    body = await paid_body(bench)
    headers = {name.lower(): value for name, value in bench.fake.sign(body, "theirs", bench.clock.now()).items()}
    taken = await bench.receive("fake", headers, body)
    assert taken.received is not None
    assert (taken.received.organisation_id, taken.received.connection_id) == (other, theirs.id)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "checkout", "about": "fake_page_99"}, "fake_page_99 is not known to the provider."),
        ({"kind": "intent", "about": "fake_intent_99", "intent": "fake_intent_99"}, "is not known to the provider."),
        ({"kind": "product", "about": "prod_1", "intent": None, "type": "product.created"}, "Nothing is to be done"),
    ],
)
async def test_what_is_of_no_use_is_ignored_with_the_reason(bench: Bench, changes: dict[str, Any], why: str) -> None:
    """A person who looks for a webhook reads why nothing came of it."""
    body = json.dumps({**json.loads(await paid_body(bench)), **changes}).encode()
    await bench.webhook(body)
    while (ignored := await only(bench)).state is InboxState.PENDING:
        bench.clock.advance(max(ignored.due_at - bench.clock.now(), timedelta()))
        assert await bench.handle() == 1
    assert ignored.state is InboxState.IGNORED
    assert why in (ignored.error or "")
    assert await bench.payments() == ()


async def test_a_webhook_that_was_quicker_than_the_provider_s_answers_is_handled_all_the_same(bench: Bench) -> None:
    """The provider does not know the payment at first, and nobody sends the webhook again."""
    body = await paid_body(bench)
    (reference,) = bench.fake.intents
    paid = bench.fake.intents.pop(reference)
    await bench.webhook(body)
    assert await bench.handle() == 1
    waiting = await only(bench)
    assert (waiting.state, waiting.tries) == (InboxState.PENDING, 1)
    assert "not known to the provider yet" in (waiting.error or "")
    bench.fake.intents[reference] = paid
    bench.clock.advance(timedelta(seconds=1))
    assert await bench.handle() == 1
    assert (await only(bench)).state is InboxState.HANDLED
    assert len(await bench.payments()) == 1


async def test_a_copy_of_one_that_was_ignored_as_unknown_is_handled(bench: Bench) -> None:
    """Somebody who knew what the webhook would say sent it before there was such a payment: the provider's own counts."""
    body = await paid_body(bench)
    (reference,) = bench.fake.intents
    paid = bench.fake.intents.pop(reference)
    await bench.webhook(body)
    for _ in range(HOLDING_TRIES):
        assert await bench.handle() == 1
        bench.clock.advance(timedelta(minutes=5))
    assert (await only(bench)).state is InboxState.IGNORED
    assert await bench.handle() == 0
    bench.fake.intents[reference] = paid
    assert (await bench.webhook(body)).duplicate
    assert await bench.handle() == 1
    assert (await only(bench)).state is InboxState.HANDLED
    assert len(await bench.payments()) == 1


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ProviderRefused("1000.5 UGX is no whole amount."), "refused: 1000.5 UGX is no whole amount."),
        (RetryLater("Too many calls."), "could not answer, and is asked again: Too many calls."),
        (ReconnectNeeded("revoked"), "no longer accepts the connection's credentials"),
        (WrongKey("con_1"), "cannot be opened"),
    ],
)
async def test_trouble_that_is_known_is_said_in_a_sentence(bench: Bench, problem: Exception, said: str) -> None:
    """A traceback with file names tells whoever runs the hub nothing about a provider that said no."""

    async def trouble() -> None:
        raise problem

    bench.between.before["fetch_intent"] = trouble
    await bench.webhook(await paid_body(bench))
    await bench.handle()
    received = await only(bench)
    assert (received.state, received.tries) == (InboxState.PENDING, 1)
    assert said in (received.error or "")
    assert "\n" not in (received.error or "")
    for _ in range(HOLDING_TRIES - 1):
        bench.clock.advance(timedelta(minutes=5))
        await bench.handle()
    given_up = isinstance(problem, ProviderRefused)
    assert (await only(bench)).state is (InboxState.FAILED if given_up else InboxState.PENDING)


async def test_somebody_elses_payment_is_ignored_with_the_reason(bench: Bench) -> None:
    """The account at the provider is used by another system as well."""
    invoice = await bench.open_invoice()
    bench.fake.pay(await bench.order(invoice, Money(100, Currency("USD")), organisation="org_other"))
    await bench.webhook(bench.fake.events[0])
    await bench.handle()
    ignored = await only(bench)
    assert ignored.state is InboxState.IGNORED
    assert "not made through this hub" in (ignored.error or "")


async def test_an_error_is_kept_with_its_traceback_and_tried_again(bench: Bench) -> None:
    """After 1, 2, 4 … seconds, at most an hour, for about a day; a person can have it handled again."""

    async def fail() -> None:
        raise RuntimeError("a bug of ours")

    body = await paid_body(bench)
    bench.between.before["fetch_intent"] = fail
    await bench.webhook(body)
    waits = []
    for tries in range(1, MAX_TRIES):
        assert await bench.handle() == 1
        assert await bench.handle() == 0, "not before its time"
        received = await only(bench)
        assert (received.state, received.tries) == (InboxState.PENDING, tries)
        assert "Traceback" in (received.error or "")
        assert "a bug of ours" in (received.error or "")
        waits.append(int((received.due_at - bench.clock.now()).total_seconds()))
        bench.clock.advance(received.due_at - bench.clock.now())
    assert waits == [min(2**n, 3600) for n in range(MAX_TRIES - 1)]
    assert await bench.handle() == 1
    assert (await only(bench)).state is InboxState.FAILED
    bench.clock.advance(timedelta(days=1))
    assert await bench.handle() == 0
    bench.between.before.clear()
    again = await bench.handle_again(bench.caller, (await only(bench)).id)
    assert (again.state, again.tries) == (InboxState.PENDING, 0)
    with pytest.raises(Conflict, match="pending"):
        await bench.handle_again(bench.caller, again.id)
    assert await bench.handle() == 1
    assert (await only(bench)).state is InboxState.HANDLED


async def test_one_that_fails_takes_no_other_along(bench: Bench) -> None:
    """Webhooks about two payments are handled side by side."""
    invoice = await bench.open_invoice()
    bench.fake.pay(await bench.opened_page(invoice))
    late = await bench.order(invoice, Money(100, Currency("USD")))
    bench.clock.advance(timedelta(hours=2))
    await bench.fake.fetch_checkout({"secret_key": "x"}, late)
    bodies = [body for body in bench.fake.events if b"intent.succeeded" in body or b"checkout.expired" in body]
    assert len(bodies) == 2

    async def fail() -> None:
        raise RuntimeError("a bug of ours")

    bench.between.before["fetch_checkout"] = fail
    for body in bodies:
        await bench.webhook(body)
    assert await bench.handle() == 2
    async with bench.look() as work:
        assert sorted(one.state.value for one in await work.inbox.all()) == ["handled", "pending"]
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID


async def test_a_payment_that_is_being_worked_on_is_waited_for_or_tried_again(bench: Bench) -> None:
    """Busy is no bug: no traceback is kept."""
    body = await paid_body(bench)
    await bench.webhook(body)
    (intent,) = bench.fake.intents

    async def busy() -> None:
        raise Held(f"payment {intent} is being worked on")

    bench.between.before["fetch_intent"] = busy
    await bench.handle()
    received = await only(bench)
    assert (received.state, received.tries) == (InboxState.PENDING, 1)
    assert (received.error or "").startswith("busy")
    assert "Traceback" not in (received.error or "")


async def test_a_webhook_that_another_worker_took_over_is_left_to_it(bench: Bench) -> None:
    """This one was too slow; what it found out late must neither be written nor disturb the others of its round."""
    body = await paid_body(bench)
    await bench.webhook(body)

    async def take_over() -> None:
        bench.between.before.clear()
        bench.clock.advance(timedelta(minutes=3))
        assert await bench.handle() == 1

    bench.between.before["fetch_intent"] = take_over  # the lock on the payment runs out with the same three minutes
    assert await bench.handle() == 1
    received = await only(bench)
    assert (received.state, received.tries, received.version) == (InboxState.HANDLED, 1, 4), (
        "each claim is a version, and so is what was recorded"
    )
    assert len(await bench.payments()) == 1
    assert (await bench.told()).count("invoice.paid") == 1


async def test_webhooks_about_one_payment_are_handled_one_after_the_other(bench: Bench) -> None:
    """The page's and the payment's own are about the same payment; which came first goes first."""
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    first, second = reversed(bench.fake.events[-2:])
    await bench.webhook(first)
    bench.clock.advance(timedelta(milliseconds=1))
    await bench.webhook(second)
    handled = []
    while await bench.handle():
        async with bench.look() as work:
            handled.append([one.body for one in await work.inbox.all() if one.state is InboxState.HANDLED])
    assert handled == [[first], [first, second]]


async def test_one_that_takes_longer_than_the_lease_is_kept_from_others(bench: Bench) -> None:
    """A provider's time-outs alone may; the claim is renewed all the while, and no longer."""
    await bench.webhook(await paid_body(bench))
    (claimed,) = await bench.handle.begin(1)
    async with held(bench.inbox, bench.clock, claimed, every=timedelta(milliseconds=5)):
        for _ in range(5):
            bench.clock.advance(LEASE / 2)
            await asyncio.sleep(0.05)
            assert await bench.inbox.claim(bench.clock.now(), LEASE, 1) == ()
    bench.clock.advance(LEASE)
    await asyncio.sleep(0.02)
    (taken,) = await bench.inbox.claim(bench.clock.now(), LEASE, 1)
    assert taken.id == claimed.id


@pytest.mark.parametrize(("times", "state"), [(AT_ONCE_AGAIN, InboxState.HANDLED), (9, InboxState.PENDING)])
async def test_who_met_another_s_write_decides_anew_at_once(bench: Bench, times: int, state: InboxState) -> None:
    """Two payments of one invoice, settled at the same moment; and nobody does so for ever."""
    left = times

    async def stale() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            bench.between.before.clear()
            return
        raise StaleWrite("The invoice was changed by someone else meanwhile.")

    await bench.webhook(await paid_body(bench))
    bench.between.before["fetch_intent"] = stale
    await bench.handle()
    received = await only(bench)
    assert (received.state, received.tries) == (state, 1)
