"""The door: one connection's trouble is not another's, and what two have signed for is kept for both."""

import attrs
import pytest

from application.inbox.receive import SignatureRefused
from domain.connections.connection import Connection
from domain.inbox import Received
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
