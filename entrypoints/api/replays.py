"""Replays: many deliveries sent again, or what an endpoint missed, in the background."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody

from application.caller import Caller
from application.notifications.replays import CancelReplay, Plan, StartReplay
from application.ports.clock import Clock
from application.ports.store import Slice, Store
from domain.notifications.deliveries import DeliveryState
from domain.notifications.replays import Replay, ReplayKind
from domain.notifications.selection import Selection, Trouble
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing


class ReplayAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is to be sent.

    kind: `again` (deliveries that were made, failed and expired ones unless `status` says otherwise) or `missed` (events
    for which the endpoint has no delivery). error: what the last attempt met. since, until: when the delivery, or the
    missed event, was made; `until` is now unless it is given. dry_run: only count.
    """

    since: datetime
    until: datetime | None = None
    kind: ReplayKind = ReplayKind.AGAIN
    destination_id: str | None = None
    event_types: Annotated[list[str], msgspec.Meta(max_length=50, examples=[["invoice.*"]])] = []
    status: list[DeliveryState] = []
    error: list[Trouble] = []
    dry_run: bool = False

    @property
    def selection(self) -> Selection:
        """The filter. Raises Invalid."""
        return Selection(
            self.destination_id,
            tuple(self.event_types),
            tuple(dict.fromkeys(self.status)),
            tuple(dict.fromkeys(self.error)),
            self.since,
            self.until,
        )


class WantedView(msgspec.Struct, frozen=True):
    """The filter of a replay, with everything said that was left open."""

    destination_id: str | None
    event_types: list[str]
    status: list[str]
    error: list[str]
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, wanted: Selection) -> "WantedView":
        return cls(
            wanted.destination_id,
            list(wanted.event_types),
            [state.value for state in wanted.states],
            [trouble.value for trouble in wanted.troubles],
            wanted.since,
            wanted.until,
        )


class ReplayCount(msgspec.Struct, frozen=True):
    """What a replay would send; nothing was done."""

    dry_run: bool
    kind: str
    total: int
    destinations: list[str]
    wanted: WantedView

    @classmethod
    def of(cls, plan: Plan) -> "ReplayCount":
        return cls(True, plan.kind.value, plan.total, list(plan.destinations), WantedView.of(plan.wanted))


class ReplayView(msgspec.Struct, frozen=True):
    """A replay. total: deliveries found when it began. done: made so far. left_out: gone or settled before it came to them.
    percent: of total. ends_at: if it goes on as it did."""

    id: str
    kind: str
    status: str
    total: int
    done: int
    left_out: int
    percent: float
    per_second: float | None
    ends_at: datetime | None
    error: str | None
    asked_by: str
    wanted: WantedView
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, replay: Replay, now: datetime) -> "ReplayView":
        rate = replay.per_second(now)
        return cls(
            replay.id,
            replay.kind.value,
            replay.state.value,
            replay.total,
            replay.done,
            replay.left_out,
            round(100 * replay.share, 2),
            None if rate is None else round(rate, 2),
            replay.ends_at(now),
            replay.error,
            replay.asked_by,
            WantedView.of(replay.wanted),
            replay.created_at,
            replay.updated_at,
        )


class Replays(Controller):
    """Many deliveries sent again, or what an endpoint missed, in the background."""

    path = "/api/replays"
    tags = ("Deliveries",)

    @post(
        "/",
        scope=Scope.WEBHOOKS_WRITE,
        status_code=202,
        summary="Replay deliveries, or what was missed",
        responses={
            200: ResponseSpec(ReplayCount, generate_examples=False, description="A dry run: what it would send.")
        },
    )
    async def start_replay(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[ReplayAsked],
        start_replay: NamedDependency[StartReplay],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[ReplayView]:
        """Each becomes a new delivery with the same message id, to destinations that are switched on. At most a million, and
        three replays at a time. With `dry_run` it is only counted."""
        if data.dry_run:
            counted = ReplayCount.of(await start_replay.count(caller, data.kind, data.selection))
            answer: Response[Any] = Response(counted, status_code=200)
            return answer
        once = idempotency.once(lambda replay: ReplayView.of(replay, replay.created_at), status=202)
        replay = await start_replay(caller, data.kind, data.selection, once)
        return Response(ReplayView.of(replay, replay.created_at))

    @get("/", scope=Scope.WEBHOOKS_READ, summary="List replays")
    async def list_replays(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        clock: NamedDependency[Clock],
        slice: NamedDependency[Slice],
    ) -> Listing[ReplayView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.replays.page(slice), lambda replay: ReplayView.of(replay, clock.now()))

    @get("/{replay_id:str}", scope=Scope.WEBHOOKS_READ, summary="One replay, and how far it is")
    async def get_replay(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        clock: NamedDependency[Clock],
        replay_id: FromPath[str],
    ) -> ReplayView:
        """How many it found, how many it has made, and when it is done."""
        async with store.reading(caller.organisation_id) as work:
            return ReplayView.of(await work.replays.get(replay_id), clock.now())

    @post("/{replay_id:str}/cancel", scope=Scope.WEBHOOKS_WRITE, status_code=200, summary="Stop a replay")
    async def cancel_replay(
        self,
        caller: NamedDependency[Caller],
        clock: NamedDependency[Clock],
        replay_id: FromPath[str],
        cancel_replay: NamedDependency[CancelReplay],
    ) -> ReplayView:
        """What it has made so far is delivered."""
        return ReplayView.of(await cancel_replay(caller, replay_id), clock.now())
