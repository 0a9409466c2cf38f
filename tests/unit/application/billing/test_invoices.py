"""Invoices written, numbered, opened, mirrored, written off and printed."""

from datetime import date
from typing import Any

import attrs
import pytest

from application.billing.invoices import DiscountAsked, LineAsked, TaxAsked
from application.billing.settings import SettingsAsked
from application.caller import Caller
from application.versions import Stale
from domain.billing.invoices import Billed, Invoice, InvoiceState, Line, Period
from domain.billing.settings import Seller
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid, NotFound
from tests.unit.application.bench import Bench

USD = Currency("USD")
SETTINGS = SettingsAsked(Seller("Harbour & Finch"), "HF-", "HC-", (7, -3), (2, 5), "en-GB")


async def a_client(bench: Bench) -> str:
    """A client with an address."""
    record = bench.make.record(bench.org, name="Ada", email="ada@acme.example")
    await bench.add("records", record)
    return str(record.id)


async def written(bench: Bench, *lines: LineAsked, **more: Any) -> Invoice:
    """An invoice for a new client."""
    asked = lines or (LineAsked("Design", 1, "100.00"),)
    return await bench.create_invoice(
        bench.caller, client_id=await a_client(bench), currency="USD", lines=asked, **more
    )


async def test_taxes_and_discounts_are_read_as_people_write_them(bench: Bench) -> None:
    """Percentages with a point, amounts in major units, nothing rounded on the way in."""
    line = LineAsked("Design", 2, "50.00", TaxAsked("VAT", "19.5"), DiscountAsked(percent="10", name="Trade"))
    bill = await written(bench, line, discount=DiscountAsked(amount="10.00"))
    totals = bill.totals
    assert (totals.subtotal, totals.discount) == (Money(90_00, USD), Money(10_00, USD))
    assert (totals.tax, bill.total) == (Money(15_60, USD), Money(95_60, USD))


async def test_everything_that_does_not_fit_is_named(bench: Bench) -> None:
    """The form is mended in one go; a third decimal of a percentage is a mistake, not something to be rounded."""
    lines = (
        LineAsked("a", 1, "1.005", TaxAsked("VAT", "19.555")),
        LineAsked("b", 1, "-1", None, DiscountAsked(percent="ten")),
        LineAsked("c", 1, "1", None, DiscountAsked(amount="0.001")),
    )
    with pytest.raises(Invalid) as refused:
        await written(bench, *lines)
    assert [fault.field for fault in refused.value.faults] == [
        "lines.0.unit_price",
        "lines.0.tax.rate",
        "lines.1.unit_price",
        "lines.1.discount.percent",
        "lines.2.discount.amount",
    ]
    with pytest.raises(Invalid) as refused:
        await written(bench, LineAsked("a", 1, "10"), discount=DiscountAsked(amount="10.01"))
    assert [fault.field for fault in refused.value.faults] == ["discount.amount"]


async def test_what_no_paper_can_show_is_refused_wherever_it_is_typed(bench: Bench) -> None:
    """NUL cannot be kept by PostgreSQL either; several lines are fine."""
    bad = "a\0b"
    line = LineAsked(bad, 1, "10", TaxAsked(bad, "19"), DiscountAsked(percent="10", name=bad))
    with pytest.raises(Invalid) as refused:
        await written(bench, line)
    named = [fault.field for fault in refused.value.faults]
    assert named == ["lines.0.description", "lines.0.tax.name", "lines.0.discount.name"]
    bill = await written(bench, LineAsked("Design\nand print", 1, "10"), memo="One\r\ntwo")
    for field, value in (("memo", bad), ("due_on", date(1, 1, 1)), ("due_on", date(9999, 12, 31))):
        with pytest.raises(Invalid, match=field):
            await bench.revise_invoice(bench.caller, bill.id, **{field: value})
        with pytest.raises(Invalid, match=field):
            await written(bench, **{field: value})
    with pytest.raises(Invalid, match="reason"):
        await bench.credit(bench.caller, (await bench.open_invoice()).id, reason=bad)


async def test_a_draft_may_be_over_more_than_a_provider_charges_at_once(bench: Bench) -> None:
    """Several payments may pay it; only a link asks whether one payment can."""
    bill = await written(bench, LineAsked("Tower", 1, "5000000.00"))
    revised = await bench.revise_invoice(bench.caller, bill.id, lines=[LineAsked("Towers", 2, "5000000.00")])
    assert revised.total == Money(10_000_000_00, USD)
    with pytest.raises(Invalid, match="invoice_id"):
        await bench.link(bench.caller, invoice_id=bill.id)


async def test_numbers_carry_the_organisations_prefix_and_go_on(bench: Bench) -> None:
    """A new prefix starts no new sequence: there are no gaps and no number twice."""
    assert (await written(bench)).number == "INV-0001"
    await bench.save_settings(bench.caller, SETTINGS)
    assert (await written(bench)).number == "HF-0002"


