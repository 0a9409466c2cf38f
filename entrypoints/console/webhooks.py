"""Webhook endpoints of the host application's: set up, look after, try out."""

from collections.abc import Mapping
from datetime import timedelta

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.notifications.endpoints import ChangeEndpoint, CreateEndpoint, RemoveEndpoint, RotateSecret
from application.notifications.try_out import TryOut
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Slice
from domain.catalogue import CATALOGUE
from domain.refusals import Invalid, Refusal
from entrypoints.api.paging import listing
from entrypoints.console.gathering import Destination
from entrypoints.console.pages import REFUSED, Form, Notice, Page

_GRACE = {"0": timedelta(), "1": timedelta(days=1), "7": timedelta(days=7)}


class WebhookPages(Controller):
    """/console/webhooks"""

    path = "/webhooks"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, each with how well it does."""
        async with page.reading() as work:
            found = await work.endpoints.page(slice)
            counts = {endpoint.id: await work.deliveries.counts(endpoint.id) for endpoint in found.items}
        endpoints = listing(found, lambda endpoint: (endpoint, _success(counts[endpoint.id])))
        return page("webhooks.html", endpoints=endpoints)

    @get("/new")
    async def ask(self, page: Page) -> Response[str]:
        """The form for a new endpoint."""
        return _form(page, {"events": "*", "timeout_s": "15"})

    @post("/")
    async def create(self, page: Page, form: Form, caller: Caller, create_endpoint: CreateEndpoint) -> Response[str]:
        """A new endpoint; its page shows the signing secret, this once."""
        try:
            issued = await create_endpoint(
                caller,
                url=form.text("url"),
                events=form.lines("events"),
                name=form.text("name"),
                headers=_headers(form.text("headers")),
                timeout_s=_seconds(form.text("timeout_s")),
                once=form.once(),
            )
        except AlreadyThere:
            return page.go("/console/webhooks")
        except REFUSED as refused:
            return _form(page, form.typed, refused=refused)
        notice = Notice("good", "The endpoint is set up. Copy its signing secret now: it is not shown again.")
        return await _show(page, issued.endpoint.id, notice=notice, secret=issued.secret)

    @get("/{webhook_id:str}")
    async def show(self, page: Page, webhook_id: str) -> Response[str]:
        """One endpoint and what was sent to it last."""
        return await _show(page, webhook_id)

    @post("/{webhook_id:str}/test")
    async def test(self, page: Page, form: Form, caller: Caller, webhook_id: str, try_out: TryOut) -> Response[str]:
        """One attempt now; its delivery shows what came back."""
        try:
            tried = await try_out.endpoint(caller, webhook_id, form.text("type") or None)
        except REFUSED as refused:
            return await _show(page, webhook_id, refused=refused)
        return page.go(f"/console/deliveries/{tried.delivery.id}", done="tested")

    @post("/{webhook_id:str}/rotate")
    async def rotate(
        self, page: Page, form: Form, caller: Caller, webhook_id: str, rotate_secret: RotateSecret
    ) -> Response[str]:
        """A new signing secret, shown this once."""
        grace = _GRACE.get(form.text("grace"), timedelta(days=1))
        try:
            issued = await rotate_secret(caller, webhook_id, grace=grace)
        except REFUSED as refused:
            return await _show(page, webhook_id, refused=refused)
        notice = Notice("good", "This is the new signing secret. Copy it now: it is not shown again.")
        return await _show(page, webhook_id, notice=notice, secret=issued.secret)

    @post("/{webhook_id:str}/pause")
    async def pause(
        self, page: Page, caller: Caller, webhook_id: str, change_endpoint: ChangeEndpoint
    ) -> Response[str]:
        """Stop telling it."""
        return await _switch(page, caller, webhook_id, change_endpoint, active=False)

    @post("/{webhook_id:str}/resume")
    async def resume(
        self, page: Page, caller: Caller, webhook_id: str, change_endpoint: ChangeEndpoint
    ) -> Response[str]:
        """Tell it again, also when the hub had switched it off."""
        return await _switch(page, caller, webhook_id, change_endpoint, active=True)

    @post("/{webhook_id:str}/remove")
    async def remove(
        self, page: Page, caller: Caller, webhook_id: str, remove_endpoint: RemoveEndpoint
    ) -> Response[str]:
        """Forget it; its history stays."""
        await remove_endpoint(caller, webhook_id)
        return page.go("/console/webhooks", done="endpoint-removed")


async def _switch(
    page: Page, caller: Caller, webhook_id: str, change_endpoint: ChangeEndpoint, *, active: bool
) -> Response[str]:
    try:
        await change_endpoint(caller, webhook_id, active=active)
    except REFUSED as refused:
        return await _show(page, webhook_id, refused=refused)
    return page.go(f"/console/webhooks/{webhook_id}", done="resumed" if active else "paused")


def _form(page: Page, typed: dict[str, str], *, refused: Refusal | Held | None = None) -> Response[str]:
    return page("webhook_new.html", refused=refused, typed=typed, types=tuple(CATALOGUE), once=page.ids.token())


async def _show(
    page: Page,
    webhook_id: str,
    *,
    refused: Refusal | Held | None = None,
    notice: Notice | None = None,
    secret: str | None = None,
) -> Response[str]:
    async with page.reading() as work:
        endpoint = await work.endpoints.get(webhook_id)
        counts = await work.deliveries.counts(webhook_id)
        deliveries = (await work.deliveries.page(Slice(10), destination_id=webhook_id)).items
    here = Destination(endpoint.name or endpoint.url, "webhook", None)
    return page(
        "webhook.html",
        refused=refused,
        notice=notice,
        endpoint=endpoint,
        counts=counts,
        success=_success(counts),
        deliveries=[(delivery, here) for delivery in deliveries],
        secret=secret,
        types=tuple(CATALOGUE),
    )


def _success(counts: Mapping[str, int]) -> float | None:
    """The share of finished deliveries that arrived; None while none is finished."""
    finished = counts["delivered"] + counts["failed"]
    return counts["delivered"] / finished if finished else None


def _headers(text: str) -> dict[str, str]:
    """`Name: value`, one a line. Raises Invalid."""
    headers: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon:
            raise Invalid.field("headers", f"'{line[:60]}' is not of the form Name: value.")
        headers[name.strip()] = value.strip()
    return headers


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise Invalid.field("timeout_s", "A whole number of seconds, from 1 to 30.")
    return int(text)
