"""API keys: issue, revoke, recognise."""

from datetime import datetime, timedelta

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import StaleWrite, Store
from domain.organisations import KEY_PREFIX, ApiKey, Scope, Unauthenticated
from domain.refusals import Invalid

LONGEST_LIFE = timedelta(days=36_500)


@attrs.frozen
class IssuedKey:
    """A key and its text, which is shown this once."""

    key: ApiKey
    text: str


@attrs.define
class IssueKey:
    """Give an application of an organisation's a key."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids

    async def __call__(
        self, caller: Caller, *, name: str, scopes: frozenset[Scope], expires_at: datetime | None = None
    ) -> IssuedKey:
        """Raises Invalid for an empty name, no scopes, or a moment that has passed or is over a hundred years ahead."""
        if expires_at is not None and expires_at > self._clock.now() + LONGEST_LIFE:
            raise Invalid.field("expires_at", "A key expires within a hundred years.")
        key, text = ApiKey.issue(
            id=self._ids.new("key"),
            secret=self._ids.token(32),
            organisation_id=caller.organisation_id,
            name=name,
            scopes=scopes,
            now=self._clock.now(),
            expires_at=expires_at,
        )
        async with self._store.of(caller.organisation_id) as work:
            await work.keys.add(key)
            await self._tell.note(work, caller, "key.issued", key.id, name=key.name)
            await work.commit()
        return IssuedKey(key, text)


@attrs.define
class RevokeKey:
    """Make a key useless at once."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, caller: Caller, id: str) -> ApiKey:
        """Raises NotFound."""
        async with self._store.of(caller.organisation_id) as work:
            key = await work.keys.get(id)
            revoked = key.revoke(self._clock.now())
            if revoked is not key:
                revoked = await work.keys.save(revoked)
                await self._tell.note(work, caller, "key.revoked", id)
                await work.commit()
        return revoked


@attrs.define
class RecogniseKey:
    """Whose key is this?"""

    _store: Store
    _clock: Clock

    async def __call__(self, text: str) -> ApiKey:
        """Raises Unauthenticated. Notes the key's last use, at most once a minute."""
        if not text.startswith(KEY_PREFIX):
            raise Unauthenticated("An API key begins with pb_. Send it as: Authorization: Bearer pb_…")
        key = await self._store.key_by_hash(ApiKey.hash_of(text))
        if key is None:
            raise Unauthenticated("This API key is not known.")
        now = self._clock.now()
        key.admit(text, now)
        used = key.used(now)
        if used is not None:
            try:
                async with self._store.of(key.organisation_id) as work:
                    await work.keys.save(used)
                    await work.commit()
            except StaleWrite:
                return key  # another request noted it at the same moment
        return key
