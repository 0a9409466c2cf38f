"""Who is told of an event: one delivery for each endpoint and notification that wants it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import attrs

from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.endpoints import Endpoint, EndpointMode
from domain.notifications.options import Options
from domain.notifications.payload import Payload

_TYPES_REMEMBERED = 1_000
_UNFILTERED = Options()


@attrs.frozen
class _Subscriber:
    """What of a destination decides whether it is told."""

    id: str
    kind: DestinationKind
    state: DeliveryState = DeliveryState.PENDING
    options: Options = _UNFILTERED


class Subscribers:
    """Those of one organisation at one moment. Of each type of event it remembers who wants it."""

    def __init__(self, endpoints: Sequence[Endpoint], notifications: Sequence[Notification]) -> None:
        self._endpoints = endpoints
        self._notifications = notifications
        self._by_type: dict[str, tuple[_Subscriber, ...]] = {}

    def count(self, type_: str) -> int:
        """How many want events of this type, before their filters."""
        return len(self._of(type_))

    def deliveries(
        self,
        payload: Payload,
        new_id: Callable[[], str],
        now: datetime,
        *,
        deliver_at: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> list[Delivery]:
        """A delivery for each that wants the event and whose filter accepts it, due now or at `deliver_at`.

        expires_at: when the event is no longer of use to anybody; an endpoint may find that it is sooner.
        """
        due = now if deliver_at is None else max(now, deliver_at)
        made = []
        for subscriber in self._of(payload.type):
            options = subscriber.options
            if options.filter is not None and options.accepts is not None and not options.accepts.accepts(payload.view):
                continue
            until = expires_at
            if options.expires_after_s is not None:
                own = due + timedelta(seconds=options.expires_after_s)
                until = own if until is None else min(own, until)
            made.append(
                Delivery(
                    new_id(),
                    payload.organisation_id,
                    payload.id,
                    payload.type,
                    subscriber.kind,
                    subscriber.id,
                    payload.id,
                    now,
                    due,
                    subscriber.state,
                    expires_at=until,
                )
            )
        return made

    def _of(self, type_: str) -> tuple[_Subscriber, ...]:
        found = self._by_type.get(type_)
        if found is None:
            if len(self._by_type) >= _TYPES_REMEMBERED:
                self._by_type.clear()
            found = self._by_type[type_] = tuple(self._wanting(type_))
        return found

    def _wanting(self, type_: str) -> list[_Subscriber]:
        wanting = []
        for endpoint in self._endpoints:
            if endpoint.wants(type_):
                polled = endpoint.mode is EndpointMode.POLL
                state = DeliveryState.WAITING if polled else DeliveryState.PENDING
                wanting.append(_Subscriber(endpoint.id, DestinationKind.ENDPOINT, state, endpoint.options))
        wanting += [_Subscriber(n.id, DestinationKind.NOTIFICATION) for n in self._notifications if n.wants(type_)]
        return wanting
