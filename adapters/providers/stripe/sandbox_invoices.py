"""Bills in the sandbox: written, made final, paid, sent, void."""

from collections.abc import Iterable

from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_objects_billing as make
from adapters.providers.stripe import sandbox_payments as money
from adapters.providers.stripe.amounts import limits
from adapters.providers.stripe.sandbox_books import Books, merged
from adapters.providers.stripe.sandbox_cards import Card
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json

_AGAIN = 3 * 24 * 3600
_UNPAID = ("open", "uncollectible")


def draft(books: Books, given: Json, lines: Iterable[Json] = ()) -> Json:
    """A bill that is not final yet. given: customer, currency and reason, and whatever the object takes."""
    customer = books.find(books.customers, "customer", given["customer"], param="customer", status=400)
    given["metadata"] = merged({}, given.get("metadata"))
    invoice = make.invoice(books.id("in_"), books.now(), books.live, customer, given)
    books.invoices[invoice["id"]] = invoice
    for line in lines:
        add(books, invoice, line)
    books.tell("invoice.created", invoice)
    return invoice


def add(books: Books, invoice: Json, line: Json) -> None:
    """One more line, at the end."""
    made = make.line_item(books.id("il_"), books.live, {**line, "invoice": invoice["id"]})
    invoice["lines"]["data"].append(made)
    reckon(books, invoice)


def reckon(books: Books, invoice: Json) -> int:
    """Add up, and take the customer's credit off. Gives the customer's balance afterwards (below zero: credit). What is
    too little to be charged goes on the next bill."""
    total = sum(line["amount"] for line in invoice["lines"]["data"])
    before = books.customers[invoice["customer"]]["balance"]
    due = max(total + before, 0) if total > 0 else 0
    least, _ = limits(invoice["currency"].upper())
    due = due if due >= least else 0
    invoice.update(
        subtotal=total,
        subtotal_excluding_tax=total,
        total=total,
        total_excluding_tax=total,
        starting_balance=before,
        amount_due=due,
        amount_remaining=due,
    )
    return int(before + total - due)


def add_item(books: Books, given: Json) -> Json:
    """A line of a bill that is being written."""
    invoice = books.find(books.invoices, "invoice", given["invoice"], param="invoice", status=400)
    if invoice["status"] != "draft":
        raise StripeFault("The invoice is final; nothing can be added.", param="invoice")
    if (invoice["customer"], invoice["currency"]) != (given["customer"], given["currency"]):
        raise StripeFault("The invoice is of another customer or in another currency.", param="invoice")
    item = make.invoice_item(books.id("ii_"), books.now(), books.live, given)
    books.invoice_items[item["id"]] = item
    details = {"invoice_item": item["id"], "proration": False, "proration_details": None, "subscription": None}
    parent = {
        "invoice_item_details": details,
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    add(books, invoice, {**item, "description": item["description"] or "Item", "parent": parent})
    books.tell("invoiceitem.created", item)
    return item


def finalize(books: Books, invoice: Json, intent: Json | None = None) -> Json:
    """Give it a number and a payment. intent: one that was made for it already. Of nothing, it is paid at once."""
    if invoice["status"] != "draft":
        raise StripeFault("This invoice is already finalized.", code="invoice_not_editable", param="invoice")
    customer = books.customers[invoice["customer"]]
    customer["balance"] = invoice["ending_balance"] = reckon(books, invoice)
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    url = f"{books.public_url}/stripe/c/invoice/{invoice['id']}"
    invoice.update(
        status="open", number=number, effective_at=books.now(), hosted_invoice_url=url, invoice_pdf=f"{url}/pdf"
    )
    invoice["status_transitions"]["finalized_at"] = books.now()
    if invoice["amount_due"]:
        given = {
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "description": f"Payment for Invoice {number}",
        }
        intent = intent or money.create_intent(books, given)
        payment = make.invoice_payment(books.id("inpay_"), books.now(), invoice, intent["id"])
        books.invoice_payments[payment["id"]] = payment
    books.tell("invoice.finalized", invoice)
    if not invoice["amount_due"]:
        return settle(books, invoice)
    return invoice


def collect(books: Books, invoice: Json, card: Card | None, method: Json | None = None) -> Json:
    """Charge it. card: what is charged, by default the method's. Raises StripeFault 402 when that fails, which is kept."""
    if invoice["status"] not in _UNPAID:
        raise StripeFault(f"An invoice that is {invoice['status']} cannot be paid.", param="invoice")
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
    intent = books.intents[payment_of(books, invoice)["payment"]["payment_intent"]]
    try:
        if method is None and card is None:
            why = "This customer has no attached payment source or default payment method."
            raise StripeFault(why, code="resource_missing", param="payment_method")
        intent["payment_method"] = method["id"] if method else None
        used = card or books.cards[method["id"]] if method else card
        assert used is not None
        money.attempt(books, intent, money.asleep(used), return_url=None, payer={})
    except StripeFault:
        automatic = invoice["collection_method"] == "charge_automatically"
        invoice["next_payment_attempt"] = books.now() + _AGAIN if automatic else None
        books.tell("invoice.payment_failed", invoice)
        raise
    return settle(books, invoice)


def settle(books: Books, invoice: Json) -> Json:
    """It has been paid."""
    if invoice["amount_due"]:
        payment = payment_of(books, invoice)
        payment.update(status="paid", amount_paid=invoice["amount_due"])
        payment["status_transitions"]["paid_at"] = books.now()
    invoice.update(
        status="paid",
        attempted=True,
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        next_payment_attempt=None,
    )
    invoice["status_transitions"]["paid_at"] = books.now()
    books.tell("invoice.paid", invoice)
    books.tell("invoice.payment_succeeded", invoice)
    return invoice


def pay(books: Books, invoice: Json, given: Json) -> Json:
    """As a shop asks for it: with a method, else with the customer's default."""
    if invoice["status"] == "draft":
        finalize(books, invoice)
    owner = books.customers[invoice["customer"]]
    id_ = given.get("payment_method") or owner["invoice_settings"]["default_payment_method"]
    method = methods.chosen(books, id_, invoice["customer"]) if id_ else None
    return collect(books, invoice, None, method)


def send(books: Books, invoice: Json) -> Json:
    """Mail it to the customer, who can then pay it on its page."""
    if invoice["collection_method"] != "send_invoice":
        raise StripeFault("Only invoices that are to be sent can be sent.", param="invoice")
    if invoice["customer_email"] is None:
        raise StripeFault("The customer has no e-mail address.", param="customer")
    if invoice["status"] == "draft":
        finalize(books, invoice)
    books.tell("invoice.sent", invoice)
    return invoice


def void(books: Books, invoice: Json) -> Json:
    """Take it back."""
    if invoice["status"] not in _UNPAID:
        raise StripeFault(f"An invoice that is {invoice['status']} cannot be voided.", param="invoice")
    invoice.update(status="void", next_payment_attempt=None)
    invoice["status_transitions"]["voided_at"] = books.now()
    for payment in books.invoice_payments.values():
        if payment["invoice"] == invoice["id"]:
            payment["status"] = "canceled"
            money.cancel(books, books.intents[payment["payment"]["payment_intent"]], {})
    books.tell("invoice.voided", invoice)
    return invoice


def payment_of(books: Books, invoice: Json) -> Json:
    """What pays it."""
    return next(row for row in books.invoice_payments.values() if row["invoice"] == invoice["id"])
