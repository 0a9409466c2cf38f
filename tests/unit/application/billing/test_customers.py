"""Customers: a client is one person at a provider's account, found again rather than made twice."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import attrs
import pytest

from application.ports.payments import Intent, IntentState, PaidWith, ProviderCustomer, RetryLater
from domain.billing.customers import CustomerAtProvider
from domain.billing.invoices import Billed
from domain.money import Currency, Money
from tests.unit.application.bench import Bench

ADA = Billed("client_ada", "Ada", "ada@example.com")
BOB = Billed("client_bob", "Bob", "ada@example.com")


async def rows(bench: Bench) -> tuple[CustomerAtProvider, ...]:
    """Whom we know at providers."""
    async with bench.look() as work:
        return await work.customers_at_providers.all()


async def at(bench: Bench, account: str) -> None:
    """The key of the connection is now another account's."""
    bench.connection = attrs.evolve(bench.connection, account_reference=account)


async def ensure(bench: Bench, client: Billed = ADA) -> str:
    """The client's id at the provider."""
    reference = await bench.ensure_customer(bench.org, bench.connection, client)
    assert reference is not None
    return reference


async def test_a_client_is_one_customer_however_often_and_at_once_they_are_wanted(bench: Bench) -> None:
    """Two payments at the same moment must not make two customers."""
    references = await asyncio.gather(*(ensure(bench) for _ in range(5)))
    assert len(set(references)) == 1
    assert len(bench.fake.customers) == 1
    assert [one.client_id for one in await rows(bench)] == [ADA.id]


async def test_a_customer_who_is_there_already_is_found(bench: Bench) -> None:
    """The answer to making one may have been lost, or people made one by hand."""
    bench.fake.fail_next(RetryLater("nothing found yet"), after_work=False)
    bench.fake.customers["payer_by_hand"] = ProviderCustomer("payer_by_hand", ADA.email, "A. Lovelace")
    with pytest.raises(RetryLater):
        await ensure(bench)
    assert await ensure(bench) == "payer_by_hand"
    assert "ensure_customer" not in bench.fake.calls


async def test_an_answer_that_was_lost_does_not_make_a_second_customer(bench: Bench) -> None:
    """The customer was made, and the connection broke before its id came."""
    bench.between.after["find_customer"] = _failing_once(bench)
    for _ in range(2):
        try:
            await ensure(bench)
        except RetryLater:
            continue
    assert len(bench.fake.customers) == 1


async def test_two_clients_with_one_address_are_two_customers(bench: Bench) -> None:
    """One's saved card must never be charged for the other's invoice."""
    assert await ensure(bench, ADA) != await ensure(bench, BOB)
    assert sorted(one.client_id for one in await rows(bench)) == [ADA.id, BOB.id]


async def test_a_customer_who_was_deleted_at_the_provider_is_made_anew(bench: Bench) -> None:
    """Nobody should have to mend our books because somebody tidied up the dashboard."""
    first = await ensure(bench)
    bench.fake.forget_customer(first)
    second = await ensure(bench)
    assert second != first
    assert [(one.reference, one.gone_at) for one in await rows(bench)] == [(second, None)]


async def test_live_and_test_accounts_never_share_a_customer(bench: Bench) -> None:
    """A test customer's id means nothing to the live account, or worse, something else."""
    await at(bench, "acct_1:test")
    in_test = await ensure(bench)
    await at(bench, "acct_1:live")
    bench.fake.customers.clear()  # another account: it sees none of the first one's
    in_live = await ensure(bench)
    assert in_live != in_test
    assert {(one.account, one.reference) for one in await rows(bench)} == {
        ("acct_1:test", in_test),
        ("acct_1:live", in_live),
    }


async def test_a_webhook_about_a_deleted_customer_marks_them_gone_in_any_order(bench: Bench) -> None:
    """Created, updated and deleted come as they like; only what the provider has now counts."""
    reference = await ensure(bench)
    bench.fake.forget_customer(reference)
    event = bench.fake.parse_webhook(bench.fake.events[-1])
    updated = attrs.evolve(event, type="customer.updated")
    for one in (event, updated, event):
        assert await bench.sync_customer(bench.org, bench.connection.id, reference, one) is True
    (row,) = await rows(bench)
    assert row.gone_at is not None


async def test_a_new_address_at_the_provider_is_noted(bench: Bench) -> None:
    """And nothing else about the client changes: the record here is ours."""
    reference = await ensure(bench)
    bench.fake.customers[reference] = ProviderCustomer(reference, "new@example.com", "Ada")
    event = attrs.evolve(
        bench.fake.parse_webhook(json.dumps({**_EVENT, "about": reference}).encode()), type="customer.updated"
    )
    assert await bench.sync_customer(bench.org, bench.connection.id, reference, event)
    assert [one.email for one in await rows(bench)] == ["new@example.com"]
    assert await bench.sync_customer(bench.org, bench.connection.id, "payer_of_others", event) is False


async def test_a_token_is_kept_once_and_sealed(bench: Bench) -> None:
    """The same card paying twice is one method; the token must not be readable in the database."""
    usd = Money(100, Currency("USD"))
    intent = Intent(
        "i", IntentState.SUCCEEDED, usd, usd, Money(0, usd.currency), "ok", None, None, {}, method_reference="token-1"
    )
    intent = attrs.evolve(intent, paid_with=PaidWith("VISA", "4242", "2032-09"))
    for one in (intent, intent, attrs.evolve(intent, method_reference="token-2")):
        bench.clock.advance(timedelta(seconds=1))
        async with bench.store.of(bench.org) as work:
            await bench.keep_method(work, bench.connection, ADA.id, one, "ada@example.com")
            await work.commit()
    async with bench.look() as work:
        kept = await work.saved_methods.all()
    assert [one.is_default for one in kept] == [True, False]
    assert {(one.brand, one.last4, one.expires_on) for one in kept} == {("VISA", "4242", "2032-09")}
    assert all("token-1" not in one.fingerprint for one in kept)
    assert "token" not in repr(kept[0])


_EVENT = {"id": "e", "type": "customer.updated", "kind": "customer", "at": 0, "intent": None, "metadata": {}}


def _failing_once(bench: Bench) -> Callable[[], Awaitable[None]]:
    """The next call that makes a customer does it and loses the answer."""
    told: list[int] = []

    async def tell() -> None:
        if not told:
            told.append(1)
            bench.fake.fail_next(RetryLater("cut off", may_have_happened=True), after_work=True)

    return tell
