"""What is posted to the ledger for each thing that happens: pure, from how the books stand to the posting."""

from collections.abc import Iterable, Mapping

from domain.billing.credit_notes import CreditNote
from domain.billing.ledger import (
    CREDITS,
    DISPUTES,
    FEES,
    OVERPAYMENTS,
    PAYOUTS,
    RECEIVABLE,
    REFUNDS,
    REVENUE,
    SUSPENSE,
    TAX,
    WRITTEN_OFF,
    Entry,
    Posting,
    Side,
    balance_at,
    client_moves,
    source_of,
    standing,
)
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.payouts import Payout
from domain.money import Currency, Money

Standing = Mapping[str, int]
"""What the entries about one invoice or payment add up to by account (domain.billing.ledger.standing)."""


def opened(invoice_id: str, total: Money, tax: Money, now: Standing) -> Posting:
    """The client owes the total; what is not tax is revenue."""
    moves = client_moves(now, total.amount) | {REVENUE: -(total - tax).amount, TAX: -tax.amount}
    return Posting(source_of("opened", invoice_id), _sides(moves, total.currency, invoice_id))


def voided(invoice_id: str, currency: Currency, now: Standing) -> Posting:
    """Revenue, tax, credits, what was written off and what went back of it are taken back; the client owes nothing."""
    back = {account: -now.get(account, 0) for account in (REVENUE, TAX, CREDITS, REFUNDS, WRITTEN_OFF)}
    rest = {account: amount for account, amount in now.items() if account != WRITTEN_OFF}
    moves = client_moves(rest, -sum(back.values()))
    moves[WRITTEN_OFF] = back.pop(WRITTEN_OFF)
    return Posting(source_of("voided", invoice_id), _sides(moves | back, currency, invoice_id))


def written_off(invoice_id: str, currency: Currency, now: Standing) -> Posting:
    """What is still owed is given up."""
    owed = max(now.get(RECEIVABLE, 0), 0)
    return Posting(
        source_of("written-off", invoice_id), _sides({RECEIVABLE: -owed, WRITTEN_OFF: owed}, currency, invoice_id)
    )


def credited(note: CreditNote, now: Standing) -> Posting:
    """The client owes so much less. What went back to them already is what it was for; what they have paid beyond is theirs."""
    went_back = min(max(now.get(REFUNDS, 0), 0), note.amount.amount)
    moves = client_moves(now, went_back - note.amount.amount)
    moves |= {REFUNDS: -went_back, CREDITS: (note.amount - note.tax).amount, TAX: note.tax.amount}
    return Posting(source_of("credited", note.id), _sides(moves, note.amount.currency, note.invoice_id))


def source_of_fact(payment: Payment, kind: FactKind, reference: str) -> str:
    """What a fact is posted for."""
    return source_of(kind.value, payment.id, reference)


def learned(payment: Payment, fact: Fact, invoice: Standing | None, own: Standing) -> Posting | None:
    """A fact of a payment. `invoice`: how the invoice it pays stands, None without one in its currency. `own`: how the
    payment stands. None for a fact that moves nothing, and for a refund that failed, which is `refund_failed`.
    """
    amount = fact.amount
    held = {balance_at(payment.provider): amount}
    mine: dict[str, int]
    theirs: dict[str, int] = {}
    if fact.kind is FactKind.CAPTURED:
        if not payment.counts:
            mine = held | {SUSPENSE: -amount}
        elif invoice is not None:
            mine, theirs = held, client_moves(invoice, -amount)
        else:
            mine = held | {REVENUE: -amount}
    elif fact.kind is FactKind.REFUNDED:
        mine, theirs = _went_back(payment, amount, invoice, own)
    elif fact.kind is FactKind.FEE:
        mine = {FEES: amount, balance_at(payment.provider): -amount}
    elif fact.kind is FactKind.DISPUTED:
        mine = {DISPUTES: amount, balance_at(payment.provider): -amount}
    elif fact.kind is FactKind.DISPUTE_WON:
        mine = held | {DISPUTES: -amount}
    else:
        return None
    return Posting(source_of_fact(payment, fact.kind, fact.reference), _both(payment, mine, theirs))


