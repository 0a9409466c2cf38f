"""Starting: what the first start makes, what every start checks, and what the command line says when something is wrong."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from click.testing import CliRunner

from adapters.vault import KeyRing
from application.ports.store import Store
from entrypoints.cli import main
from entrypoints.first_start import start
from entrypoints.settings import Settings, WrongSettings
from entrypoints.wiring import WrongKeyFile
from tests.integration.conftest import Ports, until

ROOT = Path(__file__).parents[2]


def around(folder: Path, **more: str) -> dict[str, str]:
    """An environment of its own for a process: nothing of this machine's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PATCHBAY_")}
    return {**kept, "PATCHBAY_DATA_DIR": str(folder / "data"), "NO_COLOR": "1", "COLUMNS": "200", **more}


@attrs.frozen
class Done:
    """A command that came to its end."""

    returncode: int
    stdout: str
    stderr: str


def patchbay(folder: Path, *arguments: str, **more: str) -> Done:
    """Run a command in this process, which saves a second each time."""
    nothing: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PATCHBAY_")}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        result = CliRunner().invoke(main, arguments, env={**nothing, **around(folder, **more)})
    finally:
        root.handlers, logging.raiseExceptions = handlers, True
        root.setLevel(level)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return Done(result.exit_code, result.stdout, result.stderr)


def process(folder: Path, *arguments: str, **more: str) -> Done:
    """Run a command as an operator does."""
    command = [sys.executable, "-c", "from entrypoints.cli import main; main()", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, env=around(folder, **more)
    )
    return Done(done.returncode, done.stdout, done.stderr)


def settings(folder: Path, **more: str) -> Settings:
    """Settings with a data folder of their own."""
    return Settings.read({"PATCHBAY_DATA_DIR": str(folder / "data"), **more})


async def test_the_first_start_makes_a_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    """And the first owner, with a password that is said once and kept hashed."""
    started = await start(settings(tmp_path, PATCHBAY_ORGANISATION="Studio", PATCHBAY_OWNER_EMAIL="Ada@Studio.example"))
    await started.hub.close()
    path = tmp_path / "data" / "keys.json"
    assert started.new_key_file == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert started.founded is not None
    assert started.founded.owner.email == "ada@studio.example"
    assert len(started.founded.password) >= 12
    assert started.migrated[0] is None
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert started.founded.password.encode() not in stored


async def test_the_second_start_makes_nothing_and_opens_everything(tmp_path: Path) -> None:
    """The same keys, the same owner, the same database."""
    first = await start(settings(tmp_path))
    await first.hub.close()
    text = (tmp_path / "data" / "keys.json").read_text()
    second = await start(settings(tmp_path))
    assert (second.new_key_file, second.founded) == (None, None)
    assert second.migrated[0] == second.migrated[1] == first.migrated[1]
    assert (tmp_path / "data" / "keys.json").read_text() == text
    assert len(await second.hub.resolve(Store).organisations()) == 1  # type: ignore[type-abstract]
    await second.hub.close()


async def test_two_first_starts_at_once_make_one_of_everything(tmp_path: Path) -> None:
    """Two processes of a new installation: one key file, one owner."""
    both = await asyncio.gather(start(settings(tmp_path)), start(settings(tmp_path)), return_exceptions=True)
    started = [one for one in both if not isinstance(one, BaseException)]
    assert len(started) == 2, both
    organisations = await started[0].hub.resolve(Store).organisations()  # type: ignore[type-abstract]
    assert len(organisations) == 1
    for one in started:
        await one.hub.close()


async def test_another_key_ring_stops_the_start(tmp_path: Path) -> None:
    """Before anything could be sealed with it; the text says what to do, and nothing was changed."""
    first = await start(settings(tmp_path))
    await first.hub.close()
    path = tmp_path / "data" / "keys.json"
    kept = path.read_text()
    path.unlink()
    KeyRing.create_file(path)
    with pytest.raises(WrongKeyFile, match="Put the right key file back"):
        await start(settings(tmp_path))
    path.write_text(kept)
    again = await start(settings(tmp_path))
    await again.hub.close()


