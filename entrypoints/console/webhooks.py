"""Webhook endpoints of the host application's: set up, look after, try out."""

from collections.abc import Mapping
from datetime import timedelta

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.notifications.endpoints import ChangeEndpoint, CreateEndpoint, RemoveEndpoint, RotateSecret
from application.notifications.looking import Look, LookAtEndpoints
from application.notifications.previews import SAMPLE_SECRET, Previewed, PreviewEndpoint
from application.notifications.try_out import TryOut
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Slice
from domain.catalogue import CATALOGUE
from domain.notifications.endpoints import EndpointMode
from domain.notifications.envelopes import Envelope
from domain.notifications.named_shapes import NAMED
from domain.notifications.signatures import SignatureStyle
from domain.refusals import Refusal
from entrypoints.api.paging import listing
from entrypoints.console.gathering import Destination
from entrypoints.console.pages import REFUSED, Form, Notice, Page
from entrypoints.console.webhook_form import (
    NEW,
    sample_of,
    settings_of,
    shape_of,
    typed_of,
    typed_with_template,
)

_GRACE = {"0": timedelta(), "1": timedelta(days=1), "7": timedelta(days=7)}
_MOST_SHOWN = 64 * 1024


class WebhookPages(Controller):
    """/console/webhooks"""

    path = "/webhooks"

    @get("/")
    async def show_all(self, page: Page, slice: Slice, look_at_endpoints: LookAtEndpoints) -> Response[str]:
        """Newest first, each with how well it does."""
        found = await look_at_endpoints.page(page.caller.organisation_id, slice)
        async with page.reading() as work:
            counts = {look.endpoint.id: await work.deliveries.counts(look.endpoint.id) for look in found.items}
        endpoints = listing(found, lambda look: (look, _success(counts[look.endpoint.id])))
        return page("webhooks.html", endpoints=endpoints)

    @get("/new")
    async def ask(self, page: Page) -> Response[str]:
        """The form for a new endpoint."""
        return _form(page, NEW)

    @post("/preview")
    async def preview(
        self,
        page: Page,
        form: Form,
        caller: Caller,
        preview_endpoint: PreviewEndpoint,
        look_at_endpoints: LookAtEndpoints,
    ) -> Response[str]:
        """The form again, with what would be sent. Nothing is kept."""
        id_ = form.text("id") or None
        look = None if id_ is None else await look_at_endpoints.one(caller.organisation_id, id_)
        try:
            shape = shape_of(form)
            shown = await preview_endpoint(caller, sample_of(form), id=id_, **shape)
        except REFUSED as refused:
            return _form(page, form.typed, look=look, refused=refused)
        return _form(page, typed_with_template(form.typed), look=look, previewed=shown)

    @post("/")
    async def create(self, page: Page, form: Form, caller: Caller, create_endpoint: CreateEndpoint) -> Response[str]:
        """A new endpoint; its page shows the signing secret, this once."""
        try:
            issued = await create_endpoint(caller, once=form.once(), **settings_of(form, new=True))
        except AlreadyThere:
            return page.go("/console/webhooks")
        except REFUSED as refused:
            return _form(page, form.typed, refused=refused)
        notice = Notice("good", "The endpoint is set up. Copy its signing secret now: it is not shown again.")
        return await _show(page, issued.endpoint.id, notice=notice, secret=issued.secret)

    @get("/{webhook_id:str}")
    async def show(self, page: Page, webhook_id: str) -> Response[str]:
        """One endpoint, how it fares, and what was sent to it last."""
        return await _show(page, webhook_id)

    @get("/{webhook_id:str}/edit")
    async def edit(self, page: Page, webhook_id: str, look_at_endpoints: LookAtEndpoints) -> Response[str]:
        """Its form."""
        look = await look_at_endpoints.one(page.caller.organisation_id, webhook_id)
        return _form(page, typed_of(look), look=look)

    @post("/{webhook_id:str}")
    async def change(
        self,
        page: Page,
        form: Form,
        caller: Caller,
        webhook_id: str,
        change_endpoint: ChangeEndpoint,
        look_at_endpoints: LookAtEndpoints,
    ) -> Response[str]:
        """Save what its form says."""
        try:
            await change_endpoint(caller, webhook_id, **settings_of(form, new=False))
        except REFUSED as refused:
            look = await look_at_endpoints.one(caller.organisation_id, webhook_id)
            return _form(page, form.typed, look=look, refused=refused)
        return page.go(f"/console/webhooks/{webhook_id}", done="changed")

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


def _form(
    page: Page,
    typed: Mapping[str, str],
    *,
    look: Look | None = None,
    refused: Refusal | Held | None = None,
    previewed: Previewed | None = None,
) -> Response[str]:
    return page(
        "webhook_form.html",
        refused=refused,
        typed=typed,
        look=look,
        previewed=previewed,
        body=previewed.preview.body[:_MOST_SHOWN] if previewed else "",
        whole=previewed is not None and len(previewed.preview.body) <= _MOST_SHOWN,
        sample_secret=SAMPLE_SECRET,
        types=tuple(CATALOGUE),
        modes=[one.value for one in EndpointMode],
        envelopes=[one.value for one in Envelope],
        styles=[one.value for one in SignatureStyle],
        templates={name: f"{name}: {named.description}" for name, named in NAMED.items()},
        once=typed.get("once") or page.ids.token(),
    )


async def _show(
    page: Page,
    webhook_id: str,
    *,
    refused: Refusal | Held | None = None,
    notice: Notice | None = None,
    secret: str | None = None,
) -> Response[str]:
    look = await page.hub.resolve(LookAtEndpoints).one(page.caller.organisation_id, webhook_id)
    endpoint = look.endpoint
    async with page.reading() as work:
        counts = await work.deliveries.counts(webhook_id)
        deliveries = (await work.deliveries.page(Slice(10), destination_id=webhook_id)).items
    here = Destination(endpoint.name or endpoint.url or "polled endpoint", "webhook", None)
    return page(
        "webhook.html",
        refused=refused,
        notice=notice,
        look=look,
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
