"""Pruning of what a store in memory keeps."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, final

import attrs

from application.ports.pruning import Pruned, Pruning
from tests.fakes.shelves import GONE, Shelves

AT_ONCE = 3


@final
class MemoryPruning(Pruning):
    """A few rows at a time, so that tests see what lies between two calls."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._blanked: str | None = None

    async def blank_payloads(self, before: datetime) -> Pruned:
        async with self._shelves.writing() as tables:
            old = _older(tables["attempts"], self._blanked, lambda one: one.at < before)
            self._shelves.apply({"attempts": {one.id: _blank(one) for one in old}})
            self._blanked = old[-1].id if old else self._blanked
        return _pruned(len(old), old)

    async def forget_events(self, before: datetime, position: str | None) -> Pruned:
        async with self._shelves.writing() as tables:
            needed = {one.event_id for one in tables["deliveries"].values()}
            old = _older(tables["events"], position, lambda one: one.created_at < before)
            gone = [one.id for one in old if one.id not in needed]
            self._shelves.apply({"events": dict.fromkeys(gone, GONE)})
        return _pruned(len(gone), old)

    async def forget_audit(self, before: datetime, position: str | None) -> Pruned:
        async with self._shelves.writing() as tables:
            old = _older(tables["audit"], position, lambda one: one.at < before)
            self._shelves.apply({"audit": {one.id: GONE for one in old}})
        return _pruned(len(old), old)


def _older(table: Mapping[str, Any], position: str | None, old: Callable[[Any], bool]) -> list[Any]:
    after = position or ""
    return [one for id_, one in sorted(table.items()) if id_ > after and old(one)][:AT_ONCE]


def _blank(attempt: Any) -> Any:
    empty = attrs.evolve(attempt.outcome, request_headers={}, request_body="", headers={}, body="")
    return attrs.evolve(attempt, outcome=empty)


def _pruned(count: int, old: list[Any]) -> Pruned:
    return Pruned(count, old[-1].id if len(old) == AT_ONCE else None)
