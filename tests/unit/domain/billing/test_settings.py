"""How an organisation bills: what can be set, and what cannot."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.billing.settings import BillingSettings, Seller
from domain.refusals import Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def settings(**changes: Any) -> BillingSettings:
    """The usual way, with changes."""
    return BillingSettings("org_1", "org_1", changes.pop("seller", Seller()), NOW, NOW, **changes)


def faults(**changes: Any) -> list[str]:
    """The fields that are wrong."""
    with pytest.raises(Invalid) as refused:
        settings(**changes)
    return [fault.field for fault in refused.value.faults]


@pytest.mark.parametrize("prefix", ["INV-", "R", "2026/", "HF.", "A1-"])
def test_a_prefix_goes_before_the_number(prefix: str) -> None:
    """Four places at least, more when there are more."""
    assert settings(invoice_prefix=prefix).invoice_number(7) == f"{prefix}0007"
    assert settings(invoice_prefix=prefix).invoice_number(12345) == f"{prefix}12345"


@pytest.mark.parametrize("prefix", ["", "INV-1", "7", "-", "a b", "Ü-", "x" * 21])
def test_a_prefix_that_could_make_one_number_of_two_is_refused(prefix: str) -> None:
    """`INV-1` with 0005 and `INV-` with 10005 are the same number."""
    assert faults(invoice_prefix=prefix) == ["invoice_prefix"]


def test_invoices_and_credit_notes_are_told_apart_by_their_numbers() -> None:
    """Each has a sequence of its own."""
    assert faults(invoice_prefix="X-", credit_note_prefix="X-") == ["credit_note_prefix"]
    assert settings().credit_note_number(1) == "CN-0001"


@pytest.mark.parametrize("days", [(7, 3), (3, 3), (-91,), (366,), tuple(range(11))])
def test_reminders_are_days_in_order_each_once(days: tuple[int, ...]) -> None:
    """A year late is late enough, and ten reminders are enough."""
    assert faults(reminders=days) == ["reminders"]


@pytest.mark.parametrize("waits", [(0,), (61,), (1,) * 11])
def test_retries_are_a_few_waits_of_days(waits: tuple[int, ...]) -> None:
    """A card that is refused is not tried every hour."""
    assert faults(retries=waits) == ["retries"]


@pytest.mark.parametrize("locale", ["", "english", "en_GB", "EN", "en-gb", "../etc"])
def test_a_locale_is_a_tag(locale: str) -> None:
    """BCP 47, as browsers write it."""
    assert faults(locale=locale) == ["locale"]
    assert settings(locale="zh-Hant-TW").locale == "zh-Hant-TW"


def test_what_is_printed_of_the_seller_fits_the_paper() -> None:
    """Everything wrong is named at once."""
    seller = Seller("x" * 201, ("x",) * 9, "x" * 61, "nobody", ("x" * 121,), "x" * 301)
    wrong = ["seller.name", "seller.tax_id", "seller.footer", "seller.email", "seller.address", "seller.bank"]
    assert faults(seller=seller) == wrong
