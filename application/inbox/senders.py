"""Who may have signed a webhook: a provider's connections with their signing secrets, remembered for a second.

A burst of webhooks, or of forgeries, then costs one look into the database and one opening of each secret a second,
however many connections there are. A connection that was removed, paused or given another secret is known as it was for
that second at most. One that is new is known at once: a signature that nobody's secret made has the list read anew.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from application.connections.access import about, opened
from application.ports.clock import Clock
from application.ports.store import Store
from application.ports.vault import Vault, WrongKey
from domain.connections.connection import Connection

FRESH = timedelta(seconds=1)
"""How long the list is taken for good, and an opened secret kept."""


@attrs.frozen
class Sender:
    """A connection and the secret that its webhooks are signed with; None when the vault could not open it. settings: its
    settings, which may say how a webhook is signed."""

    connection_id: str
    organisation_id: str
    sealed: str = attrs.field(repr=False)
    secret: str | None = attrs.field(repr=False)
    settings: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Senders:
    """A provider's senders as they were at a moment."""

    known_at: datetime
    all: tuple[Sender, ...]


@attrs.define(eq=False)
class KnownSenders:
    """Of each provider."""

    _store: Store
    _vault: Vault
    _clock: Clock
    _known: dict[str, Senders] = attrs.field(factory=dict, init=False, repr=False)
    _reading: dict[str, asyncio.Lock] = attrs.field(factory=dict, init=False, repr=False)

    async def of(self, provider: str) -> Senders:
        """At most FRESH old."""
        known = self._known.get(provider)
        return known if known is not None and self._fresh(known) else await self.other_than(known, provider)

    async def other_than(self, seen: Senders | None, provider: str) -> Senders:
        """Read after `seen` was. Of many who ask at once one reads, and the others get what it read."""
        async with self._reading.setdefault(provider, asyncio.Lock()):
            known = self._known.get(provider)
            if known is not None and known is not seen and self._fresh(known):
                return known
            secrets = {one.sealed: one.secret for one in known.all} if known is not None and self._fresh(known) else {}
            now = self._clock.now()
            awaiting = [c for c in await self._store.connections_of(provider) if "webhook_secret" in c.sealed]
            senders = Senders(now, tuple(self._sender(connection, secrets) for connection in awaiting))
            self._known[provider] = senders
        return senders

    async def access(self, sender: Sender) -> Mapping[str, str]:
        """The credentials of a sender's connection, opened. Raises NotFound, or WrongKey."""
        async with self._store.reading(sender.organisation_id) as work:
            connection = await work.connections.get(sender.connection_id)
        return opened(self._vault, connection)

    def _fresh(self, senders: Senders) -> bool:
        return timedelta() <= self._clock.now() - senders.known_at < FRESH

    def _sender(self, connection: Connection, secrets: dict[str, str | None]) -> Sender:
        sealed = connection.sealed["webhook_secret"]
        secret = secrets.get(sealed)
        if secret is None:
            try:
                secret = self._vault.open(
                    sealed, about=about(connection.id, connection.organisation_id, "webhook_secret")
                )
            except WrongKey:  # this connection's trouble; the others' webhooks still come in
                secret = None
        return Sender(connection.id, connection.organisation_id, sealed, secret, connection.settings)
