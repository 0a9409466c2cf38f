"""Connect a provider with pasted credentials: read them, try them, seal them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs

from application.caller import Caller
from application.connections.access import about
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.outgoing import Outgoing
from application.ports.payments import Account, PaymentProvider, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import Store
from application.ports.vault import Vault
from domain.connections.connection import Connection, checked_name
from domain.connections.provider import AuthKind, Capability, Provider
from domain.refusals import Invalid, Refusal

_SERVER = re.compile(r"[\w.-]{1,253}|[0-9A-Fa-f:.]{2,45}")


class ProviderUnavailable(Refusal):
    """The provider could not be asked now; nothing was saved. Trying again later is right."""


@attrs.frozen
class PublicUrl:
    """The address under which the outside world reaches this hub, without a slash at its end."""

    url: str


@attrs.define
class Connect:
    """Make a connection from what a person or the host application typed."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _outgoing: Outgoing
    _providers: Providers
    _public: PublicUrl

    async def __call__(
        self,
        caller: Caller,
        provider: str,
        given: Mapping[str, str | None],
        *,
        name: str | None = None,
        once: Once | None = None,
    ) -> Connection:
        """Raises NotFound for an unknown provider, Invalid naming the field that is wrong, AddressRefused for a URL into
        a private network, ProviderUnavailable when the provider cannot be asked now."""
        manifest = self._providers.manifest(provider)
        settings, secrets = manifest.read(given)
        label = checked_name((name or "").strip() or manifest.name)
        await check_places(self._outgoing, manifest, {**settings, **secrets})
        now = self._clock.now()
        id_ = self._ids.new("connection")
        account, registered = await self._prove(manifest, {**settings, **secrets}, id_)
        if registered is not None:
            secrets["webhook_secret"] = registered[1]
        connection = Connection(
            id_,
            caller.organisation_id,
            manifest.slug,
            label,
            settings,
            {
                field: self._vault.seal(secret, about=about(id_, caller.organisation_id, field))
                for field, secret in secrets.items()
            },
            now,
            now,
            live=manifest.is_live({**settings, **secrets}),
            account=account.name if account else None,
            account_reference=account.reference if account else None,
            last_used_at=now if account else None,
            webhook_reference=registered[0] if registered else None,
        )
        async with self._store.of(caller.organisation_id) as work:
            await work.connections.add(connection)
            await self._tell(work, "integration.connected", {"connection": connection.body})
            await self._tell.note(work, caller, "integration.connected", id_, provider=manifest.slug)
            await remember(work, once, connection, now)
            await work.commit()
        return connection

    async def _prove(
        self, manifest: Provider, access: Mapping[str, str], id_: str
    ) -> tuple[Account | None, tuple[str, str] | None]:
        """Ask a payment provider who we are; have it send its webhooks to us unless a secret was pasted."""
        if Capability.PAYMENTS not in manifest.offers:
            return None, None
        payments = self._providers.payments(manifest.slug)
        with naming_the_key(manifest):
            account = await payments.account(access)
            if access.get("webhook_secret") or not manifest.receives_webhooks:
                return account, None
            return account, await register(payments, manifest, access, self._public, id_, key=id_)


async def register(
    payments: PaymentProvider, manifest: Provider, access: Mapping[str, str], public: PublicUrl, id_: str, *, key: str
) -> tuple[str, str]:
    """Have the provider send its webhooks for the connection to us. Raises Invalid naming `webhook_secret` when it will
    not, and as PaymentProvider's methods do."""
    url = f"{public.url}/api/integrations/{manifest.slug}/webhook/{id_}"
    try:
        return await payments.register_webhook(access, url, key=key)
    except ProviderRefused as refused:
        raise Invalid.field(
            "webhook_secret",
            f"{manifest.name} would not send its webhooks to {url} ({refused.reason}). Make the webhook in its dashboard"
            " and paste its signing secret here.",
        ) from refused


async def check_places(outgoing: Outgoing, manifest: Provider, access: Mapping[str, str]) -> None:
    """Raise AddressRefused or Invalid, naming the field, where one leads to a place that the hub may not call."""
    for field in manifest.fields:
        if field.url and access.get(field.name):
            await outgoing.check(access[field.name], field=field.name)
    if manifest.auth is not AuthKind.SERVER or "host" not in access:
        return
    host, port = access["host"], access.get("port", "25")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise Invalid.field("port", "A port is a number from 1 to 65535, such as 587.")
    if not _SERVER.fullmatch(host):
        raise Invalid.field("host", "This is not the name of a server, such as smtp.example.com.")
    # A server is no URL, but where it leads is checked the same way.
    await outgoing.check(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", field="host")


@contextmanager
def naming_the_key(manifest: Provider) -> Iterator[None]:
    """Inside, what the provider says to the credentials becomes Invalid naming the key, or ProviderUnavailable."""
    key = next(field.name for field in manifest.fields if field.secret)
    try:
        yield
    except ReconnectNeeded as refused:
        raise Invalid.field(key, f"{manifest.name} does not accept this key.") from refused
    except ProviderRefused as refused:
        raise Invalid.field(key, f"{manifest.name} refused: {refused.reason}") from refused
    except RetryLater as later:
        raise ProviderUnavailable(f"{manifest.name} could not be asked: {later.reason}") from later
