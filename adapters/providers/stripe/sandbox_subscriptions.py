"""Subscriptions in the sandbox: begun, changed, previewed."""

import copy

from adapters.providers.stripe import sandbox_invoices as bills
from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_objects_billing as make
from adapters.providers.stripe import sandbox_periods as periods
from adapters.providers.stripe import sandbox_prices as prices
from adapters.providers.stripe import sandbox_renewals as renewals
from adapters.providers.stripe.sandbox_books import Books, merged
from adapters.providers.stripe.sandbox_cards import Fate
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json

_PLAIN = ("cancel_at_period_end", "default_payment_method", "description", "pause_collection")


def begin(books: Books, given: Json, price: Json, quantity: int, trial_days: int = 0) -> Json:
    """A new one, as yet without a bill."""
    now = books.now()
    trial_end = now + trial_days * renewals.DAY if trial_days else None
    period = (now, trial_end or periods.after(now, price["recurring"], now))
    id_ = books.id("sub_")
    given["metadata"] = merged({}, given.get("metadata"))
    item = make.subscription_item(books.id("si_", 14), now, id_, copy.deepcopy(price), quantity, period)
    subscription = make.subscription(id_, now, books.live, given, item, trial_end)
    books.subscriptions[id_] = subscription
    return subscription


def first_bill(books: Books, subscription: Json, intent: Json | None = None) -> Json:
    """The bill that a subscription begins with; a trial's is of nothing."""
    line = renewals.line_of(books, subscription)
    if subscription["status"] == "trialing":
        line |= {"amount": 0, "description": f"Trial period for {line['description']}"}
    invoice = renewals.bill(books, subscription, "subscription_create", [line])
    return bills.finalize(books, invoice, intent)


def create(books: Books, given: Json) -> Json:
    """As a shop asks for it, without a page: it stays incomplete while its first bill is not paid."""
    owner = books.find(books.customers, "customer", given["customer"], param="customer", status=400)
    asked = given["items"][0]
    price = prices.recurring(books, asked["price"], "items[0][price]")
    if method := given.get("default_payment_method"):
        given["default_payment_method"] = methods.chosen(books, method, owner["id"])["id"]
    subscription = begin(books, given, price, asked.get("quantity", 1), given.get("trial_period_days", 0))
    books.tell("customer.subscription.created", subscription)
    invoice = first_bill(books, subscription)
    if invoice["status"] == "open" and given.get("payment_behavior") != "default_incomplete":
        try:
            bills.collect(books, invoice, None, methods.default_of(books, subscription))
        except StripeFault:
            return subscription
    if invoice["status"] == "paid" and subscription["status"] == "incomplete":
        renewals.change(books, subscription, status="active")
    return subscription


def update(books: Books, subscription: Json, given: Json) -> Json:
    """Change it; what that costs is charged at once or goes on the next bill, as was asked."""
    if subscription["status"] in renewals.OVER:
        raise StripeFault("A canceled subscription can only update its cancellation details and metadata.")
    given = dict(given)
    changes = {name: given[name] for name in _PLAIN if name in given}
    if "cancel_at_period_end" in given:
        leaving = given["cancel_at_period_end"]
        changes["cancel_at"] = subscription["items"]["data"][0]["current_period_end"] if leaving else None
        changes["canceled_at"] = books.now() if leaving else None
        reason = "cancellation_requested" if leaving else None
        changes["cancellation_details"] = {"comment": None, "feedback": None, "reason": reason}
    if "cancellation_details" in given:
        kept = changes.get("cancellation_details", subscription["cancellation_details"])
        changes["cancellation_details"] = kept | given["cancellation_details"]
    if given.get("default_payment_method"):
        methods.chosen(books, given["default_payment_method"], subscription["customer"])
    if "metadata" in given:
        changes["metadata"] = merged(subscription["metadata"], given["metadata"])
    if "items" in given:
        _change_items(books, subscription, given)
    return renewals.change(books, subscription, **changes)


def pause(books: Books, subscription: Json) -> Json:
    """Stop it: nothing is billed until it is resumed."""
    if subscription["status"] not in ("active", "trialing"):
        raise StripeFault(f"A subscription that is {subscription['status']} cannot be paused.")
    subscription["status"] = "paused"
    books.tell("customer.subscription.paused", subscription)
    return subscription


def resume(books: Books, subscription: Json) -> Json:
    """Let a stopped one go on: a new period begins, and is billed."""
    if subscription["status"] != "paused":
        raise StripeFault("Only a paused subscription can be resumed.")
    renewals.next_period(subscription, books.now())
    subscription.update(status="active", billing_cycle_anchor=books.now())
    books.tell("customer.subscription.resumed", subscription)
    lines = [renewals.line_of(books, subscription)]
    renewals.charge(books, subscription, renewals.bill(books, subscription, "subscription_update", lines))
    return subscription


