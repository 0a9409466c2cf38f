"""The sandbox's products and plans (Catalog Products and Plans v1)."""

from adapters.providers.paypal.sandbox_books import Books, Call, Json, amount_in, copied, missing, refused, wrong

_LONGEST = {"DAY": 365, "WEEK": 52, "MONTH": 12, "YEAR": 1}


def create_product(books: Books, call: Call) -> tuple[int, Json]:
    """POST /v1/catalogs/products."""
    asked = _object(call)
    for name in ("name", "type"):
        if not asked.get(name):
            raise wrong("MISSING_REQUIRED_PARAMETER", f"/{name}")
    id_ = asked.get("id") or books.id(17, "PROD-")
    if id_ in books.products:
        raise refused("DUPLICATE_RESOURCE_IDENTIFIER", "/id")
    kept = {name: asked[name] for name in ("name", "type", "description") if asked.get(name)}
    books.products[id_] = {
        "id": id_,
        **kept,
        "create_time": books.stamp(),
        "update_time": books.stamp(),
        "links": [books.link(f"/v1/catalogs/products/{id_}", "self")],
    }
    return 201, copied(books.products[id_])


def fetch_product(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v1/catalogs/products/{id}."""
    if id_ not in books.products:
        raise missing("product_id")
    return 200, copied(books.products[id_])


def create_plan(books: Books, call: Call) -> tuple[int, Json]:
    """POST /v1/billing/plans: with one regular cycle."""
    asked = _object(call)
    for name in ("product_id", "name", "billing_cycles", "payment_preferences"):
        if not asked.get(name):
            raise wrong("MISSING_REQUIRED_PARAMETER", f"/{name}")
    if asked["product_id"] not in books.products:
        raise missing("product_id")
    cycles = [cycle for cycle in asked["billing_cycles"] if cycle.get("tenure_type") == "REGULAR"]
    if len(cycles) != 1:
        issue = "MULTIPLE_REGULAR_BILLING_CYCLES_NOT_SUPPORTED" if cycles else "MISSING_REGULAR_BILLING_CYCLE"
        raise refused(issue, "/billing_cycles")
    frequency = cycles[0].get("frequency") or {}
    unit, count = frequency.get("interval_unit"), frequency.get("interval_count", 1)
    if unit not in _LONGEST or not isinstance(count, int) or not 1 <= count <= _LONGEST[unit]:
        raise wrong("INVALID_PARAMETER_VALUE", "/billing_cycles/0/frequency")
    amount_in(
        (cycles[0].get("pricing_scheme") or {}).get("fixed_price"), "/billing_cycles/0/pricing_scheme/fixed_price"
    )
    id_ = books.id(24, "P-")
    books.plans[id_] = {
        "id": id_,
        "status": "ACTIVE",
        **{name: copied(asked[name]) for name in asked if name != "status"},
        "create_time": books.stamp(),
        "update_time": books.stamp(),
        "links": [books.link(f"/v1/billing/plans/{id_}", "self")],
    }
    if asked.get("status"):
        books.plans[id_]["status"] = asked["status"]
    return 201, copied(books.plans[id_])


def fetch_plan(books: Books, call: Call, id_: str) -> tuple[int, Json]:
    """GET /v1/billing/plans/{id}."""
    return 200, copied(_plan(books, id_))


def deactivate_plan(books: Books, call: Call, id_: str) -> tuple[int, None]:
    """POST /v1/billing/plans/{id}/deactivate."""
    plan = _plan(books, id_)
    if plan["status"] != "ACTIVE":
        raise refused("PLAN_STATUS_INVALID")
    plan["status"] = "INACTIVE"
    return 204, None


def _plan(books: Books, id_: str) -> Json:
    if id_ not in books.plans:
        raise missing("plan_id")
    return books.plans[id_]


def _object(call: Call) -> Json:
    return call.body if isinstance(call.body, dict) else {}
