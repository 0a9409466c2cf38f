"""Subscriptions in the sandbox as time goes by: billed, renewed, tried again, ended."""

from adapters.providers.stripe import sandbox_invoices as bills
from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_periods as periods
from adapters.providers.stripe.sandbox_books import Books
from adapters.providers.stripe.sandbox_cards import CARDS, Card
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json

DAY = 24 * 3600
OVER = ("canceled", "incomplete_expired")
DECLINING = CARDS["4000000000000341"]
_MOST_TRIES = 4
_CATCHES_UP = 24


def cancel(books: Books, subscription: Json, given: Json, reason: str = "cancellation_requested") -> Json:
    """End it now, without a last bill."""
    if subscription["status"] in OVER:
        raise StripeFault("No such subscription.", status=404, code="resource_missing", param="id")
    now = books.now()
    details = subscription["cancellation_details"] | {"reason": reason} | given.get("cancellation_details", {})
    subscription.update(
        status="incomplete_expired" if subscription["status"] == "incomplete" else "canceled",
        canceled_at=now,
        ended_at=now,
        cancellation_details=details,
    )
    books.tell("customer.subscription.deleted", subscription)
    return subscription


def renew(books: Books, subscription: Json, declined: bool = False) -> Json:
    """Its period is over. declined: the payer's bank says no this time."""
    if subscription["status"] in (*OVER, "incomplete", "paused"):
        raise StripeFault(f"A subscription that is {subscription['status']} is not renewed.")
    if subscription["cancel_at_period_end"]:
        return cancel(books, subscription, {})
    next_period(subscription, subscription["items"]["data"][0]["current_period_end"])
    lines = [*books.pending.pop(subscription["id"], []), line_of(books, subscription)]
    invoice = bill(books, subscription, "subscription_cycle", lines)
    if subscription["pause_collection"]:
        bills.finalize(books, invoice)
        if invoice["status"] == "open":
            bills.void(books, invoice)
        return change(books, subscription, latest_invoice=invoice["id"])
    return charge(books, subscription, invoice, DECLINING if declined else None)


def retry(books: Books, subscription: Json, declined: bool = False) -> Json:
    """Try its unpaid bill again; after the fourth failure it is ended."""
    invoice = books.invoices.get(subscription["latest_invoice"] or "", {})
    if invoice.get("status") != "open":
        raise StripeFault("The subscription has no unpaid bill.")
    return collect(books, subscription, invoice, DECLINING if declined else None)


def run_on(books: Books) -> None:
    """Renew whatever is due by the clock."""
    now = books.now()
    for subscription in list(books.subscriptions.values()):
        for _ in range(_CATCHES_UP):
            due = subscription["items"]["data"][0]["current_period_end"] <= now
            if not due or subscription["status"] in (*OVER, "incomplete", "paused"):
                break
            renew(books, subscription)


def charge(books: Books, subscription: Json, invoice: Json, card: Card | None = None) -> Json:
    """Make a bill final and collect it. card: charged instead of the subscription's method."""
    bills.finalize(books, invoice)
    if invoice["status"] == "paid":
        return change(books, subscription, status="active", latest_invoice=invoice["id"])
    return collect(books, subscription, invoice, card)


def collect(books: Books, subscription: Json, invoice: Json, card: Card | None) -> Json:
    """Collect a final bill; after the fourth failure the subscription is ended."""
    method = None if card else methods.default_of(books, subscription)
    try:
        bills.collect(books, invoice, card, method)
    except StripeFault:
        if invoice["attempt_count"] >= _MOST_TRIES:
            return cancel(books, subscription, {}, "payment_failed")
        return change(books, subscription, status="past_due", latest_invoice=invoice["id"])
    return change(books, subscription, status="active", latest_invoice=invoice["id"])


def bill(books: Books, subscription: Json, reason: str, lines: list[Json]) -> Json:
    """A draft with these lines."""
    item = subscription["items"]["data"][0]
    given = {
        "customer": subscription["customer"],
        "currency": subscription["currency"],
        "reason": reason,
        "subscription": subscription["id"],
        "subscription_metadata": subscription["metadata"],
        "period_start": item["current_period_start"],
        "period_end": item["current_period_end"],
    }
    invoice = bills.draft(books, given, lines)
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def line_of(books: Books, subscription: Json) -> Json:
    """The line for its present period."""
    item = subscription["items"]["data"][0]
    period = (item["current_period_start"], item["current_period_end"])
    return periods.line(item["price"], named(books, item["price"], item["quantity"]), item["quantity"], period, item)


def named(books: Books, price: Json, quantity: int) -> str:
    """What a line is called."""
    return f"{quantity} × {books.products[price['product']]['name']}"


def next_period(subscription: Json, start: int) -> None:
    """Its item is for the period that begins then."""
    item = subscription["items"]["data"][0]
    end = periods.after(start, item["price"]["recurring"], subscription["billing_cycle_anchor"])
    item.update(current_period_start=start, current_period_end=end)


def change(books: Books, subscription: Json, **changes: object) -> Json:
    """Change its fields, and tell."""
    before = {name: subscription[name] for name, value in changes.items() if subscription[name] != value}
    subscription.update(changes)
    books.tell("customer.subscription.updated", subscription, before)
    return subscription
