"""What a payer does in the sandbox: on a hosted page, by token, or on the telephone."""

from decimal import Decimal
from urllib.parse import urlencode

from adapters.providers.flutterwave.sandbox_cards import Card
from adapters.providers.flutterwave.sandbox_shop import Account, Json, Page, Refused


def by_card(account: Account, page: Page, card: Card, *, amount: Decimal | None = None, currency: str = "") -> Json:
    """Pay a page with a card. Raises Refused 402 when it is declined; the try counts."""
    _open(account, page)
    page.tries -= 1
    token = account.keep_token(card, page.customer) if card.good else None
    made = account.record(
        page.tx_ref,
        amount if amount is not None else page.amount,
        currency or page.currency,
        "successful" if card.good else "failed",
        "card",
        page.customer,
        page.meta,
        card.said,
        page.title,
        card.shown(token),
    )
    if not card.good:
        raise Refused(card.said, status=402)
    page.paid_by = made["id"]
    return made


def by_mobile_money(account: Account, page: Page, phone: str) -> Json:
    """Pay a page by mobile money: the payer is asked on the telephone, and answers some time later. A number that ends in
    00 says no."""
    _open(account, page)
    page.tries -= 1
    made = account.record(
        page.tx_ref, page.amount, page.currency, "pending", f"mobilemoney{page.currency.lower()}", page.customer,
        page.meta, "Transaction in progress", page.title,
    )  # fmt: skip
    _answered_later(account, made, phone, page)
    return made


def by_bank_transfer(account: Account, page: Page, amount: Decimal, currency: str = "") -> Json:
    """Whatever the payer sends to the account number counts, be it more or less than was asked for."""
    _open(account, page)
    page.tries -= 1
    made = account.record(
        page.tx_ref, amount, currency or page.currency, "successful", "bank_transfer", page.customer, page.meta,
        "success", page.title,
    )  # fmt: skip
    page.paid_by = made["id"]
    return made


def by_token(account: Account, given: Json) -> Json:
    """Charge a card's token. Raises Refused for one that is unknown, has expired, or is another payer's."""
    kept = account.tokens.get(given["token"])
    if kept is None or kept.card is None or kept.email != given["email"]:
        raise Refused("Wrong token or email passed")
    if account.taken(given["tx_ref"]):
        raise Refused("Duplicate transaction reference")
    good = kept.card.token_good
    return account.record(
        given["tx_ref"],
        Decimal(str(given["amount"])),
        given["currency"],
        "successful" if good else "failed",
        "card",
        kept.customer,
        given.get("meta") or {},
        "Approved" if good else "Declined: do not honour",
        given["narration"],
        kept.card.shown(given["token"]),
    )


def by_telephone(account: Account, kind: str, given: Json) -> Json:
    """Ask a mobile money payer directly."""
    if account.taken(given["tx_ref"]):
        raise Refused("Duplicate transaction reference")
    customer = {"email": given["email"], "name": given.get("fullname", "Anonymous customer"), "phone_number": None}
    made = account.record(
        given["tx_ref"], Decimal(str(given["amount"])), given["currency"], "pending", kind.replace("_", ""), customer,
        given.get("meta") or {}, "Transaction in progress", "Mobile money",
    )  # fmt: skip
    _answered_later(account, made, given["phone_number"], None)
    return made


def back(page: Page, status: str, transaction: Json | None = None) -> str:
    """Where the payer is sent from the page."""
    told = {"status": status, "tx_ref": page.tx_ref}
    if transaction is not None:
        told["transaction_id"] = str(transaction["id"])
    return f"{page.redirect_url}{'&' if '?' in page.redirect_url else '?'}{urlencode(told)}"


def _open(account: Account, page: Page) -> None:
    why = account.closed(page)
    if why is not None:
        raise Refused(f"This page is {why}", status=410)
    if account.taken(page.tx_ref):
        raise Refused("Duplicate transaction reference", status=409)


def _answered_later(account: Account, made: Json, phone: str, page: Page | None) -> None:
    def answer() -> None:
        if made["status"] != "pending":
            return
        good = not phone.endswith("00")
        if good and page is not None:
            page.paid_by = made["id"]
        account.over(made, "successful" if good else "failed", "Approved" if good else "Declined by the payer")

    account.waiting.append(answer)
