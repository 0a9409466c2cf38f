"""Notifications: which events are told to which channel, how they will look there, and trying them out."""

from typing import Any

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.notifications.configurations import PreviewNotification, RemoveNotification, SaveNotification
from application.notifications.try_out import TryOut
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Slice
from domain.catalogue import CATALOGUE
from domain.connections.provider import Capability, Provider
from domain.refusals import Refusal
from entrypoints.api.paging import listing
from entrypoints.console.gathering import Destination
from entrypoints.console.pages import REFUSED, Form, Page

_POSTING = {Capability.MESSAGES, Capability.MAIL}


class NotificationPages(Controller):
    """/console/notifications"""

    path = "/notifications"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first."""
        async with page.reading() as work:
            found = await work.notifications.page(slice)
        names = {provider.slug: provider.name for provider in page.hub.providers.all()}
        return page("notifications.html", notifications=listing(found, lambda one: one), names=names)

    @get("/new")
    async def ask(self, page: Page) -> Response[str]:
        """The form for a new one."""
        return await _form(page, {"events": "invoice.* payment.*", "platform": page.choice("platform") or ""})

    @post("/")
    async def create(
        self, page: Page, form: Form, caller: Caller, save_notification: SaveNotification
    ) -> Response[str]:
        """A place where people read the news."""
        to = form.lines("to")
        target: dict[str, Any] | None = {"to": list(to)} if to else None
        try:
            made = await save_notification(
                caller,
                name=form.text("name"),
                platform=form.text("platform"),
                events=form.lines("events"),
                connection_id=form.text("connection") or None,
                webhook_url=form.text("webhook_url") or None,
                target=target,
                once=form.once(),
            )
        except AlreadyThere:
            return page.go("/console/notifications", done="notification-created")
        except REFUSED as refused:
            typed = {name: value for name, value in form.typed.items() if name != "webhook_url"}
            return await _form(page, typed, refused=refused)
        return page.go(f"/console/notifications/{made.id}", done="notification-created")

    @get("/preview")
    async def preview(self, page: Page, caller: Caller, preview_notification: PreviewNotification) -> Response[str]:
        """How an event looks on a channel, and how near it comes to the channel's limits."""
        platforms = _platforms(page)
        platform = page.choice("platform") or platforms[0].slug
        type_ = page.choice("type") or "invoice.paid"
        shown = refused = None
        try:
            shown = await preview_notification(caller, platform=platform, type=type_)
        except REFUSED as problem:
            refused = problem
        return page(
            "notification_preview.html",
            refused=refused,
            preview=shown,
            platform=platform,
            platforms=platforms,
            type=type_,
            types=tuple(CATALOGUE),
        )

    @get("/{notification_id:str}")
    async def show(self, page: Page, notification_id: str) -> Response[str]:
        """One of them, and what was sent there last."""
        return await _show(page, notification_id)

    @post("/{notification_id:str}/test")
    async def test(
        self, page: Page, form: Form, caller: Caller, notification_id: str, try_out: TryOut
    ) -> Response[str]:
        """One attempt now; its delivery shows what came back."""
        try:
            tried = await try_out.notification(caller, notification_id, form.text("type") or None)
        except REFUSED as refused:
            return await _show(page, notification_id, refused=refused)
        return page.go(f"/console/deliveries/{tried.delivery.id}", done="tested")

    @post("/{notification_id:str}/switch")
    async def switch(
        self, page: Page, form: Form, caller: Caller, notification_id: str, save_notification: SaveNotification
    ) -> Response[str]:
        """On or off."""
        active = form.text("active") == "yes"
        async with page.reading() as work:
            kept = await work.notifications.get(notification_id)
        try:
            await save_notification(
                caller,
                id=kept.id,
                name=kept.name,
                platform=kept.platform,
                events=kept.events,
                connection_id=kept.connection_id,
                target=kept.target,
                is_active=active,
            )
        except REFUSED as refused:
            return await _show(page, notification_id, refused=refused)
        return page.go(f"/console/notifications/{notification_id}", done="resumed" if active else "paused")

    @post("/{notification_id:str}/remove")
    async def remove(
        self, page: Page, caller: Caller, notification_id: str, remove_notification: RemoveNotification
    ) -> Response[str]:
        """Forget it."""
        await remove_notification(caller, notification_id)
        return page.go("/console/notifications", done="notification-removed")


def _platforms(page: Page) -> list[Provider]:
    return [provider for provider in page.hub.providers.all() if provider.offers & _POSTING]


async def _form(page: Page, typed: dict[str, str], *, refused: Refusal | Held | None = None) -> Response[str]:
    platforms = _platforms(page)
    slugs = {platform.slug for platform in platforms}
    async with page.reading() as work:
        connections = [c for c in await work.connections.all() if c.connected and c.provider in slugs]
    return page(
        "notification_new.html",
        refused=refused,
        typed=typed,
        platforms=platforms,
        connections=connections,
        types=tuple(CATALOGUE),
        once=page.ids.token(),
    )


async def _show(page: Page, notification_id: str, *, refused: Refusal | Held | None = None) -> Response[str]:
    async with page.reading() as work:
        notification = await work.notifications.get(notification_id)
        connection = await work.connections.find(notification.connection_id)
        counts = await work.deliveries.counts(notification_id)
        deliveries = (await work.deliveries.page(Slice(10), destination_id=notification_id)).items
    here = Destination(notification.name, notification.platform, None)
    return page(
        "notification.html",
        refused=refused,
        notification=notification,
        provider=page.hub.providers.manifest(notification.platform),
        connection=connection,
        counts=counts,
        deliveries=[(delivery, here) for delivery in deliveries],
        types=tuple(CATALOGUE),
    )
