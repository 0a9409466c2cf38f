"""A webhook that only a certificate, or the provider's own word, can verify (PayPal's)."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import attrs
import pytest

from application.inbox.receive import ReceiveWebhook, SignatureRefused
from application.inbox.senders import KnownSenders
from application.ports.inbox import InboxUnavailable
from application.ports.payments import (
    BadSignature,
    CannotVerify,
    PaymentProvider,
    ProviderEvent,
    ProviderRefused,
    ReconnectNeeded,
    RetryLater,
    WebhookEvidence,
)
from application.ports.providers import Providers
from domain.refusals import Invalid
from tests.fakes.payments import FakePayments
from tests.unit.application.bench import Bench


@attrs.define
class Certified(WebhookEvidence):
    """The fake provider, whose webhooks want a certificate. has: whether it can be fetched. word: what the provider says
    when it is asked, or raises."""

    fake: FakePayments
    has: bool = True
    word: bool | Exception = True
    slug: str = "fake"
    at_hand: bool = False
    gathered: int = 0
    asked: list[tuple[Mapping[str, str], str]] = attrs.field(factory=list)

    async def gather_evidence(self, headers: Mapping[str, str]) -> None:
        """Fetched once."""
        self.gathered += 1
        self.at_hand = self.at_hand or self.has

    async def ask_whether_signed(
        self, access: Mapping[str, str], secret: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Its word."""
        self.asked.append((access, secret))
        if isinstance(self.word, Exception):
            raise self.word
        return self.word

    def webhook_secret_of(self, settings: Mapping[str, str], secret: str) -> str:
        """As it is."""
        return secret

    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """As the fake does, with the certificate at hand."""
        if "forged" in headers:
            raise BadSignature("It is of another host.")
        if not self.at_hand:
            raise CannotVerify("The certificate is not at hand.")
        return self.fake.read_webhook(secrets, headers, body, now)

    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """As the fake does."""
        return self.fake.parse_webhook(body)


@attrs.frozen
class _Only:
    provider: Certified

    def payments(self, slug: str) -> Certified:
        return self.provider


@attrs.define
class Door:
    """The door over one such provider, and a good webhook for it."""

    provider: Certified
    receive: ReceiveWebhook
    headers: dict[str, str]
    body: bytes


async def opened(bench: Bench, *, has: bool = True, word: bool | Exception = True) -> Door:
    """A door."""
    provider = Certified(bench.fake, has, word)
    senders = KnownSenders(bench.store, bench.vault, bench.clock)
    receive = ReceiveWebhook(bench.clock, bench.ids, cast("Providers", _Only(provider)), senders, bench.inbox)
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    body = bench.fake.events[-1]
    signed = bench.fake.sign(body, bench.fake.webhook_secret, bench.clock.now())
    return Door(provider, receive, {name.lower(): value for name, value in signed.items()}, body)


async def test_the_evidence_is_gathered_before_the_webhook_is_read(bench: Bench) -> None:
    """A certificate is fetched from elsewhere, and reading is pure."""
    door = await opened(bench)
    assert not (await door.receive("fake", door.headers, door.body)).duplicate
    assert (door.provider.gathered, door.provider.asked) == (1, [])


async def test_what_cannot_be_verified_here_the_provider_vouches_for(bench: Bench) -> None:
    """With the connection's own credentials, opened for the question only."""
    door = await opened(bench, has=False)
    taken = await door.receive("fake", door.headers, door.body)
    assert taken.received is not None
    ((access, secret),) = door.provider.asked
    assert secret == bench.fake.webhook_secret
    assert access["webhook_secret"] == secret


async def test_what_the_provider_disowns_leaves_nothing(bench: Bench) -> None:
    """The forger named a certificate that cannot be fetched."""
    door = await opened(bench, has=False, word=False)
    with pytest.raises(SignatureRefused, match="did not send"):
        await door.receive("fake", door.headers, door.body)
    async with bench.store.reading(bench.org) as work:
        assert await work.inbox.all() == ()


async def test_a_bad_signature_asks_nobody(bench: Bench) -> None:
    """Otherwise each forgery would cost a call to the provider."""
    door = await opened(bench, has=False)
    with pytest.raises(SignatureRefused):
        await door.receive("fake", {**door.headers, "forged": "1"}, door.body)
    assert door.provider.asked == []


@pytest.mark.parametrize("away", [RetryLater("Away."), ReconnectNeeded("No."), ProviderRefused("No.")])
async def test_a_provider_that_cannot_be_asked_is_to_send_again(bench: Bench, away: Exception) -> None:
    """Refusing would lose a webhook that may well be good; believing would be worse."""
    door = await opened(bench, has=False, word=away)
    with pytest.raises(InboxUnavailable):
        await door.receive("fake", door.headers, door.body)


async def test_what_is_vouched_for_and_no_event_is_refused_for_that(bench: Bench) -> None:
    """A person must be able to see that it was the body."""
    door = await opened(bench, has=False)
    with pytest.raises(Invalid, match="no event"):
        await door.receive("fake", door.headers, b"[]")


async def test_nothing_is_fetched_for_a_provider_that_nobody_connected(bench: Bench) -> None:
    """A stranger could have the hub fetch certificates otherwise."""
    door = await opened(bench)
    async with bench.store.of(bench.org) as work:
        await work.connections.save((await work.connections.get(bench.connection.id)).disconnected(bench.clock.now()))
        await work.commit()
    with pytest.raises(SignatureRefused):
        await door.receive("fake", door.headers, door.body)
    assert door.provider.gathered == 0


def test_the_provider_of_these_tests_is_what_the_door_takes() -> None:
    """It stands for a PaymentProvider by having what the door asks of one."""
    assert isinstance(Certified(FakePayments()), WebhookEvidence)
    assert all(hasattr(Certified, name) for name in ("read_webhook", "parse_webhook", "webhook_secret_of"))
    assert PaymentProvider.webhook_secret_of(cast("PaymentProvider", None), {}, "s") == "s"
