"""What is sold in the sandbox: products, and their prices."""

from adapters.providers.stripe import sandbox_objects_billing as make
from adapters.providers.stripe.sandbox_books import Books, merged
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json
from adapters.providers.stripe.sandbox_payments import check_amount

_LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}


def create_product(books: Books, given: Json) -> Json:
    """Something to sell."""
    given["metadata"] = merged({}, given.get("metadata"))
    product = make.product(books.id("prod_", 14), books.now(), books.live, given)
    books.products[product["id"]] = product
    books.tell("product.created", product)
    return product


def create_price(books: Books, given: Json) -> Json:
    """What it costs. A lookup key belongs to one price; three years is the longest interval."""
    books.find(books.products, "product", given["product"], param="product", status=400)
    if given["unit_amount"]:
        check_amount(given["unit_amount"], given["currency"], "unit_amount")
    if taken := [row for row in books.prices.values() if row["lookup_key"] == given.get("lookup_key", object())]:
        raise StripeFault(f"The price {taken[0]['id']} has this lookup key already.", param="lookup_key")
    if "recurring" in given:
        interval, count = given["recurring"]["interval"], given["recurring"].get("interval_count", 1)
        if count > _LONGEST[interval]:
            raise StripeFault("The longest interval is three years.", param="recurring[interval_count]")
    given["metadata"] = merged({}, given.get("metadata"))
    price = make.price(books.id("price_"), books.now(), books.live, given)
    books.prices[price["id"]] = price
    books.tell("price.created", price)
    return price


def update(books: Books, row: Json, given: Json) -> Json:
    """Change a product or a price; what was asked to be merged is."""
    if "metadata" in given:
        given["metadata"] = merged(row["metadata"], given["metadata"])
    before = {name: row[name] for name, value in given.items() if row[name] != value}
    row.update(given)
    books.tell(f"{row['object']}.updated", row, before)
    return row


def recurring(books: Books, id_: str, param: str) -> Json:
    """A price that can be subscribed to. Raises StripeFault."""
    price = books.find(books.prices, "price", id_, param=param, status=400)
    if price["recurring"] is None:
        raise StripeFault("This price is for one time only.", param=param)
    if not price["active"]:
        raise StripeFault("The price is inactive; only active prices can be used.", param=param)
    return price
