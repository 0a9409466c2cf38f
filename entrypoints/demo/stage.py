"""The stage: a fresh hub and the sandbox, started in this process on loopback; then the story, then the doors stay open."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import attrs
import httpx
from rich.console import Console

from adapters.clock import RandomIds
from adapters.logs import configure_logs
from application.caller import Caller
from application.organisations.keys import IssueKey
from domain.organisations import ALL_SCOPES
from entrypoints.demo.clock import StoryClock
from entrypoints.demo.player import Failed, Story
from entrypoints.demo.story import CHAPTERS
from entrypoints.first_start import start
from entrypoints.sandbox import Sandbox
from entrypoints.scheduler import Scheduler
from entrypoints.serving import Parts, run
from entrypoints.settings import Settings
from entrypoints.wiring import Hub

FOLDER = Path(".demo")
BEHIND = timedelta(days=32)
"""How long ago the story begins: a month passes in it, and some hours more."""
HOST = "127.0.0.1"


@attrs.frozen
class Stage:
    """What the story is played on. hub, clock: for letting time pass, which no call of the API can."""

    hub: Hub
    clock: StoryClock
    hub_url: str
    box: Sandbox
    api_key: str
    email: str
    password: str

    async def later(self, time: timedelta) -> None:
        """Let time pass, and have the scheduler look what has become due."""
        self.clock.pass_by(time)
        await Scheduler(self.hub).run_due()


async def play(*, once: bool, port: int, sandbox_port: int) -> int:
    """Play the story. Returns 0, or 1 with the failed step named. Without `once` it keeps serving until Ctrl-C."""
    out = Console(highlight=False)
    configure_logs(json=False, level="error")
    out.print()
    out.print("[bold]Patchbay[/] — an invoice is sent, paid once, and everyone who should know is told", style="cyan")
    out.print("[dim]Everything below happens over HTTP, against providers emulated on this machine.[/]\n")
    stop = asyncio.Event()
    async with _stage(port, sandbox_port, stop) as stage:
        began = time.monotonic()
        if not await _tell(stage, out):
            return 1
        out.print(f"\n[bold green]The story holds.[/] {len(CHAPTERS)} steps in {time.monotonic() - began:.1f} s.\n")
        if once:
            return 0
        _programme(stage, out)
        out.print("[dim]The hub keeps serving; Ctrl-C ends it. Its data is in ./.demo and is made anew each time.[/]")
        await stop.wait()
    return 0


async def _tell(stage: Stage, out: Console) -> bool:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        story = Story(stage.hub_url, stage.box.url, stage.api_key, stage.box.mail.port, client, stage.later)
        for number, chapter in enumerate(CHAPTERS, 1):
            began = time.monotonic()
            try:
                with out.status(f"[bold]{chapter.title}[/] …", spinner="dots"):
                    notes = await chapter.play(story)
            except (Failed, httpx.HTTPError, LookupError, TypeError, ValueError) as failed:
                out.print(f"[red]✗ {number:>2}. {chapter.title}[/]")
                out.print(f"\n[bold red]Step {number} failed:[/] {chapter.title}: {_why(failed)}", soft_wrap=True)
                return False
            took = time.monotonic() - began
            out.print(f"[green]✓[/] {number:>2}. {chapter.title} [dim]{took:.1f} s[/]", soft_wrap=True)
            for note in notes:
                out.print(f"       [dim]{note}[/]", soft_wrap=True)
    return True


def _why(failed: Exception) -> str:
    """What went wrong: a check's own words, or the name of what nobody foresaw."""
    return str(failed) if isinstance(failed, Failed) else f"{type(failed).__name__}: {failed}"


@asynccontextmanager
async def _stage(port: int, sandbox_port: int, stop: asyncio.Event) -> AsyncIterator[Stage]:
    port, sandbox_port = _free(port), _free(sandbox_port)
    shutil.rmtree(FOLDER, ignore_errors=True)
    mail_port = _free(4025)
    clock = StoryClock(BEHIND)
    ids = RandomIds(clock.nanoseconds)
    box = Sandbox.at(sandbox_port, mail_port=mail_port, clock=clock, ids=ids)
    settings = Settings.read(
        {
            "PATCHBAY_DATA_DIR": str(FOLDER),
            "PATCHBAY_PORT": str(port),
            "PATCHBAY_STRIPE_URL": f"{box.url}/stripe",
            "PATCHBAY_PAYPAL_URL": f"{box.url}/paypal",
            "PATCHBAY_FLUTTERWAVE_URL": f"{box.url}/flutterwave",
            # The sandbox lives on loopback, which the hub refuses to call unless its operator says so.
            "PATCHBAY_ALLOW_NETWORKS": f"{HOST}:{sandbox_port},{HOST}:{mail_port}",
            "PATCHBAY_ORGANISATION": "Harbour & Finch Studio",
            "PATCHBAY_OWNER_EMAIL": "owner@harbour-finch.example",
        }
    )
    started = await start(settings, clock=clock, ids=ids)
    assert started.founded is not None, "the folder is new"
    owner = Caller(started.founded.organisation.id, "demo")
    key = await started.hub.resolve(IssueKey)(owner, name="demo", scopes=ALL_SCOPES)
    sandbox_stop, sandbox_ready, hub_ready = asyncio.Event(), asyncio.Event(), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(box.run(sandbox_port, sandbox_stop, sandbox_ready))
            await sandbox_ready.wait()
            group.create_task(run(started.hub, Parts(), ready=hub_ready, stop=stop))
            await hub_ready.wait()
            owner_email, password = started.founded.owner.email, started.founded.password
            yield Stage(started.hub, clock, settings.public_url, box, key.text, owner_email, password)
            stop.set()
            sandbox_stop.set()
    finally:
        await started.hub.close()


def _free(preferred: int) -> int:
    """The preferred port, or any free one when something else has it."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise AssertionError("port 0 always binds")


def _programme(stage: Stage, out: Console) -> None:
    """Where to look. No frame and no wrapping: these lines are there to be copied."""
    out.rule("Have a look around", align="left", style="cyan")
    for name, value in (
        ("Console", f"{stage.hub_url}/console"),
        ("  sign in as", stage.email),
        ("  password", stage.password),
        ("API", f"{stage.hub_url}/docs"),
        ("  API key", stage.api_key),
        ("Slack", f"{stage.box.url}/slack"),
        ("Discord", f"{stage.box.url}/discord"),
        ("Mail", f"{stage.box.url}/mail"),
        ("Your webhooks", f"{stage.box.url}/receiver"),
    ):
        out.print(f"{name:<14} [bold]{value}[/]", soft_wrap=True)
    out.rule("Try next", align="left", style="cyan")
    out.print(
        "Open the console, choose Deliveries, and press “Send again”. Or publish an event of your own:\n",
        soft_wrap=True,
    )
    curl = (
        f"curl {stage.hub_url}/api/events -H 'Authorization: Bearer {stage.api_key}' \\\n"
        """  -H 'Content-Type: application/json' -d '{"type":"task.completed","data":{"task":{"title":"Hello"}}}'\n"""
    )
    out.print(curl, soft_wrap=True, markup=False)
