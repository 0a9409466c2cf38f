"""Carry one delivery to its destination, once. Says what came of it; writes nothing down."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from application.connections.access import opened
from application.notifications.endpoints import about
from application.ports.clock import Clock
from application.ports.message_channel import MessageChannel
from application.ports.outgoing import AddressRefused, Outgoing, Reply, Unreachable
from application.ports.providers import Providers
from application.ports.store import Store, Work
from application.ports.vault import Vault, WrongKey
from domain.events import Event
from domain.notifications.attempts import KEPT_BODY, Outcome, Verdict
from domain.notifications.composing import compose
from domain.notifications.deliveries import Delivery, DestinationKind
from domain.notifications.endpoints import Endpoint
from domain.notifications.message import Action, Fact, Message, Tone
from domain.notifications.schedule import read_retry_after
from domain.notifications.signing import sign

_NOTHING = timedelta()


@attrs.frozen
class ConsoleUrl:
    """Where people find the console, without a slash at its end; links in messages lead there."""

    url: str | None


@attrs.define
class Carry:
    """Knows every kind of destination."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _outgoing: Outgoing
    _providers: Providers
    _console: ConsoleUrl

    async def __call__(self, delivery: Delivery, event: Event) -> Outcome:
        """Try once. Never raises for what a receiver, the network or a vanished destination does."""
        if delivery.kind is DestinationKind.ENDPOINT:
            async with self._store.reading(delivery.organisation_id) as work:
                endpoint = await work.endpoints.find(delivery.destination_id)
            if endpoint is None or not endpoint.active:
                return _refused("The endpoint was removed or switched off.")
            return await self.to_endpoint(endpoint, event, delivery.message_id)
        try:
            async with self._store.reading(delivery.organisation_id) as work:
                post = await self._post(work, delivery, event)
        except WrongKey as error:
            return _refused(str(error))
        if post is None:
            return _refused("The notification or its connection was removed or switched off.")
        return await post.channel.send(post.access, post.target, post.message, delivery_id=delivery.id)

    async def to_endpoint(self, endpoint: Endpoint, event: Event, message_id: str) -> Outcome:
        """Sign and post an event to an endpoint (Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature)."""
        now = self._clock.now()
        sealing = about(endpoint.id, endpoint.organisation_id)
        try:
            secrets = [self._vault.open(secret.sealed, about=sealing) for secret in endpoint.signing(now)]
            custom: dict[str, str] = (
                json.loads(self._vault.open(endpoint.sealed_headers, about=sealing)) if endpoint.sealed_headers else {}
            )
        except WrongKey as error:
            return _refused(str(error))
        body = json.dumps(event.body, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
        signed = {"content-type": "application/json", **sign(secrets, message_id, now, body)}
        shown = {**signed, **dict.fromkeys(custom, "•••")}
        text = body[:KEPT_BODY].decode("utf-8", "replace")
        try:
            reply = await self._outgoing.send(
                "POST",
                endpoint.url,
                headers={**custom, **signed},
                body=body,
                timeout=timedelta(seconds=endpoint.timeout_s),
            )
        except AddressRefused as refused:
            return Outcome(Verdict.REFUSED, _NOTHING, error=refused.reason, request_headers=shown, request_body=text)
        except Unreachable as problem:
            took = self._clock.now() - now
            return Outcome(Verdict.RETRY, took, error=problem.reason, request_headers=shown, request_body=text)
        return attrs.evolve(judge(reply, self._clock.now()), request_headers=shown, request_body=text)

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


@attrs.frozen
class _Post:
    channel: MessageChannel
    access: Mapping[str, str]
    target: Mapping[str, Any]
    message: Message


def judge(reply: Reply, now: datetime) -> Outcome:
    """What a webhook receiver's answer means: 2xx delivered, 410 gone for good, anything else try again."""
    error = None
    if 200 <= reply.status < 300:
        verdict = Verdict.DELIVERED
    elif reply.status == 410:
        verdict, error = Verdict.GONE, "The receiver answered 410: it is gone for good."
    elif 300 <= reply.status < 400:
        verdict, error = Verdict.RETRY, f"The receiver answered {reply.status}; redirects are not followed."
    else:
        verdict, error = Verdict.RETRY, f"The receiver answered {reply.status}."
    return Outcome(
        verdict,
        reply.duration,
        reply.status,
        error,
        headers=reply.headers,
        body=reply.body[:KEPT_BODY].decode("utf-8", "replace"),
        retry_after=read_retry_after(reply.headers.get("retry-after"), now),
    )


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
