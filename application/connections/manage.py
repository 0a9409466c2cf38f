"""Look after connections: test, change, disconnect."""

from collections.abc import Mapping
from contextlib import suppress

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.billing.settle import Settle
from application.caller import Caller
from application.connections.access import about, opened, usable
from application.connections.connect import PublicUrl, check_places, naming_the_key, register
from application.connections.leave import LeaveAccount
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.leases import Held
from application.ports.outgoing import AddressRefused, Outgoing
from application.ports.payments import Account, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import StaleWrite, Store
from application.ports.vault import Vault
from application.versions import require_version
from domain.billing.links import CheckoutState
from domain.connections.connection import Connection, checked_name
from domain.connections.provider import Capability, Provider
from domain.refusals import Invalid


@attrs.frozen
class TestResult:
    """What a test of a connection showed."""

    ok: bool
    detail: str
    connection: Connection


@attrs.define
class TestConnection:
    """Ask the provider whether it still accepts the credentials, and note the answer."""

    _store: Store
    _clock: Clock
    _vault: Vault
    _outgoing: Outgoing
    _providers: Providers

    async def __call__(self, caller: Caller, name: str) -> TestResult:
        """`name`: a connection's id, or a provider's slug when there is one connection to it."""
        async with self._store.reading(caller.organisation_id) as work:
            connection = await usable(work, name)
        ok, detail, account = await self._ask(connection)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            fresh = await work.connections.get(connection.id)
            noted = fresh.worked(now, detail or None, account) if ok else fresh.failed(detail, now)
            noted = await work.connections.save(noted)
            await work.commit()
        return TestResult(ok, detail, noted)

    async def _ask(self, connection: Connection) -> tuple[bool, str, str | None]:
        """Whether it works, the account's name or what is wrong, and the account's id."""
        manifest = self._providers.manifest(connection.provider)
        access = opened(self._vault, connection)
        if Capability.PAYMENTS in manifest.offers:
            try:
                account = await self._providers.payments(manifest.slug).account(access)
            except ReconnectNeeded:
                return False, f"{manifest.name} no longer accepts the key: connect again.", None
            except (ProviderRefused, RetryLater) as problem:
                return False, problem.reason, None
            return True, account.name, account.reference
        try:
            await check_places(self._outgoing, manifest, access)
        except (AddressRefused, Invalid) as refused:
            return False, refused.faults[0].reason, None
        return True, "", None


@attrs.define
class ChangeConnection:
    """Rename, change settings, give new secrets, switch on or off."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _vault: Vault
    _outgoing: Outgoing
    _providers: Providers
    _public: PublicUrl
    _leave: LeaveAccount

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        name: str | None = None,
        fields: Mapping[str, str | None] | None = None,
        active: bool | None = None,
        version: int | None = None,
    ) -> Connection:
        """Fields that are not given stay as they are.

        A key of another account, or of the other mode, closes the pages that are open in the former account first.

        Raises NotFound, Invalid, AddressRefused, Stale, ProviderUnavailable when new fields cannot be tried now, Conflict when
        the former account cannot be left.
        """
        async with self._store.reading(caller.organisation_id) as work:
            found = await usable(work, id)
        require_version(found.version, version)
        manifest = self._providers.manifest(found.provider)
        settings, secrets = manifest.read({**opened(self._vault, found), **(fields or {})})
        if name is not None:
            checked_name(name.strip())
        account = await self._prove(manifest, {**settings, **secrets}) if fields else None
        registered = None
        elsewhere = account if account is None or found.account_reference not in (None, account.reference) else None
        if elsewhere is not None:
            await self._leave(found, elsewhere)
            registered = await self._move_webhook(manifest, found, {**settings, **secrets}, fields or {})
            if registered is not None:
                secrets["webhook_secret"] = registered[1]
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            connection = await work.connections.get(found.id)
            require_version(connection.version, version)
            if elsewhere is not None:
                await self._leave.check(work, connection, elsewhere)
            changed = attrs.evolve(
                connection,
                name=(name or connection.name).strip(),
                settings=settings,
                sealed={
                    key: self._vault.seal(secret, about=about(connection.id, caller.organisation_id, key))
                    if (fields and key in fields) or (registered and key == "webhook_secret")
                    else connection.sealed[key]
                    for key, secret in secrets.items()
                },
                live=manifest.is_live({**settings, **secrets}),
                account=account.name if account else connection.account,
                account_reference=account.reference if account else connection.account_reference,
                webhook_reference=registered[0] if registered else connection.webhook_reference,
                updated_at=now,
            )
            if active is not None:
                changed = changed.switched(active, now)
            changed = await work.connections.save(changed)
            await self._tell.note(work, caller, "integration.changed", connection.id)
            await work.commit()
        return changed

    async def _move_webhook(
        self, manifest: Provider, found: Connection, access: Mapping[str, str], fields: Mapping[str, str | None]
    ) -> tuple[str, str] | None:
        """The key is now another account's: that account's webhooks are wanted, and the old one's no more."""
        if found.webhook_reference is None or fields.get("webhook_secret"):
            return None
        payments = self._providers.payments(manifest.slug)
        with suppress(ReconnectNeeded, ProviderRefused, RetryLater):
            await payments.remove_webhook(opened(self._vault, found), found.webhook_reference)
        with naming_the_key(manifest):
            key = f"{found.id}:{found.version}"
            return await register(payments, manifest, access, self._public, found.id, key=key)

    async def _prove(self, manifest: Provider, access: Mapping[str, str]) -> Account | None:
        """New credentials are tried before they take the place of those that work; the account, if there is one."""
        await check_places(self._outgoing, manifest, access)
        if Capability.PAYMENTS not in manifest.offers:
            return None
        with naming_the_key(manifest):
            return await self._providers.payments(manifest.slug).account(access)


