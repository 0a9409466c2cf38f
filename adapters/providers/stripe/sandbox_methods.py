"""Cards in the sandbox: typed once, kept for a customer, charged again, forgotten."""

from adapters.providers.stripe.sandbox_books import Books
from adapters.providers.stripe.sandbox_cards import CARDS, METHODS, Card, Fate
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json
from adapters.providers.stripe.sandbox_objects_balance import payment_method


def typed(books: Books, card: Card, payer: Json) -> Json:
    """A card that somebody types, as a method of nobody's yet."""
    method = payment_method(books.id("pm_"), books.now(), books.live, card, payer)
    books.methods[method["id"]] = method
    books.cards[method["id"]] = card
    return method


def chosen(books: Books, id_: str, customer: str | None = None) -> Json:
    """A method by its id; Stripe's test ids stand for a card that is typed now. One that is kept is its customer's alone."""
    if id_ in METHODS:
        return typed(books, CARDS[METHODS[id_]], {})
    if id_ not in books.methods:
        raise StripeFault(f"There is no PaymentMethod {id_!r}.", code="resource_missing", param="payment_method")
    method = books.methods[id_]
    if method["customer"] != customer and method["customer"]:
        raise StripeFault("This PaymentMethod belongs to another customer, or none was given.", param="customer")
    if method["id"] in books.gone:
        raise StripeFault("A PaymentMethod that was detached cannot be used again.", param="payment_method")
    return method


def attach(books: Books, method: Json, customer: str) -> Json:
    """Keep it for a customer. Raises StripeFault 402 for a card that its bank declines at once."""
    books.find(books.customers, "customer", customer, param="customer", status=400)
    card = books.cards[method["id"]]
    if card.fate is Fate.DECLINED and not card.is_kept:
        code, decline, text = card.decline
        raise StripeFault(text, status=402, kind="card_error", code=code, more={"decline_code": decline})
    if method["customer"] is None:
        method["customer"] = customer
        books.tell("payment_method.attached", method)
    return method


def detach(books: Books, method: Json) -> Json:
    """Forget it: nobody can use it any more."""
    if method["customer"] is None:
        raise StripeFault("This PaymentMethod is not attached to a customer.", param="payment_method")
    owner = method["customer"]
    method.update(customer=None)
    books.gone.add(method["id"])
    for row in (*books.customers.values(), *books.subscriptions.values()):
        settings = row.get("invoice_settings", {}) if row["object"] == "customer" else row
        if settings.get("default_payment_method") == method["id"]:
            settings["default_payment_method"] = None
    books.tell("payment_method.detached", method, {"customer": owner})
    return method


def make_default(books: Books, customer: Json, id_: str | None) -> None:
    """What invoices are charged to; it must be kept for this customer."""
    if id_ is not None and books.methods.get(id_, {}).get("customer") != customer["id"]:
        raise StripeFault(
            "The customer does not have a payment method with this id.",
            code="resource_missing",
            param="invoice_settings[default_payment_method]",
        )
    customer["invoice_settings"]["default_payment_method"] = id_


def default_of(books: Books, subscription: Json) -> Json | None:
    """What a subscription is charged to: its own method, else its customer's."""
    owner = books.customers[subscription["customer"]]
    id_ = subscription["default_payment_method"] or owner["invoice_settings"]["default_payment_method"]
    return books.methods.get(id_) if id_ else None


def of_customer(books: Books, customer: str) -> list[Json]:
    """Every method that is kept for a customer, newest first."""
    return [method for method in reversed(books.methods.values()) if method["customer"] == customer]
