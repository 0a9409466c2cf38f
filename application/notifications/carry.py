"""Carry one delivery to its destination, once. Says what came of it; writes nothing down."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol, final

import attrs

from application.billing.printing import PrintInvoice
from application.connections.access import opened
from application.notifications.client_credentials import ClientCredentials, NoToken
from application.notifications.endpoint_settings import about
from application.notifications.signing_keys import SigningKeys
from application.ports.clock import Clock
from application.ports.dispatch import Ready
from application.ports.message_channel import MessageChannel
from application.ports.outgoing import AddressRefused, ClientIdentity, Outgoing, Reply, Unreachable
from application.ports.providers import Providers
from application.ports.store import Store, Work
from application.ports.vault import Vault, WrongKey
from domain.events import Event
from domain.notifications.attempts import KEPT_BODY, Outcome, Verdict
from domain.notifications.composing import compose
from domain.notifications.deliveries import Delivery, DestinationKind
from domain.notifications.endpoints import Endpoint
from domain.notifications.envelopes import Composed
from domain.notifications.grants import Grant, Token
from domain.notifications.message import Action, Attachment, Fact, Message, Tone
from domain.notifications.options import Options
from domain.notifications.schedule import RetrySchedule, read_retry_after
from domain.notifications.shape import Shape
from domain.notifications.signatures import STRIPE_HEADER, SignatureStyle, signed_headers
from domain.notifications.signing import Secrets, UnusableSecret
from domain.refusals import Refusal

_NOTHING = timedelta()

HIDDEN = "•••"
"""Stands for what an endpoint's own headers and its token are."""


@attrs.frozen
class ConsoleUrl:
    """Where people find the console, without a slash at its end; links in messages lead there."""

    url: str | None


class Carrier(Protocol):
    """Everything that is needed to carry deliveries to one destination; opened once, used for many."""

    options: Options

    @abstractmethod
    async def carry(self, ready: Ready, now: datetime) -> Outcome:
        """Try once. Never raises for what a receiver, the network or a vanished destination does."""

    @abstractmethod
    def schedule(self, event_type: str) -> RetrySchedule:
        """When to try again."""


@attrs.define
class Carry:
    """Knows every kind of destination."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _outgoing: Outgoing
    _providers: Providers
    _console: ConsoleUrl
    _keys: SigningKeys
    _credentials: ClientCredentials
    _schedule: RetrySchedule
    _print: PrintInvoice

    async def opened(self, kind: DestinationKind, organisation_id: str, destination_id: str) -> Carrier:
        """Read what a destination is, and open its secrets."""
        if kind is not DestinationKind.ENDPOINT:
            return ToChannel(self, Options(), self._schedule)
        async with self._store.reading(organisation_id) as work:
            endpoint = await work.endpoints.find(destination_id)
        if endpoint is None or not endpoint.active:
            return Nowhere("The endpoint was removed or switched off.", Options(), self._schedule)
        if endpoint.polled:
            return Nowhere("The endpoint is polled: nothing is sent there.", endpoint.options, self._schedule)
        try:
            return self.to_endpoint(endpoint)
        except (WrongKey, UnusableSecret) as error:
            return Nowhere(str(error), endpoint.options, self._schedule)

    def to_endpoint(self, endpoint: Endpoint) -> "ToEndpoint":
        """Raises WrongKey when a secret of the endpoint's cannot be opened."""
        sealing = about(endpoint.id, endpoint.organisation_id)

        def opened(sealed: str | None) -> str | None:
            return None if sealed is None else self._vault.open(sealed, about=sealing)

        identity, grant = opened(endpoint.sealed_identity), opened(endpoint.sealed_oauth)
        return ToEndpoint(
            endpoint.options,
            self._schedule,
            endpoint,
            tuple((secret.expires_at, self._vault.open(secret.sealed, about=sealing)) for secret in endpoint.secrets),
            json.loads(opened(endpoint.sealed_headers) or "{}"),
            None if identity is None else ClientIdentity(**json.loads(identity)),
            None if grant is None else Grant.from_json(grant),
            self._outgoing,
            self._clock,
            self._keys,
            self._credentials,
        )

    async def to_channel(self, ready: Ready) -> Outcome:
        """Post to a notification channel, or a mail to a client."""
        delivery = ready.delivery
        try:
            async with self._store.reading(delivery.organisation_id) as work:
                post = await self._post(work, delivery, event_of(ready))
        except WrongKey as error:
            return _refused(str(error))
        if post is None:
            return _refused("The notification or its connection was removed or switched off.")
        message = await self._enclosed(delivery, post.message)
        return await post.channel.send(post.access, post.target, message, delivery_id=delivery.id)

    async def _enclosed(self, delivery: Delivery, message: Message) -> Message:
        """The message with the invoice it is about, printed as it is now, if the mail is to carry one."""
        invoice_id = (delivery.mail or {}).get("invoice")
        if invoice_id is None:
            return message
        printed = await self._print(delivery.organisation_id, invoice_id)
        return attrs.evolve(message, attachments=(Attachment(printed.name, "application/pdf", printed.content),))

    async def _post(self, work: Work, delivery: Delivery, event: Event) -> "_Post | None":
        """What a channel needs to post; None when something of it is gone or switched off."""
        if delivery.kind is DestinationKind.NOTIFICATION:
            notification = await work.notifications.find(delivery.destination_id)
            if notification is None or not notification.is_active:
                return None
            organisation = (await work.organisation.get(delivery.organisation_id)).name
            message = compose(event, organisation=organisation, console_url=self._console.url)
            connection_id, target = notification.connection_id, notification.target
        else:
            if delivery.mail is None:
                return None
            message = message_from(delivery.mail["message"])
            connection_id, target = delivery.destination_id, {"to": delivery.mail["to"]}
        connection = await work.connections.find(connection_id)
        if connection is None or not connection.connected:
            return None
        channel = self._providers.channel(connection.provider)
        return _Post(channel, opened(self._vault, connection), target, message)


