"""What moved in the PayPal account: the list of transactions (Reporting v1).

PayPal answers for at most 31 days and 10,000 transactions at a time, and lists a transaction up to three hours late.
What a transaction was is told by its code (developer.paypal.com/docs/reports/reference/tcodes).
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from adapters.providers.paypal import mapping, notes
from adapters.providers.paypal.opened import Opened
from application.ports.payments import ProviderRefused
from application.ports.settlements import Movement, Settled, Settlements
from domain.money import Money

_WINDOW = timedelta(days=31)
_PAGE = 500
_TOO_MANY = "RESULTSET_TOO_LARGE"
_SHORTEST = timedelta(minutes=1)
_ALMOST_A_SECOND = timedelta(microseconds=999_999)

_MOVEMENTS = {
    "T0001": Movement.PAYOUT,
    "T0400": Movement.OTHER,
    "T1106": Movement.DISPUTE,
    "T1107": Movement.REFUND,
    "T1108": Movement.FEE,
    "T1110": Movement.DISPUTE,
    "T1111": Movement.DISPUTE,
    "T1201": Movement.DISPUTE,
    "T1202": Movement.DISPUTE,
}
_BY_GROUP = {"T00": Movement.PAYMENT, "T01": Movement.FEE}


class PayPalSettlements(Opened, Settlements):
    """The part of the adapter that reads the books."""

    @property
    def settled_after(self) -> timedelta:
        """Three hours (Reporting v1, transaction search)."""
        return timedelta(hours=3)

    async def settled_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[Settled]:
        """What moved. What is no money of ours (a payment that the account itself made) is OTHER."""
        async for page in self.transactions(access, since, until):
            for row in page.get("transaction_details") or ():
                settled = settled_of(row.get("transaction_info") or {})
                if settled is not None and since <= settled.at < until:
                    yield settled

    async def transactions(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Pages of the list, a window at a time; a window with too many transactions is cut in two. Whole seconds: what
        was made in the second of `since` is listed, and what in that of `until`, if a part of it is meant."""
        waiting = [(since.replace(microsecond=0), (until + _ALMOST_A_SECOND).replace(microsecond=0))]
        while waiting:
            begin, end = waiting.pop(0)
            if begin >= end:
                continue
            if end - begin > _WINDOW:
                waiting.insert(0, (begin + _WINDOW, end))
                end = begin + _WINDOW
            number = total = 1
            while number <= total:
                try:
                    page = await self._page(access, begin, end, number)
                except ProviderRefused as refused:
                    if refused.code != _TOO_MANY or end - begin < _SHORTEST * 2:
                        raise
                    middle = (begin + (end - begin) / 2).replace(microsecond=0)
                    waiting[:0] = [(begin, middle), (middle, end)]
                    break
                yield page
                total = int(page.get("total_pages") or 1)
                number += 1

    async def _page(self, access: Mapping[str, str], begin: datetime, end: datetime, number: int) -> Mapping[str, Any]:
        query: dict[str, str | int] = {
            "start_date": mapping.stamp(begin),
            # PayPal takes the last second in; the next window begins with it.
            "end_date": mapping.stamp(end - timedelta(seconds=1)),
            "fields": "transaction_info",
            "page_size": _PAGE,
            "page": number,
        }
        answer = await self._client.call(access, "GET", "/v1/reporting/transactions", query=query, writes=False)
        return answer.body if isinstance(answer.body, dict) else {}


def settled_of(info: Mapping[str, Any]) -> Settled | None:
    """A transaction; None for one without amount or time."""
    amount, at = (
        mapping.money_of(info.get("transaction_amount")),
        mapping.moment(info.get("transaction_initiation_date")),
    )
    if amount is None or at is None or not info.get("transaction_id"):
        return None
    code = str(info.get("transaction_event_code") or "")
    movement = _MOVEMENTS.get(code, _BY_GROUP.get(code[:3], Movement.OTHER))
    if movement is Movement.PAYMENT and amount.amount < 0:
        movement = Movement.OTHER
    fee = mapping.money_of(info.get("fee_amount"))
    note = notes.read(info.get("custom_field")) if movement is Movement.PAYMENT else notes.Note()
    related = str(info.get("paypal_reference_id") or "") or None
    of_order = note.own_page and related and info.get("paypal_reference_id_type") == "ODR"
    metadata = dict(note.metadata)
    if movement is Movement.PAYOUT and info.get("custom_field"):
        metadata["patchbay_payout"] = str(info["custom_field"])
    return Settled(
        movement=movement,
        reference=str(related if of_order else info["transaction_id"]),
        amount=_above_zero(amount),
        fee=_above_zero(fee) if fee is not None and fee.currency == amount.currency else None,
        at=at,
        done=info.get("transaction_status") in ("S", "V"),
        intent_reference=related if movement in (Movement.REFUND, Movement.DISPUTE) else None,
        metadata=metadata,
    )


def _above_zero(money: Money) -> Money:
    return Money(abs(money.amount), money.currency)