def test_a_wrong_key_file_is_one_clear_text_and_exit_code_1(tmp_path: Path) -> None:
    """Missing, another's, malformed, open to others: no traceback, and no key in the text."""
    assert patchbay(tmp_path, "migrate").returncode == 0
    assert patchbay(tmp_path, "keys", "create", "--name", "x").returncode == 0
    path = tmp_path / "data" / "keys.json"
    kept = path.read_text()

    def refused(words: str, *command: str) -> None:
        done = patchbay(tmp_path, *(command or ("keys", "list")))
        assert done.returncode == 1, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert json.loads(kept)["keys"]["k1"] not in done.stdout + done.stderr

    path.unlink()
    KeyRing.create_file(path)
    refused("does not open this database")
    other = process(tmp_path, "serve")
    assert (other.returncode, "does not open this database" in other.stderr) == (1, True)
    assert "Traceback" not in other.stdout + other.stderr
    path.write_text("nonsense")
    refused("malformed")
    path.write_text(kept)
    path.chmod(0o644)
    refused("chmod 600")
    path.chmod(0o600)
    assert patchbay(tmp_path, "keys", "list").returncode == 0


def test_wrong_settings_are_all_listed(tmp_path: Path) -> None:
    """Not one after the other, a start at a time; and a slip of the pen is noticed."""
    wrong = {
        "PATCHBAY_PORT": "eighty",
        "PATCHBAY_PUBLIC_URL": "example.com",
        "PATCHBAY_DATABASE_URL": "mysql://x",
        "PATCHBAY_LOG_LEVEL": "loud",
        "PATCHBAY_ALLOW_NETWORKS": "10.0.0.0/8,nonsense",
        "PATCHBAY_RETENTION_DAYS": "0",
        "PATCHBAY_STRIP_URL": "https://stripe.example",
        "PATCHBAY_KEY_RING_FILE": str(tmp_path / "missing"),
    }
    done = process(tmp_path, "serve", **wrong)
    assert done.returncode == 1
    for variable in wrong:
        assert variable in done.stderr, variable
    assert "did you mean PATCHBAY_STRIPE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists(), "nothing is made by a start with mistakes"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "٨٠"),
        ("PUBLIC_URL", "ftp://x"),
        ("PUBLIC_URL", "http://"),
        ("PUBLIC_URL", "http://[::1"),
        ("PUBLIC_URL", "http://x/?a=b"),
        ("ALLOW_NETWORKS", "localhost"),
        ("ALLOW_NETWORKS", "10.0.0.1:99999"),
        ("ALLOW_NETWORKS", "10.0.0.1/8"),
        ("LOG_FORMAT", "xml"),
        ("RETENTION_DAYS", "1e3"),
    ],
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    """When the settings are read, not when they are first used."""
    with pytest.raises(WrongSettings) as caught:
        Settings.read({f"PATCHBAY_{name}": text})
    assert [name in mistake for mistake in caught.value.mistakes] == [True]


