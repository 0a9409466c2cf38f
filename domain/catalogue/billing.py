"""The events of billing: invoices, payments, payouts, subscriptions.

A status is any text, because a provider may invent one; the known ones are in each field's description.
"""

from typing import Any

from domain.catalogue.event_type import Family
from domain.work.compounds import Amount, Reference
from domain.work.fields import Field, Group
from domain.work.scalars import Day, Flag, Moment, Whole
from domain.work.texts import CurrencyCode, Email, Text, Url

_CLIENT = Group(
    (
        Field("id", Reference("client"), required=True),
        Field("name", Text(200, "Acme Ltd"), required=True),
        Field("email", Email("billing@acme.example")),
    )
)

_INVOICE = Group(
    (
        Field("id", Reference("invoice"), required=True),
        Field("number", Text(60, "INV-2026-042"), required=True),
        Field(
            "status", Text(40, "open"), "draft, open, partly_paid, paid, overdue, void, uncollectible.", required=True
        ),
        Field("client", _CLIENT, required=True),
        Field("currency", CurrencyCode(), required=True),
        Field("subtotal", Amount(value="125.00"), "The lines, less their own discounts.", always=False),
        Field("discount", Amount(value="0.00"), "Off the whole invoice.", always=False),
        Field("tax", Amount(value="0.00"), "In the total, whether added or included in the prices.", always=False),
        Field("total", Amount(value="125.00"), required=True),
        Field("credited", Amount(value="0.00"), "What credit notes took back.", always=False),
        Field("amount_due", Amount(value="125.00"), "What is still to be paid.", required=True),
        Field("amount_paid", Amount(value="0.00"), required=True),
        Field("due_on", Day("2026-02-28")),
        Field("url", Url("https://hub.studio.example/pay/3f8a1c"), "Where the client can pay it."),
    )
)

_PAYMENT = Group(
    (
        Field("id", Reference("payment"), required=True),
        Field("provider", Text(60, "stripe"), required=True),
        Field("reference", Text(255, "pi_0001"), "Its id at the provider.", required=True),
        Field(
            "status",
            Text(40, "succeeded"),
            "pending, unknown, succeeded, failed, canceled, partially_refunded, refunded, disputed, conflicted.",
            required=True,
        ),
        Field("amount", Amount(value="125.00"), required=True),
        Field("refunded", Amount(value="0.00"), "What went back of it so far.", required=True),
        Field("invoice_id", Reference("invoice")),
        Field("subscription_id", Reference("subscription"), "The subscription it renews, if it does.", always=False),
        Field(
            "conflict", Text(500, "It was made in EUR, the invoice is in USD."), "Why it is set aside.", always=False
        ),
    )
)

_REFUND = Group(
    (
        Field("id", Text(255, "re_0001"), "Its id: the provider's, where it was made there.", required=True),
        Field("amount", Amount(value="25.00"), required=True),
        Field("status", Text(40, "succeeded"), "pending, succeeded, failed …", required=True),
    )
)

_PAYOUT = Group(
    (
        Field("id", Text(60, "payout_0001"), required=True),
        Field("provider", Text(60, "stripe"), required=True),
        Field("reference", Text(255, "po_0001"), "Its id at the provider.", required=True),
        Field("status", Text(40, "paid"), "paid, failed …", required=True),
        Field("amount", Amount(negative=True, value="980.00"), "Below zero when the provider takes.", required=True),
        Field("arrives_on", Day("2026-02-12")),
        Field("failure", Text(500, "The bank account is closed"), "Why it failed."),
    )
)

_RECONCILIATION = Group(
    (
        Field("id", Text(60, "reconciliation_0001"), required=True),
        Field("provider", Text(60, "stripe"), required=True),
        Field("connection_id", Text(60, "connection_0001"), required=True),
        Field("since", Moment("2026-02-11T00:00:00Z"), required=True),
        Field("until", Moment("2026-02-12T00:00:00Z"), required=True),
        Field("compared", Whole(sample=120), "Movements compared.", required=True),
        Field("differences", Whole(sample=0), required=True),
        Field("url", Url("https://hub.studio.example/console/reconciliations/1"), "The report."),
    )
)

