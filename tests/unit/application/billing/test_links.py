"""Payment links: whoever clicks gets one page to pay on, never two, and never one for the wrong amount."""

import asyncio
from datetime import timedelta

import pytest

from application.connections.connect import ProviderUnavailable
from application.ports.payments import RetryLater
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState, LinkAnswer, LinkState
from domain.connections.connection import ConnectionState
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid, NotFound
from tests.unit.application.bench import Bench

USD = Currency("USD")


async def test_two_clicks_at_once_get_the_same_page(bench: Bench) -> None:
    """Two open pages are two chances to pay."""
    link = await bench.linked(await bench.open_invoice())
    followed = await asyncio.gather(*(bench.follow(link.token) for _ in range(5)))
    assert len({one.pay_at for one in followed}) == 1
    assert bench.fake.calls.count("create_checkout") == 1
    assert [c.state for c in await bench.checkouts()] == [CheckoutState.OPEN]


async def test_an_open_page_is_handed_out_again(bench: Bench) -> None:
    """As long as there is time enough to pay on it."""
    link = await bench.linked(await bench.open_invoice())
    first = await bench.follow(link.token)
    bench.clock.advance(timedelta(hours=22))
    assert (await bench.follow(link.token)).pay_at == first.pay_at


async def test_a_page_about_to_lapse_is_replaced_and_closed(bench: Bench) -> None:
    """Nobody is sent to a page that closes while they look for their card."""
    link = await bench.linked(await bench.open_invoice())
    first = await bench.follow(link.token)
    bench.clock.advance(timedelta(hours=22, minutes=51))
    second = await bench.follow(link.token)
    assert second.pay_at != first.pay_at
    assert [c.state for c in await bench.checkouts()] == [CheckoutState.EXPIRED, CheckoutState.OPEN]
    assert [page.state.value for page in bench.fake.checkouts.values()] == ["expired", "open"]


async def test_a_page_for_another_amount_is_closed(bench: Bench) -> None:
    """Something was paid meanwhile: the old page would take too much."""
    invoice = await bench.open_invoice()
    link = await bench.linked(invoice)
    await bench.follow(link.token)
    part = bench.fake.pay(await bench.order(invoice, Money(4_000, USD)))
    await bench.settle.checkout(bench.org, bench.connection.id, part.reference)
    second = await bench.follow(link.token)
    old, _, new = bench.fake.checkouts.values()
    assert (old.state.value, new.url, new.amount) == ("expired", second.pay_at, Money(6_000, USD))


async def test_a_cut_off_answer_is_asked_for_again_with_the_same_key(bench: Bench) -> None:
    """The page may exist at the provider already; a new key would make a second one."""
    link = await bench.linked(await bench.open_invoice())
    bench.fake.fail_next(RetryLater("cut off", may_have_happened=True), after_work=True)
    with pytest.raises(ProviderUnavailable):
        await bench.follow(link.token)
    followed = await bench.follow(link.token)
    (page,) = bench.fake.checkouts.values()
    assert followed.pay_at == page.url
    assert [c.state for c in await bench.checkouts()] == [CheckoutState.OPEN]


async def test_a_page_whose_payer_has_just_paid_is_not_followed_by_another(bench: Bench) -> None:
    """The webhook is still on its way, and the page about to lapse: asking for the money again would be wrong."""
    link = await bench.linked(await bench.open_invoice())
    await bench.follow(link.token)
    bench.clock.advance(timedelta(hours=22, minutes=51))
    (reference,) = bench.fake.checkouts
    bench.fake.pay(reference)
    with pytest.raises(ProviderUnavailable, match="just made"):
        await bench.follow(link.token)
    assert len(bench.fake.checkouts) == 1
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert (await bench.follow(link.token)).answer is LinkAnswer.PAID


async def test_a_page_that_was_paid_before_its_own_answer_came_stays_complete(bench: Bench) -> None:
    """A finished page never opens again in our books."""
    link = await bench.linked(await bench.open_invoice())

    async def pay_at_once() -> None:
        (reference,) = bench.fake.checkouts
        bench.fake.pay(reference)
        await bench.settle.checkout(bench.org, bench.connection.id, reference)

    bench.between.after["create_checkout"] = pay_at_once
    await bench.follow(link.token)
    assert [c.state for c in await bench.checkouts()] == [CheckoutState.COMPLETE]


async def test_a_provider_that_cannot_be_asked_is_said_and_noted(bench: Bench) -> None:
    """The payer reads a sentence, and the owner sees the connection failing."""
    link = await bench.linked(await bench.open_invoice())
    bench.fake.revoked.add(f"key of {bench.org}")
    with pytest.raises(ProviderUnavailable, match="try again later"):
        await bench.follow(link.token)
    async with bench.look() as work:
        assert (await work.connections.get(bench.connection.id)).state is ConnectionState.FAILING