@final
@attrs.frozen
class Nowhere(Carrier):
    """The destination is no more, or cannot be used."""

    why: str
    options: Options
    usual: RetrySchedule

    async def carry(self, ready: Ready, now: datetime) -> Outcome:
        return _refused(self.why)

    def schedule(self, event_type: str) -> RetrySchedule:
        return self.usual


@final
@attrs.frozen
class ToChannel(Carrier):
    """A notification channel or a mail connection; its settings are read each time."""

    carry_: Carry
    options: Options
    usual: RetrySchedule

    async def carry(self, ready: Ready, now: datetime) -> Outcome:
        return await self.carry_.to_channel(ready)

    def schedule(self, event_type: str) -> RetrySchedule:
        return self.usual


@final
@attrs.define
class ToEndpoint(Carrier):
    """A webhook endpoint: shapes the event, signs it, posts it."""

    options: Options
    usual: RetrySchedule
    endpoint: Endpoint
    _texts: tuple[tuple[datetime | None, str], ...] = attrs.field(repr=False)
    _custom: Mapping[str, str] = attrs.field(repr=False)
    _identity: ClientIdentity | None
    _grant: Grant | None
    _outgoing: Outgoing
    _clock: Clock
    _keys: SigningKeys
    _credentials: ClientCredentials
    _secrets: Secrets | None = attrs.field(default=None, init=False, repr=False)
    _live: int = attrs.field(default=0, init=False)
    _shown: Mapping[str, str] = attrs.field(init=False)
    _plain: bool = attrs.field(init=False)
    _timeout: timedelta = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._shown = dict.fromkeys(self._custom, HIDDEN)
        if self._grant is not None:
            self._shown["authorization"] = HIDDEN
        self._plain = self.options.shape == Shape() and self.options.signature is SignatureStyle.STANDARD
        self._timeout = timedelta(seconds=self.endpoint.timeout_s)

    def schedule(self, event_type: str) -> RetrySchedule:
        return self.options.schedule(event_type, self.usual)

    async def carry(self, ready: Ready, now: datetime) -> Outcome:
        try:
            composed = self.options.shape.compose(ready.payload)
        except Refusal as error:  # what the host application published, and not the receiver
            return Outcome(
                Verdict.REFUSED, _NOTHING, error=f"The event does not fit the endpoint's shape. {error}", unsent=True
            )
        try:
            headers = await self.headers(ready.delivery.message_id, now, composed)
        except (WrongKey, Refusal) as error:
            return _refused(str(error))
        shown = {**headers, **self._shown} if self._shown else headers
        # The event's own body is kept with the event; what a shape made of it is kept with the attempt.
        text = "" if self._plain else composed.body[:KEPT_BODY].decode("utf-8", "replace")
        if self._grant is not None:
            return await self._authorised(self._grant, headers, composed.body, shown, text, now)
        return await self._post(headers, composed.body, shown, text, now)

    def visible(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers as a person may see them."""
        return {**headers, **self._shown}

    async def headers(self, message_id: str, now: datetime, composed: Composed) -> dict[str, str]:
        """What goes with a body, but for a token. Raises WrongKey, or a Refusal for secrets that do not sign."""
        signed = await self._signed(message_id, now, composed.body)
        return {**self._custom, "content-type": composed.media_type, **composed.headers, **signed}

    async def _post(
        self, headers: Mapping[str, str], body: bytes, shown: Mapping[str, str], text: str, now: datetime
    ) -> Outcome:
        try:
            reply = await self._outgoing.send(
                "POST",
                self.endpoint.url,
                headers=headers,
                body=body,
                timeout=self._timeout,
                identity=self._identity,
            )
        except AddressRefused as refused:
            return Outcome(Verdict.REFUSED, _NOTHING, error=refused.reason, request_headers=shown, request_body=text)
        except Unreachable as problem:
            took = self._clock.now() - now
            return Outcome(
                Verdict.RETRY,
                took,
                error=problem.reason,
                request_headers=shown,
                request_body=text,
                timed_out=problem.timed_out,
            )
        return judged(reply, shown, text, self._clock)

    async def _authorised(
        self,
        grant: Grant,
        headers: Mapping[str, str],
        body: bytes,
        shown: Mapping[str, str],
        text: str,
        now: datetime,
    ) -> Outcome:
        """With a token; one that the receiver refuses is renewed once."""
        refused: Token | None = None
        outcome: Outcome | None = None
        while True:
            try:
                token = await self._credentials.token(self.endpoint.id, grant, refused=refused)
            except NoToken as problem:
                return Outcome(
                    Verdict.RETRY,
                    self._clock.now() - now,
                    error=problem.reason,
                    request_headers=shown,
                    request_body=text,
                    retry_after=problem.retry_after,
                    timed_out=problem.timed_out,
                )
            if outcome is not None and token is refused:
                return outcome
            given = {**headers, "authorization": f"Bearer {token.text}"}
            outcome = _without(token.text, await self._post(given, body, shown, text, now))
            if outcome.status != 401 or refused is not None:
                return outcome
            refused = token

    async def _signed(self, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
        live = sum(end is None or now < end for end, _ in self._texts)
        if self._secrets is None or live != self._live:
            self._secrets = Secrets.of([text for end, text in self._texts if end is None or now < end])
            self._live = live
        style = self.options.signature
        if style is SignatureStyle.STANDARD:
            return self._secrets.sign(message_id, now, body)
        keys = await self._keys.for_delivery(self.endpoint.organisation_id) if style.uses_keys else ()
        header = self.options.signature_header or STRIPE_HEADER
        return signed_headers(style, message_id, now, body, secrets=self._secrets, keys=keys, header=header)


def event_of(ready: Ready) -> Event:
    """The event again, for channels that tell it in words."""
    payload = ready.payload
    data: dict[str, Any] = json.loads(payload.data_json)
    created = ready.delivery.created_at
    return Event(payload.id, payload.organisation_id, payload.type, data, payload.occurred_at, created)


def judged(reply: Reply, shown: Mapping[str, str], text: str, clock: Clock) -> Outcome:
    """What a webhook receiver's answer means: 2xx delivered, 410 gone for good, anything else try again."""
    status, error, retry_after = reply.status, None, None
    if 200 <= status < 300:
        verdict = Verdict.DELIVERED
    else:
        retry_after = read_retry_after(reply.headers.get("retry-after"), clock.now())
        if status == 410:
            verdict, error = Verdict.GONE, "The receiver answered 410: it is gone for good."
        elif 300 <= status < 400:
            verdict, error = Verdict.RETRY, f"The receiver answered {status}; redirects are not followed."
        else:
            verdict, error = Verdict.RETRY, f"The receiver answered {status}."
    body = reply.body[:KEPT_BODY].decode("utf-8", "replace") if reply.body else ""
    return Outcome(verdict, reply.duration, status, error, shown, text, reply.headers, body, retry_after)


def _without(token: str, outcome: Outcome) -> Outcome:
    """A receiver that repeats what it was sent does not bring the token into the record of the attempt."""
    if token not in outcome.body and not any(token in value for value in outcome.headers.values()):
        return outcome
    headers = {name: value.replace(token, HIDDEN) for name, value in outcome.headers.items()}
    return attrs.evolve(outcome, body=outcome.body.replace(token, HIDDEN), headers=headers)


@attrs.frozen
class _Post:
    channel: MessageChannel
    access: Mapping[str, str]
    target: Mapping[str, Any]
    message: Message


def message_from(stored: Mapping[str, Any]) -> Message:
    """A Message as it was kept with a mail delivery."""
    return Message(
        title=stored["title"],
        text=stored["text"],
        at=datetime.fromisoformat(stored["at"]),
        facts=tuple(Fact(fact["label"], fact["value"]) for fact in stored["facts"]),
        action=Action(stored["action"]["label"], stored["action"]["url"]) if stored["action"] else None,
        tone=Tone(stored["tone"]),
        source=stored["source"],
    )


def message_to(message: Message) -> dict[str, Any]:
    """A Message as it is kept with a mail delivery."""
    return {
        "title": message.title,
        "text": message.text,
        "at": message.at.isoformat(),
        "facts": [{"label": fact.label, "value": fact.value} for fact in message.facts],
        "action": {"label": message.action.label, "url": message.action.url} if message.action else None,
        "tone": message.tone.value,
        "source": message.source,
    }


def _refused(why: str) -> Outcome:
    return Outcome(Verdict.REFUSED, _NOTHING, error=why)
