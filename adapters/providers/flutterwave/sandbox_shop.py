"""What the sandbox knows of one Flutterwave account: pages, transactions, refunds, transfers, plans and balances.

Synchronous, so indivisible. `unsent` collects the webhooks since someone last emptied it, `waiting` what time will settle.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs

from adapters.providers.flutterwave.mapping import CURRENCIES
from adapters.providers.flutterwave.sandbox_cards import Card
from application.ports.clock import Clock
from application.ports.ids import Ids

Json = dict[str, Any]

OPENING_BALANCE = Decimal(1_000_000)
"""Of each currency, so that a new account can refund and pay out."""
LARGEST = Decimal(1_000_000_000)
_FEE = Decimal("0.014")
_TRANSFER_FEE = Decimal("10.75")


class Refused(Exception):
    """An answer other than a success."""

    def __init__(self, message: str, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code

    def body(self) -> Json:
        """As Flutterwave says it."""
        return {"status": "error", "message": self.message, "data": None, **({"code": self.code} if self.code else {})}


@attrs.define
class Page:
    """A hosted page. tries: how often a payer may still try."""

    token: str
    tx_ref: str
    amount: Decimal
    currency: str
    redirect_url: str
    customer: Json
    title: str
    meta: Json
    options: str
    ends_at: datetime
    tries: int
    disabled: bool = False
    paid_by: int | None = None


@attrs.define
class Token:
    """What charges a card again. card: None once it has expired."""

    email: str
    card: Card | None
    customer: Json


@attrs.define
class Account:
    """One account in one mode.

    hook: (address, secret hash, version) of its webhook. refunds_begin, refunds_end: what becomes of a refund.
    """

    number: int
    live: bool
    clock: Clock
    ids: Ids
    next_id: Callable[[], int]
    pages: dict[str, Page] = attrs.field(factory=dict)
    transactions: dict[int, Json] = attrs.field(factory=dict)
    refunds: dict[int, Json] = attrs.field(factory=dict)
    transfers: dict[int, Json] = attrs.field(factory=dict)
    plans: dict[int, Json] = attrs.field(factory=dict)
    tokens: dict[str, Token] = attrs.field(factory=dict)
    balances: dict[str, Decimal] = attrs.field(factory=lambda: dict.fromkeys(sorted(CURRENCIES), OPENING_BALANCE))
    hook: tuple[str, str, str] | None = None
    refunds_begin: str = "completed"
    refunds_end: str = "completed"
    unsent: list[Json] = attrs.field(factory=list)
    sent: list[Json] = attrs.field(factory=list)
    waiting: list[Callable[[], None]] = attrs.field(factory=list)

    def now(self) -> str:
        """As Flutterwave writes a time."""
        return f"{self.clock.now():%Y-%m-%dT%H:%M:%S.000Z}"

    def hexes(self, count: int) -> str:
        """So many random hexadecimal digits."""
        return self.ids.randomness(count).hex()[:count]

    def tell(self, event: str, data: Json, kind: str, meta: Json | None = None) -> None:
        """Note a webhook."""
        self.unsent.append({"event": event, "data": data, "meta_data": meta or {}, "event.type": kind})

    def transaction(self, id_: str) -> Json:
        """Raises Refused."""
        found = self.transactions.get(int(id_)) if id_.isdigit() else None
        if found is None:
            raise Refused("No transaction was found for this id")
        return found

    def with_reference(self, tx_ref: str) -> list[Json]:
        """Newest first."""
        return [one for one in reversed(self.transactions.values()) if one["tx_ref"] == tx_ref]

    def taken(self, tx_ref: str) -> bool:
        """Whether something was paid with this reference, or is being paid."""
        return any(one["status"] in ("successful", "pending") for one in self.with_reference(tx_ref))

    def record(
        self,
        tx_ref: str,
        amount: Decimal,
        currency: str,
        status: str,
        kind: str,
        customer: Json,
        meta: Json,
        said: str,
        narration: str,
        card: Json | None = None,
    ) -> Json:
        """Make a transaction; one that is over is told."""
        id_ = self.next_id()
        fee = (amount * _FEE).quantize(Decimal("0.001")).normalize()
        made: Json = {
            "id": id_,
            "tx_ref": tx_ref,
            "flw_ref": f"FLW-MOCK-{self.hexes(32)}",
            "device_fingerprint": "N/A",
            "amount": number(amount),
            "currency": currency,
            "charged_amount": number(amount),
            "app_fee": number(fee),
            "merchant_fee": 0,
            "processor_response": said,
            "auth_model": "NOAUTH" if kind == "card" else "MOBILEMONEY" if "mobile" in kind else "AUTH",
            "ip": "203.0.113.9",
            "narration": narration,
            "status": status,
            "payment_type": kind,
            "created_at": self.now(),
            "account_id": self.number,
            **({"card": card} if card else {}),
            "meta": meta or None,
            "amount_settled": number(amount - fee),
            "customer": {**customer, "id": 2_000_000 + id_, "created_at": self.now()},
        }
        self.transactions[id_] = made
        if status != "pending":
            self.over(made, status, said)
        return made

    def over(self, transaction: Json, status: str, said: str) -> None:
        """The transaction has come out: the balance is changed, and whoever listens is told."""
        transaction.update(status=status, processor_response=said)
        if status == "successful":
            self.balances[transaction["currency"]] += Decimal(str(transaction["amount_settled"]))
        shown = {key: value for key, value in transaction.items() if key not in ("meta", "amount_settled")}
        if "card" in shown:
            shown["card"] = {key: value for key, value in shown["card"].items() if key != "token"}
        self.tell("charge.completed", shown, f"{transaction['payment_type'].upper()}_TRANSACTION", transaction["meta"])

    def refund(self, transaction: Json, amount: Decimal, comment: str) -> Json:
        """Raises Refused for more than is left of it, or than the balance holds."""
        if transaction["status"] != "successful":
            raise Refused("Only successful transactions can be refunded")
        of = [one for one in self.refunds.values() if one["transaction_id"] == transaction["id"]]
        gone = sum((Decimal(str(r["amount_refunded"])) for r in of if r["status"] != "failed"), Decimal(0))
        if amount + gone > Decimal(str(transaction["amount"])):
            raise Refused("Refund amount is greater than what is left of the transaction")
        if amount > self.balances[transaction["currency"]]:
            raise Refused("Insufficient funds in your wallet balance to process this refund")
        self.balances[transaction["currency"]] -= amount
        id_ = self.next_id()
        made: Json = {
            "id": id_,
            "amount_refunded": number(amount),
            "status": self.refunds_begin,
            "flw_ref": f"URF_{self.hexes(20)}",
            "comment": comment,
            "settlement_id": "NEW",
            "meta": {"source": "availablebalance"},
            "created_at": self.now(),
            "account_id": self.number,
            "transaction_id": transaction["id"],
        }
        self.refunds[id_] = made
        if self.refunds_end != self.refunds_begin:
            ends = self.refunds_end
            self.waiting.append(lambda: self.refund_over(made, ends))
        return made

    def refund_over(self, refund: Json, status: str) -> None:
        """A refund has come out, or come back; in which case its amount is in the balance again."""
        if refund["status"] == status:
            return
        if status == "failed":
            currency = self.transactions[refund["transaction_id"]]["currency"]
            self.balances[currency] += Decimal(str(refund["amount_refunded"]))
        refund["status"] = status
        self.tell(f"refund.{status}", {**refund, "meta": None}, "REFUND")

    def transfer(self, given: Json) -> Json:
        """Raises Refused for a reference that was used, or more than the balance holds."""
        amount, currency = Decimal(str(given["amount"])), given["currency"]
        if any(one["reference"] == given["reference"] for one in self.transfers.values()):
            raise Refused("Transfer with this reference already exists. Please use another reference.")
        if amount + _TRANSFER_FEE > self.balances[currency]:
            raise Refused("Insufficient balance in your wallet to complete this transfer")
        self.balances[currency] -= amount + _TRANSFER_FEE
        id_ = self.next_id()
        made: Json = {
            "id": id_,
            "account_number": given["account_number"],
            "bank_code": given["account_bank"],
            "full_name": given.get("beneficiary_name", "N/A"),
            "created_at": self.now(),
            "currency": currency,
            "debit_currency": given.get("debit_currency", currency),
            "amount": number(amount),
            "fee": number(_TRANSFER_FEE),
            "status": "NEW",
            "reference": given["reference"],
            "meta": None,
            "narration": given["narration"],
            "complete_message": "",
            "requires_approval": 0,
            "is_approved": 1,
            "bank_name": f"BANK {given['account_bank']}",
        }
        self.transfers[id_] = made
        fails = "_PMCK_ST_F" in given["reference"] or str(given["account_number"]).endswith("99")
        self.waiting.append(lambda: self.transfer_over(made, "FAILED" if fails else "SUCCESSFUL"))
        return made

    def transfer_over(self, transfer: Json, status: str) -> None:
        """A transfer has arrived, or come back."""
        if transfer["status"] in ("SUCCESSFUL", "FAILED"):
            return
        said = "Transaction was successful" if status == "SUCCESSFUL" else "DISBURSE FAILED: Account resolve failed"
        transfer.update(status=status, complete_message=said)
        if status == "FAILED":
            self.balances[transfer["currency"]] += Decimal(str(transfer["amount"])) + Decimal(str(transfer["fee"]))
        self.tell("transfer.completed", {**transfer, "fullname": transfer["full_name"]}, "Transfer")

    def settle(self) -> None:
        """Everything that waits for time comes out now."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()

    def keep_token(self, card: Card, customer: Json) -> str:
        """A token for the card, good for a year."""
        token = f"flw-t1nf-{self.hexes(32)}-m03k"
        self.tokens[token] = Token(customer["email"], None if card.token_expired else card, customer)
        return token

    def open_pages(self) -> Iterator[Page]:
        """Those that can be paid on."""
        return (page for page in self.pages.values() if self.closed(page) is None)

    def closed(self, page: Page) -> str | None:
        """Why nobody can pay on it; None while it is open."""
        if page.paid_by is not None:
            return "paid"
        if page.disabled:
            return "disabled"
        if page.ends_at <= self.clock.now() or page.tries <= 0:
            return "over"
        return None


def number(amount: Decimal) -> int | float:
    """As JSON has it."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def ends(minutes: int, now: datetime) -> datetime:
    """When a page's session is over."""
    return now + timedelta(minutes=minutes)
