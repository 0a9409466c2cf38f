"""Hosted pages in the sandbox: opened, paid or agreed to, run out."""

from adapters.providers.stripe import sandbox_invoices as bills
from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_objects as make
from adapters.providers.stripe import sandbox_payments as money
from adapters.providers.stripe import sandbox_prices as prices
from adapters.providers.stripe import sandbox_subscriptions as subscriptions
from adapters.providers.stripe.sandbox_books import Books, merged
from adapters.providers.stripe.sandbox_cards import Card, Fate
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
    _check_mode(given)
    given["metadata"] = merged({}, given.get("metadata"))
    lines = [_line(books, item, number, given["mode"]) for number, item in enumerate(given["line_items"])]
    currencies = {price["currency"] for price, _, _ in lines}
    if len(currencies) != 1:
        raise StripeFault("All line items must be in one currency.", param="line_items")
    currency, total = currencies.pop(), sum(price["unit_amount"] * quantity for price, _, quantity in lines)
    trial = given.get("subscription_data", {}).get("trial_period_days", 0)
    money.check_amount(total, currency, "line_items[0][price_data][unit_amount]")
    total = 0 if trial else total
    id_ = books.id("cs_live_a1" if books.live else "cs_test_a1", 56)
    books.lines[id_] = [
        make.line_item(books.id("li_"), price, name, quantity, free=bool(trial)) for price, name, quantity in lines
    ]
    books.orders[id_] = given.get("payment_intent_data") or given.get("subscription_data") or {}
    url = f"{books.public_url}/stripe/c/pay/{id_}"
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
    _know_payer(books, session, payer)
    if session["mode"] == "subscription" and not session["amount_total"]:
        return _try_out(books, session, card, payer)
    intent = _intent(books, session)
    if intent["status"] == "requires_action":
        intent.update(status="requires_payment_method", next_action=None)
    intent["payment_method"] = None
    money.attempt(books, intent, card, return_url=session["success_url"], payer=payer)
    return _finish(books, session, intent)


def authenticate(books: Books, intent: Json, succeeded: bool) -> Json | None:
    """The owner's answer to the bank's question; gives the session that the intent belongs to, if any."""
    session = session_of(books, intent["id"])
    if session and session["status"] != "open":
        raise StripeFault(f"This session is {session['status']}.", param="session")
    money.authenticate(books, intent, succeeded, (session or {}).get("customer_details") or {})
    return _finish(books, session, intent) if session else None


def session_of(books: Books, intent_id: str) -> Json | None:
    """The page that a payment is made on."""
    if intent_id in books.agreeing:
        return books.sessions[books.agreeing[intent_id]]
    return next((row for row in books.sessions.values() if row["payment_intent"] == intent_id), None)


def intent_of(books: Books, session: Json) -> str | None:
    """The payment that is made on a page. A subscription's page does not tell it: its bill does."""
    found: str | None = session["payment_intent"]
    return found or next((intent for intent, page in books.agreeing.items() if page == session["id"]), None)


def _check_mode(given: Json) -> None:
    wrong = "payment_intent_data" if given["mode"] == "subscription" else "subscription_data"
    for name in (wrong, "customer_creation" if given["mode"] == "subscription" or "customer" in given else ""):
        if name in given:
            raise StripeFault(f"{name} is not taken in this mode.", param=name)


def _line(books: Books, item: Json, number: int, mode: str) -> tuple[Json, str, int]:
    """A price, what it is called, and how often."""
    at = f"line_items[{number}]"
    if ("price" in item) == ("price_data" in item):
        raise StripeFault("One of price and price_data is needed.", param=f"{at}[price]")
    if mode == "subscription":
        if "price" not in item:
            raise StripeFault("The sandbox subscribes to prices that were made beforehand.", param=f"{at}[price_data]")
        price = prices.recurring(books, item["price"], f"{at}[price]")
    elif "price" in item:
        price = books.find(books.prices, "price", item["price"], param=f"{at}[price]", status=400)
        if price["recurring"]:
            raise StripeFault("A recurring price is for a page in subscription mode.", param=f"{at}[price]")
    else:
        asked = item["price_data"]
        ids = (books.id("price_"), books.id("prod_", 14))
        price = make.price_once(ids, books.now(), books.live, asked)
        return price, asked["product_data"]["name"], item["quantity"]
    return price, books.products[price["product"]]["name"], item["quantity"]


def _know_payer(books: Books, session: Json, payer: Json) -> None:
    """A customer for a page that needs one: to subscribe, or to keep the card."""
    wanted = session["mode"] == "subscription" or session["customer_creation"] == "always"
    if session["customer"] is None and wanted:
        given = {"email": payer.get("email"), "name": payer.get("name")}
        customer = make.customer(books.id("cus_", 14), books.now(), books.live, given)
        books.customers[customer["id"]] = customer
        session["customer"] = customer["id"]
        books.tell("customer.created", customer)


def _intent(books: Books, session: Json) -> Json:
    known = intent_of(books, session)
    if known is not None:
        return books.intents[known]
    given = {"amount": session["amount_total"], "currency": session["currency"]}
    if session["customer"]:
        given["customer"] = session["customer"]
    if session["mode"] == "payment":
        intent = money.create_intent(books, {**books.orders[session["id"]], **given})
        session["payment_intent"] = intent["id"]
        return intent
    more = {"description": "Subscription creation", "setup_future_usage": "off_session"}
    intent = money.create_intent(books, {**given, **more})
    books.agreeing[intent["id"]] = session["id"]
    return intent


def _finish(books: Books, session: Json, intent: Json) -> Json:
    if intent["status"] not in ("succeeded", "requires_capture"):
        return session
    if session["mode"] == "subscription":
        return _agree(books, session, intent["payment_method"], intent)
    paid = "paid" if intent["status"] == "succeeded" else "unpaid"
    session.update(status="complete", payment_status=paid, url=None)
    books.tell("checkout.session.completed", session)
    return session


def _try_out(books: Books, session: Json, card: Card, payer: Json) -> Json:
    """A trial begins: the card is kept, and nothing is charged yet."""
    if card.fate is Fate.DECLINED and not card.is_kept:
        code, decline, text = card.decline
        raise StripeFault(text, status=402, kind="card_error", code=code, more={"decline_code": decline})
    method = methods.attach(books, methods.typed(books, card, payer), session["customer"])
    return _agree(books, session, method["id"], None)


def _agree(books: Books, session: Json, method: str, intent: Json | None) -> Json:
    line, asked = books.lines[session["id"]][0], books.orders[session["id"]]
    given = {
        "customer": session["customer"],
        "default_payment_method": method,
        "description": asked.get("description"),
        "metadata": asked.get("metadata"),
    }
    days = asked.get("trial_period_days", 0)
    subscription = subscriptions.begin(books, given, books.prices[line["price"]["id"]], line["quantity"], days)
    subscription["status"] = "trialing" if days else "active"
    invoice = subscriptions.first_bill(books, subscription, intent)
    books.tell("customer.subscription.created", subscription)
    if invoice["status"] == "open":
        invoice.update(attempt_count=1)
        bills.settle(books, invoice)
    session.update(
        status="complete",
        payment_status="paid" if intent else "no_payment_required",
        url=None,
        subscription=subscription["id"],
        invoice=invoice["id"],
    )
    books.tell("checkout.session.completed", session)
    return session
