"""An organisation's key pairs: made once, rotated with an overlap, and opened once a worker."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import final

import attrs
import pytest

from application.caller import Caller
from application.notifications.signing_keys import FRESH, KNOWN, SigningKeys, about_key
from application.notifications.tell import Tell
from application.ports.signer import Signer
from application.ports.store import Work
from application.ports.vault import Vault, WrongKey
from domain.notifications.signatures import SigningKeyPair, read_private, read_public
from domain.refusals import Conflict, Invalid
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.fakes.signer import PlainSigner
from tests.fakes.store import MemoryStore
from tests.fakes.vault import PlainVault

ORG, OTHER = "org_1", "org_2"
CALLER = Caller(ORG, "key:test")
DAY = timedelta(days=1)


@final
class CountingVault(Vault):
    """Counts what is opened."""

    def __init__(self) -> None:
        self._vault = PlainVault()
        self.opened = 0

    def seal(self, secret: str, *, about: str) -> str:
        return self._vault.seal(secret, about=about)

    def open(self, sealed: str, *, about: str) -> str:
        self.opened += 1
        return self._vault.open(sealed, about=about)


@final
class QuickSigner(Signer):
    """No Ed25519, for tests that need many keys."""

    def public_key(self, seed: bytes) -> bytes:
        return hashlib.sha256(seed).digest()

    def signing(self, seed: bytes) -> Callable[[bytes], bytes]:
        return lambda content: hashlib.sha512(seed + content).digest()


@attrs.define
class Bench:
    """One database, and as many processes as are asked for."""

    clock: FrozenClock = attrs.field(factory=FrozenClock)
    ids: CountingIds = attrs.field(factory=CountingIds)
    vault: CountingVault = attrs.field(factory=CountingVault)
    store: MemoryStore = attrs.field()
    signer: Signer = attrs.field(factory=PlainSigner)

    @store.default
    def _store(self) -> MemoryStore:
        return MemoryStore(self.clock)

    def process(self) -> SigningKeys:
        """A process of its own, which has read nothing yet."""
        return SigningKeys(self.store, Tell(self.clock, self.ids), self.clock, self.ids, self.vault, self.signer)

    async def kept(self, organisation_id: str = ORG) -> tuple[SigningKeyPair, ...]:
        """The rows."""
        async with self.store.reading(organisation_id) as work:
            return await work.signing_keys.all()

    async def audit(self) -> list[tuple[str, str, str]]:
        """Who did what to which."""
        async with self.store.reading(ORG) as work:
            return [(entry.actor, entry.action, entry.subject) for entry in await work.audit.all()]

    async def change(self, pair: SigningKeyPair) -> None:
        """Someone writes into the database by hand."""
        async with self.store.of(pair.organisation_id) as work:
            await work.signing_keys.save(pair)
            await work.commit()


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def signing(keys: SigningKeys, organisation_id: str = ORG) -> list[str]:
    """The ids of the keys that sign now."""
    return [key.id for key in await keys.for_delivery(organisation_id)]


async def test_the_first_question_makes_a_pair_and_the_next_finds_it(bench: Bench) -> None:
    """Nobody has to set anything up; the audit says that the hub did."""
    (pair,) = await bench.process().current(ORG)
    assert await bench.process().current(ORG) == (pair,)
    assert await bench.kept() == (pair,)
    assert (pair.organisation_id, pair.created_at, pair.expires_at) == (ORG, bench.clock.now(), None)
    assert pair.id.startswith("sgk_")
    assert await bench.audit() == [("hub", "webhook.signing_key_made", pair.id)]


async def test_processes_that_ask_at_once_make_one_pair(bench: Bench) -> None:
    """A receiver that fetched the set in between would otherwise refuse every second message."""
    found = await asyncio.gather(*(bench.process().current(ORG) for _ in range(8)))
    assert set(found) == {await bench.kept()}
    assert len(await bench.kept()) == 1


async def test_each_organisation_has_its_own(bench: Bench) -> None:
    """One key for all would let each sign in the name of the others."""
    keys = bench.process()
    assert {one.public for one in await keys.current(ORG)}.isdisjoint(one.public for one in await keys.current(OTHER))
    assert set(await signing(keys)).isdisjoint(await signing(keys, OTHER))


async def test_what_signs_fits_the_public_key_that_is_shown(bench: Bench) -> None:
    """And the private key is kept sealed, about its own row only."""
    keys = bench.process()
    (pair,) = await keys.current(ORG)
    (key,) = await keys.for_delivery(ORG)
    seed = read_private(bench.vault.open(pair.sealed, about=about_key(pair.id, ORG)))
    assert key.id == pair.id
    assert bench.signer.public_key(seed) == read_public(pair.public)
    assert key.sign(b"content") == bench.signer.signing(seed)(b"content")
    assert about_key(pair.id, ORG) not in (about_key(pair.id, OTHER), about_key("sgk_2", ORG))


async def test_after_a_rotation_both_sign_until_the_grace_is_over(bench: Bench) -> None:
    """No receiver misses a message; the audit says who did it."""
    keys = bench.process()
    (old,) = await keys.current(ORG)
    assert await signing(keys) == [old.id]
    bench.clock.advance(DAY)
    new, ending = await keys.rotate(CALLER, grace=DAY)
    assert (ending.id, ending.expires_at) == (old.id, bench.clock.now() + DAY)
    assert await keys.current(ORG) == (new, ending) == tuple(reversed(await bench.kept()))
    assert await signing(keys) == [new.id, old.id]
    assert (await bench.audit())[-1] == ("key:test", "webhook.signing_key_rotated", new.id)
    bench.clock.advance(DAY - timedelta(microseconds=1))
    assert await signing(keys) == [new.id, old.id]
    bench.clock.advance(timedelta(microseconds=1))
    assert await signing(keys) == [new.id]
    assert await keys.current(ORG) == (new,)


async def test_a_key_that_is_over_is_forgotten_at_the_next_rotation(bench: Bench) -> None:
    """What is not there cannot be stolen."""
    keys = bench.process()
    (first,) = await keys.current(ORG)
    (second, _) = await keys.rotate(CALLER, grace=DAY)
    bench.clock.advance(DAY)
    kept = await keys.rotate(CALLER, grace=timedelta())
    assert len(kept) == 1
    assert await bench.kept() == kept
    assert kept[0].id not in (first.id, second.id)


async def test_a_rotation_before_anything_was_signed_makes_the_first(bench: Bench) -> None:
    """There is nothing to let run out."""
    (pair,) = await bench.process().rotate(CALLER, grace=DAY)
    assert await bench.kept() == (pair,)


async def test_rotations_at_once_leave_one_key_without_an_end(bench: Bench) -> None:
    """Each sees what the one before it has done."""
    await bench.process().current(ORG)
    await asyncio.gather(*(bench.process().rotate(CALLER, grace=DAY) for _ in range(3)))
    kept = await bench.kept()
    assert len(kept) == 4
    assert sum(pair.expires_at is None for pair in kept) == 1


@pytest.mark.parametrize("grace", [-1, 604801])
async def test_a_wrong_grace_changes_nothing(bench: Bench, grace: int) -> None:
    """Neither keys nor audit."""
    keys = bench.process()
    before = await keys.current(ORG), await bench.audit()
    with pytest.raises(Invalid, match="grace_seconds"):
        await keys.rotate(CALLER, grace=timedelta(seconds=grace))
    assert (await bench.kept(), await bench.audit()) == before


async def test_too_many_keys_at_once_are_refused(bench: Bench) -> None:
    """The header would grow with each."""
    keys = bench.process()
    for _ in range(5):
        await keys.rotate(CALLER, grace=DAY)
    with pytest.raises(Conflict, match="shorter grace"):
        await keys.rotate(CALLER, grace=DAY)
    assert len(await bench.kept()) == 5


async def test_a_worker_reads_its_keys_once_in_five_seconds_and_opens_them_once(bench: Bench) -> None:
    """Ten thousand messages a second leave no time to ask the database and the vault for each."""
    keys, reads, reading = bench.process(), 0, bench.store.reading

    def counted(organisation_id: str) -> AbstractAsyncContextManager[Work]:
        nonlocal reads
        reads += 1
        return reading(organisation_id)

    bench.store.reading = counted  # type: ignore[method-assign, assignment]
    for _ in range(5):
        await asyncio.gather(*(keys.for_delivery(ORG) for _ in range(20)))
        bench.clock.advance(FRESH)
    assert (bench.vault.opened, reads) == (1, 5)


async def test_another_worker_learns_of_a_rotation_within_seconds(bench: Bench) -> None:
    """Until then it signs with what it knows."""
    here, elsewhere = bench.process(), bench.process()
    (old,) = await signing(elsewhere)
    assert await signing(here) == [old]
    (new,) = await here.rotate(CALLER, grace=timedelta())
    assert await signing(here) == [new.id]
    bench.clock.advance(FRESH - timedelta(microseconds=1))
    assert await signing(elsewhere) == [old]
    bench.clock.advance(timedelta(microseconds=1))
    assert await signing(elsewhere) == [new.id]


async def test_a_clock_that_is_set_back_does_not_keep_old_keys(bench: Bench) -> None:
    """Not for the hours by which it was wrong."""
    here, elsewhere = bench.process(), bench.process()
    await signing(elsewhere)
    bench.clock.advance(-DAY)
    (new,) = await here.rotate(CALLER, grace=timedelta())
    assert await signing(elsewhere) == [new.id]


async def test_a_row_that_was_changed_by_hand_signs_nothing(bench: Bench) -> None:
    """Someone put a public key of his own there, or a row of another organisation."""
    keys = bench.process()
    (mine,), (theirs,) = await keys.current(ORG), await keys.current(OTHER)
    await bench.change(attrs.evolve(mine, public=theirs.public))
    with pytest.raises(WrongKey, match=mine.id):
        await bench.process().for_delivery(ORG)
    await bench.change(attrs.evolve(mine, sealed=theirs.sealed, public=theirs.public, version=2))
    with pytest.raises(WrongKey):
        await bench.process().for_delivery(ORG)


async def test_keys_of_a_thousand_organisations_are_kept_and_no_more(bench: Bench) -> None:
    """Memory has an end; who was dropped is read again."""
    bench.signer = QuickSigner()
    keys = bench.process()
    for number in range(KNOWN + 1):
        await keys.for_delivery(f"org_{number}")
    opened = bench.vault.opened
    await keys.for_delivery(f"org_{KNOWN}")
    assert bench.vault.opened == opened
    await keys.for_delivery("org_0")
    assert bench.vault.opened == opened + 1


async def test_the_installation_shows_every_key_that_signs(bench: Bench) -> None:
    """Of all organisations, and none that is over."""
    keys = bench.process()
    await keys.current(OTHER)
    await keys.rotate(CALLER, grace=timedelta())
    await keys.rotate(CALLER, grace=DAY)
    shown = await bench.store.live_signing_keys(bench.clock.now())
    assert sorted(pair.organisation_id for pair in shown) == [ORG, ORG, OTHER]
    bench.clock.advance(DAY)
    shown = await bench.store.live_signing_keys(bench.clock.now())
    assert sorted(pair.organisation_id for pair in shown) == [ORG, OTHER]
