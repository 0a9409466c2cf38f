"""A link by which the payer chooses the provider: one page at a time, and never two that can be paid."""

import asyncio

import attrs
import pytest

from application.connections.connect import ProviderUnavailable
from application.ports.payments import RetryLater
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.links import CheckoutState, LinkAnswer, LinkState
from domain.connections.connection import Connection
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid
from tests.unit.application.bench import Bench

USD = Currency("USD")


@pytest.fixture
async def two(bench: Bench) -> Bench:
    """Two providers are connected."""
    await bench.connect(bench.org, provider="plain")
    return bench


async def chosen(bench: Bench, invoice: Invoice, provider: str | None = None) -> str | None:
    """The page that whoever follows the invoice's link gets."""
    link = await bench.link(bench.caller, invoice_id=invoice.id)
    return (await bench.follow(link.link.token, provider)).pay_at


async def plain_of(bench: Bench) -> Connection:
    """The connection to the other provider."""
    async with bench.look() as work:
        (connection,) = await work.connections.all(provider="plain")
    return connection


async def test_the_payer_is_shown_what_there_is_and_nothing_is_opened(two: Bench) -> None:
    """Until they choose."""
    invoice = await two.open_invoice()
    link = (await two.link(two.caller, invoice_id=invoice.id)).link
    assert (link.payer_chooses, link.connection_id, link.provider) == (True, "", "")
    seen = await two.follow(link.token)
    assert (seen.answer, seen.pay_at) == (LinkAnswer.PAY, None)
    assert [(one.provider, one.name) for one in seen.choices] == [("fake", "Fake"), ("plain", "Plain")]
    assert (await two.follow.look(link.token)).choices == seen.choices
    assert await two.checkouts() == ()


async def test_who_changes_their_mind_can_pay_one_page_only(two: Bench) -> None:
    """The page left open at the other provider is closed first."""
    invoice = await two.open_invoice()
    await chosen(two, invoice, "fake")
    second = await chosen(two, invoice, "plain")
    assert [page.state.value for page in two.fake.checkouts.values()] == ["expired"]
    assert [page.state.value for page in two.providers.plain.checkouts.values()] == ["open"]
    assert await chosen(two, invoice, "plain") == second
    await chosen(two, invoice, "fake")
    assert [page.state.value for page in two.fake.checkouts.values()] == ["expired", "open"]
    assert [page.state.value for page in two.providers.plain.checkouts.values()] == ["expired"]


async def test_pages_of_an_invoices_other_links_are_closed_too(two: Bench) -> None:
    """The chooser and a link of its own may be in two mails: only the page that was opened last can be paid."""
    invoice = await two.open_invoice()
    await chosen(two, invoice, "fake")
    for provider in ("fake", "plain"):
        own = await two.link(two.caller, invoice_id=invoice.id, provider=provider)
        assert (await two.follow(own.link.token)).pay_at is not None
    pages = [*two.fake.checkouts.values(), *two.providers.plain.checkouts.values()]
    assert [page.state.value for page in pages] == ["expired", "expired", "open"]


async def test_clicks_on_two_links_at_once_leave_one_page_open(two: Bench) -> None:
    """Whoever is second closes what the first was given."""
    invoice = await two.open_invoice()
    links = [await two.link(two.caller, invoice_id=invoice.id, provider=one) for one in ("fake", "plain")]
    await asyncio.gather(*(two.follow(link.link.token) for link in links))
    pages = [*two.fake.checkouts.values(), *two.providers.plain.checkouts.values()]
    assert sorted(page.state.value for page in pages) == ["expired", "open"]


async def test_a_payment_that_is_under_way_is_said_before_another_is_made(two: Bench) -> None:
    """A bank takes days: nobody is to pay again without knowing, and who wants to all the same can."""
    two.fake.late = True
    invoice = await two.open_invoice()
    await chosen(two, invoice, "fake")
    (reference,) = two.fake.checkouts
    two.fake.pay(reference)
    await two.settle.checkout(two.org, two.connection.id, reference)
    link = await two.link(two.caller, invoice_id=invoice.id, provider="plain")
    seen = await two.follow(link.link.token)
    assert (seen.answer, seen.pay_at, seen.under_way) == (LinkAnswer.PAY, None, Money(10_000, USD))
    assert two.providers.plain.checkouts == {}
    assert (await two.follow(link.link.token, "plain")).pay_at is not None


async def test_a_declined_card_is_no_payment_under_way(two: Bench) -> None:
    """They are to try another without a warning."""
    invoice = await two.open_invoice()
    await chosen(two, invoice, "fake")
    (reference,) = two.fake.checkouts
    two.fake.decline(reference)
    await two.settle.checkout(two.org, two.connection.id, reference)
    assert (await two.follow.look((await two.linked(invoice)).token)).under_way is None


async def test_a_page_that_cannot_be_closed_keeps_the_other_shut(two: Bench) -> None:
    """Two open pages at two providers are two chances to pay."""
    invoice = await two.open_invoice()
    await chosen(two, invoice, "fake")
    two.fake.fail_next(RetryLater("away"))
    with pytest.raises(ProviderUnavailable):
        await chosen(two, invoice, "plain")
    assert two.providers.plain.checkouts == {}


