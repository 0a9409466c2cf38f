"""Connections: what can be connected, what is, and whether it works."""

from typing import Any

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.connections.connect import Connect
from application.connections.manage import ChangeConnection, Disconnect, TestConnection
from application.inbox.sweep import reading_of
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Store
from domain.connections.connection import ConnectionState
from domain.connections.provider import Capability, Provider
from domain.refusals import Refusal
from entrypoints.api.views.connecting import matrix
from entrypoints.console.pages import REFUSED, Form, Notice, Page


class ConnectionPages(Controller):
    """/console/connections"""

    path = "/connections"

    @get("/")
    async def show_all(self, page: Page) -> Response[str]:
        """What is connected, and the catalogue."""
        providers = page.hub.providers.all()
        async with page.reading() as work:
            connections = [c for c in await work.connections.all() if c.state is not ConnectionState.DISCONNECTED]
        return page(
            "connections.html",
            connections=connections,
            providers=providers,
            names={provider.slug: provider.name for provider in providers},
        )

    @get("/new/{slug:str}")
    async def ask(self, page: Page, slug: str) -> Response[str]:
        """The connect form of one provider, made from its manifest."""
        return _form(page, page.hub.providers.manifest(slug), {})

    @post("/new/{slug:str}")
    async def connect(self, page: Page, form: Form, caller: Caller, slug: str, connect: Connect) -> Response[str]:
        """The credentials are tried before they are kept, sealed."""
        manifest = page.hub.providers.manifest(slug)
        given: dict[str, str | None] = {field.name: form.text(field.name) or None for field in manifest.fields}
        try:
            made = await connect(caller, slug, given, name=form.text("name") or None, once=form.once())
        except AlreadyThere:
            return page.go("/console/connections", done="connected")
        except REFUSED as refused:
            secrets = {field.name for field in manifest.fields if field.secret}
            typed = {name: value for name, value in form.typed.items() if name not in secrets}
            return _form(page, manifest, typed, refused=refused)
        return page.go(f"/console/connections/{made.id}", done="connected")

    @get("/{connection_id:str}")
    async def show(self, page: Page, connection_id: str) -> Response[str]:
        """One connection."""
        return await _show(page, connection_id)

    @post("/{connection_id:str}/test")
    async def test(
        self, page: Page, caller: Caller, connection_id: str, test_connection: TestConnection
    ) -> Response[str]:
        """Ask the provider whether it still accepts the credentials."""
        try:
            result = await test_connection(caller, connection_id)
        except REFUSED as refused:
            return await _show(page, connection_id, refused=refused)
        if result.ok:
            notice = Notice("good", f"It works{f': {result.detail}' if result.detail else ''}.")
        else:
            notice = Notice("bad", f"It does not work: {result.detail}")
        return await _show(page, connection_id, notice=notice)

    @post("/{connection_id:str}/change")
    async def change(
        self, page: Page, form: Form, caller: Caller, connection_id: str, change_connection: ChangeConnection
    ) -> Response[str]:
        """A new name, new settings, new secrets; a secret that is left empty stays."""
        async with page.reading() as work:
            connection = await work.connections.get(connection_id)
        manifest = page.hub.providers.manifest(connection.provider)
        given: dict[str, str | None] = {}
        for field in manifest.fields:
            value = form.text(field.name)
            # Only what is new: it is tried at the provider, and a mere renaming must not fail because that is away.
            if value if field.secret else value != connection.settings.get(field.name, ""):
                given[field.name] = value or None
        try:
            await change_connection(caller, connection_id, name=form.text("name"), fields=given or None)
        except REFUSED as refused:
            return await _show(page, connection_id, refused=refused, typed=form.typed)
        return page.go(f"/console/connections/{connection_id}", done="changed")

    @post("/{connection_id:str}/switch")
    async def switch(
        self, page: Page, form: Form, caller: Caller, connection_id: str, change_connection: ChangeConnection
    ) -> Response[str]:
        """On or off."""
        active = form.text("active") == "yes"
        try:
            await change_connection(caller, connection_id, active=active)
        except REFUSED as refused:
            return await _show(page, connection_id, refused=refused)
        return page.go(f"/console/connections/{connection_id}", done="resumed" if active else "paused")

    @post("/{connection_id:str}/disconnect")
    async def disconnect(self, page: Page, caller: Caller, connection_id: str, disconnect: Disconnect) -> Response[str]:
        """Forget its credentials."""
        try:
            await disconnect(caller, connection_id)
        except REFUSED as refused:
            return await _show(page, connection_id, refused=refused)
        return page.go("/console/connections", done="disconnected")


def _form(
    page: Page, manifest: Provider, typed: dict[str, str], *, refused: Refusal | Held | None = None
) -> Response[str]:
    return page(
        "connect.html",
        refused=refused,
        provider=manifest,
        typed=typed,
        once=page.ids.token(),
        abilities=matrix(manifest),
        currencies=_currencies(page, manifest),
    )


async def _show(
    page: Page,
    connection_id: str,
    *,
    refused: Refusal | Held | None = None,
    notice: Notice | None = None,
    typed: dict[str, str] | None = None,
) -> Response[str]:
    async with page.reading() as work:
        connection = await work.connections.get(connection_id)
        notifications = await work.notifications.all(connection_id=connection_id)
    reading = await reading_of(page.hub.resolve(Store), connection_id)  # type: ignore[type-abstract]
    manifest = page.hub.providers.manifest(connection.provider)
    kept: dict[str, Any] = {**connection.settings, "name": connection.name}
    shown = {name: value for name, value in (typed or {}).items() if name not in connection.sealed}
    return page(
        "connection.html",
        refused=refused,
        notice=notice,
        connection=connection,
        provider=manifest,
        notifications=notifications,
        typed={**kept, **shown},
        webhook_url=f"{page.public_url}/api/integrations/{manifest.slug}/webhook/{connection.id}",
        changing=typed is not None,
        reading=reading,
        abilities=matrix(manifest),
        currencies=_currencies(page, manifest),
    )


def _currencies(page: Page, manifest: Provider) -> list[str]:
    """In which ones it takes money; none for a provider that takes no payments."""
    takes = Capability.PAYMENTS in manifest.offers
    return sorted(page.hub.providers.payments(manifest.slug).currencies) if takes else []
