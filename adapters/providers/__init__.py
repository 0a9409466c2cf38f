"""The providers this hub knows, in one tuple, and what each can do."""

from typing import final

import attrs

from adapters.http.guard import AddressGuard
from adapters.providers.discord.channel import DiscordChannel
from adapters.providers.discord.provider import PROVIDER as DISCORD
from adapters.providers.flutterwave.payments import FlutterwavePayments
from adapters.providers.flutterwave.provider import PROVIDER as FLUTTERWAVE
from adapters.providers.paypal.payments import PayPalPayments
from adapters.providers.paypal.provider import PROVIDER as PAYPAL
from adapters.providers.slack.channel import SlackChannel
from adapters.providers.slack.provider import PROVIDER as SLACK
from adapters.providers.smtp.channel import SmtpChannel
from adapters.providers.smtp.provider import PROVIDER as SMTP
from adapters.providers.stripe.payments import StripePayments
from adapters.providers.stripe.provider import PROVIDER as STRIPE
from application.ports.clock import Clock
from application.ports.message_channel import MessageChannel
from application.ports.outgoing import Outgoing
from application.ports.payments import PaymentProvider
from application.ports.providers import Providers
from domain.connections.provider import Provider
from domain.refusals import NotFound

PROVIDERS: tuple[Provider, ...] = (DISCORD, FLUTTERWAVE, PAYPAL, SLACK, SMTP, STRIPE)


@final
@attrs.frozen
class KnownProviders(Providers):
    """The providers of the tuple above, opened."""

    _manifests: dict[str, Provider]
    _payments: dict[str, PaymentProvider]
    _channels: dict[str, MessageChannel]

    @classmethod
    def open(
        cls,
        outgoing: Outgoing,
        guard: AddressGuard,
        clock: Clock,
        *,
        stripe_url: str,
        paypal_url: str | None = None,
        flutterwave_url: str | None = None,
    ) -> "KnownProviders":
        """Make each provider's adapters. The URLs: where its API is, so that an emulator can stand in; None for the
        provider's own, by the connection's mode."""
        return cls(
            {provider.slug: provider for provider in PROVIDERS},
            {
                FLUTTERWAVE.slug: FlutterwavePayments(flutterwave_url, clock),
                PAYPAL.slug: PayPalPayments(clock, paypal_url),
                STRIPE.slug: StripePayments(stripe_url),
            },
            {
                DISCORD.slug: DiscordChannel(outgoing, clock),
                SLACK.slug: SlackChannel(outgoing),
                SMTP.slug: SmtpChannel(guard),
            },
        )

    def all(self) -> tuple[Provider, ...]:
        return tuple(self._manifests.values())

    def manifest(self, slug: str) -> Provider:
        if slug not in self._manifests:
            raise NotFound("provider", slug)
        return self._manifests[slug]

    def payments(self, slug: str) -> PaymentProvider:
        if slug not in self._payments:
            raise NotFound("payment provider", slug)
        return self._payments[slug]

    def channel(self, slug: str) -> MessageChannel:
        if slug not in self._channels:
            raise NotFound("message channel", slug)
        return self._channels[slug]

    async def aclose(self) -> None:
        """Let go of connections."""
        for payments in self._payments.values():
            await payments.aclose()
