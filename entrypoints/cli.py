"""The command line: `patchbay --help`."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console

from application.ports.vault import WrongKey
from domain.refusals import Refusal
from entrypoints.settings import Settings, WrongSettings

T = TypeVar("T")

# Soft wrapping: what is meant to be copied, an address or a key, is never broken over lines.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_PORT, _PORT_OR_ANY = click.IntRange(1, 65535), click.IntRange(0, 65535)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="patchbay", prog_name="patchbay")
def main() -> None:
    """Patchbay: a self-hosted integration hub.

    Settings come from the environment (PATCHBAY_…); `patchbay doctor` checks the installation.
    """
    from adapters.logs import configure_logs

    configure_logs(json=False, level="warning")  # to standard error; the parts that run say how they log themselves


@main.command()
@click.option("--no-worker", is_flag=True, help="Do not deliver here; run `patchbay worker` elsewhere.")
@click.option("--no-scheduler", is_flag=True, help="Do not schedule here; run `patchbay scheduler` elsewhere.")
def serve(no_worker: bool, no_scheduler: bool) -> None:
    """Run the hub: HTTP, and unless told otherwise the worker and the scheduler."""
    _run_hub(http=True, worker=not no_worker, scheduler=not no_scheduler)


@main.command()
def worker() -> None:
    """Deliver events and handle providers' webhooks, without HTTP."""
    _run_hub(http=False, worker=True, scheduler=False)


@main.group(invoke_without_command=True)
@click.pass_context
def scheduler(context: click.Context) -> None:
    """Run the scheduled jobs; several may run, one works at a time."""
    if context.invoked_subcommand is None:
        _run_hub(http=False, worker=False, scheduler=True)


@scheduler.command("jobs")
def scheduler_jobs() -> None:
    """List the jobs and when each ran last."""

    async def show(hub: Any) -> None:
        from application.ports.store import Store
        from entrypoints.scheduler import Scheduler

        store: Store = hub.resolve(Store)
        for name, job in Scheduler(hub).jobs.items():
            mark = await store.marked(f"job:{name}")
            last = json.loads(mark)["at"] if mark else "never"
            out.print(f"[bold]{name}[/] every {job.every}, last run {last}\n  {job.what}")

    _with_hub(show)


@scheduler.command("run")
@click.argument("name")
def scheduler_run(name: str) -> None:
    """Run one job now."""

    async def run(hub: Any) -> None:
        from entrypoints.scheduler import Scheduler

        counts = await Scheduler(hub).run(name)
        out.print(f"{name}: " + ", ".join(f"{value} {key}" for key, value in counts.items()))

    _with_hub(run)


