"""An organisation's Ed25519 key pairs: made on first use, kept ready for the worker, rotated by a person (ADR 0018)."""

import asyncio
from datetime import datetime, timedelta

import attrs

from application.caller import Caller, hub
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.signer import Signer
from application.ports.store import Store, Work
from application.ports.vault import Vault, WrongKey
from domain.notifications.signatures import (
    SigningKey,
    SigningKeyPair,
    live,
    private_text,
    public_text,
    read_private,
    read_public,
    rotated,
)

FRESH = timedelta(seconds=5)
"""For how long a worker signs with what it read: this much later than elsewhere it learns of a rotation."""

KNOWN = 1000
"""For how many organisations keys are kept ready."""

_TURN = "signing_key"


def about_key(id: str, organisation_id: str) -> str:
    """What a private key is sealed about."""
    return f"{organisation_id}/{id}"


@attrs.define(eq=False)
class SigningKeys:
    """The key pairs of every organisation. Keep one a process: it remembers the keys it has opened.

    Not to be asked inside a unit of work: it may open one of its own.
    """

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _signer: Signer
    _known: dict[str, "_Known"] = attrs.field(factory=dict, init=False, repr=False)

    async def for_delivery(self, organisation_id: str) -> tuple[SigningKey, ...]:
        """The keys that sign now, newest first, ready to sign. Raises WrongKey when one of them cannot be opened."""
        known = self._known.get(organisation_id)
        if known is None:
            if len(self._known) >= KNOWN:
                del self._known[next(iter(self._known))]
            known = self._known[organisation_id] = _Known()
        if not known.fresh(self._clock.now()):
            async with known.line:
                if not known.fresh(self._clock.now()):  # someone before us in the line has read them
                    await self._read(organisation_id, known)
        now = self._clock.now()
        return tuple(known.keys[pair.id] for pair in known.pairs if pair.live(now))

    async def current(self, organisation_id: str) -> tuple[SigningKeyPair, ...]:
        """The pairs that sign now, newest first; never none: the first question makes the first pair."""
        async with self._store.reading(organisation_id) as work:
            found = live(await work.signing_keys.all(), self._clock.now())
        if found:
            return found
        async with self._store.of(organisation_id) as work:
            await _take_turn(work)
            found = live(await work.signing_keys.all(), self._clock.now())
            if found:
                return found
            pair = self._new(organisation_id)
            await work.signing_keys.add(pair)
            await self._tell.note(work, hub(organisation_id), "webhook.signing_key_made", pair.id)
            await work.commit()
        return (pair,)

    async def rotate(self, caller: Caller, *, grace: timedelta) -> tuple[SigningKeyPair, ...]:
        """Make a pair; the older ones still sign until the grace is over, and those that are over are forgotten.

        Returns what is live, newest first. Raises Invalid for a grace below zero or over 7 days, and Conflict if too
        many would sign at once.
        """
        async with self._store.of(caller.organisation_id) as work:
            await _take_turn(work)
            pairs = {pair.id: pair for pair in await work.signing_keys.all()}
            new = self._new(caller.organisation_id)
            kept = {pair.id: pair for pair in rotated(tuple(pairs.values()), new, new.created_at, grace)}
            for id_, pair in pairs.items():
                if id_ not in kept:
                    await work.signing_keys.remove(id_)
                elif kept[id_] != pair:
                    kept[id_] = await work.signing_keys.save(kept[id_])
            await work.signing_keys.add(new)
            detail = {"grace_s": int(grace.total_seconds())}
            await self._tell.note(work, caller, "webhook.signing_key_rotated", new.id, **detail)
            await work.commit()
        self._known.pop(caller.organisation_id, None)
        return tuple(kept.values())

    async def _read(self, organisation_id: str, known: "_Known") -> None:
        pairs = await self.current(organisation_id)
        known.keys = {pair.id: known.keys.get(pair.id) or self._open(pair) for pair in pairs}
        known.pairs, known.read_at = pairs, self._clock.now()

    def _open(self, pair: SigningKeyPair) -> SigningKey:
        seed = read_private(self._vault.open(pair.sealed, about=about_key(pair.id, pair.organisation_id)))
        # The seal does not cover the public key, and a pair whose halves do not belong together signs for nobody.
        if self._signer.public_key(seed) != read_public(pair.public):
            raise WrongKey(f"The public key of {pair.id} is not that of its private key: the row was changed.")
        return SigningKey(pair.id, self._signer.signing(seed))

    def _new(self, organisation_id: str) -> SigningKeyPair:
        seed = self._ids.randomness(32)
        public = self._signer.public_key(seed)
        id_ = self._ids.new("signing_key")
        sealed = self._vault.seal(private_text(seed, public), about=about_key(id_, organisation_id))
        return SigningKeyPair(id_, organisation_id, sealed, public_text(public), self._clock.now())


@attrs.define(eq=False)
class _Known:
    """What was last read of one organisation's keys."""

    pairs: tuple[SigningKeyPair, ...] = ()
    keys: dict[str, SigningKey] = attrs.field(factory=dict)
    read_at: datetime | None = None
    line: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    def fresh(self, now: datetime) -> bool:
        # Not in the future either: a clock that was set back must not keep it fresh for hours.
        return self.read_at is not None and timedelta() <= now - self.read_at < FRESH


async def _take_turn(work: Work) -> None:
    """Wait for whoever else changes the organisation's keys now, and see what they committed.

    The row of a counter is locked until the commit (application/ports/store.py), so that two processes at once make one
    pair. A counter's number itself is not used.
    """
    await work.counters.next(_TURN)
