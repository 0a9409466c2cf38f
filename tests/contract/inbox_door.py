"""What the door does with the webhooks of any provider: a provider's test subclasses this and gives a `sender` fixture.

`rig` is an inbox and its store (tests/contract/inbox.py); `door` is the use case over them.
"""

import asyncio
from abc import abstractmethod
from datetime import datetime, timedelta
from typing import Protocol, final

import attrs
import pytest

from application.connections.access import about
from application.inbox.receive import ReceiveWebhook, SignatureRefused
from application.inbox.senders import KnownSenders
from application.ports.inbox import InboxUnavailable, Wanted
from application.ports.message_channel import MessageChannel
from application.ports.payments import PaymentProvider
from application.ports.providers import Providers
from application.ports.store import Slice
from domain.connections.connection import Connection
from domain.connections.provider import Provider
from domain.inbox import InboxState, Received, content_id
from domain.refusals import Invalid, NotFound
from tests.contract.examples import NOW
from tests.contract.inbox import LEASE, InboxRig
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.fakes.vault import PlainVault

SECRET = "whsec_of_the_contract"


class Sender(Protocol):
    """A provider as its webhooks show it."""

    payments: PaymentProvider

    @abstractmethod
    def event(self, id: str, type: str, about: str, text: str = "") -> bytes:
        """The body of an event about a payment `about`, with `text` somewhere in it. An empty id: it has none."""

    @abstractmethod
    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The headers, with lower-case names."""


@final
@attrs.frozen
class OnlyProvider(Providers):
    """One provider, which takes payments."""

    _payments: PaymentProvider

    def all(self) -> tuple[Provider, ...]:
        return ()

    def manifest(self, slug: str) -> Provider:
        raise NotFound("provider", slug)

    def payments(self, slug: str) -> PaymentProvider:
        if slug != self._payments.slug:
            raise NotFound("payment provider", slug)
        return self._payments

    def channel(self, slug: str) -> MessageChannel:
        raise NotFound("channel", slug)


@attrs.define
class Door:
    """The door, and one connection whose webhooks come to it."""

    sender: Sender
    rig: InboxRig
    clock: FrozenClock
    receive: ReceiveWebhook
    connection: Connection

    @classmethod
    async def open(cls, sender: Sender, rig: InboxRig) -> "Door":
        """Over an inbox and its store."""
        clock, vault = FrozenClock(NOW), PlainVault()
        org = await rig.organisation()
        connection = rig.make.connection(org, provider=sender.payments.slug)
        sealed = vault.seal(SECRET, about=about(connection.id, org, "webhook_secret"))
        connection = attrs.evolve(connection, sealed={"webhook_secret": sealed})
        await rig.add_connection(connection)
        providers = OnlyProvider(sender.payments)
        receive = ReceiveWebhook(clock, CountingIds(), providers, KnownSenders(rig.store, vault, clock), rig.inbox)
        return cls(sender, rig, clock, receive, connection)

    async def bring(self, body: bytes, *, secret: str = SECRET, at: datetime | None = None, sent: bytes = b"") -> bool:
        """Deliver a body, or `sent` under its signature; says whether it was new."""
        headers = self.sender.sign(body, secret, at or self.clock.now())
        slug = self.sender.payments.slug
        return not (await self.receive(slug, headers, sent or body, connection_id=self.connection.id)).duplicate

    async def kept(self) -> list[Received]:
        """Whatever the inbox holds, oldest first."""
        async with self.rig.store.reading(self.connection.organisation_id) as work:
            return list(await work.inbox.all())


class InboxDoorContract:
    """Good, tampered, stale, repeated, out of order, unknown, huge, not text, and a database that is away."""

    async def test_a_good_one_is_kept_word_for_word(self, door: Door) -> None:
        """The bytes, the headers that sign them, and what it is about."""
        body = door.sender.event("evt_1", "some.type", "pay_1", "é ✓")
        assert await door.bring(body)
        (kept,) = await door.kept()
        assert kept.body == body
        assert door.sender.payments.read_webhook((SECRET,), kept.headers, kept.body, door.clock.now()) is not None
        assert (kept.external_id, kept.type, kept.state) == ("evt_1", "some.type", InboxState.PENDING)
        assert (kept.object, kept.connection_id) == ("intent:pay_1", door.connection.id)

    async def test_a_tampered_one_leaves_nothing(self, door: Door) -> None:
        """One byte more, another's secret, a signature for another body."""
        body = door.sender.event("evt_1", "some.type", "pay_1")
        with pytest.raises(SignatureRefused):
            await door.bring(body, sent=body + b" ")
        with pytest.raises(SignatureRefused):
            await door.bring(body, secret="whsec_another")
        with pytest.raises(SignatureRefused):
            await door.receive(door.sender.payments.slug, {}, body)
        assert await door.kept() == []

    @pytest.mark.parametrize("age", [timedelta(hours=1), -timedelta(hours=1)])
    async def test_a_stale_one_leaves_nothing(self, door: Door, age: timedelta) -> None:
        """Somebody may have written it down and sends it again; or a clock is wrong."""
        with pytest.raises(SignatureRefused):
            await door.bring(door.sender.event("evt_1", "some.type", "pay_1"), at=door.clock.now() - age)
        assert await door.kept() == []

    async def test_five_at_once_are_kept_once(self, door: Door) -> None:
        """Each is answered; one of them was new."""
        body = door.sender.event("evt_1", "some.type", "pay_1")
        assert sorted(await asyncio.gather(*(door.bring(body) for _ in range(5)))) == [False] * 4 + [True]
        assert len(await door.kept()) == 1

    async def test_they_are_handled_in_the_order_in_which_they_came(self, door: Door) -> None:
        """Whatever they say; what is about another payment does not wait."""
        for number, about_what in enumerate(("pay_1", "pay_1", "pay_2")):
            await door.bring(door.sender.event(f"evt_{9 - number}", "some.type", about_what))
            door.clock.advance(timedelta(milliseconds=1))
        now = door.clock.now()
        first = await door.rig.inbox.claim(now, LEASE, 10)
        assert [one.external_id for one in first] == ["evt_9", "evt_7"]
        await door.rig.inbox.record(first[0].handled(now))
        assert [one.external_id for one in await door.rig.inbox.claim(now, LEASE, 10)] == ["evt_8"]

    async def test_an_unknown_type_is_kept_too(self, door: Door) -> None:
        """A later version of the hub may know it; the provider must not send it again for that."""
        assert await door.bring(door.sender.event("evt_1", "of.a.kind.nobody.knows", "pay_1"))

    async def test_a_huge_one_is_kept(self, door: Door) -> None:
        """Just below the limit of the door's body, and no byte lost."""
        body = door.sender.event("evt_1", "some.type", "pay_1", "x" * 1_000_000)
        assert await door.bring(body)
        assert (await door.kept())[0].body == body

    async def test_words_that_are_too_long_are_refused(self, door: Door) -> None:
        """They name themselves; nothing is cut off and kept as something else."""
        with pytest.raises(Invalid, match="more than 255"):
            await door.bring(door.sender.event("evt_1", "t" * 256, "pay_1"))
        with pytest.raises(Invalid, match="more than 255"):
            await door.bring(door.sender.event("evt_1", "some.type", "p" * 256))
        assert await door.kept() == []

    @pytest.mark.parametrize("body", [b"\xff\xfe{}", b"", b"[]", b"{", b"[" * 100_000])
    async def test_what_is_signed_and_no_event_is_refused(self, door: Door, body: bytes) -> None:
        """Not UTF-8, not JSON, not an event: the provider's mistake, and named as such."""
        with pytest.raises(Invalid, match="no event"):
            await door.bring(body)
        assert await door.kept() == []

    async def test_without_an_id_the_bytes_are_the_id(self, door: Door) -> None:
        """Sent twice it is one event; another one is another."""
        one, two = (door.sender.event("", "some.type", about_what) for about_what in ("pay_1", "pay_2"))
        assert [await door.bring(body) for body in (one, one, two)] == [True, False, True]
        assert [kept.external_id for kept in await door.kept()] == [content_id(one), content_id(two)]

    async def test_while_the_database_is_away_nothing_is_kept_and_the_provider_is_told(self, door: Door) -> None:
        """It sends it again, and then it is new."""
        body = door.sender.event("evt_1", "some.type", "pay_1")
        async with door.rig.away():
            with pytest.raises(InboxUnavailable):
                await door.bring(body)
        assert await door.kept() == []
        assert await door.bring(body)

    async def test_a_connection_made_a_moment_ago_is_known(self, door: Door) -> None:
        """The senders are remembered for a second, and read anew when nobody of them has signed it."""
        await door.bring(door.sender.event("evt_1", "some.type", "pay_1"))
        other = attrs.evolve(door.connection, id=door.rig.make.id("connection"))
        sealed = PlainVault().seal("whsec_new", about=about(other.id, other.organisation_id, "webhook_secret"))
        await door.rig.add_connection(attrs.evolve(other, sealed={"webhook_secret": sealed}))
        body = door.sender.event("evt_2", "some.type", "pay_1")
        taken = await door.receive(
            door.sender.payments.slug, door.sender.sign(body, "whsec_new", door.clock.now()), body
        )
        assert taken.received is not None
        assert taken.received.connection_id == other.id
        page = await door.rig.inbox.page(other.organisation_id, Wanted(connection_id=other.id), Slice())
        assert [one.external_id for one in page.items] == ["evt_2"]
