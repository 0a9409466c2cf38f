"""The shapes of Stripe's objects for what is charged again and again, newly made. Pure."""

from typing import Any

from adapters.providers.stripe.sandbox_objects import Json


def product(id_: str, created: int, live: bool, given: Json) -> Json:
    """What is sold."""
    return {
        "id": id_,
        "object": "product",
        "active": given.get("active", True),
        "created": created,
        "default_price": None,
        "description": given.get("description"),
        "images": [],
        "livemode": live,
        "marketing_features": [],
        "metadata": given.get("metadata", {}),
        "name": given["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": created,
        "url": None,
    }


def price(id_: str, created: int, live: bool, given: Json) -> Json:
    """What a product costs, once or again and again."""
    recurring = given.get("recurring")
    return {
        "id": id_,
        "object": "price",
        "active": given.get("active", True),
        "billing_scheme": "per_unit",
        "created": created,
        "currency": given["currency"],
        "custom_unit_amount": None,
        "livemode": live,
        "lookup_key": given.get("lookup_key"),
        "metadata": given.get("metadata", {}),
        "nickname": given.get("nickname"),
        "product": given["product"],
        "recurring": None
        if recurring is None
        else {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time" if recurring is None else "recurring",
        "unit_amount": given["unit_amount"],
        "unit_amount_decimal": str(given["unit_amount"]),
    }


def plan(of: Json) -> Json:
    """A price in the form that it had before there were prices; a subscription's item still carries it."""
    return {
        "id": of["id"],
        "object": "plan",
        "active": of["active"],
        "amount": of["unit_amount"],
        "amount_decimal": of["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": of["created"],
        "currency": of["currency"],
        "interval": of["recurring"]["interval"],
        "interval_count": of["recurring"]["interval_count"],
        "livemode": of["livemode"],
        "metadata": of["metadata"],
        "meter": None,
        "nickname": of["nickname"],
        "product": of["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def subscription_item(id_: str, created: int, of: str, price_: Json, quantity: int, period: tuple[int, int]) -> Json:
    """What is subscribed to, and for which period it has been billed."""
    return {
        "id": id_,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": created,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": {},
        "plan": plan(price_),
        "price": price_,
        "quantity": quantity,
        "subscription": of,
        "tax_rates": [],
    }


def subscription(id_: str, created: int, live: bool, given: Json, item: Json, trial_end: int | None) -> Json:
    """A customer who is charged again and again."""
    return {
        "id": id_,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": trial_end or created,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": None, "type": "classic"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": created,
        "currency": item["price"]["currency"],
        "customer": given["customer"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": given.get("default_payment_method"),
        "default_source": None,
        "default_tax_rates": [],
        "description": given.get("description"),
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": {
            "object": "list",
            "data": [item],
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={id_}",
        },
        "latest_invoice": None,
        "livemode": live,
        "metadata": given.get("metadata", {}),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": created,
        "status": "trialing" if trial_end else "incomplete",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": created if trial_end else None,
    }


def line_item(id_: str, live: bool, given: Json) -> Json:
    """A line of an invoice. given: amount, currency, description, period, quantity and parent, perhaps price."""
    of: Json | None = given.get("price")
    details: Any = {"product": of["product"], "price": of["id"]} if of else None
    return {
        "id": id_,
        "object": "line_item",
        "amount": given["amount"],
        "currency": given["currency"],
        "description": given["description"],
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": given["invoice"],
        "livemode": live,
        "metadata": {},
        "parent": given["parent"],
        "period": given["period"],
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": details,
            "type": "price_details",
            "unit_amount_decimal": of["unit_amount_decimal"],
        }
        if of
        else None,
        "quantity": given.get("quantity", 1),
        "quantity_decimal": str(given.get("quantity", 1)),
        "subscription": None,
        "subtotal": given["amount"],
        "taxes": [],
    }


def invoice(id_: str, created: int, live: bool, customer: Json, given: Json) -> Json:
    """A bill, as yet a draft without lines. given: currency and reason, perhaps collection, due, memo, metadata."""
    subscription_id = given.get("subscription")
    parent = {
        "quote_details": None,
        "subscription_details": {"metadata": given.get("subscription_metadata", {}), "subscription": subscription_id},
        "type": "subscription_details",
    }
    return {
        "id": id_,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Sandbox shop",
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": given.get("auto_advance", True),
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": given["reason"],
        "collection_method": given.get("collection_method", "charge_automatically"),
        "created": created,
        "currency": given["currency"],
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": given.get("description"),
        "discounts": [],
        "due_date": given.get("due_date"),
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {"object": "list", "data": [], "has_more": False, "url": f"/v1/invoices/{id_}/lines"},
        "livemode": live,
        "metadata": given.get("metadata", {}),
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": parent if subscription_id else None,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": given.get("period_end", created),
        "period_start": given.get("period_start", created),
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": created,
    }


def invoice_payment(id_: str, created: int, of: Json, intent_id: str) -> Json:
    """What pays a bill."""
    return {
        "id": id_,
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": of["amount_due"],
        "created": created,
        "currency": of["currency"],
        "invoice": of["id"],
        "is_default": True,
        "livemode": of["livemode"],
        "payment": {"payment_intent": intent_id, "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def invoice_item(id_: str, created: int, live: bool, given: Json) -> Json:
    """What will be a line of a bill."""
    return {
        "id": id_,
        "object": "invoiceitem",
        "amount": given["amount"],
        "currency": given["currency"],
        "customer": given["customer"],
        "customer_account": None,
        "date": created,
        "description": given.get("description"),
        "discountable": True,
        "discounts": [],
        "invoice": given["invoice"],
        "livemode": live,
        "metadata": given.get("metadata", {}),
        "net_amount": given["amount"],
        "parent": None,
        "period": {"end": created, "start": created},
        "pricing": None,
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
    }
