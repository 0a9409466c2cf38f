"""Reading what a page needs of long lists: no further than a page can show."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

import attrs

from application.ports.store import MAX_PAGE, Collection, Slice, Work
from domain.ids import make_id
from domain.money import Money
from domain.notifications.deliveries import Delivery, DestinationKind

T = TypeVar("T")

MOST = 1000
"""How many rows a page looks through at most; it says when there are more."""


@attrs.frozen
class Gathered:
    """Some rows, whether there are more, and for rows with an amount the sums by currency."""

    count: int
    more: bool
    sums: tuple[Money, ...] = ()

    @classmethod
    def of(cls, amounts: Iterable[Money], *, more: bool) -> "Gathered":
        """Add amounts up, each currency by itself."""
        listed = list(amounts)
        return cls(len(listed), more, add_up(listed))


def add_up(amounts: Iterable[Money]) -> tuple[Money, ...]:
    """The sum in each currency, by its code."""
    sums: dict[str, Money] = {}
    for amount in amounts:
        code = amount.currency.code
        sums[code] = sums[code] + amount if code in sums else amount
    return tuple(sums[code] for code in sorted(sums))


async def gather(
    collection: Collection[T], *, kind: str = "", since: datetime | None = None, **equal: object
) -> tuple[list[T], bool]:
    """Rows that match, at most MOST of them, and whether there are more.

    With `since` and the rows' `kind`, the ids of which tell the time, only those made since then, oldest first; else
    the newest first.
    """
    after = None if since is None else make_id(kind, int(since.timestamp() * 1000), bytes(10))
    rows: list[T] = []
    while len(rows) < MOST:
        page = await collection.page(Slice(MAX_PAGE, after, newest_first=since is None), **equal)
        rows.extend(page.items)
        after = page.next
        if after is None:
            return rows, False
    return rows, True


@attrs.frozen
class Destination:
    """Where deliveries go, as people know it. `href` is its page in the console."""

    name: str
    kind: str
    href: str | None


GONE = Destination("removed", "", None)


async def destinations(work: Work) -> Mapping[str, Destination]:
    """Every destination there is, by its id."""
    known: dict[str, Destination] = {}
    for endpoint in await work.endpoints.all():
        name = endpoint.name or endpoint.url
        known[endpoint.id] = Destination(name, "webhook", f"/console/webhooks/{endpoint.id}")
    for notification in await work.notifications.all():
        page = f"/console/notifications/{notification.id}"
        known[notification.id] = Destination(notification.name, notification.platform, page)
    for connection in await work.connections.all():
        page = f"/console/connections/{connection.id}"
        known[connection.id] = Destination(connection.name, "mail", page)
    return known


def destination_of(known: Mapping[str, Destination], delivery: Delivery) -> Destination:
    """Where one delivery goes; a mail to a client says to whom."""
    found = known.get(delivery.destination_id, GONE)
    if delivery.kind is DestinationKind.MAIL and delivery.mail is not None:
        return attrs.evolve(found, name=", ".join(delivery.mail["to"]), kind="mail")
    return found
