"""A connection's key is changed to another account's: nobody may still pay where the hub no longer looks."""

import attrs
import pytest

from application.connections.leave import LeaveAccount
from application.connections.manage import ChangeConnection
from application.ports.payments import RetryLater
from domain.billing.invoices import InvoiceState
from domain.billing.links import Checkout, CheckoutState
from domain.billing.subscriptions import SubscriptionState
from domain.connections.connection import Connection
from domain.refusals import Conflict
from tests.unit.application.bench import PUBLIC, Bench


@pytest.fixture
async def shop(bench: Bench) -> Bench:
    """The connection knows its account."""
    async with bench.store.of(bench.org) as work:
        known = await work.connections.get(bench.connection.id)
        await work.connections.save(attrs.evolve(known, account_reference="fake_account"))
        await work.commit()
    return bench


async def change(bench: Bench, *, account: str = "other_account") -> Connection:
    """Give a new key, which leads to this account."""
    leave = LeaveAccount(bench.store, bench.clock, bench.providers, bench.close, bench.settle)
    bench.fake.account_reference = account
    changing = ChangeConnection(
        bench.store, bench.tell, bench.clock, bench.vault, bench.outgoing, bench.providers, PUBLIC, leave
    )
    return await changing(bench.caller, bench.connection.id, fields={"secret_key": "new"})


async def account_of(bench: Bench) -> str | None:
    """Where the connection leads."""
    async with bench.look() as work:
        return (await work.connections.get(bench.connection.id)).account_reference


async def test_the_former_accounts_pages_are_closed_first(shop: Bench) -> None:
    """The links stay: the next click opens a page in the new account."""
    invoice = await shop.open_invoice()
    reference = await shop.opened_page(invoice)
    assert (await change(shop)).account_reference == "other_account"
    assert shop.fake.checkouts[reference].state.value == "expired"
    assert [page.state for page in await shop.checkouts()] == [CheckoutState.EXPIRED]
    assert (await shop.follow((await shop.linked(invoice)).token)).pay_at is not None


async def test_another_key_of_the_same_account_closes_nothing(shop: Bench) -> None:
    """Keys are rolled while people pay."""
    reference = await shop.opened_page(await shop.open_invoice())
    await change(shop, account="fake_account")
    assert shop.fake.checkouts[reference].state.value == "open"


async def test_what_was_paid_meanwhile_is_learned_with_the_former_key(shop: Bench) -> None:
    """The new key would not see it."""
    invoice = await shop.open_invoice()
    shop.fake.pay(await shop.opened_page(invoice))
    await change(shop)
    assert (await shop.invoice(invoice.id)).state is InvoiceState.PAID


async def test_a_page_that_cannot_be_closed_keeps_the_former_key(shop: Bench) -> None:
    """Money paid on it would be lost to the books; both accounts are named."""
    reference = await shop.opened_page(await shop.open_invoice())
    shop.fake.fail_next(RetryLater("away"), of="expire_checkout")
    with pytest.raises(Conflict, match=r"other_account.*fake_account.*cannot be closed"):
        await change(shop)
    assert await account_of(shop) == "fake_account"
    assert shop.fake.checkouts[reference].state.value == "open"
    await change(shop)
    assert await account_of(shop) == "other_account"


async def test_a_page_that_is_being_opened_keeps_the_former_key(shop: Bench) -> None:
    """It may be handed to its payer a moment later."""
    invoice = await shop.open_invoice()
    link = await shop.linked(invoice)
    now = shop.clock.now()
    page = Checkout(
        "chk_1", shop.org, link.id, invoice.id, shop.connection.id, invoice.amount_due, now, now, link.expires_at
    )
    await shop.add("checkouts", page)
    with pytest.raises(Conflict, match="at this moment"):
        await change(shop)
    assert await account_of(shop) == "fake_account"


async def test_pages_of_other_connections_stay_open(shop: Bench) -> None:
    """Their account is not left."""
    plain = await shop.connect(shop.org, provider="plain")
    invoice = await shop.open_invoice()
    reference = await shop.page_beside(invoice, plain)
    await shop.page_beside(invoice, shop.connection)
    await change(shop)
    assert shop.providers.plain.checkouts[reference].state.value == "open"


async def test_a_subscription_that_may_still_be_agreed_to_keeps_the_former_key(shop: Bench) -> None:
    """Its first payment would come to an account that nobody looks at."""
    waiting = shop.make.subscription(
        shop.org,
        connection_id=shop.connection.id,
        state=SubscriptionState.INCOMPLETE,
        url="https://pay.fake/agree",
    )
    await shop.add("subscriptions", waiting)
    with pytest.raises(Conflict, match="cancel those that are incomplete"):
        await change(shop)
    assert await account_of(shop) == "fake_account"