async def test_an_old_page_that_cannot_be_closed_keeps_a_new_one_shut(bench: Bench) -> None:
    """Better no page than two; the refusal is the usual one."""
    link = await bench.linked(await bench.open_invoice())
    await bench.follow(link.token)
    bench.clock.advance(timedelta(hours=22, minutes=51))
    bench.fake.fail_next(RetryLater("away"))
    with pytest.raises(ProviderUnavailable, match="try again later"):
        await bench.follow(link.token)
    assert len(bench.fake.checkouts) == 1


@pytest.mark.writes_by_hand
async def test_a_link_answers_what_became_of_its_invoice(bench: Bench) -> None:
    """Paid, void, or its time is up: without asking the provider for anything."""
    paid, void, late = [await bench.open_invoice() for _ in range(3)]
    links = [await bench.linked(invoice) for invoice in (paid, void, late)]
    now = bench.clock.now()
    async with bench.store.of(bench.org) as work:
        await work.invoices.save(paid.settle(paid.total, Money.zero(USD), now)[0])
        await work.invoices.save(void.void(now))
        await work.commit()
    bench.clock.advance(timedelta(days=30))
    answers = [(await bench.follow(link.token)).answer for link in links]
    assert answers == [LinkAnswer.PAID, LinkAnswer.VOID, LinkAnswer.EXPIRED]
    assert bench.fake.calls == []
    with pytest.raises(NotFound):
        await bench.follow("no such token")


async def test_an_expired_link_closes_its_page(bench: Bench) -> None:
    """At once, by a person's word."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    expired = await bench.expire_link(bench.caller, invoice_id=invoice.id, provider="fake")
    assert expired.state is LinkState.EXPIRED
    assert bench.fake.checkouts[reference].state.value == "expired"


async def test_an_invoice_has_one_live_link(bench: Bench) -> None:
    """Asked for again, the same is given; a draft becomes final with its first link."""
    draft = bench.make.invoice(bench.org)
    await bench.add("invoices", draft)
    first, again = [await bench.link(bench.caller, invoice_id=draft.id) for _ in range(2)]
    assert first.link == again.link
    assert first.invoice.state is InvoiceState.OPEN
    assert first.url == f"https://hub.example/pay/{first.link.token}"


@pytest.mark.writes_by_hand
async def test_a_link_that_cannot_be_paid_is_not_made(bench: Bench) -> None:
    """A wrong expiry, a void invoice, an amount over the provider's maximum, nothing connected."""
    invoice, huge = await bench.open_invoice(), await bench.open_invoice(100_000_000)
    for late in (bench.clock.now(), bench.clock.now() + timedelta(days=366)):
        with pytest.raises(Invalid, match="expires_at"):
            await bench.link(bench.caller, invoice_id=invoice.id, expires_at=late)
    with pytest.raises(Invalid, match="invoice_id"):
        await bench.link(bench.caller, invoice_id=huge.id)
    async with bench.store.of(bench.org) as work:
        await work.invoices.save(invoice.void(bench.clock.now()))
        await work.commit()
    with pytest.raises(Conflict, match="void"):
        await bench.link(bench.caller, invoice_id=invoice.id)
    async with bench.look() as work:
        assert await work.links.all() == ()


async def test_the_payer_who_comes_back_sees_the_invoice_paid_at_once(bench: Bench) -> None:
    """Without waiting for the webhook; and a provider that is away is no error."""
    invoice = await bench.open_invoice()
    link = await bench.linked(invoice)
    await bench.follow(link.token)
    bench.fake.pay(next(iter(bench.fake.checkouts)))
    bench.fake.fail_next(RetryLater("away"))
    assert (await bench.return_from(link.token)).answer is LinkAnswer.PAY
    assert (await bench.return_from(link.token)).answer is LinkAnswer.PAID


async def test_what_cannot_be_sent_stays_a_draft(bench: Bench) -> None:
    """A link makes an invoice final: a send that is refused must not have made one."""
    draft = bench.make.invoice(bench.org)
    await bench.add("invoices", draft)
    with pytest.raises(Invalid, match="no mail address"):
        await bench.send(bench.caller, draft.id)
    with pytest.raises(Invalid, match=r"to\.0"):
        await bench.send(bench.caller, draft.id, to=["nobody"])
    with pytest.raises(Conflict, match="mail account"):
        await bench.send(bench.caller, draft.id, to=["ada@acme.example"])
    assert await bench.invoice(draft.id) == draft
    async with bench.look() as work:
        assert await work.links.all() == ()
    await bench.connect(bench.org, provider="post", secrets={"password": "x"})
    sent = await bench.send(bench.caller, draft.id, to=["ada@acme.example"])
    assert sent.invoice.state is InvoiceState.OPEN
    assert (sent.delivery.mail or {})["to"] == ["ada@acme.example"]
    assert await bench.told() == ["invoice.sent"]
