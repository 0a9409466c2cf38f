"""Every endpoint of billing, payments and payment providers that the requirements name answers, under its own name."""

import csv
import os
import re

import pytest
from litestar import Litestar

from tests.specs import SPECS

ENDPOINTS = """
GET /api/billing/plans
GET /api/billing/subscription
POST /api/billing/subscription
POST /api/billing/subscription/cancel
POST /api/billing/subscription/resume
POST /api/billing/checkout
GET /api/billing/payments
GET /api/billing/invoices
POST /api/billing/webhooks/stripe
POST /api/billing/webhooks/flutterwave
POST /api/payments/intent
POST /api/payments/invoice
POST /api/payments/payout
POST /api/payments/{payment_id}/refunds
POST /api/payments/stripe/webhook
POST /api/payments/paypal/webhook
GET /api/integrations/stripe/status
POST /api/integrations/stripe/payment-link
GET /api/integrations/stripe/payment-link/{invoice_id}
DELETE /api/integrations/stripe/payment-link/{invoice_id}
POST /api/integrations/stripe/webhook
POST /api/integrations/paypal/webhook
"""

_ABOUT = ("/api/billing", "/api/payments", "/api/integrations/stripe", "/api/integrations/paypal")


def there(litestar: Litestar) -> set[tuple[str, str]]:
    """Every route by its method and path, the names of its parameters left out."""
    return {
        (method, re.sub(r"{\w+(:\w+)?}", "{}", route.path))
        for route in litestar.routes
        for method in getattr(route, "route_handler_map", {})
    }


def answers(routes: set[tuple[str, str]], method: str, path: str) -> bool:
    """Whether one of them answers: literally, or by a parameter (`stripe` is a provider)."""
    wanted = re.sub(r"{\w+}", "{}", path).split("/")
    return any(
        method == other
        and len(parts) == len(wanted)
        and all(part in (word, "{}") for part, word in zip(parts, wanted, strict=True))
        for other, pattern in routes
        for parts in [pattern.split("/")]
    )


def test_every_endpoint_of_billing_is_there(litestar: Litestar) -> None:
    """A host application written against the requirements must find them."""
    routes = there(litestar)
    wanted = [line.split(" ") for line in ENDPOINTS.split("\n") if line]
    assert [one for one in wanted if not answers(routes, *one)] == []


def test_the_list_is_that_of_the_requirements(litestar: Litestar) -> None:
    """Where the requirements themselves are at hand, nothing of them is missing from the list above."""
    listed = SPECS.parent / "endpoints.csv"
    if not listed.exists():
        missing = f"the requirements are not here ({listed}); set PATCHBAY_SPECS to the folder beside them"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with listed.open() as file:
        rows = [(row["method"], row["path"]) for row in csv.DictReader(file) if row["path"].startswith(_ABOUT)]
    assert rows
    known = {tuple(line.split(" ")) for line in ENDPOINTS.split("\n") if line}
    assert set(rows) <= known
