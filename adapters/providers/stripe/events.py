"""Which of Stripe's events the hub asks for, and what each of Stripe's objects is to the hub."""

from typing import Final

EVENTS: Final = (
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.failed",
    "charge.refunded",
    "charge.succeeded",
    "charge.updated",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.succeeded",
    "payment_method.attached",
    "payment_method.detached",
    "payout.canceled",
    "payout.created",
    "payout.failed",
    "payout.paid",
    "refund.created",
    "refund.failed",
    "refund.updated",
)
"""The webhooks that tell the hub something it keeps. `charge.updated` tells the fee: Stripe captures by itself a moment
after a payment succeeded, and only then knows what it costs."""

OBJECT_KINDS: Final = {
    "charge": "charge",
    "checkout.session": "checkout",
    "customer": "customer",
    "dispute": "dispute",
    "invoice": "invoice",
    "payment_intent": "intent",
    "payment_method": "method",
    "payout": "payout",
    "plan": "plan",
    "price": "plan",
    "refund": "refund",
    "subscription": "subscription",
}
"""Stripe's name for a kind of object, and ours."""