def _went_back(
    payment: Payment, amount: int, invoice: Standing | None, own: Standing
) -> tuple[dict[str, int], dict[str, int]]:
    """Out of what nobody has explained; else an invoice that was never paid in full is owed again; else out of what the
    client had paid too much, and then out of what was earned."""
    unexplained = min(amount, max(-own.get(SUSPENSE, 0), 0))
    mine = {balance_at(payment.provider): -amount, SUSPENSE: unexplained}
    left = amount - unexplained
    if invoice is None:
        over = min(left, max(-own.get(OVERPAYMENTS, 0), 0))
        return mine | {OVERPAYMENTS: over, REFUNDS: left - over}, {}
    for account in (WRITTEN_OFF, RECEIVABLE):
        if invoice.get(account, 0) > 0:
            return mine, {account: left}
    over = min(left, max(-invoice.get(OVERPAYMENTS, 0), 0))
    return mine, {OVERPAYMENTS: over, REFUNDS: left - over}


def refund_failed(payment: Payment, fact: Fact, refund: Iterable[Entry], invoice: Standing | None) -> Posting:
    """The money of a refund is back: where it had been earned it is again; else the client has paid it after all. What had
    gone back unexplained is unexplained again, unless the payment was explained meanwhile: then it is the client's.

    `refund`: the entries of that refund.
    """
    moved = standing(refund, payment.currency)
    unexplained, earned = moved.get(SUSPENSE, 0), moved.get(REFUNDS, 0)
    settled = unexplained if payment.counts else 0  # somebody has explained the payment since
    unexplained -= settled
    mine = {balance_at(payment.provider): fact.amount, SUSPENSE: -unexplained}
    theirs: dict[str, int] = {}
    if invoice is None:
        mine |= {REFUNDS: -earned, OVERPAYMENTS: -moved.get(OVERPAYMENTS, 0) - settled}
    else:
        earned = min(earned, max(invoice.get(REFUNDS, 0), 0))
        theirs = client_moves(invoice, -(fact.amount - unexplained - earned)) | {REFUNDS: -earned}
    sides = _sides(mine, payment.currency, payment.id) + _sides(
        theirs, payment.currency, payment.invoice_id or payment.id
    )
    return Posting(source_of_fact(payment, fact.kind, fact.reference), sides)


def set_aside(payment: Payment, invoice: Standing | None, own: Standing) -> Posting:
    """A payment that was taken for good turned out to be conflicted: the invoice is owed again."""
    left = (payment.captured - payment.refunded).amount + min(own.get(SUSPENSE, 0), 0)
    mine, theirs = {SUSPENSE: -left}, {}
    if invoice is None:
        mine[REVENUE] = left
    else:
        theirs = client_moves(invoice, left)
    sides = _sides(mine, payment.currency, payment.id) + _sides(
        theirs, payment.currency, payment.invoice_id or payment.id
    )
    return Posting(source_of("set-aside", payment.id), sides)


def explained(payment: Payment, invoice: Standing | None, own: Standing) -> Posting:
    """A person settled the conflict: what is left counts towards the invoice, or is the client's."""
    left = max(-own.get(SUSPENSE, 0), 0)
    mine, theirs = {SUSPENSE: left}, {}
    if invoice is None:
        mine[OVERPAYMENTS] = -left
    else:
        theirs = client_moves(invoice, -left)
    sides = _sides(mine, payment.currency, payment.id) + _sides(
        theirs, payment.currency, payment.invoice_id or payment.id
    )
    return Posting(source_of("explained", payment.id), sides)


def paid_out(payout: Payout) -> Posting:
    """Money left the provider's balance, and what the provider keeps of it."""
    amount = payout.amount.amount
    moves = {PAYOUTS: amount, balance_at(payout.provider): -amount}
    return Posting(source_of("paid-out", payout.id), _sides(moves, payout.amount.currency, payout.id))


def payout_fee(payout: Payout) -> Posting:
    """What the provider keeps for paying out."""
    moves = {FEES: payout.fee, balance_at(payout.provider): -payout.fee}
    return Posting(source_of("payout-fee", payout.id), _sides(moves, payout.amount.currency, payout.id))


def came_back(payout: Payout, own: Standing) -> Posting:
    """A payout that failed after all: money and fee are in the balance again."""
    moves = {account: -amount for account, amount in own.items()}
    return Posting(source_of("payout-back", payout.id), _sides(moves, payout.amount.currency, payout.id))


def _both(payment: Payment, mine: Mapping[str, int], theirs: Mapping[str, int]) -> tuple[Side, ...]:
    """What is about the payment itself, and what is about its invoice."""
    invoice = payment.invoice_id or payment.id
    return _sides(mine, payment.currency, payment.id) + _sides(theirs, payment.currency, invoice)


def _sides(moves: Mapping[str, int], currency: Currency, subject: str) -> tuple[Side, ...]:
    return tuple(Side(account, Money(amount, currency), subject) for account, amount in moves.items() if amount)
