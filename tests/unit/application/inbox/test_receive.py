"""The door: one connection's trouble is not another's, and what two have signed for is kept for both."""

from datetime import timedelta
from typing import cast

import attrs
import pytest

from application.inbox.receive import ReceiveWebhook, SignatureRefused
from application.inbox.senders import FRESH, KnownSenders
from application.ports.inbox import InboxUnavailable
from application.ports.vault import Vault
from domain.connections.connection import Connection
from domain.inbox import Received
from domain.refusals import NotFound
from tests.unit.application.bench import Bench


async def sent(bench: Bench) -> tuple[bytes, dict[str, str]]:
    """A body and its headers."""
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    body = bench.fake.events[-1]
    headers = bench.fake.sign(body, bench.fake.webhook_secret, bench.clock.now())
    return body, {name.lower(): value for name, value in headers.items()}


async def kept(bench: Bench, org: str) -> tuple[Received, ...]:
    """What an organisation's inbox holds."""
    async with bench.store.reading(org) as work:
        return await work.inbox.all()


async def spoil(bench: Bench, connection: Connection) -> None:
    """Its secret was sealed with a key that is gone."""
    async with bench.store.of(connection.organisation_id) as work:
        now = await work.connections.get(connection.id)
        await work.connections.save(attrs.evolve(now, sealed={**now.sealed, "webhook_secret": "of another vault"}))
        await work.commit()


async def test_a_secret_that_cannot_be_opened_stops_only_its_own_connection(bench: Bench) -> None:
    """A provider that is answered with 500 stops sending, to everybody."""
    body, headers = await sent(bench)
    other = await bench.found()
    await bench.connect(other)
    await spoil(bench, bench.connection)
    taken = await bench.receive("fake", headers, body)
    assert (taken.received,) == await kept(bench, other)
    assert await kept(bench, bench.org) == ()
    with pytest.raises(SignatureRefused, match="cannot be opened"):
        await bench.receive("fake", headers, body, connection_id=bench.connection.id)


async def test_two_organisations_with_the_same_secret_both_get_the_webhook(bench: Bench) -> None:
    """They share an account at the provider; whose payment it is, is found out when it is handled."""
    body, headers = await sent(bench)
    other = await bench.found()
    await bench.connect(other)
    stranger = await bench.found()
    await bench.connect(stranger, secrets={"webhook_secret": "another"})
    taken = await bench.receive("fake", headers, body)
    assert not taken.duplicate
    assert (taken.received,) == await kept(bench, bench.org)
    assert len(await kept(bench, other)) == 1
    assert await kept(bench, stranger) == ()
    assert (await bench.receive("fake", headers, body)).duplicate
    assert [len(await kept(bench, org)) for org in (bench.org, other)] == [1, 1]


async def test_what_one_has_already_is_still_kept_for_the_other(bench: Bench) -> None:
    """It came to one connection's own address first."""
    body, headers = await sent(bench)
    other = await bench.found()
    await bench.connect(other)
    await bench.receive("fake", headers, body, connection_id=bench.connection.id)
    assert await kept(bench, other) == ()
    taken = await bench.receive("fake", headers, body)
    assert not taken.duplicate
    assert (taken.received,) == await kept(bench, other)


class CountingVault:
    """Stands before a vault; `opened` counts."""

    def __init__(self, vault: Vault) -> None:
        self._vault, self.opened = vault, 0

    def open(self, sealed: str, *, about: str) -> str:
        """As the vault does."""
        self.opened += 1
        return self._vault.open(sealed, about=about)


async def test_a_secret_is_opened_once_a_second_however_many_webhooks_come(bench: Bench) -> None:
    """At the address without a connection as well, and forgeries open none."""
    body, headers = await sent(bench)
    for _ in range(3):
        await bench.connect(await bench.found())
    vault = CountingVault(bench.vault)
    senders = KnownSenders(bench.store, cast("Vault", vault), bench.clock)
    receive = ReceiveWebhook(bench.clock, bench.ids, bench.providers, senders, bench.inbox)
    for _ in range(5):
        await receive("fake", headers, body)
        await receive("fake", headers, body, connection_id=bench.connection.id)
        with pytest.raises(SignatureRefused):
            await receive("fake", headers, body + b" ")
    assert vault.opened == 4
    bench.clock.advance(FRESH)
    await receive("fake", headers, body)
    assert vault.opened == 8


async def test_a_connection_that_went_is_known_for_a_second_at_most(bench: Bench) -> None:
    """What it signed in that second is still its own."""
    body, headers = await sent(bench)
    await bench.receive("fake", headers, body, connection_id=bench.connection.id)
    async with bench.store.of(bench.org) as work:
        await work.connections.save((await work.connections.get(bench.connection.id)).disconnected(bench.clock.now()))
        await work.commit()
    assert (await bench.receive("fake", headers, body, connection_id=bench.connection.id)).duplicate
    bench.clock.advance(FRESH)
    with pytest.raises(NotFound):
        await bench.receive("fake", headers, body, connection_id=bench.connection.id)


async def test_the_door_does_not_wait_longer_than_the_provider(bench: Bench) -> None:
    """The database hangs: the provider is told to come again, and what is kept late is recognised then."""
    body, headers = await sent(bench)
    impatient = attrs.evolve(bench.receive, within=timedelta(milliseconds=20))
    async with bench.store.shelves.writing():
        with pytest.raises(InboxUnavailable, match="within"):
            await impatient("fake", headers, body)
    assert not (await bench.receive("fake", headers, body)).duplicate
