"""The two providers of the tests: one takes payments, one posts messages and mail."""

from typing import final

from application.ports.clock import Clock
from application.ports.message_channel import MessageChannel
from application.ports.payments import PaymentProvider
from application.ports.providers import Providers
from domain.connections.provider import AuthKind, Capability, Category, Field, Provider
from domain.refusals import NotFound
from tests.fakes.channel import FakeChannel
from tests.fakes.payments import FakePayments

FAKE = Provider(
    "fake",
    "Fake",
    Category.PAYMENTS,
    AuthKind.API_KEY,
    frozenset({Capability.PAYMENTS}),
    (
        Field("secret_key", "Secret key", secret=True),
        Field("webhook_secret", "Webhook secret", secret=True, required=False),
    ),
    docs="fake.md",
    receives_webhooks=True,
)

BOARD = Provider(
    "board",
    "Board",
    Category.NOTICES,
    AuthKind.WEBHOOK_URL,
    frozenset({Capability.MESSAGES}),
    (Field("webhook_url", "Webhook URL", secret=True, url=True),),
    docs="board.md",
)

POST = Provider(
    "post",
    "Post",
    Category.MAIL,
    AuthKind.SERVER,
    frozenset({Capability.MAIL}),
    (Field("host", "Host"), Field("password", "Password", secret=True, required=False)),
    docs="post.md",
)


@final
class FakeProviders(Providers):
    """`fake` takes payments, `board` posts messages, `post` sends mail (both through one FakeChannel)."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.fake = FakePayments(clock)
        self.posted = FakeChannel()
        self._manifests = {one.slug: one for one in (BOARD, FAKE, POST)}

    def all(self) -> tuple[Provider, ...]:
        """Every manifest, by slug."""
        return tuple(self._manifests.values())

    def manifest(self, slug: str) -> Provider:
        """One of the three."""
        if slug not in self._manifests:
            raise NotFound("provider", slug)
        return self._manifests[slug]

    def payments(self, slug: str) -> PaymentProvider:
        """The fake."""
        if slug != "fake":
            raise NotFound("payment provider", slug)
        return self.fake

    def channel(self, slug: str) -> MessageChannel:
        """The channel."""
        if slug not in ("board", "post"):
            raise NotFound("channel", slug)
        return self.posted
