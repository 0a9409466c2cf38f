"""What a start does before it serves: the key ring, the database's shape, and at the very first the first owner."""

from pathlib import Path

import attrs

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.organisations.people import Founded, FoundOrganisation
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from entrypoints.settings import Settings
from entrypoints.wiring import Hub


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

    Raises WrongKey or KeyRingUnusable for a key ring that cannot be read, WrongKeyFile when it is another database's,
    DatabaseIsNewer.
    """
    new_key_file = None
    if settings.key_ring is not None:
        ring = KeyRing.from_text(settings.key_ring)
    else:
        if not settings.key_file.exists():
            KeyRing.create_file(settings.key_file)
            new_key_file = settings.key_file
        ring = KeyRing.from_file(settings.key_file)
    hub = Hub.open(settings, ring, clock=clock, ids=ids)
    try:
        migrated = await migrate(hub.database)
        await hub.check_keys()
        store = hub.resolve(Store)  # type: ignore[type-abstract]
        founded = None
        if found and not await store.organisations():
            founded = await hub.resolve(FoundOrganisation)(name=settings.organisation, email=settings.owner_email)
    except BaseException:
        await hub.close()
        raise
    return Started(hub, new_key_file, founded, migrated)
