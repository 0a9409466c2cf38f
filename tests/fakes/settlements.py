"""The books of FakePayments: what it lists as moved."""

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import attrs

from application.ports.payments import Intent, ProviderRefund
from application.ports.payouts import ProviderPayout
from application.ports.settlements import Movement, Settled, Settlements
from domain.money import Money

_T = TypeVar("_T")

SETTLED_AFTER = timedelta(hours=3)


class FakeSettlements(Settlements):
    """A part of FakePayments: lists what its events say has moved.

    Tests use: `unlisted` (references that it leaves out), `misread` (amounts that it lists instead, by reference),
    `unreadable` (what it says for amounts that cannot be kept, likewise), `also` (lines that belong to nothing else),
    `bare` (it lists no metadata).
    """

    intents: dict[str, Intent]
    refunds: dict[str, ProviderRefund]
    payouts: dict[str, ProviderPayout]
    events: list[bytes]

    def __init__(self) -> None:
        self.unlisted: set[str] = set()
        self.misread: dict[str, Money] = {}
        self.unreadable: dict[str, str] = {}
        self.also: list[Settled] = []
        self.bare = False

    @property
    def settled_after(self) -> timedelta:
        """3 hours."""
        return SETTLED_AFTER

    async def settled_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[Settled]:
        """In the order in which it moved."""
        for one in self._do("settled_between", access, self._lines):
            if since <= one.at < until and one.reference not in self.unlisted:
                odd = self.unreadable.get(one.reference, one.unreadable)
                yield attrs.evolve(one, amount=self.misread.get(one.reference, one.amount), unreadable=odd)

    def _lines(self) -> list[Settled]:
        lines: dict[tuple[Movement, str], Settled] = {}
        for body in self.events:
            told = json.loads(body)
            line = self._line(told["type"], told["about"], datetime.fromtimestamp(told["at"], UTC))
            if line is not None:
                lines.setdefault((line.movement, line.reference), line)
        return [*lines.values(), *self.also]

    def _line(self, kind: str, reference: str, at: datetime) -> Settled | None:
        if kind == "intent.succeeded":
            intent = self.intents[reference]
            metadata = {} if self.bare else intent.metadata
            return Settled(Movement.PAYMENT, reference, intent.received, intent.fee, at, True, metadata=metadata)
        if kind == "refund.created":
            refund = self.refunds[reference]
            done = refund.state.value in ("succeeded", "pending")
            return Settled(Movement.REFUND, reference, refund.amount, None, at, done, refund.intent_reference)
        if kind.startswith("payout."):
            payout = self.payouts[reference]
            done = payout.standing.value == "paid"
            return Settled(Movement.PAYOUT, reference, payout.amount, payout.fee, at, done)
        if kind == "dispute.changed":
            intent = self.intents[reference.removeprefix("dispute_of_")]
            if intent.disputed:
                return Settled(Movement.DISPUTE, reference, intent.disputed, None, at, True, intent.reference)
        return None

    @abstractmethod
    def _do(self, name: str, access: Mapping[str, str], work: Callable[[], _T], key: str = "", *asked: object) -> _T:
        """Do it, once for a key."""
