"""Take in a provider's webhook: verify the raw body, keep it, answer. Nothing else happens at the door."""

from collections.abc import Mapping

import attrs

from application.connections.access import about
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.payments import BadSignature
from application.ports.providers import Providers
from application.ports.store import AlreadyThere, Store
from application.ports.vault import Vault, WrongKey
from domain.connections.connection import Connection
from domain.inbox import Received
from domain.refusals import Invalid, NotFound, Refusal

_KEPT_HEADERS = ("content-type", "user-agent", "signature")
"""Headers kept with the body: those whose name holds one of these words."""


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

    _store: Store
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _providers: Providers

    async def __call__(
        self, provider: str, headers: Mapping[str, str], body: bytes, *, connection_id: str | None = None
    ) -> TakenIn:
        """`headers` have lower-case names. Without `connection_id` every connection to the provider is tried, and each
        whose secret signed it keeps it: two organisations may share one account at the provider.

        Raises NotFound (unknown provider or connection), SignatureRefused, Invalid for a signed body that is no event.
        """
        payments = self._providers.payments(provider)
        connections = [c for c in await self._store.connections_of(provider) if "webhook_secret" in c.sealed]
        if connection_id is not None:
            connections = [c for c in connections if c.id == connection_id]
            if not connections:
                raise NotFound("connection", connection_id)
        now = self._clock.now()
        why = "No connection to this provider awaits webhooks."
        signed: list[Received] = []
        for connection in connections:
            try:
                event = payments.read_webhook((self._secret(connection),), headers, body, now)
            except WrongKey:  # this connection's trouble; the others' webhooks still come in
                why = "The secret of a connection to this provider cannot be opened."
                continue
            except BadSignature as refused:
                why = str(refused)
                continue
            except (ValueError, RecursionError) as error:
                raise Invalid.field("body", f"The signature is right, but this is no event: {error}") from error
            signed.append(
                Received(
                    self._ids.new("inbox"),
                    connection.organisation_id,
                    connection.id,
                    provider,
                    event.external_id,
                    event.type,
                    body,
                    {name: value for name, value in headers.items() if any(word in name for word in _KEPT_HEADERS)},
                    now,
                    now,
                )
            )
        if not signed:
            raise SignatureRefused(why)
        kept = [received for received in signed if await self._keep(received)]
        return TakenIn(kept[0] if kept else None, duplicate=not kept)

    async def _keep(self, received: Received) -> bool:
        """Whether it is new."""
        async with self._store.of(received.organisation_id) as work:
            try:
                await work.inbox.add(received)
            except AlreadyThere:
                return False
            await work.commit()
        return True

    def _secret(self, connection: Connection) -> str:
        sealing = about(connection.id, connection.organisation_id, "webhook_secret")
        return self._vault.open(connection.sealed["webhook_secret"], about=sealing)