@attrs.define
class Disconnect:
    """Forget a connection's credentials. What was told through it stops; what was paid through it stays on record.

    While the key is still there, hosted pages are closed, money that came meanwhile is noted, and the provider is told to
    send no more webhooks. A provider that cannot be asked does not keep anyone from disconnecting.
    """

    _store: Store
    _tell: Tell
    _clock: Clock
    _vault: Vault
    _providers: Providers
    _close: CloseCheckouts
    _settle: Settle

    async def __call__(self, caller: Caller, name: str) -> Connection:
        """`name`: a connection's id, or a provider's slug when there is one connection to it."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            connection = await usable(work, name)
            # First of all, so that nobody opens another page.
            for link in await work.links.all(connection_id=connection.id, state="active"):
                await work.links.save(link.expire(now))
            await work.commit()
        await self._finish(connection)
        async with self._store.of(caller.organisation_id) as work:
            connection = await work.connections.get(connection.id)
            gone = await work.connections.save(connection.disconnected(now))
            await work.deliveries.cancel_pending(connection.id, "the connection was disconnected", now)
            for notification in await work.notifications.all(connection_id=connection.id, is_active=True):
                await work.notifications.save(notification.disable("its connection was disconnected", now))
                await work.deliveries.cancel_pending(notification.id, "the connection was disconnected", now)
            await self._tell(work, "integration.disconnected", {"connection": gone.body})
            await self._tell.note(work, caller, "integration.disconnected", connection.id)
            await work.commit()
        return gone

    async def _finish(self, connection: Connection) -> None:
        """What only the key can do, as far as the provider lets us."""
        if Capability.PAYMENTS not in self._providers.manifest(connection.provider).offers:
            return
        async with self._store.reading(connection.organisation_id) as work:
            pages = await work.checkouts.all(connection_id=connection.id, state=CheckoutState.OPEN)
        for page in pages:
            await self._close.soon(connection.organisation_id, link_id=page.link_id)
            if page.reference is not None:
                with suppress(ReconnectNeeded, ProviderRefused, RetryLater, Held, StaleWrite):
                    await self._settle.checkout(connection.organisation_id, connection.id, page.reference)
        if connection.webhook_reference is not None:
            payments = self._providers.payments(connection.provider)
            with suppress(ReconnectNeeded, ProviderRefused, RetryLater):
                await payments.remove_webhook(opened(self._vault, connection), connection.webhook_reference)
