"""Set up webhook endpoints: create, change, remove, rotate the secret."""

from datetime import timedelta
from typing import Unpack

import attrs

from application.caller import Caller
from application.notifications.endpoint_settings import EndpointSettings, EndpointSetup, about
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from application.ports.vault import Vault
from application.versions import require_version
from domain.notifications.deliveries import DeliveryState
from domain.notifications.endpoints import MAX_ENDPOINTS, Endpoint, SigningSecret
from domain.notifications.signing import new_secret
from domain.refusals import Conflict


@attrs.frozen
class Issued:
    """An endpoint and its new signing secret in the clear, which is shown this once."""

    endpoint: Endpoint
    secret: str = attrs.field(repr=False)


@attrs.define
class CreateEndpoint:
    """Take a new endpoint and give it a signing secret."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _setup: EndpointSetup

    async def __call__(self, caller: Caller, *, once: Once | None = None, **given: Unpack[EndpointSettings]) -> Issued:
        """Raises AddressRefused for a URL that leads to a private address, Invalid, or Conflict at the 1,001st."""
        await self._setup.check_addresses(given)
        now = self._clock.now()
        id_ = self._ids.new("endpoint")
        secret = new_secret(self._ids.randomness(32))
        sealed = self._vault.seal(secret, about=about(id_, caller.organisation_id))
        blank = Endpoint(id_, caller.organisation_id, "", "", ("*",), (SigningSecret(sealed, now),), now, now)
        endpoint = self._setup.apply(blank, given, now)
        async with self._store.of(caller.organisation_id) as work:
            if len(await work.endpoints.all()) >= MAX_ENDPOINTS:
                raise Conflict(
                    f"An organisation has at most {MAX_ENDPOINTS} webhook endpoints. Remove one, or let one endpoint take"
                    " what several receivers want."
                )
            await work.endpoints.add(endpoint)
            await self._tell.note(work, caller, "webhook.created", endpoint.id, url=endpoint.url)
            issued = Issued(endpoint, secret)
            await remember(work, once, issued, now)
            await work.commit()
        return issued


@attrs.define
class ChangeEndpoint:
    """Change an endpoint; only what is given."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _setup: EndpointSetup

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        active: bool | None = None,
        version: int | None = None,
        **given: Unpack[EndpointSettings],
    ) -> Endpoint:
        """`version` is what If-Match named, if anything. Raises as CreateEndpoint does, NotFound, or Stale."""
        await self._setup.check_addresses(given)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            endpoint = await work.endpoints.get(id)
            require_version(endpoint.version, version)
            changed = self._setup.apply(endpoint, given, now)
            if active is True and not changed.active:
                changed = changed.enable(now)
            elif active is False and changed.active:
                changed = changed.pause(now)
                await work.deliveries.cancel_pending(id, "the endpoint was paused", now)
            if changed.mode is not endpoint.mode:
                state = DeliveryState.WAITING if changed.polled else DeliveryState.PENDING
                await work.deliveries.hand_over(id, state)
            changed = await work.endpoints.save(changed)
            fields = {"changed": sorted(given)} if given else {}
            await self._tell.note(work, caller, "webhook.changed", id, **fields)
            await work.commit()
        return changed


@attrs.define
class RemoveEndpoint:
    """Forget an endpoint; what still waits for it is cancelled."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, caller: Caller, id: str) -> None:
        """Raises NotFound."""
        async with self._store.of(caller.organisation_id) as work:
            await work.endpoints.get(id)
            await work.endpoints.remove(id)
            await work.deliveries.cancel_pending(id, "the endpoint was removed", self._clock.now())
            await self._tell.note(work, caller, "webhook.removed", id)
            await work.commit()


@attrs.define
class RotateSecret:
    """Give an endpoint a new signing secret; the old one still signs along until the grace is over."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault

    async def __call__(self, caller: Caller, id: str, *, grace: timedelta) -> Issued:
        """Raises NotFound, or Invalid for a grace over 7 days."""
        secret = new_secret(self._ids.randomness(32))
        async with self._store.of(caller.organisation_id) as work:
            endpoint = await work.endpoints.get(id)
            sealed = self._vault.seal(secret, about=about(id, caller.organisation_id))
            rotated = await work.endpoints.save(endpoint.rotate(sealed, self._clock.now(), grace))
            await self._tell.note(work, caller, "webhook.secret_rotated", id, grace_s=int(grace.total_seconds()))
            await work.commit()
        return Issued(rotated, secret)