def warn_of_trial_end(books: Books, subscription: Json) -> Json:
    """What Stripe tells three days before a trial ends."""
    books.tell("customer.subscription.trial_will_end", subscription)
    return subscription


def preview(books: Books, subscription: Json, given: Json) -> Json:
    """The next bill, as it would be after a change, without anything being done."""
    asked = given.get("subscription_details", {})
    item = copy.deepcopy(subscription["items"]["data"][0])
    wanted = asked.get("items", [{}])[0]
    price = prices.recurring(books, wanted["price"], "subscription_details") if "price" in wanted else item["price"]
    quantity = wanted.get("quantity", item["quantity"])
    lines, period = _changed(books, subscription, price, quantity, asked.get("proration_date", books.now()))
    behaviour = asked.get("proration_behavior", "create_prorations")
    if behaviour != "always_invoice":
        item.update(current_period_start=period[0], current_period_end=period[1], price=price, quantity=quantity)
        following = (period[1], periods.after(period[1], price["recurring"], subscription["billing_cycle_anchor"]))
        whole = periods.line(price, renewals.named(books, price, quantity), quantity, following, item)
        lines = [*(lines if behaviour == "create_prorations" else []), whole]
    owner = books.customers[subscription["customer"]]
    about = {
        "currency": subscription["currency"],
        "reason": "upcoming",
        "subscription": subscription["id"],
        "period_start": period[0],
        "period_end": books.now() if behaviour == "always_invoice" else period[1],
    }
    invoice = make.invoice(books.id("upcoming_in_"), books.now(), books.live, owner, about)
    for line in lines:
        made = make.line_item(books.id("il_tmp_"), books.live, {**line, "invoice": invoice["id"]})
        invoice["lines"]["data"].append(made)
    bills.reckon(books, invoice)
    return invoice


def _change_items(books: Books, subscription: Json, given: Json) -> None:
    item, wanted = subscription["items"]["data"][0], given["items"][0]
    if wanted.get("id", item["id"]) != item["id"]:
        raise StripeFault("There is no such subscription item.", code="resource_missing", param="items[0][id]")
    price = prices.recurring(books, wanted["price"], "items[0][price]") if "price" in wanted else item["price"]
    if price["currency"] != subscription["currency"]:
        raise StripeFault("A subscription stays in its currency.", param="items[0][price]")
    quantity = wanted.get("quantity", item["quantity"])
    at = given.get("proration_date", books.now())
    if not item["current_period_start"] <= at <= item["current_period_end"]:
        raise StripeFault("proration_date must be within the current period.", param="proration_date")
    lines, period = _changed(books, subscription, price, quantity, at)
    behaviour = given.get("proration_behavior", "create_prorations")
    begins_anew = period != (item["current_period_start"], item["current_period_end"])
    if behaviour == "none":
        lines = lines[1:] if begins_anew else []
    now = behaviour == "always_invoice" or begins_anew
    method = methods.default_of(books, subscription)
    refusing = given.get("payment_behavior") == "error_if_incomplete"
    if lines and now and refusing and sum(line["amount"] for line in lines) > 0:
        card = books.cards[method["id"]] if method else renewals.DECLINING
        if card.fate is not Fate.PAYS:
            code, decline, text = card.decline if card.fate is Fate.DECLINED else renewals.DECLINING.decline
            raise StripeFault(text, status=402, kind="card_error", code=code, more={"decline_code": decline})
    item.update(
        price=copy.deepcopy(price),
        plan=make.plan(price),
        quantity=quantity,
        current_period_start=period[0],
        current_period_end=period[1],
    )
    if begins_anew:
        subscription["billing_cycle_anchor"] = period[0]
    if lines and now:
        renewals.charge(books, subscription, renewals.bill(books, subscription, "subscription_update", lines), None)
    elif lines:
        books.pending.setdefault(subscription["id"], []).extend(lines)


def _changed(
    books: Books, subscription: Json, price: Json, quantity: int, at: int
) -> tuple[list[Json], tuple[int, int]]:
    item = subscription["items"]["data"][0]
    if subscription["status"] == "trialing" or (price["id"], quantity) == (item["price"]["id"], item["quantity"]):
        return [], (item["current_period_start"], item["current_period_end"])
    names = (renewals.named(books, item["price"], item["quantity"]), renewals.named(books, price, quantity))
    return periods.changed(item, names[0], price, names[1], quantity, at)
