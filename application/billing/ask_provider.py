"""Ask a provider about a movement that the hub has and its list lacks: is it there at all?"""

from collections.abc import Mapping
from datetime import datetime

import attrs

from application.billing.compare import NOTHING, Finding
from application.ports.payments import PaymentProvider, ProviderRefused, RefundState
from application.ports.payouts import Payouts, PayoutStanding
from application.ports.settlements import Movement
from domain.billing.payments import Fact, Payment
from domain.billing.payouts import Payout
from domain.billing.reconciliation import DifferenceKind
from domain.money import Money

MOST_ASKED = 500
"""Questions of one reconciliation. What is beyond is reported as missing there without having been asked for."""

_CAME_BACK = (RefundState.FAILED, RefundState.CANCELED)
_ENDED = (PayoutStanding.FAILED, PayoutStanding.CANCELED)


@attrs.define
class AskProvider:
    """One reconciliation's questions. Each returns what does not agree, None when all is well."""

    payments: PaymentProvider
    access: Mapping[str, str] = attrs.field(repr=False)
    asked: int = 0

    async def payment(self, payment: Payment, at: datetime) -> Finding | None:
        """Whether as much was captured there as here. Raises as PaymentProvider's methods do."""
        here = payment.captured

        def finding(kind: DifferenceKind, ours: str, theirs: str) -> Finding:
            return Finding(kind, Movement.PAYMENT, payment.reference, ours, theirs, here, at, payment.id)

        missing = finding(DifferenceKind.MISSING_THERE, str(here), NOTHING)
        if not self._may_ask():
            return missing
        try:
            intent = await self.payments.fetch_intent(self.access, payment.reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return missing
        if intent.received == here:
            return None
        if not intent.received:
            return finding(DifferenceKind.STATE, f"{here} captured", intent.raw_status)
        return finding(DifferenceKind.AMOUNT, str(here), str(intent.received))

    async def refund(self, payment: Payment, fact: Fact) -> Finding | None:
        """Whether the refund is there, and stayed back. Raises as PaymentProvider's methods do."""
        here = Money(fact.amount, payment.currency)

        def finding(kind: DifferenceKind, theirs: str) -> Finding:
            given = (str(here), theirs, here, fact.at, payment.id, payment.reference)
            return Finding(kind, Movement.REFUND, fact.reference, *given)

        missing = finding(DifferenceKind.MISSING_THERE, NOTHING)
        if not self._may_ask():
            return missing
        try:
            refunds = await self.payments.refunds_of(self.access, payment.reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return missing
        there = next((one for one in refunds if one.reference == fact.reference), None)
        if there is None:
            return missing
        if there.state in _CAME_BACK:
            return finding(DifferenceKind.STATE, there.state.value)
        return None if there.amount == here else finding(DifferenceKind.AMOUNT, str(there.amount))

    async def payout(self, payout: Payout, reference: str) -> Finding | None:
        """Whether the payout is there and on its way or paid. Raises as PaymentProvider's methods do."""
        here = payout.amount

        def finding(kind: DifferenceKind, ours: str, theirs: str) -> Finding:
            return Finding(kind, Movement.PAYOUT, reference, ours, theirs, here, payout.created_at)

        missing = finding(DifferenceKind.MISSING_THERE, str(here), NOTHING)
        if not isinstance(self.payments, Payouts) or not self._may_ask():
            return missing
        try:
            there = await self.payments.fetch_payout(self.access, reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise
            return missing
        if there.standing in _ENDED:
            return finding(DifferenceKind.STATE, payout.state.value, there.raw_status)
        return None if there.amount == here else finding(DifferenceKind.AMOUNT, str(here), str(there.amount))

    def _may_ask(self) -> bool:
        self.asked += 1
        return self.asked <= MOST_ASKED