_SUBSCRIPTION = Group(
    (
        Field("id", Text(60, "subscription_0001"), required=True),
        Field("provider", Text(60, "stripe"), required=True),
        Field(
            "reference",
            Text(255, "sub_0001"),
            "Its id at the provider; its own where the hub renews it.",
            required=True,
        ),
        Field("status", Text(40, "active"), "trialing, active, past_due, paused, canceled …", required=True),
        Field("client", _CLIENT),
        Field("plan", Text(200, "Care, monthly")),
        Field("plan_code", Text(60, "care-monthly"), "The plan's name in your application.", always=False),
        Field("amount", Amount(value="90.00"), "For each period, for all units.", required=True),
        Field("quantity", Whole(sample=1), "How many units.", always=False),
        Field("interval", Text(20, "month"), "day, week, month, year.", required=True),
        Field("interval_count", Whole(sample=1), "How many intervals make a period.", always=False),
        Field("current_period_start", Moment("2026-02-01T00:00:00Z")),
        Field("current_period_end", Moment("2026-03-01T00:00:00Z")),
        Field("trial_ends_at", Moment("2026-02-15T00:00:00Z"), "When the trial ends or ended.", always=False),
        Field("cancel_at_period_end", Flag(sample=False), required=True),
        Field("reason", Text(500, "The renewal could not be paid."), "Why it ended.", always=False),
    )
)


def _invoice(status: str, due: str = "125.00", paid: str = "0.00") -> dict[str, Any]:
    """What the sample's invoice holds instead."""
    return {"invoice": {"status": status, "amount_due": {"amount": due}, "amount_paid": {"amount": paid}}}


_PAID = _invoice("paid", due="0.00", paid="125.00")

BILLING = (
    Family(
        "Invoices",
        Group((Field("invoice", _INVOICE, required=True),)),
        (
            ("invoice.created", "An invoice was created.", _invoice("draft")),
            ("invoice.sent", "An invoice was sent to the client.", {}),
            ("invoice.paid", "An invoice was paid in full.", _PAID),
            ("invoice.overdue", "The day an invoice was due has passed and it is not paid.", _invoice("overdue")),
            ("invoice.payment_failed", "A payment of an invoice was tried and failed.", {}),
            ("invoice.refunded", "Some or all of what was paid on an invoice went back.", _PAID),
            ("invoice.reminded", "The client was reminded of an invoice.", _invoice("overdue")),
            ("invoice.credited", "A credit note took back some or all of an invoice.", {}),
            ("invoice.uncollectible", "An invoice was written off.", _invoice("uncollectible")),
            ("invoice.voided", "An invoice was voided and need not be paid.", _invoice("void", due="0.00")),
        ),
    ),
    Family(
        "Payments",
        Group(
            (
                Field("payment", _PAYMENT, required=True),
                Field("invoice", _INVOICE, "The invoice it pays, if any."),
                Field("refund", _REFUND, "The refund it is about, if it is about one.", always=False),
            )
        ),
        (
            ("payment.received", "A payment succeeded.", {**_PAID, "refund": None}),
            (
                "payment.failed",
                "A payment was tried and failed.",
                {"payment": {"status": "failed"}, "refund": None},
            ),
            (
                "payment.refunded",
                "Some or all of a payment went back to the payer.",
                {**_PAID, "payment": {"status": "partially_refunded", "refunded": {"amount": "25.00"}}},
            ),
            (
                "payment.refund_failed",
                "A refund did not reach the payer: the money is back.",
                {**_PAID, "refund": {"status": "failed"}},
            ),
            (
                "payment.conflicted",
                "Money came that was not asked for in this way; a person settles it.",
                {"payment": {"status": "conflicted"}, "refund": None},
            ),
            (
                "payment.disputed",
                "The payer's bank took a payment back, or holds it.",
                {**_PAID, "payment": {"status": "disputed"}, "refund": None},
            ),
        ),
    ),
    Family(
        "Reconciliations",
        Group((Field("reconciliation", _RECONCILIATION, required=True),)),
        (("reconciliation.finished", "The provider's books were compared with ours.", {}),),
    ),
    Family(
        "Payouts",
        Group((Field("payout", _PAYOUT, required=True),)),
        (
            ("payout.created", "A payout was asked for.", {"payout": {"status": "pending", "failure": None}}),
            ("payout.paid", "The provider paid out to the bank account.", {"payout": {"failure": None}}),
            ("payout.failed", "A payout did not reach the bank account.", {"payout": {"status": "failed"}}),
        ),
    ),
    Family(
        "Subscriptions",
        Group((Field("subscription", _SUBSCRIPTION, required=True),)),
        (
            ("subscription.created", "A subscription began.", {}),
            ("subscription.updated", "A subscription changed: its plan, its status, its period.", {}),
            ("subscription.trial_ending", "A trial ends in three days.", {"subscription": {"status": "trialing"}}),
            ("subscription.past_due", "A renewal could not be charged.", {"subscription": {"status": "past_due"}}),
            ("subscription.canceled", "A subscription ended.", {"subscription": {"status": "canceled"}}),
        ),
    ),
)
