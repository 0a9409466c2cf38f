"""Polled endpoints: a receiver behind a firewall fetches what waits for it, and says what it has handled."""

from datetime import timedelta
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from application.caller import Caller
from application.notifications.polling import MOST_FETCHED, AcknowledgePolled, PollEndpoint, SeekPolled
from domain.organisations import Scope
from entrypoints.api.endpoint_bodies import PollAcknowledged, PollSought
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.views.telling import PolledView

_AFTER = "Leave out what stands before this delivery, and the delivery itself: for a second page that is not acknowledged yet."


class PolledItems(msgspec.Struct, frozen=True):
    """What waits, oldest first. more: something else waits already."""

    items: list[PolledView]
    more: bool


class Acknowledged(msgspec.Struct, frozen=True):
    """How many of them were still waiting; a repetition acknowledges none."""

    acknowledged: int


class Sought(msgspec.Struct, frozen=True):
    """How many deliveries wait again."""

    waiting_again: int


class Polling(Controller):
    """What waits at a polled endpoint."""

    path = "/api/webhooks/{webhook_id:str}/poll"
    tags = ("Webhooks",)

    @get("/", scope=Scope.WEBHOOKS_READ, summary="Fetch what waits at a polled endpoint")
    async def poll(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        poll_endpoint: NamedDependency[PollEndpoint],
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=MOST_FETCHED)] = 20,
        after: Annotated[str | None, QueryParameter(name="after", required=False, description=_AFTER)] = None,
        wait_s: Annotated[int, QueryParameter(name="wait_s", ge=0, le=30)] = 0,
    ) -> PolledItems:
        """The oldest deliveries that were not acknowledged, with headers and body as they would have been sent.

        With nothing there, `wait_s` is for how many seconds the answer may wait for something.
        """
        polled = await poll_endpoint(caller, webhook_id, limit=limit, after=after, wait=timedelta(seconds=wait_s))
        return PolledItems([PolledView.of(one) for one in polled.items], polled.more)

    @post("/ack", scope=Scope.WEBHOOKS_WRITE, status_code=200, summary="Acknowledge what was fetched")
    async def acknowledge(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        data: JSONBody[PollAcknowledged],
        acknowledge_polled: NamedDependency[AcknowledgePolled],
    ) -> Acknowledged:
        """They are delivered then, and are not given again. `up_to` means what was fetched, up to this delivery."""
        return Acknowledged(await acknowledge_polled(caller, webhook_id, up_to=data.up_to, ids=data.delivery_ids))

    @post("/seek", scope=Scope.WEBHOOKS_WRITE, status_code=200, summary="Go back to an earlier delivery or moment")
    async def seek(
        self,
        caller: NamedDependency[Caller],
        webhook_id: FromPath[str],
        data: JSONBody[PollSought],
        seek_polled: NamedDependency[SeekPolled],
        idempotency: NamedDependency[Idempotency],
    ) -> Sought:
        """What was acknowledged after it waits again, as new deliveries with the same message ids; 10,000 at most."""
        once = idempotency.once(Sought, status=200)
        return Sought(await seek_polled(caller, webhook_id, data.place, once=once))
