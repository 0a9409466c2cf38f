"""Which call of PayPal's API the sandbox answers how."""

import re
from collections.abc import Callable
from typing import Any

from adapters.providers.paypal import sandbox_billing as billing
from adapters.providers.paypal import sandbox_hooks as hooks
from adapters.providers.paypal import sandbox_orders as orders
from adapters.providers.paypal import sandbox_payouts as payouts
from adapters.providers.paypal import sandbox_plans as plans
from adapters.providers.paypal import sandbox_refunds as refunds
from adapters.providers.paypal.sandbox_books import Books, Call, PayPalFault

Handler = Callable[..., tuple[int, Any]]

_ID = "([A-Za-z0-9_-]+)"
_SUBSCRIPTION = f"/v1/billing/subscriptions/{_ID}"
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/v2/checkout/orders", orders.create),
    ("GET", f"/v2/checkout/orders/{_ID}", orders.fetch),
    ("PATCH", f"/v2/checkout/orders/{_ID}", orders.patch),
    ("POST", f"/v2/checkout/orders/{_ID}/capture", orders.capture),
    ("GET", f"/v2/payments/captures/{_ID}", orders.fetch_capture),
    ("POST", f"/v2/payments/captures/{_ID}/refund", refunds.refund),
    ("GET", f"/v2/payments/refunds/{_ID}", refunds.fetch_refund),
    ("POST", "/v1/catalogs/products", plans.create_product),
    ("GET", f"/v1/catalogs/products/{_ID}", plans.fetch_product),
    ("POST", "/v1/billing/plans", plans.create_plan),
    ("GET", f"/v1/billing/plans/{_ID}", plans.fetch_plan),
    ("POST", f"/v1/billing/plans/{_ID}/deactivate", plans.deactivate_plan),
    ("POST", "/v1/billing/subscriptions", billing.create_subscription),
    ("GET", _SUBSCRIPTION, billing.fetch_subscription),
    ("GET", f"{_SUBSCRIPTION}/transactions", billing.transactions),
    ("POST", f"{_SUBSCRIPTION}/revise", billing.revise),
    ("POST", f"{_SUBSCRIPTION}/(suspend|activate|cancel)", billing.move),
    ("POST", "/v1/payments/payouts", payouts.create),
    ("GET", f"/v1/payments/payouts/{_ID}", payouts.fetch),
    ("GET", "/v1/reporting/transactions", payouts.transactions),
    ("POST", "/v1/notifications/webhooks", hooks.create),
    ("GET", "/v1/notifications/webhooks", hooks.every),
    ("GET", f"/v1/notifications/webhooks/{_ID}", hooks.fetch),
    ("DELETE", f"/v1/notifications/webhooks/{_ID}", hooks.remove),
    ("GET", "/v1/notifications/webhooks-events", hooks.events),
    ("GET", f"/v1/notifications/webhooks-events/{_ID}", hooks.fetch_event),
    ("POST", f"/v1/notifications/webhooks-events/{_ID}/resend", hooks.resend),
)


def answer(books: Books, call: Call, more: dict[tuple[str, str], Handler]) -> tuple[int, Any]:
    """Do what is asked. more: handlers that need the sandbox itself. Raises PayPalFault."""
    own = more.get((call.method, call.path))
    if own is not None:
        return own(books, call)
    known = False
    for method, pattern, handler in _ROUTES:
        found = re.fullmatch(pattern, call.path)
        if found is not None and method == call.method:
            return handler(books, call, *found.groups())
        known = known or found is not None
    if known:
        raise PayPalFault(405, "METHOD_NOT_SUPPORTED", message="The place does not take this method.")
    raise PayPalFault(404, "RESOURCE_NOT_FOUND", message="There is no such place.")
