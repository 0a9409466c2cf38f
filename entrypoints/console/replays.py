"""Replays: many deliveries sent again, or what an endpoint missed. First how many, then a confirmation, then progress."""

from collections.abc import Callable

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.notifications.replays import CancelReplay, Plan, StartReplay
from application.ports.leases import Held
from application.ports.store import AlreadyThere, Slice
from domain.catalogue import CATALOGUE
from domain.notifications.replays import ENDED, ReplayKind
from domain.refusals import Refusal
from entrypoints.api.paging import listing
from entrypoints.console.deliveries import FILTERS, TROUBLE_WORDS, selection_of
from entrypoints.console.gathering import GONE, destinations
from entrypoints.console.pages import REFUSED, Form, Page

_REFRESH = {"Refresh": "3"}
"""A page that shows something under way is loaded again after so many seconds; no script is needed for that."""


class ReplayPages(Controller):
    """/console/replays"""

    path = "/replays"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, with how far each is."""
        async with page.reading() as work:
            known = await destinations(work)
            found = await work.replays.page(slice)
        shown = listing(found, lambda replay: (replay, known.get(replay.wanted.destination_id or "", GONE)))
        under_way = any(replay.running for replay in found.items)
        return page("replays.html", replays=shown, headers=_REFRESH if under_way else {})

    @get("/new")
    async def ask(self, page: Page, caller: Caller, start_replay: StartReplay) -> Response[str]:
        """What is to be sent; once a time is given, how many that are."""
        if page.choice("since") is None:
            return await _ask(page)
        try:
            plan = await start_replay.count(caller, kind_of(page.choice), selection_of(page.choice))
        except REFUSED as refused:
            return await _ask(page, refused=refused)
        return await _ask(page, plan=plan)

    @post("/")
    async def start(self, page: Page, caller: Caller, form: Form, start_replay: StartReplay) -> Response[str]:
        """Confirmed."""

        def choice(name: str) -> str | None:
            return form.text(name) or None

        try:
            replay = await start_replay(caller, kind_of(choice), selection_of(choice), form.once())
        except AlreadyThere:
            return page.go("/console/replays")  # the same form a second time
        except REFUSED as refused:
            return await _ask(page, filters={n: v for n in ("kind", *FILTERS) if (v := choice(n))}, refused=refused)
        return page.go(f"/console/replays/{replay.id}", done="replay-started")

    @get("/{replay_id:str}")
    async def show(self, page: Page, replay_id: str) -> Response[str]:
        """One replay, and how far it is."""
        return await _show(page, replay_id)

    @post("/{replay_id:str}/cancel")
    async def cancel(self, page: Page, caller: Caller, replay_id: str, cancel_replay: CancelReplay) -> Response[str]:
        """What it has made so far is delivered."""
        try:
            await cancel_replay(caller, replay_id)
        except REFUSED as refused:
            return await _show(page, replay_id, refused=refused)
        return page.go(f"/console/replays/{replay_id}", done="replay-cancelled")


def kind_of(choice: Callable[[str], str | None]) -> ReplayKind:
    """What is sent; again unless it says otherwise."""
    return ReplayKind.MISSED if choice("kind") == ReplayKind.MISSED.value else ReplayKind.AGAIN


async def _ask(
    page: Page,
    *,
    plan: Plan | None = None,
    refused: Refusal | Held | None = None,
    filters: dict[str, str] | None = None,
) -> Response[str]:
    async with page.reading() as work:
        known = await destinations(work)
    return page(
        "replay_new.html",
        refused=refused,
        plan=plan,
        once=page.ids.token(),
        filters=page.filters("kind", *FILTERS) if filters is None else filters,
        destinations={id_: one for id_, one in known.items() if one.kind != "mail"},
        states=[state.value for state in ENDED],
        troubles=TROUBLE_WORDS,
        types=tuple(CATALOGUE),
    )


async def _show(page: Page, replay_id: str, *, refused: Refusal | Held | None = None) -> Response[str]:
    async with page.reading() as work:
        replay = await work.replays.get(replay_id)
        known = await destinations(work)
    now = page.reader.now
    return page(
        "replay.html",
        refused=refused,
        replay=replay,
        destination=known.get(replay.wanted.destination_id or "", GONE),
        per_second=replay.per_second(now),
        ends_at=replay.ends_at(now),
        troubles=TROUBLE_WORDS,
        headers=_REFRESH if replay.running and refused is None else {},
    )
