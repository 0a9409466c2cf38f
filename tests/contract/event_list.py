"""What every event list must do. A provider's own test subclasses this and gives a `rig` fixture."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from application.ports.payments import EventList, PaymentProvider, ReconnectNeeded

HOUR = timedelta(hours=1)


class ListRig(Protocol):
    """A provider with events."""

    events: EventList
    payments: PaymentProvider
    access: Mapping[str, str]

    @abstractmethod
    def happen(self, count: int) -> tuple[datetime, list[str]]:
        """Let payments change a minute apart; when the first did (whole seconds), and the ids of the events, in order."""

    @abstractmethod
    def revoke(self) -> None:
        """The key is no longer good."""


class EventListContract:
    """Oldest first, to the last page, from one moment to another."""

    async def test_everything_is_listed_oldest_first(self, rig: ListRig) -> None:
        """However many pages it takes; and each body reads as its webhook would."""
        first, ids = rig.happen(330)
        found = [one async for one in rig.events.events_between(rig.access, first, first + 24 * HOUR)]
        assert [one.event.external_id for one in found] == ids
        for one in found[::100]:
            assert rig.payments.parse_webhook(one.body) == one.event
            assert one.event.object

    async def test_the_first_moment_is_in_it_and_the_last_is_not(self, rig: ListRig) -> None:
        """Two readings that meet have everything, and nothing twice."""
        first, ids = rig.happen(6)
        cut = first + timedelta(minutes=3)
        halves = [
            [one.event.external_id async for one in rig.events.events_between(rig.access, since, until)]
            for since, until in ((first, cut), (cut, first + HOUR), (cut, cut))
        ]
        assert halves == [ids[:3], ids[3:], []]

    async def test_a_key_that_is_not_good_is_named(self, rig: ListRig) -> None:
        """A person must connect again."""
        first, _ = rig.happen(1)
        rig.revoke()
        with pytest.raises(ReconnectNeeded):
            _ = [one async for one in rig.events.events_between(rig.access, first, first + HOUR)]

    def test_how_far_back_it_reaches_is_known(self, rig: ListRig) -> None:
        """What is older is gone, and nobody is to believe that it was looked at."""
        assert timedelta(days=1) <= rig.events.events_kept <= timedelta(days=400)
