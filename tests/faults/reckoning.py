"""What is left after a storm: the database beside what the receiver saw and what the publisher was told."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import ceil
from typing import Any

import attrs
from sqlalchemy import text

from adapters.persistence.database import Database
from tests.faults.receiver import Receipt

Row = tuple[Any, ...]


@attrs.frozen
class Books:
    """The rows that matter."""

    events: Sequence[Row]  # id, data
    deliveries: Sequence[Row]  # id, event_id, destination_id, message_id, state, attempts
    attempts: Sequence[Row]  # delivery_id, number
    statistics: Sequence[Row]  # destination_id, outcome, count

    @classmethod
    def at(cls, url: str) -> "Books":
        """Read from a database."""

        async def read() -> "Books":
            database = Database.at(url)
            try:
                async with database.reading() as connection:
                    return cls(
                        *[
                            [tuple(row) for row in (await connection.execute(text(query))).all()]
                            for query in (
                                "SELECT id, data FROM events",
                                "SELECT id, event_id, destination_id, message_id, state, attempts FROM deliveries",
                                "SELECT delivery_id, number FROM attempts",
                                "SELECT destination_id, outcome, sum(count) FROM statistics GROUP BY 1, 2",
                            )
                        ]
                    )
            finally:
                await database.close()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, read()).result()


@attrs.frozen
class Reckoned:
    """The counts. lost: acknowledged, and not every endpoint was told; unseen: recorded as delivered, but never taken."""

    events: int
    deliveries: int
    received: int
    duplicates: int
    refused_and_repeated: int
    lost: int
    unseen: int
    faults: tuple[str, ...]


def reckon(
    books: Books, received: Sequence[Receipt], acknowledged: Mapping[int, str], paths: Mapping[str, str]
) -> Reckoned:
    """Compare. paths: where each endpoint (by id) is at the receiver. `faults` is empty when every promise was kept."""
    faults: list[str] = []
    taken: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for one in received:
        if one.taken:
            taken[one.path, one.number][one.name] += 1
    lost = [(n, path) for n in acknowledged for path in paths.values() if not taken[path, n]]
    if lost:
        faults.append(f"{len(lost)} acknowledged deliveries never came: {lost[:3]}")
    names = {(one.path, one.name) for one in received if one.taken}
    unseen = [row for row in books.deliveries if row[4] == "delivered" and (paths.get(row[2]), row[3]) not in names]
    if unseen:
        faults.append(f"{len(unseen)} recorded as delivered that nobody saw: {unseen[:3]}")
    faults += _events(books, acknowledged)
    faults += _names(received)
    faults += _attempts(books)
    faults += _statistics(books)
    return Reckoned(
        events=len(acknowledged),
        deliveries=len(books.deliveries),
        received=len(received),
        duplicates=sum(sum(counted.values()) - 1 for counted in taken.values() if counted),
        refused_and_repeated=sum(not one.taken for one in received),
        lost=len(lost),
        unseen=len(unseen),
        faults=tuple(faults),
    )


def _events(books: Books, acknowledged: Mapping[int, str]) -> list[str]:
    """One event for each number, under the id that was answered; one delivery for each endpoint."""
    faults = []
    kept: dict[int, list[str]] = defaultdict(list)
    for id_, data in books.events:
        kept[_number(data)].append(id_)
    twice = {number: ids for number, ids in kept.items() if len(ids) > 1}
    if twice:
        faults.append(f"{len(twice)} events were kept twice: {list(twice.items())[:3]}")
    other = {n: id_ for n, id_ in acknowledged.items() if id_ not in kept[n]}
    if other:
        faults.append(f"{len(other)} events are not kept under the id that was answered: {list(other.items())[:3]}")
    double = [key for key, count in Counter((row[1], row[2]) for row in books.deliveries).items() if count > 1]
    if double:
        faults.append(f"{len(double)} events have two deliveries to one endpoint: {double[:3]}")
    undelivered = Counter(row[4] for row in books.deliveries if row[4] != "delivered")
    if undelivered:
        faults.append(f"not delivered: {dict(undelivered)}")
    return faults


def _names(received: Sequence[Receipt]) -> list[str]:
    """What came twice came under the same webhook-id."""
    names: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in received:
        names[one.path, one.number].add(one.name)
    several = {key: found for key, found in names.items() if len(found) > 1}
    return [f"{len(several)} came under several ids: {list(several.items())[:3]}"] if several else []


def _attempts(books: Books) -> list[str]:
    """Numbered from 1 without a gap, and as many as the delivery says."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for id_, number in books.attempts:
        numbers[id_].append(number)
    wrong = [row[0] for row in books.deliveries if sorted(numbers[row[0]]) != list(range(1, row[5] + 1))]
    return [f"{len(wrong)} deliveries whose attempts are not 1 to n: {wrong[:3]}"] if wrong else []


def _statistics(books: Books) -> list[str]:
    """As many attempts and as many delivered as there are rows."""
    destination = {row[0]: row[2] for row in books.deliveries}
    attempts = Counter(destination[id_] for id_, _ in books.attempts)
    ended = Counter((row[2], row[4]) for row in books.deliveries if row[4] not in ("pending", "waiting"))
    tried: Counter[str] = Counter()
    over: Counter[tuple[str, str]] = Counter()
    for where, outcome, count in books.statistics:
        if outcome in ("arrived", "missed"):
            tried[where] += int(count)
        else:
            over[where, outcome] += int(count)
    faults = []
    if tried != attempts:
        faults.append(f"the statistics count {dict(tried)} attempts, not {dict(attempts)}")
    if over != ended:
        faults.append(f"the statistics count {dict(over)} ended, not {dict(ended)}")
    return faults


def recoveries(kills: Sequence[tuple[float, float]], received: Sequence[Receipt], paths: Sequence[str]) -> list[float]:
    """Seconds from each kill until each endpoint was served again: the longest of the endpoints.

    kills: when it was killed, and when its successor was born; what came before that birth was under way at the kill. A kill
    after which nothing came to an endpoint (all was over) counts for the others only.
    """
    arrivals = {path: sorted(one.came for one in received if one.path == path) for path in paths}
    found = []
    for killed, born in kills:
        nexts = [next((came for came in times if came > born), None) for times in arrivals.values()]
        waits = [came - killed for came in nexts if came is not None]
        if waits:
            found.append(max(waits))
    return found


def longest_silence(received: Sequence[Receipt]) -> float:
    """Seconds between two requests, at most."""
    times = sorted(one.came for one in received)
    return max((after - before for before, after in pairwise(times)), default=0.0)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(ceil(part * len(ordered)) - 1, 0)]


def _number(data: Any) -> int:
    found = json.loads(data) if isinstance(data, str) else data
    return int(found["n"])
