"""Hosted pages in the sandbox: opened, paid, run out."""

from adapters.providers.stripe import sandbox_objects as make
from adapters.providers.stripe import sandbox_payments as money
from adapters.providers.stripe.sandbox_books import Books, merged
from adapters.providers.stripe.sandbox_cards import Card
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json

_SHORTEST = 30 * 60
_LONGEST = 24 * 3600


def create_session(books: Books, given: Json) -> Json:
    """A page for the lines. It runs out after 30 minutes to 24 hours."""
    now = books.now()
    if not _SHORTEST <= given.get("expires_at", now + _LONGEST) - now <= _LONGEST:
        raise StripeFault("expires_at must be 30 minutes to 24 hours from now.", param="expires_at")
    if "customer" in given and "customer_email" in given:
        raise StripeFault("customer and customer_email exclude each other.", param="customer_email")
    if "customer" in given:
        books.find(books.customers, "customer", given["customer"], param="customer", status=400)
    given["metadata"] = merged({}, given.get("metadata"))
    prices = [(item["price_data"], item["quantity"]) for item in given["line_items"]]
    currencies = {price["currency"] for price, _ in prices}
    if len(currencies) != 1:
        raise StripeFault("All line items must be in one currency.", param="line_items")
    currency, total = currencies.pop(), sum(price["unit_amount"] * quantity for price, quantity in prices)
    money.check_amount(total, currency, "line_items[0][price_data][unit_amount]")
    id_ = books.id("cs_live_a1" if books.live else "cs_test_a1", 56)
    url = f"{books.public_url}/stripe/c/pay/{id_}"
    books.lines[id_] = [
        make.line_item((books.id("li_"), books.id("price_"), books.id("prod_", 14)), now, books.live, price, quantity)
        for price, quantity in prices
    ]
    books.orders[id_] = given.get("payment_intent_data", {})
    session = make.checkout_session(id_, url, now, books.live, given, total, currency)
    books.sessions[id_] = session
    return session


def expire(books: Books, session: Json) -> Json:
    """Close an open page."""
    if session["status"] != "open":
        raise StripeFault(f"Only an open session can be expired; this one is {session['status']}.", param="session")
    session.update(status="expired", url=None)
    books.tell("checkout.session.expired", session)
    return session


def run_out(books: Books) -> None:
    """Close every page whose time is up."""
    now = books.now()
    for session in books.sessions.values():
        if session["status"] == "open" and session["expires_at"] <= now:
            expire(books, session)


def pay(books: Books, session: Json, card: Card, payer: Json) -> Json:
    """The payer's try on the page; `payer` has email and name. Raises StripeFault 402 if the card is declined.

    Afterwards the session is complete, or its intent requires_action.
    """
    if session["status"] != "open":
        raise StripeFault(f"This session is {session['status']}.", param="session")
    if session["payment_intent"] is None:
        given = {
            **books.orders[session["id"]],
            "amount": session["amount_total"],
            "currency": session["currency"],
            **({"customer": session["customer"]} if session["customer"] else {}),
        }
        session["payment_intent"] = money.create_intent(books, given)["id"]
    intent = books.intents[session["payment_intent"]]
    session["customer_details"] = {
        "address": {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": None, "state": None},
        "business_name": None,
        "email": payer.get("email"),
        "individual_name": None,
        "name": payer.get("name"),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    if intent["status"] == "requires_action":
        intent.update(status="requires_payment_method", next_action=None)
    intent["payment_method"] = None
    money.attempt(books, intent, card, return_url=session["success_url"], payer=payer)
    return _finish(books, session, intent)


def authenticate(books: Books, intent: Json, succeeded: bool) -> Json | None:
    """The owner's answer to the bank's question; gives the session that the intent belongs to, if any."""
    session = next((row for row in books.sessions.values() if row["payment_intent"] == intent["id"]), None)
    if session and session["status"] != "open":
        raise StripeFault(f"This session is {session['status']}.", param="session")
    money.authenticate(books, intent, succeeded, (session or {}).get("customer_details") or {})
    return _finish(books, session, intent) if session else None


def _finish(books: Books, session: Json, intent: Json) -> Json:
    if intent["status"] in ("succeeded", "requires_capture"):
        paid = "paid" if intent["status"] == "succeeded" else "unpaid"
        session.update(status="complete", payment_status=paid, url=None)
        books.tell("checkout.session.completed", session)
    return session
