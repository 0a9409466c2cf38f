"""What a payment provider can do, what the hub does in its stead, and what nobody does: the catalogue's matrix."""

from collections.abc import Mapping
from enum import Enum

import attrs

from domain.refusals import Refusal


class Ability(Enum):
    """One thing that may be asked of a payment provider."""

    HOSTED_CHECKOUT = "hosted_checkout"
    INTENTS = "intents"
    MOBILE_MONEY = "mobile_money"
    BANK_TRANSFER = "bank_transfer"
    REFUNDS = "refunds"
    PARTIAL_REFUNDS = "partial_refunds"
    CUSTOMERS = "customers"
    PAYMENT_METHODS = "payment_methods"
    OFF_SESSION = "off_session"
    """Charging a kept method while its payer is away."""
    PLANS = "plans"
    SUBSCRIPTIONS = "subscriptions"
    TRIALS = "trials"
    QUANTITY = "quantity"
    CHANGE_PLAN = "change_plan"
    PRORATION = "proration"
    CANCEL_AT_PERIOD_END = "cancel_at_period_end"
    PAUSE = "pause"
    RESUME = "resume"
    """Taking back an end that was set for later."""
    PAYOUTS = "payouts"
    INVOICES = "invoices"
    """Invoices under the provider's own number."""
    SETTLEMENTS = "settlements"
    EVENT_LIST = "event_list"
    SIGNED_WEBHOOKS = "signed_webhooks"


class By(Enum):
    """Who does it."""

    PROVIDER = "provider"
    HUB = "hub"
    """The hub, in the provider's stead."""
    NOBODY = "nobody"


@attrs.frozen
class Support:
    """Who does it, and what is to be known about it."""

    by: By
    note: str = ""


NOT_SUPPORTED = Support(By.NOBODY)


class NotOffered(Refusal):
    """The provider cannot do this, and the hub does not do it in its stead."""


def require(name: str, abilities: Mapping[Ability, Support], wanted: Ability, *, field: str | None = None) -> By:
    """Who does it. Raises NotOffered, saying why, when nobody does."""
    support = abilities.get(wanted, NOT_SUPPORTED)
    if support.by is By.NOBODY:
        what = wanted.value.replace("_", " ")
        raise NotOffered(support.note or f"{name} does not offer {what}.", field=field)
    return support.by
