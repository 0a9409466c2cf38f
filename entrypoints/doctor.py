"""Look the installation over and say, line by line, what is well and what is not."""

import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress

import attrs
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import SQLAlchemyError

from adapters.persistence.database import Database
from adapters.persistence.migrate import pending
from adapters.vault import KeyRing, KeyRingUnusable
from application.ports.store import Store
from entrypoints.settings import Settings
from entrypoints.wiring import Hub, WrongKeyFile, check_key_file, database_shown, reason, sealed_canary

_ENOUGH_DISK = 500 * 1024 * 1024


class _Wrong(Exception):
    """A check found something wrong; the text says what to do."""


@attrs.define
class _Visit:
    settings: Settings

    async def key_ring(self) -> str:
        if self.settings.key_ring is not None:
            return "the key ring comes from the environment"
        path = self.settings.key_file
        if not path.exists():
            with suppress(OSError, SQLAlchemyError):  # a database that cannot be opened has a line of its own
                check_key_file(self.settings, await sealed_canary(self.settings))
            return f"{path} will be made at the first start"
        try:
            ring = KeyRing.from_file(path)
        except KeyRingUnusable as error:
            raise _Wrong(str(error)) from error
        mode = stat.S_IMODE(path.stat().st_mode)
        return f"{path} (mode {mode:o}), {len(ring.keys)} key(s), current {ring.current}"

    async def database(self) -> str:
        if Database.is_missing(self.settings.database_url):
            return "will be made at the first start"
        shown = database_shown(self.settings)
        try:
            database = Database.at(self.settings.database_url)
            try:
                missing = await pending(database)
            finally:
                await database.close()
        except (OSError, SQLAlchemyError) as error:
            raise _Wrong(f"the database {shown} cannot be opened: {reason(error)}") from error
        return "will be migrated at the next start" if missing else "up to date"

    async def secrets(self) -> str:
        try:
            canary = await sealed_canary(self.settings)
        except (OSError, SQLAlchemyError) as error:
            raise _Wrong("cannot be looked at: the database cannot be opened") from error
        if canary is None:
            return "nothing is sealed yet"
        check_key_file(self.settings, canary)
        ring = (
            KeyRing.from_text(self.settings.key_ring)
            if self.settings.key_ring
            else KeyRing.from_file(self.settings.key_file)
        )
        hub = Hub.open(self.settings, ring)
        try:
            hub.check_canary(canary)
            if await pending(hub.database):
                return "the key ring opens the database"
            backlog = await hub.resolve(Store).backlog()  # type: ignore[type-abstract]
        finally:
            await hub.close()
        return (
            f"the key ring opens the database; {backlog['deliveries_pending']} deliveries wait,"
            f" {backlog['inbox_failed']} received webhooks failed"
        )

    async def disk(self) -> str:
        folder = self.settings.data_dir.absolute()
        try:
            while not folder.exists():
                folder = folder.parent
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise _Wrong(f"{folder} cannot be looked at: {reason(error)}") from error
        if not folder.is_dir():
            raise _Wrong(f"{folder} is not a folder")
        if free < _ENOUGH_DISK:
            raise _Wrong(f"only {free // 2**20} MiB are free in {folder}")
        if not os.access(folder, os.W_OK):
            raise _Wrong(f"{folder} cannot be written")
        return f"{free // 2**30} GiB free"

    async def address(self) -> str:
        if self.settings.public_url.startswith("http://") and "127.0.0.1" not in self.settings.public_url:
            raise _Wrong(
                f"{self.settings.public_url} is not https: cookies and payment links would travel in the clear"
            )
        return self.settings.public_url


async def examine(settings: Settings, out: Console) -> int:
    """Print what was found. Returns 1 when something is wrong, else 0."""
    visit = _Visit(settings)
    checks: tuple[tuple[str, Callable[[], Awaitable[str]]], ...] = (
        ("key ring", visit.key_ring),
        ("database", visit.database),
        ("secrets", visit.secrets),
        ("disk", visit.disk),
        ("public address", visit.address),
    )
    wrong = 0
    for name, check in checks:
        try:
            out.print(f"[green]✓[/] {name}: {escape(await check())}")
        except (_Wrong, KeyRingUnusable, WrongKeyFile) as error:
            wrong += 1
            out.print(f"[red]✗[/] {name}: {escape(str(error))}")
    return 1 if wrong else 0