@main.command()
@click.option("--port", type=_PORT, default=4010, show_default=True, help="Where the emulated providers answer.")
@click.option("--mail-port", type=_PORT_OR_ANY, default=4025, show_default=True, help="Where mail is taken by SMTP.")
def sandbox(port: int, mail_port: int) -> None:
    """Run the providers' sandbox alone, for your own tests."""

    async def run() -> None:
        import signal

        from entrypoints.sandbox import Sandbox

        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        box = Sandbox.at(port, mail_port=mail_port)
        ready = asyncio.Event()
        task = asyncio.create_task(box.run(port, stop, ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not task.done():
            out.print(f"The sandbox answers at [bold]{box.url}[/]. Point the hub at it:")
            for provider in ("stripe", "paypal", "flutterwave"):
                out.print(f"  PATCHBAY_{provider.upper()}_URL={box.url}/{provider} \\", markup=False)
            out.print(f"  PATCHBAY_ALLOW_NETWORKS=127.0.0.1:{port},127.0.0.1:{mail_port}")
            out.print("  Stripe key: sk_test_anything")
            out.print("  PayPal client id and secret: anything of 20 characters or more")
            out.print("  Flutterwave key: FLWSECK_TEST-anything-X")
            out.print(f"  Slack webhook URL: {box.slack.webhook_url}")
            out.print(f"  Discord webhook URL: {box.discord.webhook_url}")
            out.print(f"  SMTP: 127.0.0.1 port {mail_port}, security none")
            out.print(f"  A webhook receiver: {box.receivers.url('app')}")
        await task

    _asyncio(run())


@main.command()
@click.option("--once", is_flag=True, help="Play the story, check every step, and exit.")
@click.option("--port", type=_PORT, default=8000, show_default=True, help="The hub's port.")
@click.option("--sandbox-port", type=_PORT, default=4010, show_default=True, help="The sandbox's port.")
def demo(once: bool, port: int, sandbox_port: int) -> None:
    """Play the main job from beginning to end, with no accounts: an invoice is paid and everyone is told."""
    from entrypoints.demo import play

    sys.exit(_asyncio(play(once=once, port=port, sandbox_port=sandbox_port)))


@main.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when migrations are missing.")
def migrate(check: bool) -> None:
    """Bring the database to the present shape. `serve` does this by itself."""

    async def run() -> int:
        from adapters.persistence.database import Database
        from adapters.persistence.migrate import migrate as apply
        from adapters.persistence.migrate import pending

        database = Database.at(_settings().database_url)
        try:
            if check:
                missing = await pending(database)
                out.print("Migrations are missing." if missing else "The database is up to date.")
                return 1 if missing else 0
            before, after = await apply(database)
            out.print(
                f"The database is at revision {after}" + (" already." if before == after else f" (was {before}).")
            )
            return 0
        finally:
            await database.close()

    sys.exit(_asyncio(run()))


@main.group()
def keys() -> None:
    """API keys, the key ring, and passwords."""


@keys.command("create")
@click.option("--name", required=True, help="Which application uses it.")
@click.option("--scope", "scopes", multiple=True, help="Such as billing:write; may be repeated. All scopes by default.")
@click.option("--organisation", help="The organisation's id or name; needed when there are several.")
@click.option("--days", type=click.IntRange(1, 3650), help="After how many days it expires.")
def keys_create(name: str, scopes: tuple[str, ...], organisation: str | None, days: int | None) -> None:
    """Issue an API key and print it, once."""

    async def run(hub: Any) -> None:
        from application.caller import Caller
        from application.organisations.keys import IssueKey
        from application.ports.clock import Clock
        from domain.organisations import ALL_SCOPES, Scope

        known = {scope.value: scope for scope in Scope}
        wrong = [scope for scope in scopes if scope not in known]
        if wrong:
            _fail(f"There is no scope '{wrong[0]}'; there are: {', '.join(known)}.")
        clock: Clock = hub.resolve(Clock)
        chosen = frozenset(known[scope] for scope in scopes) or ALL_SCOPES
        expires_at = clock.now() + timedelta(days=days) if days else None
        owner = await _organisation(hub, organisation)
        issued = await hub.resolve(IssueKey)(Caller(owner, "cli"), name=name, scopes=chosen, expires_at=expires_at)
        print(issued.text)
        err.print("Keep it safe: it is not shown again.")

    _with_hub(run)


@keys.command("list")
@click.option("--organisation", help="The organisation's id or name; needed when there are several.")
def keys_list(organisation: str | None) -> None:
    """List API keys."""

    async def run(hub: Any) -> None:
        from application.ports.store import Store

        store: Store = hub.resolve(Store)
        async with store.reading(await _organisation(hub, organisation)) as work:
            for key in await work.keys.all():
                state = (
                    "revoked" if key.revoked_at else f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "valid"
                )
                used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
                out.print(f"{key.id}  …{key.hint}  [bold]{key.name}[/]  {state}, last used {used}")

    _with_hub(run)


@keys.command("revoke")
@click.argument("id")
@click.option("--organisation", help="The organisation's id or name; needed when there are several.")
def keys_revoke(id: str, organisation: str | None) -> None:
    """Make an API key useless at once."""

    async def run(hub: Any) -> None:
        from application.caller import Caller
        from application.organisations.keys import RevokeKey

        await hub.resolve(RevokeKey)(Caller(await _organisation(hub, organisation), "cli"), id)
        out.print("Revoked.")

    _with_hub(run)


@keys.command("password")
@click.argument("email")
def keys_password(email: str) -> None:
    """Give a person a new password for the console and print it, once."""

    async def run(hub: Any) -> None:
        from application.organisations.people import ChangePassword

        print(await hub.resolve(ChangePassword)(email))

    _with_hub(run)


@keys.command("rotate")
def keys_rotate() -> None:
    """Add a new master key to the key file, for what is sealed from the next start on.

    Nothing is sealed anew: what was sealed before still opens as long as the old key stays in the file.
    """
    from adapters.vault import KeyRing, KeyRingUnusable

    settings = _settings()
    if settings.key_ring is not None:
        _fail("The key ring comes from PATCHBAY_KEY_RING; change it there.")
    try:
        ring = KeyRing.from_file(settings.key_file).rotated()
        ring.replace_file(settings.key_file)
    except KeyRingUnusable as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"The key file {settings.key_file} cannot be written: {error.strerror}.")
    out.print(f"The current key is now {ring.current}, in {settings.key_file}. Back the file up, and restart the hub.")
    out.print("What was sealed before still opens as long as the old key stays in the file.")


@main.command()
def openapi() -> None:
    """Print the API's OpenAPI 3.1 document."""
    import tempfile

    async def run() -> None:
        from adapters.vault import KeyRing
        from entrypoints.api.app import create_app
        from entrypoints.wiring import Hub

        with tempfile.TemporaryDirectory() as folder:
            hub = Hub.open(Settings.read({"PATCHBAY_DATA_DIR": folder}), KeyRing.new())
            try:
                document = create_app(hub).openapi_schema.to_schema()
            finally:
                await hub.close()
        print(json.dumps(document, indent=2, ensure_ascii=False))

    _asyncio(run())


@main.command()
def doctor() -> None:
    """Check the installation: settings, key file, database, disk; exit with 1 when something is wrong."""
    from entrypoints.doctor import examine

    sys.exit(_asyncio(examine(_settings(), out)))


def _run_hub(*, http: bool, worker: bool, scheduler: bool) -> None:
    settings = _settings()
    _logs(settings)

    async def run() -> None:
        from entrypoints.first_start import start
        from entrypoints.serving import Parts
        from entrypoints.serving import run as serve_hub

        started = await start(settings)
        if started.new_key_file is not None:
            err.print(
                f"[bold]A key ring was made: {started.new_key_file.resolve()}[/] (only you can read it). Without it nothing"
                " that is sealed can be opened again: back it up, apart from the database."
            )
        if started.founded is not None:
            err.print(
                f"[bold]The first owner:[/] {started.founded.owner.email}, password [bold]{started.founded.password}[/]"
            )
            err.print(
                f"Sign in at {settings.public_url}/console and make an API key there, or: patchbay keys create --name …"
            )
        try:
            await serve_hub(started.hub, Parts(http, worker, scheduler))
        finally:
            await started.hub.close()

    _asyncio(run())


def _with_hub(do: Callable[[Any], Awaitable[None]]) -> None:
    """Run one command over an opened hub."""
    settings = _settings()

    async def run() -> None:
        from entrypoints.first_start import start

        started = await start(settings)
        if started.founded is not None:
            founded = started.founded
            err.print(f"The first owner was made: {founded.owner.email}, password {founded.password}")
        try:
            await do(started.hub)
        finally:
            await started.hub.close()

    _asyncio(run())


async def _organisation(hub: Any, named: str | None) -> str:
    from application.ports.store import Store

    store: Store = hub.resolve(Store)
    found = [o for o in await store.organisations() if named in (None, o.id, o.name)]
    if len(found) != 1:
        names = ", ".join(f"{o.name} ({o.id})" for o in await store.organisations())
        _fail(f"Say which organisation with --organisation: {names}.")
    return found[0].id


def _settings() -> Settings:
    try:
        return Settings.read()
    except WrongSettings as wrong:
        _fail("The settings cannot be used:\n  " + "\n  ".join(wrong.mistakes))


def _logs(settings: Settings) -> None:
    from adapters.logs import configure_logs

    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    configure_logs(json=as_json, level=settings.log_level)


def _asyncio(work: Awaitable[T]) -> T:
    """Run to the end; a mistake of the operator's is one clear line and exit code 1, not a traceback."""
    import uvloop
    from sqlalchemy.exc import SQLAlchemyError

    from adapters.persistence.migrate import DatabaseIsNewer
    from adapters.vault import KeyRingUnusable
    from application.ports.leases import Held
    from entrypoints.scheduler import UnknownJob
    from entrypoints.serving import CannotListen
    from entrypoints.wiring import WrongKeyFile, database_shown, reason

    async def run() -> T:
        return await work

    known = (Refusal, WrongKey, WrongKeyFile, KeyRingUnusable, DatabaseIsNewer, CannotListen, Held, UnknownJob)
    try:
        return uvloop.run(run())
    except known as error:
        _fail(str(error))
    except (OSError, SQLAlchemyError) as error:
        settings = _settings()
        _fail(
            f"It cannot go on: {reason(error)}. The database is {database_shown(settings)}, the data folder"
            f" {settings.data_dir}. `patchbay doctor` looks the installation over."
        )
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(text: str) -> NoReturn:
    err.print(text, style="red", markup=False)
    sys.exit(1)
