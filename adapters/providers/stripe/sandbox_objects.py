"""The shapes of Stripe's objects in API version 2026-10-28.endive, newly made. Pure; names and types are Stripe's."""

from typing import Any

from adapters.providers.stripe.client import API_VERSION
from adapters.providers.stripe.sandbox_cards import Card

Json = dict[str, Any]

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def account(id_: str, live: bool) -> Json:
    """The shop that a key belongs to."""
    return {
        "id": id_,
        "object": "account",
        "business_profile": {"mcc": None, "name": "Sandbox shop", "support_email": None, "url": None},
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": "owner@sandbox.example",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {"statement_descriptor_prefix": None},
            "dashboard": {"display_name": "Sandbox shop" if live else "Sandbox shop (test)", "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": "SANDBOX SHOP"},
        },
        "type": "standard",
    }


def balance(amounts: dict[str, int], live: bool) -> Json:
    """What the shop holds, in Stripe's units by currency."""
    rows = [
        {"amount": n, "currency": c, "source_types": {"card": n}} for c, n in sorted((amounts or {"usd": 0}).items())
    ]
    nothing = [{"amount": 0, "currency": row["currency"], "source_types": {"card": 0}} for row in rows]
    return {"object": "balance", "available": rows, "livemode": live, "pending": nothing}


def customer(id_: str, created: int, live: bool, given: Json) -> Json:
    """A payer."""
    return {
        "id": id_,
        "object": "customer",
        "address": given.get("address"),
        "balance": 0,
        "created": created,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": given.get("description"),
        "email": given.get("email"),
        "invoice_prefix": id_[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": live,
        "metadata": given.get("metadata", {}),
        "name": given.get("name"),
        "next_invoice_sequence": 1,
        "phone": given.get("phone"),
        "preferred_locales": given.get("preferred_locales", []),
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def payment_intent(id_: str, secret: str, created: int, live: bool, given: Json) -> Json:
    """A payment that waits for a method."""
    return {
        "id": id_,
        "object": "payment_intent",
        "amount": given["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True}
        | given.get("automatic_payment_methods", {}),
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": given.get("capture_method", "automatic_async"),
        "client_secret": f"{id_}_secret_{secret}",
        "confirmation_method": given.get("confirmation_method", "automatic"),
        "created": created,
        "currency": given["currency"],
        "customer": given.get("customer"),
        "customer_account": None,
        "description": given.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": live,
        "metadata": given.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": given.get("receipt_email"),
        "review": None,
        "setup_future_usage": given.get("setup_future_usage"),
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": given.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(id_: str, created: int, live: bool, intent: Json, card: Card, method: str, payer: Json) -> Json:
    """An attempt at taking an intent's money with a card, as yet undecided."""
    return {
        "id": id_,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": dict.fromkeys(ADDRESS),
            "email": payer.get("email"),
            "name": payer.get("name"),
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "SANDBOX SHOP",
        "captured": False,
        "created": created,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": live,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method,
        "payment_method_details": {
            "card": {
                "amount_authorized": intent["amount"],
                "brand": card.brand,
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": None,
                    "cvc_check": "pass",
                },
                "country": "US",
                "exp_month": 12,
                "exp_year": 2034,
                "fingerprint": f"Sandbox{card.last4}",
                "funding": "credit",
                "installments": None,
                "last4": card.last4,
                "mandate": None,
                "network": card.brand,
                "three_d_secure": None,
                "wallet": None,
            },
            "type": "card",
        },
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "failed",
        "transfer_data": None,
        "transfer_group": None,
    }


def refund(id_: str, created: int, of: Json, amount: int, status: str, given: Json) -> Json:
    """Money on its way back to the card of a charge."""
    return {
        "id": id_,
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "metadata": given.get("metadata", {}),
        "payment_intent": of["payment_intent"],
        "reason": given.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def checkout_session(id_: str, url: str, created: int, live: bool, given: Json, total: int, currency: str) -> Json:
    """A hosted page, open."""
    return {
        "id": id_,
        "object": "checkout.session",
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": given.get("cancel_url"),
        "client_reference_id": given.get("client_reference_id"),
        "client_secret": None,
        "consent": None,
        "consent_collection": None,
        "created": created,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": given.get("customer"),
        "customer_creation": _creation(given),
        "customer_details": None,
        "customer_email": given.get("customer_email"),
        "discounts": [],
        "expires_at": given.get("expires_at", created + 24 * 3600),
        "invoice": None,
        "invoice_creation": None,
        "livemode": live,
        "locale": given.get("locale"),
        "metadata": given.get("metadata", {}),
        "mode": given["mode"],
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "always" if given["mode"] == "subscription" else "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": given.get("submit_type"),
        "subscription": None,
        "success_url": given["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": url,
    }


def _creation(given: Json) -> str | None:
    if given.get("customer"):
        return None
    return "always" if given["mode"] == "subscription" else str(given.get("customer_creation", "if_required"))


def line_item(id_: str, price: Json, name: str, quantity: int, *, free: bool) -> Json:
    """A line of a hosted page. free: nothing of it is paid today, for a trial begins."""
    total = 0 if free else price["unit_amount"] * quantity
    return {
        "id": id_,
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": name,
        "price": price,
        "quantity": quantity,
    }


def price_once(ids: tuple[str, str], created: int, live: bool, given: Json) -> Json:
    """A price that was made for one page. ids: its own and its product's."""
    return {
        "id": ids[0],
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": given["currency"],
        "custom_unit_amount": None,
        "livemode": live,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": ids[1],
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": given["unit_amount"],
        "unit_amount_decimal": str(given["unit_amount"]),
    }


def webhook_endpoint(id_: str, created: int, live: bool, given: Json) -> Json:
    """An address that asked for events."""
    return {
        "id": id_,
        "object": "webhook_endpoint",
        "api_version": given.get("api_version"),
        "application": None,
        "created": created,
        "description": given.get("description"),
        "enabled_events": given["enabled_events"],
        "livemode": live,
        "metadata": given.get("metadata", {}),
        "status": "enabled",
        "url": given["url"],
    }


def event(id_: str, created: int, live: bool, kind: str, about: Json, before: Json | None) -> Json:
    """A snapshot of an object at a change, with the fields' values `before` it."""
    data: Json = {"object": about}
    if before:
        data["previous_attributes"] = before
    return {
        "id": id_,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": live,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
