"""Replays and what they choose: the rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.replays import Allowance, Replay, ReplayKind, ReplayState
from domain.notifications.selection import Selection, Trouble
from domain.refusals import Conflict, Invalid

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_replay(total: int = 10, *destinations: str) -> Replay:
    """A replay that was just started."""
    return Replay.of(
        ReplayKind.AGAIN,
        Selection(since=NOW - SECOND, until=NOW),
        destinations or ("wh_1", "wh_2"),
        id="rpl_1",
        organisation_id="org_1",
        asked_by="user:grace",
        total=total,
        now=NOW,
    )


def a_delivery(**changes: Any) -> Delivery:
    """One that failed."""
    made = Delivery("dlv_1", "org_1", "evt_1", "invoice.paid", DestinationKind.ENDPOINT, "wh_1", "evt_1", NOW, NOW)
    return attrs.evolve(made, **{"state": DeliveryState.FAILED, "attempts": 3, **changes})


class TestReplay:
    """Where a replay stands."""

    def test_it_is_done_when_every_destination_is_through(self) -> None:
        """One that is through does not end it for the others."""
        replay = a_replay().advanced("wh_1", 4, "dlv_4", NOW + SECOND)
        assert (replay.ahead, replay.done, replay.share) == ({"wh_1": "dlv_4", "wh_2": ""}, 4, 0.4)
        replay = replay.advanced("wh_1", 2, None, NOW + 2 * SECOND)
        assert (replay.ahead, replay.running) == ({"wh_2": ""}, True)
        replay = replay.advanced("wh_2", 1, None, NOW + 3 * SECOND)
        assert (replay.state, replay.done, replay.left_out, replay.share) == (ReplayState.DONE, 7, 3, 1.0)
        assert replay.updated_at == NOW + 3 * SECOND

    def test_nothing_found_is_done_at_once(self) -> None:
        """No worker has to look at it."""
        replay = a_replay(0)
        assert (replay.state, replay.ahead, replay.share) == (ReplayState.DONE, {}, 1.0)

    def test_rate_and_end(self) -> None:
        """Unknown before the first, then as it went so far; what has ended has no end ahead."""
        replay = a_replay(100)
        assert (replay.per_second(NOW + SECOND), replay.ends_at(NOW + SECOND), replay.share) == (None, None, 0)
        replay = replay.advanced("wh_1", 20, "dlv_20", NOW + SECOND)
        assert replay.per_second(NOW + 4 * SECOND) == 5
        assert replay.ends_at(NOW + 4 * SECOND) == NOW + 20 * SECOND
        stopped = replay.cancel(NOW + 5 * SECOND)
        assert stopped.per_second(NOW + 60 * SECOND) == 4
        assert stopped.ends_at(NOW + 60 * SECOND) is None

    def test_only_what_is_under_way_can_be_stopped(self) -> None:
        """A second click says what it is."""
        stopped = a_replay().cancel(NOW)
        assert stopped.state is ReplayState.CANCELLED
        with pytest.raises(Conflict, match="cancelled"):
            stopped.cancel(NOW)
        with pytest.raises(Conflict, match="failed"):
            a_replay().failed("x", NOW).cancel(NOW)


class TestAllowance:
    """How much of a replay may wait in a lane."""

    def test_a_receiver_that_keeps_up_gets_more(self) -> None:
        """Up to a thousand."""
        allowance, now = Allowance(), NOW
        sizes = []
        for _ in range(6):
            allowance = allowance.added(allowance.room(0), now)
            now += SECOND
            allowance = allowance.seen(0, now)
            sizes.append(allowance.size)
        assert sizes == [200, 400, 800, 1000, 1000, 1000]

    @pytest.mark.parametrize(("left", "after", "size"), [(90, 2, 20), (50, 2, 50), (0, 4, 100), (99, 0.5, 100)])
    def test_a_slow_one_gets_what_it_takes_in_two_seconds(self, left: int, after: float, size: int) -> None:
        """So that live events wait no longer behind a replay; at least twenty, or it would never end."""
        allowance = Allowance().added(100, NOW)
        assert allowance.seen(left, NOW + after * SECOND).size == size

    def test_there_is_room_when_half_is_free(self) -> None:
        """Not one by one: each step costs a transaction."""
        allowance = Allowance(100)
        assert [allowance.room(waiting) for waiting in (0, 50, 51, 500)] == [100, 50, 0, 0]

    def test_live_traffic_in_the_lane_takes_the_room(self) -> None:
        """A backlog of the receiver's own goes first."""
        allowance = Allowance(100).added(100, NOW).seen(1000, NOW + SECOND)
        assert (allowance.size, allowance.room(1000)) == (20, 0)


class TestSelection:
    """A filter on deliveries."""

    @pytest.mark.parametrize(
        ("changes", "trouble"),
        [
            ({"last_status": 200, "state": DeliveryState.DELIVERED}, None),
            ({"last_status": 302, "last_error": "x"}, None),
            ({"last_status": 404, "last_error": "x"}, Trouble.REFUSED),
            ({"last_status": 599, "last_error": "not in time"}, Trouble.FAULT),
            ({"last_error": "No complete answer came within 15 s."}, Trouble.TIMEOUT),
            ({"last_error": "The answer stood still for 5 s."}, Trouble.TIMEOUT),
            ({"last_error": "a.example did not take the connection in time."}, Trouble.TIMEOUT),
            ({"last_error": "a.example refused the connection."}, Trouble.UNREACHABLE),
            ({"last_error": "skipped by a person", "state": DeliveryState.CANCELLED}, None),
            ({"last_error": "It expired.", "attempts": 0}, None),
        ],
        ids=str,
    )
    def test_what_went_wrong(self, changes: dict[str, Any], trouble: Trouble | None) -> None:
        """By the last attempt."""
        assert Trouble.of(a_delivery(**changes)) is trouble

    @pytest.mark.parametrize(
        ("wanted", "accepted"),
        [
            ({}, True),
            ({"destination_id": "wh_2"}, False),
            ({"event_id": "evt_2"}, False),
            ({"event_types": ("invoice.*",)}, True),
            ({"event_types": ("client.*",)}, False),
            ({"states": (DeliveryState.DELIVERED,)}, False),
            ({"troubles": (Trouble.FAULT,)}, False),
            ({"since": NOW, "until": NOW + SECOND}, True),
            ({"since": NOW + SECOND}, False),
            ({"until": NOW}, False),
        ],
        ids=str,
    )
    def test_what_is_meant(self, wanted: dict[str, Any], accepted: bool) -> None:
        """Everything that is said must hold; the end of the time is not in it."""
        assert Selection(**wanted).accepts(a_delivery()) is accepted

    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            ({"event_types": ("Invoice",)}, "event_types.0"),
            ({"event_types": ("a.b",) * 51}, "event_types"),
            ({"since": NOW.replace(tzinfo=None)}, "since"),
            ({"since": NOW, "until": NOW.replace(tzinfo=None)}, "until"),
            ({"since": NOW, "until": NOW}, "until"),
        ],
        ids=str,
    )
    def test_what_cannot_be_meant_is_named(self, wanted: dict[str, Any], field: str) -> None:
        """A person reads which field, and why."""
        with pytest.raises(Invalid) as refused:
            Selection(**wanted)
        assert [fault.field for fault in refused.value.faults] == [field]
