"""What a person decides: every decision is written down, and none undoes what has happened."""

from datetime import timedelta

import pytest

from application.ports.inbox import Wanted
from domain.inbox import InboxState, Received
from domain.refusals import Conflict, Invalid, NotFound
from tests.unit.application.bench import Bench


async def noted(bench: Bench) -> list[tuple[str, str, str]]:
    """Who did what, to which webhook."""
    async with bench.look() as work:
        entries = [one for one in await work.audit.all() if one.action.startswith("inbox.")]
    return [(one.actor, one.action, one.subject) for one in entries]


async def one(bench: Bench, state: InboxState = InboxState.FAILED, **changes: object) -> Received:
    """A webhook in some state."""
    received: Received = bench.make.received(bench.org, state=state, tries=3, error="no", **changes)
    await bench.add("inbox", received)
    return received


async def test_a_webhook_is_skipped_with_a_reason(bench: Bench) -> None:
    """The reason and who gave it stand where the error stood."""
    received = await one(bench, InboxState.PENDING)
    skipped = await bench.skip_webhook(bench.caller, received.id, " paid by hand ")
    assert (skipped.state, skipped.error) == (InboxState.SKIPPED, "Skipped by key:test: paid by hand")
    assert skipped.handled_at == bench.clock.now()
    assert await bench.handle() == 0
    with pytest.raises(Conflict, match="skipped"):
        await bench.skip_webhook(bench.caller, received.id, "again")
    assert (await bench.handle_again(bench.caller, received.id)).state is InboxState.PENDING
    assert await noted(bench) == [
        ("key:test", "inbox.skipped", received.id),
        ("key:test", "inbox.repeated", received.id),
    ]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
async def test_a_reason_is_needed(bench: Bench, reason: str) -> None:
    """Whoever looks later wants to know why."""
    received = await one(bench)
    with pytest.raises(Invalid, match="reason"):
        await bench.skip_webhook(bench.caller, received.id, reason)
    with pytest.raises(NotFound):
        await bench.skip_webhook(bench.caller, "inb_none", "x")


async def test_many_are_counted_first_and_then_handled_again(bench: Bench) -> None:
    """Counting changes nothing; what was handled, or waits, is no match."""
    failed = [await one(bench), await one(bench)]
    await one(bench, InboxState.IGNORED, type="other")
    await one(bench, InboxState.HANDLED)
    await one(bench, InboxState.PENDING, due_at=bench.clock.now() + timedelta(hours=1))
    again = bench.handle_many_again
    assert (await again(bench.caller, Wanted(), only_count=True)).matching == 3
    assert await noted(bench) == []
    done = await again(bench.caller, Wanted(states=(InboxState.FAILED,)))
    assert (done.matching, done.taken) == (2, 2)
    async with bench.look() as work:
        assert [(await work.inbox.get(one.id)).state for one in failed] == [InboxState.PENDING] * 2
    assert await noted(bench) == [("key:test", "inbox.repeated", "")]
    assert (await again(bench.caller, Wanted(type="none"))).taken == 0
    with pytest.raises(Invalid, match="status"):
        await again(bench.caller, Wanted(states=(InboxState.HANDLED,)))


async def test_who_takes_a_body_is_written_down(bench: Bench) -> None:
    """It may hold a payer's name and address."""
    received = await one(bench, body=bytes(range(256)))
    assert (await bench.download_webhook(bench.caller, received.id)).body == bytes(range(256))
    assert await noted(bench) == [("key:test", "inbox.downloaded", received.id)]
