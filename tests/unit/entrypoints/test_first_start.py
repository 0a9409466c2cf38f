"""A start looks before it makes anything: a key file that is gone is not replaced, and several may start at once."""

import asyncio
import contextlib
import io
import logging
import os
import re
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate, pending
from adapters.vault import KeyRing
from application.ports.store import Store
from entrypoints.cli import main
from entrypoints.doctor import examine
from entrypoints.first_start import start
from entrypoints.settings import Settings, WrongSettings
from entrypoints.wiring import CANARY, WrongKeyFile, database_shown, sealed_canary


def settings(folder: Path, **more: str) -> Settings:
    """Settings with a data folder of their own."""
    return Settings.read({"PATCHBAY_DATA_DIR": str(folder / "data"), **more})


async def used(folder: Path) -> Path:
    """An installation that was started once; returns its key file."""
    started = await start(settings(folder))
    await started.hub.close()
    return settings(folder).key_file


async def examined(chosen: Settings) -> tuple[int, str]:
    """What the doctor says."""
    out = Console(file=io.StringIO(), record=True, width=400)
    code = await examine(chosen, out)
    return code, out.export_text()


async def test_a_key_file_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """A new one would open nothing, and hide that the old one is needed."""
    path = await used(tmp_path)
    kept = path.read_text()
    path.unlink()
    before = sorted(path.parent.iterdir())
    with pytest.raises(WrongKeyFile, match=r"(?s)There is no key ring at .*Put the right key file back"):
        await start(settings(tmp_path))
    assert not path.exists()
    assert [one for one in sorted(path.parent.iterdir()) if one.suffix not in (".db-wal", ".db-shm")] == before
    code, said = await examined(settings(tmp_path))
    assert code == 1
    assert re.search("✗ key ring: There is no key ring at", said)
    assert re.search("✗ secrets: There is no key ring at", said)
    path.write_text(kept)
    path.chmod(0o600)
    await used(tmp_path)


async def test_a_wrong_key_ring_is_noticed_before_anything_is_migrated(tmp_path: Path) -> None:
    """The text says that the database was left as it is. Here the migration would stop with another text."""
    path = await used(tmp_path)
    path.unlink()
    KeyRing.create_file(path)
    with contextlib.closing(sqlite3.connect(path.parent / "patchbay.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(WrongKeyFile, match="left as it is"):
        await start(settings(tmp_path))


async def test_looking_for_the_canary_makes_nothing(tmp_path: Path) -> None:
    """Not for a new installation, nor for a database that is there and empty."""
    assert await sealed_canary(settings(tmp_path)) is None
    assert (await examined(settings(tmp_path)))[0] == 0
    assert not (tmp_path / "data").exists()
    database = Database.at(settings(tmp_path).database_url)
    assert await pending(database)
    assert await sealed_canary(settings(tmp_path)) is None
    await migrate(database)
    await database.close()
    assert await sealed_canary(settings(tmp_path)) is None
    assert (await examined(settings(tmp_path)))[0] == 0
    assert await sealed_canary(settings(tmp_path)) is None, "the doctor changes nothing"


async def test_several_first_starts_make_one_of_everything(tmp_path: Path) -> None:
    """One key file, one canary, one owner; and every one of them starts."""
    started = await asyncio.gather(*(start(settings(tmp_path)) for _ in range(4)))
    assert sum(one.founded is not None for one in started) == 1
    assert sum(one.new_key_file is not None for one in started) == 1
    store = started[0].hub.resolve(Store)  # type: ignore[type-abstract]
    assert len(await store.organisations()) == 1
    assert await store.marked(CANARY) is not None
    for one in started:
        await one.hub.close()


def patchbay(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command; returns its exit code and what it said."""
    nothing: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PATCHBAY_")}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        done = CliRunner().invoke(main, arguments, env={**nothing, "NO_COLOR": "1", "COLUMNS": "400", **environment})
    finally:
        root.handlers = handlers
        root.setLevel(level)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done.exit_code, done.output


def mistaken(folder: Path, what: str) -> dict[str, str]:
    """Settings that cannot work, each for a reason of its own."""
    (folder / "file").write_bytes(b"nonsense" * 1000)
    (folder / "folder").mkdir()
    keys = {"PATCHBAY_DATA_DIR": str(folder / "data")}
    return {
        "no server": {**keys, "PATCHBAY_DATABASE_URL": "postgresql://ada:geheim@127.0.0.1:1/hub?password=geheim"},
        "no such host": {**keys, "PATCHBAY_DATABASE_URL": "postgresql://ada:geheim@hub.invalid/hub"},
        "a folder": {**keys, "PATCHBAY_DATABASE_URL": f"sqlite:///{folder / 'folder'}"},
        "garbage": {**keys, "PATCHBAY_DATABASE_URL": f"sqlite:///{folder / 'file'}"},
        "no data folder": {"PATCHBAY_DATA_DIR": str(folder / "file" / "data")},
    }[what]


@pytest.mark.parametrize("what", ["no server", "no such host", "a folder", "garbage", "no data folder"])
def test_an_operators_mistake_is_one_clear_line(tmp_path: Path, what: str) -> None:
    """It names what was tried, never a password; nothing is made, and the doctor finds it too."""
    environment = mistaken(tmp_path, what)
    for command in (("keys", "list"), ("migrate",), ("scheduler", "jobs"), ("serve",)):
        code, said = patchbay(*command, **environment)
        assert code == 1, said
        assert len(said.strip().splitlines()) == 1, said
        assert "It cannot go on: " in said
        assert "geheim" not in said
    code, said = patchbay("doctor", **environment)
    assert (code, "✗" in said, "geheim" in said) == (1, True, False), said
    assert not (tmp_path / "data" / "keys.json").exists()


@pytest.mark.parametrize("command", [("sandbox", "--port"), ("sandbox", "--mail-port"), ("demo", "--port")])
@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_cannot_be_is_refused(command: tuple[str, ...], port: str) -> None:
    """Before anything begins."""
    code, said = patchbay(*command, port)
    assert (code, "Invalid value" in said) == (2, True)


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("postgresql://hub", True),
        ("postgresql://ada:p:1@hub/x", True),
        ("postgresql://ada:p@55/w@hub:5432/x?sslmode=require", True),
        ("postgres://ada:p@[::1]:5432/x", True),
        ("postgresql:///x?host=/run/postgresql", True),
        ("postgresql://ada:p@hub:abc/x", False),
        ("postgresql://ada:p@hub:0/x", False),
        ("postgresql://ada:p@hub:65536/x", False),
        ("postgresql://ada:p@hub:/x", False),
    ],
)
def test_a_databases_port_is_looked_at(address: str, usable: bool) -> None:
    """When the settings are read; a password may hold anything, and is never shown."""
    if usable:
        read = Settings.read({"PATCHBAY_DATABASE_URL": address})
        assert "p@" not in database_shown(read)
        return
    with pytest.raises(WrongSettings, match="PATCHBAY_DATABASE_URL: its port"):
        Settings.read({"PATCHBAY_DATABASE_URL": address})
