"""Take in a provider's webhook: verify the raw body, keep it, answer. Nothing else happens at the door."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from application.inbox.senders import KnownSenders, Sender, Senders
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.inbox import InboxUnavailable, WebhookInbox
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
from application.ports.vault import WrongKey
from domain.inbox import Received, content_id
from domain.refusals import Invalid, NotFound, Refusal

ANSWER_WITHIN = timedelta(seconds=2.5)
"""How long the door works on one webhook before it asks the provider to send it again. Slack gives up after 3 seconds
(docs.slack.dev, apis/events-api), the other providers after 5 to 60."""

LONGEST_WORD = 255
"""Characters of an event's id, type and object that are kept."""

_KEPT_HEADERS = ("content-type", "user-agent", "signature", "paypal-")
"""Headers kept with the body: those whose name holds one of these words."""

_ASKED_AT_ONCE = 4
"""Questions to providers about webhooks that cannot be verified here; whoever comes on top is to send again."""


class SignatureRefused(Refusal):
    """The webhook's signature is missing, malformed, stale, or of no connection of ours. Nothing was kept."""


@attrs.frozen
class TakenIn:
    """The webhook as it is kept (by the first connection that keeps it), and whether it had come before for all."""

    received: Received | None
    duplicate: bool


@attrs.define
class ReceiveWebhook:
    """The door for every provider."""

    _clock: Clock
    _ids: Ids
    _providers: Providers
    _senders: KnownSenders
    _inbox: WebhookInbox
    _within: timedelta = ANSWER_WITHIN
    _asking: int = attrs.field(default=0, init=False, repr=False)

    async def __call__(
        self, provider: str, headers: Mapping[str, str], body: bytes, *, connection_id: str | None = None
    ) -> TakenIn:
        """`headers` have lower-case names. Without `connection_id` every connection to the provider is tried, and each
        whose secret signed it keeps it: two organisations may share one account at the provider.

        Raises NotFound (unknown provider or connection), SignatureRefused, Invalid for a signed body that is no event,
        InboxUnavailable when it cannot be kept in time.
        """
        payments = self._providers.payments(provider)
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                signed = await self._signed(payments, headers, body, connection_id)
                new = await self._inbox.take_in(signed)
        except TimeoutError as error:
            # What is under way goes on; if it was kept after all, the provider's next copy is recognised.
            raise InboxUnavailable(f"It could not be kept within {self._within.total_seconds():g} s.") from error
        kept = [one for one, is_new in zip(signed, new, strict=True) if is_new]
        return TakenIn(kept[0] if kept else None, duplicate=not kept)

    async def _signed(
        self, payments: PaymentProvider, headers: Mapping[str, str], body: bytes, connection_id: str | None
    ) -> list[Received]:
        """The webhook, once for each connection whose secret signed it."""
        now = self._clock.now()
        reading = _Reading(payments, headers, body, now, connection_id)
        known = await self._known(payments.slug, None)
        if known.all and isinstance(payments, WebhookEvidence):
            await payments.gather_evidence(headers)
        if not reading.by(known):
            reading.by(await self._known(payments.slug, known))
        if not reading.found and reading.unverified:
            await self._ask(reading)
        if connection_id is not None and not reading.addressed:
            raise NotFound("connection", connection_id)
        if not reading.found:
            raise SignatureRefused(reading.why)
        kept = {name: value for name, value in headers.items() if any(word in name for word in _KEPT_HEADERS)}
        return [
            received(
                self._ids.new("inbox"), one.organisation_id, one.connection_id, payments.slug, event, body, kept, now
            )
            for one, event in reading.found
        ]

    async def _ask(self, reading: "_Reading") -> None:
        """What could not be verified here, the provider is asked about. Raises InboxUnavailable when it cannot be."""
        payments = reading.payments
        if not isinstance(payments, WebhookEvidence) or self._asking >= _ASKED_AT_ONCE:
            raise InboxUnavailable("Whether the webhook is signed cannot be found out now.")
        self._asking += 1
        try:
            for sender, secret in reading.unverified.values():
                access = await self._senders.access(sender)
                if await payments.ask_whether_signed(access, secret, reading.headers, reading.body):
                    reading.vouched_for(sender)
        except (RetryLater, ReconnectNeeded, ProviderRefused, WrongKey) as error:
            raise InboxUnavailable(f"{payments.slug} could not be asked whether it sent this.") from error
        finally:
            self._asking -= 1
        if not reading.found:
            reading.why = "The provider says that it did not send this."

    async def _known(self, provider: str, seen: Senders | None) -> Senders:
        """Who may have signed it: as is remembered, or read anew after `seen`."""
        try:
            return await (self._senders.of(provider) if seen is None else self._senders.other_than(seen, provider))
        except Exception as error:  # whatever keeps the database from answering, the provider is to try again
            raise InboxUnavailable(f"The connections could not be read: {type(error).__name__}.") from error


def received(
    id: str,
    organisation_id: str,
    connection_id: str,
    provider: str,
    event: ProviderEvent,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
) -> Received:
    """The webhook as it will be kept. Raises Invalid for words of the event that are too long to be kept."""
    if len(event.type) > LONGEST_WORD or len(event.object or "") > LONGEST_WORD:
        raise Invalid.field("body", f"Its type, or the id of its object, has more than {LONGEST_WORD} characters.")
    usable = 0 < len(event.external_id) <= LONGEST_WORD
    return Received(
        id,
        organisation_id,
        connection_id,
        provider,
        event.external_id if usable else content_id(body),
        event.type,
        body,
        headers,
        now,
        now,
        object=event.object,
    )


@attrs.define
class _Reading:
    """One webhook, held against senders until some are found who signed it."""

    payments: PaymentProvider
    headers: Mapping[str, str]
    body: bytes
    now: datetime
    connection_id: str | None
    found: list[tuple[Sender, ProviderEvent]] = attrs.field(factory=list)
    unverified: dict[str, tuple[Sender, str]] = attrs.field(factory=dict)
    """By connection: senders whose webhook it may be, with the secret, and nothing at hand to tell by."""
    addressed: bool = False
    why: str = "No connection to this provider awaits webhooks."

    def by(self, senders: Senders) -> bool:
        """Whether any of these signed it. Raises Invalid when it is signed and no event."""
        for sender in senders.all:
            if self.connection_id not in (None, sender.connection_id):
                continue
            self.addressed = True
            if sender.secret is None:
                self.why = "The secret of a connection to this provider cannot be opened."
                continue
            secret = self.payments.webhook_secret_of(sender.settings, sender.secret)
            try:
                event = self.payments.read_webhook((secret,), self.headers, self.body, self.now)
            except BadSignature as refused:
                self.why = str(refused)
            except CannotVerify as unknown:
                self.why = str(unknown)
                self.unverified[sender.connection_id] = (sender, secret)
            except (ValueError, RecursionError) as error:
                raise Invalid.field("body", f"The signature is right, but this is no event: {error}") from error
            else:
                self.found.append((sender, event))
        return bool(self.found)

    def vouched_for(self, sender: Sender) -> None:
        """The provider says that it sent this sender's webhook. Raises Invalid when it is no event."""
        try:
            self.found.append((sender, self.payments.parse_webhook(self.body)))
        except (ValueError, RecursionError) as error:
            raise Invalid.field("body", f"The provider sent it, but this is no event: {error}") from error