async def test_an_opened_invoice_keeps_its_seller_and_is_in_the_books(bench: Bench) -> None:
    """What it says is from whom must not change with the settings; from here on it is owed."""
    await bench.save_settings(bench.caller, SETTINGS)
    bill = await written(bench, opened=True)
    assert (bill.state, bill.seller, bill.opened_at) == (InvoiceState.OPEN, SETTINGS.seller, bench.clock.now())
    await bench.save_settings(bench.caller, attrs.evolve(SETTINGS, seller=Seller("Moved")))
    assert (await bench.invoice(bill.id)).seller == SETTINGS.seller


async def test_the_organisation_is_the_seller_unless_another_is_set(bench: Bench) -> None:
    """An invoice is from somebody."""
    bill = await written(bench, opened=True)
    async with bench.look() as work:
        name = (await work.organisation.get(bench.org)).name
    assert bill.seller == Seller(name)


async def test_a_providers_bill_is_mirrored_once_under_a_number_of_ours(bench: Bench) -> None:
    """A renewal is told of by several webhooks, and the numbers have no gap."""
    line = Line("Care, monthly", 1, Money(90_00, USD))
    period = Period(bench.clock.now(), bench.clock.now())
    client = Billed("client_1", "Ada", "ada@acme.example")
    made = []
    for _ in range(2):
        async with bench.store.of(bench.org) as work:
            made.append(
                await bench.mirror(
                    work, source="stripe:in_1", client=client, lines=(line,), subscription_id="sub_1", period=period
                )
            )
            await work.commit()
    assert made[0].id == made[1].id
    assert (made[0].number, made[0].state, made[0].period) == ("INV-0001", InvoiceState.OPEN, period)
    assert await bench.told() == ["invoice.created"]


async def test_settings_are_changed_by_whoever_saw_them_last(bench: Bench) -> None:
    """And each change is written down."""
    saved = await bench.save_settings(bench.caller, SETTINGS, version=0)
    assert (saved.reminders, saved.version) == ((-3, 7), 1)
    assert (await bench.save_settings(bench.caller, SETTINGS, version=1)).version == 2
    with pytest.raises(Stale):
        await bench.save_settings(bench.caller, SETTINGS, version=1)
    with pytest.raises(Invalid, match="no way known"):
        await bench.save_settings(bench.caller, attrs.evolve(SETTINGS, locale="tlh"))


async def test_a_draft_is_revised_with_its_discount(bench: Bench) -> None:
    """An empty discount takes it away."""
    bill = await written(bench, discount=DiscountAsked(percent="50"))
    revised = await bench.revise_invoice(bench.caller, bill.id, discount=DiscountAsked(percent="25"))
    assert revised.total == Money(75_00, USD)
    assert (await bench.revise_invoice(bench.caller, bill.id, discount=DiscountAsked())).discount is None


async def test_a_written_off_invoice_is_told_of_once_and_can_still_be_paid(bench: Bench) -> None:
    """The client may pay after all, and then it is paid."""
    bill = await bench.open_invoice()
    page = await bench.opened_page(bill)
    for _ in range(2):
        assert (await bench.write_off(bench.caller, bill.id)).state is InvoiceState.UNCOLLECTIBLE
    assert (await bench.told()).count("invoice.uncollectible") == 1
    paid = bench.fake.pay(page)
    assert paid.intent_reference is not None
    await bench.settle.intent(bench.org, bench.connection.id, paid.intent_reference)
    assert (await bench.invoice(bill.id)).state is InvoiceState.PAID


async def test_a_draft_cannot_be_written_off(bench: Bench) -> None:
    """Nobody owes it."""
    bill = await written(bench)
    with pytest.raises(Conflict, match="draft"):
        await bench.write_off(bench.caller, bill.id)


async def test_a_printed_invoice_says_where_to_pay_while_it_can_be_paid(bench: Bench) -> None:
    """A link on paper that leads to `already paid` helps nobody; a draft is asked for nowhere."""
    bill = await bench.open_invoice()
    link = await bench.linked(bill)
    printed = await bench.print(bench.org, bill.id)
    assert printed.name == f"{bill.number}.pdf"
    assert link.token.encode() in printed.content
    page = bench.fake.pay(await bench.opened_page(bill))
    assert page.intent_reference is not None
    await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference)
    assert link.token.encode() not in (await bench.print(bench.org, bill.id)).content
    with pytest.raises(NotFound):
        await bench.print.credit_note(bench.org, bill.id, "cn_nowhere")


async def test_another_organisation_cannot_print_it(bench: Bench) -> None:
    """It holds what a client pays."""
    bill = await bench.open_invoice()
    with pytest.raises(NotFound):
        await bench.print(await bench.found(), bill.id)


async def test_another_organisation_cannot_write_it_off(bench: Bench) -> None:
    """Nor find out that it is there."""
    bill = await bench.open_invoice()
    with pytest.raises(NotFound):
        await bench.write_off(Caller(await bench.found(), "key:other"), bill.id)
