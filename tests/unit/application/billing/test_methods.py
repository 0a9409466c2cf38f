"""Payment methods: what providers keep and what the hub keeps, in one list, each only for its own client and account."""

import attrs
import pytest

from application.billing.methods import KeptMethod
from application.connections.connect import ProviderUnavailable
from application.ports.payments import Intent, IntentState, RetryLater
from domain.billing.invoices import Billed
from domain.connections.abilities import By
from domain.money import Currency, Money
from domain.refusals import Conflict, NotFound
from tests.unit.application.bench import Bench

USD = Money(100, Currency("USD"))
TOKEN = Intent(
    "i", IntentState.SUCCEEDED, USD, USD, Money(0, USD.currency), "ok", None, None, {}, method_reference="token-1"
)


async def a_client(bench: Bench, name: str = "Ada") -> Billed:
    """Somebody to charge."""
    record = bench.make.record(bench.org, name=name)
    await bench.add("records", record)
    return Billed(record.id, name, None)


async def a_payer(bench: Bench, client: Billed) -> str:
    """The client at the provider."""
    reference = await bench.ensure_customer(bench.org, bench.connection, client)
    assert reference is not None
    return reference


async def listed(bench: Bench, client: Billed) -> tuple[KeptMethod, ...]:
    """The client's methods."""
    return (await bench.client_methods.all(bench.caller, client.id)).methods


async def keep(bench: Bench, client: Billed, token: str = "token-1") -> None:
    """The hub keeps a token for the client."""
    async with bench.store.of(bench.org) as work:
        intent = attrs.evolve(TOKEN, method_reference=token)
        await bench.keep_method(work, bench.connection, client.id, intent, "ada@example.com")
        await work.commit()


async def test_both_kinds_are_listed_and_either_can_be_chosen(bench: Bench) -> None:
    """Whoever looks should not have to know which provider hands out tokens."""
    ada = await a_client(bench)
    payer = await a_payer(bench, ada)
    bench.fake.give_method(payer)
    other = bench.fake.give_method(payer)
    await keep(bench, ada)
    assert [(one.by, one.is_default) for one in await listed(bench, ada)] == [
        (By.HUB, True),
        (By.PROVIDER, True),
        (By.PROVIDER, False),
    ]
    await bench.client_methods.make_default(bench.caller, ada.id, f"{bench.connection.id}.{other}")
    assert [one.id for one in await listed(bench, ada) if one.is_default and one.by is By.PROVIDER] == [
        f"{bench.connection.id}.{other}"
    ]
    await keep(bench, ada, "token-2")
    first, second = [one for one in await listed(bench, ada) if one.by is By.HUB]
    await bench.client_methods.make_default(bench.caller, ada.id, second.id)
    assert [one.is_default for one in await listed(bench, ada) if one.by is By.HUB] == [False, True]
    await bench.client_methods.detach(bench.caller, ada.id, first.id)
    await bench.client_methods.detach(bench.caller, ada.id, f"{bench.connection.id}.{other}")
    assert len(await listed(bench, ada)) == 2


async def test_what_is_charged_is_the_default_and_never_a_guess(bench: Bench) -> None:
    """With two cards and no default, nobody said which one may be charged."""
    ada = await a_client(bench)
    payer = await a_payer(bench, ada)
    assert await bench.client_methods.chargeable(bench.org, bench.connection, ada.id) is None
    only = bench.fake.give_method(payer, default=False)
    found = await bench.client_methods.chargeable(bench.org, bench.connection, ada.id)
    assert found is not None
    assert (found.reference, found.customer_reference, found.label) == (only, payer, "visa 4242")
    bench.fake.give_method(payer, default=False)
    assert await bench.client_methods.chargeable(bench.org, bench.connection, ada.id) is None
    await keep(bench, ada)
    found = await bench.client_methods.chargeable(bench.org, bench.connection, ada.id)
    assert found is not None
    assert (found.reference, found.email) == ("token-1", "ada@example.com")
    assert "token-1" not in repr(found)


async def test_a_method_of_another_client_is_not_found(bench: Bench) -> None:
    """An id that is guessed or mixed up must not make somebody else's card the default."""
    ada, bob = await a_client(bench), await a_client(bench, "Bob")
    card = bench.fake.give_method(await a_payer(bench, ada))
    await a_payer(bench, bob)
    await keep(bench, ada)
    (token, _) = await listed(bench, ada)
    for wrong in (f"{bench.connection.id}.{card}", token.id, "con_other.x", "nonsense"):
        with pytest.raises(NotFound):
            await bench.client_methods.make_default(bench.caller, bob.id, wrong)
        with pytest.raises(NotFound):
            await bench.client_methods.detach(bench.caller, bob.id, wrong)
    with pytest.raises(NotFound):
        await bench.client_methods.all(bench.caller, "client_unknown")


async def test_a_client_deleted_at_the_provider_has_no_methods_and_says_why(bench: Bench) -> None:
    """Their cards went with them; the next payment makes a new customer."""
    ada = await a_client(bench)
    payer = await a_payer(bench, ada)
    card = f"{bench.connection.id}.{bench.fake.give_method(payer)}"
    bench.fake.forget_customer(payer)
    with pytest.raises(Conflict, match="no longer knows"):
        await bench.client_methods.make_default(bench.caller, ada.id, card)
    assert await listed(bench, ada) == ()
    assert await a_payer(bench, ada) != payer


async def test_a_provider_that_is_away_hides_only_its_own_methods(bench: Bench) -> None:
    """The others' can be chosen meanwhile, and the page says what is missing."""
    ada = await a_client(bench)
    card = f"{bench.connection.id}.{bench.fake.give_method(await a_payer(bench, ada))}"
    await keep(bench, ada)
    bench.fake.fail_next(RetryLater("time-out"))
    seen = await bench.client_methods.all(bench.caller, ada.id)
    assert [one.by for one in seen.methods] == [By.HUB]
    assert [(one.provider, one.reason) for one in seen.not_asked] == [("fake", "time-out")]
    bench.fake.fail_next(RetryLater("time-out"))
    with pytest.raises(ProviderUnavailable):
        await bench.client_methods.detach(bench.caller, ada.id, card)


async def test_a_token_of_the_test_account_is_not_offered_to_the_live_one(bench: Bench) -> None:
    """Charging it would fail at best."""
    ada = await a_client(bench)
    await keep(bench, ada)
    async with bench.store.of(bench.org) as work:
        connection = await work.connections.get(bench.connection.id)
        live = await work.connections.save(attrs.evolve(connection, account_reference="acct:live"))
        await work.commit()
    assert await listed(bench, ada) == ()
    assert await bench.client_methods.chargeable(bench.org, live, ada.id) is None
