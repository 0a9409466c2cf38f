"""How money moves in the sandbox: intents are confirmed, captured, cancelled; charges succeed, fail, and go back."""

import copy

from adapters.providers.stripe import sandbox_balance as balance
from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_objects as make
from adapters.providers.stripe.amounts import CURRENCIES, limits
from adapters.providers.stripe.sandbox_books import Books, merged
from adapters.providers.stripe.sandbox_cards import Card, Fate
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json

_CONFIRMABLE = ("requires_payment_method", "requires_confirmation")
_CANCELLABLE = (*_CONFIRMABLE, "requires_action", "requires_capture")


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Raise StripeFault unless this can be charged: the currency's limits and, of three decimals, the last."""
    code = currency.upper()
    if currency != currency.lower() or code not in CURRENCIES:
        raise StripeFault(f"{currency!r} is not a currency that can be charged.", param="currency")
    least, most = limits(code)
    if amount < least:
        raise StripeFault(f"At least {least} {currency} can be charged.", code="amount_too_small", param=param)
    if amount > most:
        raise StripeFault(f"At most {most} {currency} can be charged.", code="amount_too_large", param=param)
    check_digit(amount, currency, param)


def check_digit(amount: int, currency: str, param: str = "amount") -> None:
    """Raise StripeFault if an amount of three decimals does not end in 0, or one of ISK or UGX is not whole."""
    unit = balance.step(currency)
    if amount % unit:
        raise StripeFault(f"An amount in {currency} must be a multiple of {unit}.", param=param)


def create_intent(books: Books, given: Json) -> Json:
    """A new payment, confirmed at once if `confirm` was asked."""
    check_amount(given["amount"], given["currency"])
    if "customer" in given:
        books.find(books.customers, "customer", given["customer"], param="customer", status=400)
    if given.get("return_url") and not given.get("confirm"):
        raise StripeFault("return_url is only taken together with confirm=true.", param="return_url")
    given["metadata"] = merged({}, given.get("metadata"))
    if given.get("off_session") and not given.get("confirm"):
        raise StripeFault("off_session is only taken together with confirm=true.", param="off_session")
    method = (
        methods.chosen(books, given["payment_method"], given.get("customer")) if "payment_method" in given else None
    )
    intent = make.payment_intent(books.id("pi_"), books.id("", 25), books.now(), books.live, given)
    books.intents[intent["id"]] = intent
    if method:
        _attach(books, intent, method)
    books.tell("payment_intent.created", intent)
    return confirm(books, intent, given) if given.get("confirm") else intent


def update_intent(books: Books, intent: Json, given: Json) -> Json:
    """Change a payment that has not begun."""
    _expect(intent, _CONFIRMABLE, "updated")
    wanted = {**intent, **given}
    check_amount(wanted["amount"], wanted["currency"])
    if given.get("customer"):
        books.find(books.customers, "customer", given["customer"], param="customer", status=400)
    if "metadata" in given:
        given["metadata"] = merged(intent["metadata"], given["metadata"])
    if "payment_method" in given:
        _attach(books, intent, methods.chosen(books, given.pop("payment_method"), intent["customer"]))
    intent.update(given)
    return intent


def confirm(books: Books, intent: Json, given: Json) -> Json:
    """Try to take the money. Raises StripeFault 402 when the card is declined, which is kept all the same."""
    _expect(intent, _CONFIRMABLE, "confirmed")
    if "payment_method" in given:
        _attach(books, intent, methods.chosen(books, given["payment_method"], intent["customer"]))
    if intent["payment_method"] is None:
        raise StripeFault(
            "The payment intent has no payment method to be confirmed with.",
            code="payment_intent_unexpected_state",
            more={"payment_intent": copy.deepcopy(intent)},
        )
    away = given.get("off_session") is True
    redirects = intent["automatic_payment_methods"]["allow_redirects"] == "always"
    if redirects and not given.get("return_url"):
        raise StripeFault("This payment intent may redirect; a return_url is needed.", param="return_url")
    card = books.cards[intent["id"]]
    return attempt(books, intent, asleep(card) if away else card, return_url=given.get("return_url"), payer={})