async def test_a_page_paid_before_the_change_of_mind_is_noticed(two: Bench) -> None:
    """They paid, came back and chose the other: nothing more is asked for."""
    invoice = await two.open_invoice()
    await chosen(two, invoice, "fake")
    (reference,) = two.fake.checkouts
    two.fake.pay(reference)
    with pytest.raises(ProviderUnavailable, match="just made"):
        await chosen(two, invoice, "plain")
    link = await two.link(two.caller, invoice_id=invoice.id)
    assert (await two.return_from(link.link.token)).answer is LinkAnswer.PAID
    assert (await two.invoice(invoice.id)).state is InvoiceState.PAID


async def test_only_who_can_charge_the_amount_is_offered(two: Bench) -> None:
    """A single one is taken without asking; none is said when the link is made."""
    invoice = await two.open_invoice()

    def refuse(amount: Money, *, field: str = "amount") -> None:
        raise Invalid.field(field, "Not here.")

    link = await two.link(two.caller, invoice_id=invoice.id)
    two.providers.plain.check_amount = refuse  # type: ignore[method-assign]
    followed = await two.follow(link.link.token)
    assert [one.provider for one in followed.choices] == ["fake"]
    assert (followed.pay_at or "").startswith("https://pay.fake/")
    two.fake.check_amount = refuse  # type: ignore[method-assign]
    with pytest.raises(ProviderUnavailable):
        await two.follow(link.link.token)
    with pytest.raises(Invalid, match="Not here"):
        await two.link(two.caller, invoice_id=(await two.open_invoice()).id)


async def test_each_providers_reason_is_told_where_none_can_charge(two: Bench) -> None:
    """One that does not take the currency says nothing of how far the amount is over another's maximum."""

    def refuse(amount: Money, *, field: str = "amount") -> None:
        raise Invalid.field(field, "Plain takes no dollars.")

    two.providers.plain.check_amount = refuse  # type: ignore[method-assign]
    huge = await two.open_invoice(5_000_000_00)
    with pytest.raises(Invalid) as refused:
        await two.link(two.caller, invoice_id=huge.id)
    (fault,) = refused.value.faults
    assert fault.field == "invoice_id"
    assert "Plain takes no dollars." in fault.reason
    assert "5000000.00 USD cannot be charged." in fault.reason.replace(",", "")


async def test_what_cannot_be_chosen_is_refused(two: Bench) -> None:
    """A provider that is not offered, and another than the link's own."""
    invoice = await two.open_invoice()
    with pytest.raises(Invalid, match="provider"):
        await chosen(two, invoice, "board")
    fixed = await two.link(two.caller, invoice_id=invoice.id, provider="plain")
    with pytest.raises(Invalid, match="provider"):
        await two.follow(fixed.link.token, "fake")
    assert (await two.follow(fixed.link.token, "plain")).pay_at is not None


async def test_nothing_connected_makes_no_link(two: Bench) -> None:
    """It could never be paid."""
    async with two.store.of(two.org) as work:
        for one in await work.connections.all():
            await work.connections.save(one.disconnected(two.clock.now()))
        await work.commit()
    with pytest.raises(Conflict, match="No payment provider"):
        await two.link(two.caller, invoice_id=(await two.open_invoice()).id)


async def test_links_asked_for_at_once_are_one(two: Bench) -> None:
    """A double click in the host application: both get the same address."""
    invoice = await two.open_invoice()
    made = await asyncio.gather(*(two.link(two.caller, invoice_id=invoice.id) for _ in range(5)))
    assert len({one.url for one in made}) == 1
    async with two.look() as work:
        assert len(await work.links.all()) == 1


async def test_paying_at_one_provider_ends_what_is_open_at_the_other(two: Bench) -> None:
    """Links to both providers were sent."""
    invoice = await two.open_invoice()
    reference = await two.page_beside(invoice, two.connection)
    await two.page_beside(invoice, await plain_of(two))
    two.fake.pay(reference)
    await two.settle.checkout(two.org, two.connection.id, reference)
    assert [page.state.value for page in two.providers.plain.checkouts.values()] == ["expired"]
    assert {one.state for one in await two.checkouts()} == {CheckoutState.COMPLETE, CheckoutState.EXPIRED}
    async with two.look() as work:
        assert {one.state for one in await work.links.all()} == {LinkState.COMPLETED}


async def test_a_payment_at_the_other_provider_after_all_is_set_aside(two: Bench) -> None:
    """Its page could not be closed in time: the money is named, and the invoice paid once."""
    invoice = await two.open_invoice()
    first = await two.page_beside(invoice, two.connection)
    second = await two.page_beside(invoice, await plain_of(two))
    two.fake.pay(first)
    two.providers.plain.pay(second)
    await two.settle.checkout(two.org, two.connection.id, first)
    (plain,) = [
        one for one in await two.checkouts() if one.reference == second and one.connection_id != two.connection.id
    ]
    await two.settle.checkout(two.org, plain.connection_id, second)
    assert sorted(one.state.value for one in await two.payments()) == ["conflicted", "succeeded"]
    assert (await two.invoice(invoice.id)).paid == 10_000


async def test_who_is_known_at_the_provider_pays_as_themselves(two: Bench) -> None:
    """One customer a client, found again for the next invoice; where the provider keeps none there is none."""
    client = (await two.open_invoice()).client
    for _ in range(2):
        invoice = attrs.evolve(await two.open_invoice(), client=client)
        async with two.store.of(two.org) as work:
            await work.invoices.save(invoice)
            await work.commit()
        await chosen(two, invoice, "fake")
    assert len(two.fake.customers) == 1
