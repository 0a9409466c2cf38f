"""Set up webhook endpoints: create, change, remove, rotate the secret."""

import json
from collections.abc import Mapping
from datetime import timedelta

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.outgoing import Outgoing
from application.ports.store import Store
from application.ports.vault import Vault
from application.versions import require_version
from domain.events import check_patterns
from domain.notifications.endpoints import Endpoint, SigningSecret, check_headers
from domain.notifications.signing import new_secret
from domain.refusals import Conflict

MAX_ENDPOINTS = 200
"""Per organisation; every event is matched against each of them."""


@attrs.frozen
class Issued:
    """An endpoint and its new signing secret in the clear, which is shown this once."""

    endpoint: Endpoint
    secret: str


def about(endpoint_id: str, organisation_id: str) -> str:
    """What an endpoint's secrets are sealed about."""
    return f"{organisation_id}/{endpoint_id}"


@attrs.define
class CreateEndpoint:
    """Take a new endpoint and give it a signing secret."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _outgoing: Outgoing

    async def __call__(
        self,
        caller: Caller,
        *,
        url: str,
        events: tuple[str, ...],
        name: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: int = 15,
        once: Once | None = None,
    ) -> Issued:
        """Raises AddressRefused for a URL that leads to a private address, Invalid, or Conflict at the 201st."""
        check_patterns(events)
        headers = check_headers(headers or {})
        await self._outgoing.check(url)
        now = self._clock.now()
        id_ = self._ids.new("endpoint")
        secret = new_secret(self._ids.randomness(32))
        sealing = about(id_, caller.organisation_id)
        endpoint = Endpoint(
            id_,
            caller.organisation_id,
            url,
            name.strip(),
            events,
            (SigningSecret(self._vault.seal(secret, about=sealing), now),),
            now,
            now,
            sealed_headers=self._vault.seal(json.dumps(dict(headers)), about=sealing) if headers else None,
            timeout_s=timeout_s,
        )
        async with self._store.of(caller.organisation_id) as work:
            if len(await work.endpoints.all()) >= MAX_ENDPOINTS:
                raise Conflict(f"An organisation has at most {MAX_ENDPOINTS} webhook endpoints.")
            await work.endpoints.add(endpoint)
            await self._tell.note(work, caller, "webhook.created", endpoint.id, url=url)
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
    _vault: Vault
    _outgoing: Outgoing

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        url: str | None = None,
        events: tuple[str, ...] | None = None,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: int | None = None,
        active: bool | None = None,
        version: int | None = None,
    ) -> Endpoint:
        """`version` is what If-Match named, if anything. Raises as CreateEndpoint does, NotFound, or Stale."""
        if url is not None:
            await self._outgoing.check(url)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            endpoint = await work.endpoints.get(id)
            require_version(endpoint.version, version)
            sealed_headers = endpoint.sealed_headers
            if headers is not None:
                text = json.dumps(dict(check_headers(headers)))
                sealed_headers = self._vault.seal(text, about=about(id, caller.organisation_id)) if headers else None
            changed = attrs.evolve(
                endpoint,
                url=endpoint.url if url is None else url,
                events=endpoint.events if events is None else events,
                name=endpoint.name if name is None else name.strip(),
                timeout_s=endpoint.timeout_s if timeout_s is None else timeout_s,
                sealed_headers=sealed_headers,
                updated_at=now,
            )
            if active is True and not changed.active:
                changed = changed.enable(now)
            elif active is False and changed.active:
                changed = changed.pause(now)
                await work.deliveries.cancel_pending(id, "the endpoint was paused", now)
            changed = await work.endpoints.save(changed)
            await self._tell.note(work, caller, "webhook.changed", id)
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