def asleep(card: Card) -> Card:
    """What a card does while its owner is away: one that asks for them is declined."""
    if card.fate is not Fate.AUTHENTICATES:
        return card
    why = "The card needs its owner to authenticate the payment."
    return Card(card.number, Fate.DECLINED, ("authentication_required", "authentication_required", why))


def attempt(books: Books, intent: Json, card: Card, *, return_url: str | None, payer: Json) -> Json:
    """Let a card's fate befall an intent. Raises StripeFault 402 when it is declined."""
    intent["payment_method"] = intent["payment_method"] or methods.typed(books, card, payer)["id"]
    books.cards[intent["id"]] = card
    if card.fate is Fate.AUTHENTICATES:
        url = f"{books.public_url}/stripe/c/authenticate/{intent['id']}"
        intent["next_action"] = (
            {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
            if return_url
            else {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        )
        intent["status"] = "requires_action"
        books.tell("payment_intent.requires_action", intent)
        return intent
    return _charge(books, intent, card, payer)


def authenticate(books: Books, intent: Json, succeeded: bool, payer: Json) -> Json:
    """The card's owner proved to be the owner, or did not. Raises StripeFault 402 in the latter case."""
    _expect(intent, ("requires_action",), "authenticated")
    intent["next_action"] = None
    if succeeded:
        return _charge(books, intent, books.cards[intent["id"]], payer)
    code, text = "payment_intent_authentication_failure", "The card's owner could not be authenticated."
    _fail(books, intent, {"type": "invalid_request_error", "code": code, "message": text})
    raise StripeFault(text, status=402, kind="card_error", code=code, more={"payment_intent": copy.deepcopy(intent)})


def capture(books: Books, intent: Json, given: Json) -> Json:
    """Take money that was set aside; what is not taken is let go."""
    _expect(intent, ("requires_capture",), "captured")
    amount: int = given["amount_to_capture"] if "amount_to_capture" in given else intent["amount_capturable"]
    if amount > intent["amount_capturable"]:
        raise StripeFault(
            f"Only {intent['amount_capturable']} can be captured.", code="amount_too_large", param="amount_to_capture"
        )
    check_digit(amount, intent["currency"], "amount_to_capture")
    charge = books.charges[intent["latest_charge"]]
    charge.update(captured=True, amount_captured=amount, amount_refunded=charge["amount"] - amount)
    balance.charged(books, charge)
    intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
    books.tell("charge.captured", charge)
    books.tell("payment_intent.succeeded", intent)
    return intent


def cancel(books: Books, intent: Json, given: Json) -> Json:
    """Give a payment up before its money was taken."""
    _expect(intent, _CANCELLABLE, "canceled")
    if intent["status"] == "requires_capture":
        charge = books.charges[intent["latest_charge"]]
        charge.update(refunded=True, amount_refunded=charge["amount"])
        books.tell("charge.refunded", charge)
    intent.update(
        status="canceled",
        canceled_at=books.now(),
        cancellation_reason=given.get("cancellation_reason"),
        amount_capturable=0,
        next_action=None,
    )
    books.tell("payment_intent.canceled", intent)
    return intent


def create_refund(books: Books, given: Json) -> Json:
    """Send money back. Raises StripeFault if less is left."""
    if ("payment_intent" in given) == ("charge" in given):
        raise StripeFault(
            "One of payment_intent and charge is needed.", code="parameter_missing", param="payment_intent"
        )
    if "charge" in given:
        charge = books.find(books.charges, "charge", given["charge"], param="charge")
    else:
        intent = books.find(books.intents, "payment_intent", given["payment_intent"], param="payment_intent")
        if intent["status"] != "succeeded":
            raise StripeFault("This payment intent has no successful charge to refund.", param="payment_intent")
        charge = books.charges[intent["latest_charge"]]
    if balance.is_disputed(books, charge):
        raise StripeFault("The charge was disputed; its money is not the shop's.", code="charge_disputed")
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise StripeFault("This charge took no money that could go back.", param="charge")
    left = charge["amount"] - charge["amount_refunded"]
    if not left:
        raise StripeFault("The charge has already been refunded in full.", code="charge_already_refunded")
    amount = given.get("amount", left)
    if amount > left:
        raise StripeFault(f"{amount} is more than the {left} {charge['currency']} that are left.", param="amount")
    check_digit(amount, charge["currency"])
    given["metadata"] = merged({}, given.get("metadata"))
    begins = books.cards[charge["id"]].refund[0]
    refund = make.refund(books.id("re_"), books.now(), charge, amount, begins, given)
    books.refunds[refund["id"]] = refund
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    balance.refunded(books, refund)
    books.tell("refund.created", refund)
    books.tell("charge.refunded", charge)
    return refund


def settle_refund(books: Books, refund: Json, status: str | None = None) -> Json:
    """The bank's last word on a refund: `succeeded` or `failed`, by default what its card foretells."""
    charge = books.charges[refund["charge"]]
    status = status or books.cards[charge["id"]].refund[1]
    if refund["status"] in (status, "failed", "canceled"):
        return refund
    refund["status"] = status
    if status == "failed":
        refund["failure_reason"] = "expired_or_canceled_card"
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        balance.came_back(books, refund)
        books.tell("refund.failed", refund)
    books.tell("refund.updated", refund)
    return refund


def _charge(books: Books, intent: Json, card: Card, payer: Json) -> Json:
    charge = make.charge(books.id("ch_"), books.now(), books.live, intent, card, intent["payment_method"], payer)
    books.charges[charge["id"]] = charge
    books.cards[charge["id"]] = card
    intent["latest_charge"] = charge["id"]
    if card.fate is Fate.DECLINED:
        code, decline, text = card.decline
        charge.update(failure_code=code, failure_message=text, outcome=_outcome("issuer_declined", decline))
        books.tell("charge.failed", charge)
        error = {"type": "card_error", "code": code, "decline_code": decline, "message": text, "charge": charge["id"]}
        _fail(books, intent, error)
        more = {"charge": charge["id"], "decline_code": decline, "payment_intent": copy.deepcopy(intent)}
        raise StripeFault(text, status=402, kind="card_error", code=code, more=more)
    charge.update(status="succeeded", paid=True, outcome=_outcome("authorized", None))
    intent["last_payment_error"] = None
    if intent["capture_method"] == "manual":
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        books.tell("charge.succeeded", charge)
        books.tell("payment_intent.amount_capturable_updated", intent)
        return intent
    charge.update(captured=True, amount_captured=charge["amount"])
    balance.charged(books, charge)
    intent.update(status="succeeded", amount_received=intent["amount"])
    if intent["setup_future_usage"] and intent["customer"]:
        methods.attach(books, books.methods[intent["payment_method"]], intent["customer"])
    books.tell("charge.succeeded", charge)
    books.tell("payment_intent.succeeded", intent)
    return intent


def _fail(books: Books, intent: Json, error: Json) -> None:
    intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)
    books.tell("payment_intent.payment_failed", intent)


def _outcome(kind: str, decline: str | None) -> Json:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if kind == "authorized" else "declined_by_network",
        "reason": decline,
        "risk_level": "normal",
        "seller_message": "Payment complete." if kind == "authorized" else "The bank declined the payment.",
        "type": kind,
    }


def _attach(books: Books, intent: Json, method: Json) -> None:
    books.cards[intent["id"]] = books.cards[method["id"]]
    intent.update(payment_method=method["id"], status="requires_confirmation")


def _expect(intent: Json, states: tuple[str, ...], done: str) -> None:
    if intent["status"] not in states:
        raise StripeFault(
            f"A payment intent that is {intent['status']} cannot be {done}.",
            code="payment_intent_unexpected_state",
            more={"payment_intent": copy.deepcopy(intent)},
        )
