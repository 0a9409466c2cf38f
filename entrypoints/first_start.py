"""What a start does before it serves: the key ring, the database's shape, and at the very first the first owner."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import attrs

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.organisations.people import Founded, FoundOrganisation
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held, Leases
from application.ports.store import AlreadyThere, Store
from entrypoints.settings import Settings
from entrypoints.wiring import Hub, check_key_file, sealed_canary


@attrs.frozen
class Started:
    """An opened hub, and what was made for it by this start."""

    hub: Hub
    new_key_file: Path | None
    founded: Founded | None
    migrated: tuple[str | None, str | None]


async def start(
    settings: Settings, *, found: bool = True, clock: Clock | None = None, ids: Ids | None = None
) -> Started:
    """Open the hub.

    Raises WrongKey or KeyRingUnusable for a key ring that cannot be read, WrongKeyFile when it is another database's or
    gone, DatabaseIsNewer. What is there is looked at before anything is made.
    """
    new_key_file = None
    canary = await sealed_canary(settings)
    check_key_file(settings, canary)
    if settings.key_ring is not None:
        ring = KeyRing.from_text(settings.key_ring)
    else:
        if not settings.key_file.exists():
            with suppress(FileExistsError):  # another process of this installation was quicker
                KeyRing.create_file(settings.key_file)
                new_key_file = settings.key_file
        ring = KeyRing.from_file(settings.key_file)
    hub = Hub.open(settings, ring, clock=clock, ids=ids)
    try:
        if canary is not None:
            hub.check_canary(canary)
        migrated = await migrate(hub.database)
        await hub.check_keys()
        founded = await _found(hub) if found else None
    except BaseException:
        await hub.close()
        raise
    return Started(hub, new_key_file, founded, migrated)


async def _found(hub: Hub) -> Founded | None:
    """The first organisation, made by one process if several start a new installation together."""
    store, leases = hub.resolve(Store), hub.resolve(Leases)  # type: ignore[type-abstract]
    if await store.organisations():
        return None
    try:
        async with leases.hold("first-start", for_=timedelta(minutes=1), wait=timedelta(seconds=30)):
            if await store.organisations():
                return None
            settings = hub.settings
            return await hub.resolve(FoundOrganisation)(name=settings.organisation, email=settings.owner_email)
    except (AlreadyThere, Held):
        if await store.organisations():  # another hub was first
            return None
        raise