def test_a_setting_may_come_from_a_file(tmp_path: Path) -> None:
    """As container platforms hand out secrets; both at once is a mistake."""
    path = tmp_path / "url"
    path.write_text("postgresql://hub:secret@db/patchbay\n")
    read = Settings.read({"PATCHBAY_DATABASE_URL_FILE": str(path)})
    assert read.database_url == "postgresql://hub:secret@db/patchbay"
    with pytest.raises(WrongSettings, match="both set"):
        Settings.read({"PATCHBAY_DATABASE_URL_FILE": str(path), "PATCHBAY_DATABASE_URL": "sqlite:///x"})


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """By the hub and by the sandbox alike."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for command, more in (
            (("serve",), {"PATCHBAY_PORT": port}),
            (("sandbox", "--port", port, "--mail-port", "0"), {}),
        ):
            done = patchbay(tmp_path, *command, **more)
            assert done.returncode == 1, done.stderr
            assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
            assert "Traceback" not in done.stderr


def test_the_help_lists_every_command(tmp_path: Path) -> None:
    """In a moment, and each command explains itself."""
    shown = process(tmp_path, "--help")
    commands = ("serve", "worker", "scheduler", "sandbox", "demo", "migrate", "keys", "doctor", "openapi")
    assert shown.returncode == 0
    for command in commands:
        assert re.search(rf"^  {command} +\w", shown.stdout, re.MULTILINE), command
    own = patchbay(tmp_path, "keys", "--help")
    for command in ("create", "list", "revoke", "password", "rotate"):
        assert re.search(rf"^  {command} +\w", own.stdout, re.MULTILINE), command
    assert not (tmp_path / "data").exists()
    assert patchbay(tmp_path, "nonsense").returncode == 2


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    """The key alone on standard output, so that a script can take it."""
    made = patchbay(tmp_path, "keys", "create", "--name", "back office", "--scope", "events:write", "--days", "30")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch(r"pb_[0-9A-Z]{26}_[\w-]{40,}", key)
    assert "not shown again" in made.stderr
    listed = patchbay(tmp_path, "keys", "list").stdout
    assert "back office" in listed
    assert "expires" in listed
    assert key not in listed
    assert f"…{key[-4:]}" in listed
    (id_,) = re.findall(r"key_[0-9A-Z]{26}", listed)
    assert patchbay(tmp_path, "keys", "revoke", id_).returncode == 0
    assert "revoked" in patchbay(tmp_path, "keys", "list").stdout
    for command, words in (
        (("revoke", "key_nonsense"), "There is no API key"),
        (("create", "--name", "x", "--scope", "nonsense"), "There is no scope 'nonsense'"),
        (("create", "--name", " "), "name"),
        (("list", "--organisation", "nobody"), "--organisation"),
        (("password", "nobody@studio.example"), "There is no user"),
    ):
        done = patchbay(tmp_path, "keys", *command)
        assert (done.returncode, words in done.stderr) == (1, True), (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_lost_password_is_replaced_and_the_key_ring_turned(tmp_path: Path) -> None:
    """From the command line, by whoever runs the hub; what was sealed before still opens."""
    assert patchbay(tmp_path, "keys", "create", "--name", "x").returncode == 0
    given = patchbay(tmp_path, "keys", "password", "owner@localhost")
    assert (given.returncode, len(given.stdout.strip()) >= 12) == (0, True)
    turned = patchbay(tmp_path, "keys", "rotate")
    assert (turned.returncode, "k2" in turned.stdout) == (0, True)
    assert json.loads((tmp_path / "data" / "keys.json").read_text())["current"] == "k2"
    assert patchbay(tmp_path, "keys", "list").returncode == 0


def test_migrations_are_checked_and_applied(tmp_path: Path) -> None:
    """`--check` changes nothing and says it by its exit code, for a deployment to ask."""
    missing = patchbay(tmp_path, "migrate", "--check")
    assert (missing.returncode, "missing" in missing.stdout) == (1, True)
    applied = patchbay(tmp_path, "migrate")
    assert (applied.returncode, "revision" in applied.stdout) == (0, True)
    assert patchbay(tmp_path, "migrate", "--check").returncode == 0
    assert "already" in patchbay(tmp_path, "migrate").stdout
    with sqlite3.connect(tmp_path / "data" / "patchbay.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for command in (("migrate",), ("serve",), ("keys", "list")):
        newer = patchbay(tmp_path, *command)
        assert newer.returncode == 1
        assert "newer" in newer.stderr.lower()
        assert "Traceback" not in newer.stderr


def test_the_doctor_says_what_is_well_and_what_is_not(tmp_path: Path) -> None:
    """On a new folder, on a used one, and on one that is broken."""
    new = patchbay(tmp_path, "doctor")
    assert new.returncode == 0, new.stdout
    assert "will be made" in new.stdout
    assert patchbay(tmp_path, "keys", "create", "--name", "x").returncode == 0
    used = patchbay(tmp_path, "doctor")
    assert (used.returncode, used.stdout.count("✓")) == (0, 5), used.stdout
    open_ = patchbay(tmp_path, "doctor", PATCHBAY_PUBLIC_URL="http://hub.example")
    assert (open_.returncode, "not https" in open_.stdout) == (1, True)
    path = tmp_path / "data" / "keys.json"
    path.unlink()
    KeyRing.create_file(path)
    broken = patchbay(tmp_path, "doctor")
    assert (broken.returncode, "does not open this database" in broken.stdout) == (1, True)
    path.chmod(0o644)
    loose = patchbay(tmp_path, "doctor")
    assert (loose.returncode, "chmod 600" in loose.stdout) == (1, True)
    (tmp_path / "data" / "patchbay.db").write_bytes(b"nonsense" * 1000)
    spoiled = patchbay(tmp_path, "doctor")
    assert (spoiled.returncode, "cannot be opened" in spoiled.stdout) == (1, True)
    for done in (new, used, open_, broken, loose, spoiled):
        assert "Traceback" not in done.stdout + done.stderr


def test_jobs_run_by_hand(tmp_path: Path) -> None:
    """`scheduler jobs` lists them, `scheduler run` runs one."""
    listed = patchbay(tmp_path, "scheduler", "jobs")
    assert (listed.returncode, "retention" in listed.stdout, "never" in listed.stdout) == (0, True, True)
    ran = patchbay(tmp_path, "scheduler", "run", "retention")
    assert (ran.returncode, "0 deliveries" in ran.stdout) == (0, True)
    unknown = patchbay(tmp_path, "scheduler", "run", "nonsense")
    assert (unknown.returncode, "retention" in unknown.stderr) == (1, True)


async def test_serve_answers_says_its_secrets_once_and_stops_when_told(tmp_path: Path) -> None:
    """The whole program: up, the key file's place and the owner's password said, down with 0 at SIGTERM."""
    ports = Ports.free()
    process = await serving(tmp_path, ports)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.hub}") as client:
            await until(lambda: answers(client), "the hub")
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/docs")).status_code == 200
            assert (await client.get("/console", follow_redirects=True)).status_code == 200
            assert (await client.get("/api/events")).status_code == 401
    finally:
        process.send_signal(signal.SIGTERM)
    _, said = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 0, said
    text = said.decode()
    assert str(tmp_path / "data" / "keys.json") in text
    assert "owner@localhost" in text
    assert "Traceback" not in text
    logged = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {"ready", "stopping", "stopped"} <= {line["event"] for line in logged}
    second = await serving(tmp_path, ports)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports.hub}") as client:
            await until(lambda: answers(client), "the hub")
    finally:
        second.send_signal(signal.SIGINT)
    _, said = await asyncio.to_thread(second.communicate, timeout=30)
    assert (second.returncode, b"password" in said, b"keys.json" in said) == (0, False, False), said


async def serving(folder: Path, ports: Ports) -> subprocess.Popen[bytes]:
    """`patchbay serve`, started."""
    return await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "-c", "from entrypoints.cli import main; main()", "serve"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        env=around(folder, PATCHBAY_PORT=str(ports.hub), PATCHBAY_LOG_FORMAT="json"),
    )  # fmt: skip


async def answers(client: httpx.AsyncClient) -> bool:
    """Whether the hub is up."""
    try:
        return (await client.get("/livez")).status_code == 200
    except httpx.TransportError:
        await asyncio.sleep(0.1)
        return False


async def test_the_sandbox_alone_says_how_to_use_it(tmp_path: Path) -> None:
    """For the host application's own tests: URLs to copy, and an answer at each."""
    ports = Ports.free()
    process: Any = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "-c", "from entrypoints.cli import main; main()", "sandbox",
         "--port", str(ports.box), "--mail-port", str(ports.mail)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=around(tmp_path, PYTHONUNBUFFERED="1"),
    )  # fmt: skip
    try:
        async with httpx.AsyncClient() as client:

            async def up() -> bool:
                try:
                    return (await client.get(f"http://127.0.0.1:{ports.box}/")).status_code == 200
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    return False

            await until(up, "the sandbox")
            await asyncio.sleep(0.2)
    finally:
        process.send_signal(signal.SIGTERM)
    said, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 0, errors
    text = said.decode()
    for words in ("PATCHBAY_STRIPE_URL=", "PATCHBAY_ALLOW_NETWORKS=", "sk_test_", "/slack/services/", "/receiver/app"):
        assert words in text, words
