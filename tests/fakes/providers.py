"""The providers of the tests: two take payments, one of them renews subscriptions; the others post messages and mail."""

from typing import final

import attrs

from application.ports.clock import Clock
from application.ports.message_channel import MessageChannel
from application.ports.payments import PaymentProvider
from application.ports.providers import Providers
from domain.connections.abilities import Ability, By, Support
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
    abilities=dict.fromkeys(Ability, Support(By.PROVIDER)),
)

_BY_HUB = (
    Ability.PLANS,
    Ability.SUBSCRIPTIONS,
    Ability.TRIALS,
    Ability.QUANTITY,
    Ability.CHANGE_PLAN,
    Ability.PRORATION,
    Ability.CANCEL_AT_PERIOD_END,
    Ability.PAUSE,
    Ability.RESUME,
)

PLAIN = attrs.evolve(
    FAKE,
    slug="plain",
    name="Plain",
    abilities={**FAKE.abilities, **dict.fromkeys(_BY_HUB, Support(By.HUB))},
)
"""It keeps tokens of cards, and everything about subscriptions is the hub's own work."""

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
    """`fake` and `plain` take payments, `board` posts messages, `post` sends mail (both through one FakeChannel)."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.fake = FakePayments(clock)
        self.plain = FakePayments(clock, "plain")
        self.plain.tokens = True
        self.posted = FakeChannel()
        self.also: dict[str, PaymentProvider] = {}
        self._manifests = {one.slug: one for one in (BOARD, FAKE, PLAIN, POST)}

    def put_in(self, payments: PaymentProvider, manifest: Provider | None = None) -> None:
        """A real adapter; without its manifest, one that can do all that the fake can."""
        self.also[payments.slug] = payments
        self._manifests[payments.slug] = manifest or attrs.evolve(FAKE, slug=payments.slug)

    def all(self) -> tuple[Provider, ...]:
        """Every manifest, by slug."""
        return tuple(self._manifests.values())

    def manifest(self, slug: str) -> Provider:
        """One of the four."""
        if slug not in self._manifests:
            raise NotFound("provider", slug)
        return self._manifests[slug]

    def payments(self, slug: str) -> PaymentProvider:
        """One of the fakes, or what a test has put in."""
        if slug in self.also:
            return self.also[slug]
        if slug == "plain":
            return self.plain
        if slug != "fake":
            raise NotFound("payment provider", slug)
        return self.fake

    def channel(self, slug: str) -> MessageChannel:
        """The channel."""
        if slug not in ("board", "post"):
            raise NotFound("channel", slug)
        return self.posted
