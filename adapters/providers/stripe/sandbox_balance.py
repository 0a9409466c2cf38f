"""The shop's balance in the sandbox: what came in, went back, was paid out, and was taken by a payer's bank."""

from datetime import timedelta

from adapters.providers.stripe import sandbox_objects_balance as make
from adapters.providers.stripe.sandbox_books import Books, merged
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json

ARRIVES = timedelta(seconds=20)
"""How long money takes to the bank; Stripe's takes days."""
_HELD = ("needs_response", "under_review", "lost")


def step(currency: str) -> int:
    """Amounts in this currency are multiples of so much."""
    return 10 if currency in ("bhd", "jod", "kwd", "omr", "tnd") else 100 if currency in ("isk", "ugx") else 1


def charged(books: Books, charge: Json) -> None:
    """A charge was captured: 2.9 % and 30 units are the fee, as on a card in the United States, but never all of it."""
    if books.fees_are_late:
        books.unwritten.append(charge["id"])
        return
    amount, unit = charge["amount_captured"], step(charge["currency"])
    fee = min(amount * 29 // 1000 + 30, amount // 2) // unit * unit
    charge["balance_transaction"] = _line(books, "charge", charge, amount, fee)["id"]


def tell_fees(books: Books) -> None:
    """Write what is late into the balance; each charge then has its fee."""
    books.fees_are_late, late, books.unwritten = False, books.unwritten, []
    for id_ in late:
        charged(books, books.charges[id_])
        line = books.charges[id_]["balance_transaction"]
        books.tell("charge.updated", books.charges[id_], {"balance_transaction": None} if line else None)


def refunded(books: Books, refund: Json) -> None:
    """A refund was sent; the fee of the charge is kept."""
    refund["balance_transaction"] = _line(books, "refund", refund, -refund["amount"])["id"]


def came_back(books: Books, refund: Json) -> None:
    """A refund that its bank sent back."""
    refund["failure_balance_transaction"] = _line(books, "refund_failure", refund, refund["amount"])["id"]


def top_up(books: Books, amount: int, currency: str) -> Json:
    """Money from nowhere, so that there is something to pay out."""
    return _line(books, "topup", {"currency": currency, "description": "Top-up"}, amount)


def available(books: Books) -> dict[str, int]:
    """What the shop has, by currency."""
    held: dict[str, int] = {}
    for line in books.transactions.values():
        held[line["currency"]] = held.get(line["currency"], 0) + line["net"]
    return held


def create_payout(books: Books, given: Json) -> Json:
    """Send money to the bank. Raises StripeFault if there is less."""
    if given["amount"] > available(books).get(given["currency"], 0):
        raise StripeFault("The available balance is less than that.", code="balance_insufficient", param="amount")
    if given["currency"] in ("huf", "twd") and given["amount"] % 100:
        raise StripeFault("Banks are sent whole units of this currency.", param="amount")
    given["metadata"] = merged({}, given.get("metadata"))
    arrives = books.now() + int(ARRIVES.total_seconds())
    payout = make.payout(books.id("po_"), books.now(), books.live, given, arrives)
    books.payouts[payout["id"]] = payout
    payout["balance_transaction"] = _line(books, "payout", payout, -payout["amount"])["id"]
    books.tell("payout.created", payout)
    return payout


def end_payout(books: Books, payout: Json, status: str) -> Json:
    """It arrived (`paid`), the bank sent it back (`failed`, also after it arrived), or the shop took it back (`canceled`)."""
    if payout["status"] in (status, "failed", "canceled"):
        return payout
    if status == "canceled" and payout["status"] != "pending":
        raise StripeFault("Only a pending payout can be canceled.", param="payout")
    payout["status"] = status
    if status == "failed":
        payout.update(failure_code="account_closed", failure_message="The bank account has been closed.")
        payout["failure_balance_transaction"] = _line(books, "payout_failure", payout, payout["amount"])["id"]
    if status == "canceled":
        payout["failure_balance_transaction"] = _line(books, "payout_cancel", payout, payout["amount"])["id"]
    books.tell(f"payout.{status}", payout)
    return payout


def arrive(books: Books) -> None:
    """Whatever is due has arrived at the bank."""
    now = books.now()
    for payout in books.payouts.values():
        if payout["status"] == "pending" and payout["arrival_date"] <= now:
            end_payout(books, payout, "paid")


def open_dispute(books: Books, charge: Json, reason: str = "fraudulent") -> Json:
    """The payer's bank takes the money back, and a fee comes on top."""
    if not charge["captured"] or charge["disputed"] or charge["refunded"]:
        raise StripeFault("Nothing of this charge can be disputed.", param="charge")
    dispute = make.dispute(books.id("dp_"), books.now(), books.live, charge, reason)
    books.disputes[dispute["id"]] = dispute
    charge["disputed"] = True
    books.tell("charge.dispute.created", dispute)
    fee = min(1500, dispute["amount"]) // step(dispute["currency"]) * step(dispute["currency"])
    dispute["balance_transactions"].append(_line(books, "adjustment", dispute, -dispute["amount"], fee))
    books.tell("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(books: Books, dispute: Json, won: bool) -> Json:
    """The bank's decision."""
    if dispute["status"] in ("won", "lost"):
        raise StripeFault("The dispute is closed already.", param="dispute")
    dispute["status"] = "won" if won else "lost"
    if won:
        dispute["balance_transactions"].append(_line(books, "adjustment", dispute, dispute["amount"]))
        books.tell("charge.dispute.funds_reinstated", dispute)
    books.tell("charge.dispute.closed", dispute)
    return dispute


def is_disputed(books: Books, charge: Json) -> bool:
    """Whether a payer's bank holds or took the money: it cannot go back twice."""
    return any(row["charge"] == charge["id"] and row["status"] in _HELD for row in books.disputes.values())


def _line(books: Books, kind: str, of: Json, amount: int, fee: int = 0) -> Json:
    line = make.balance_transaction(books.id("txn_"), books.now(), kind, of, amount, fee)
    books.transactions[line["id"]] = line
    return line
