"""The check that every scenario ends with: the books agree with themselves, with the invoices and with the payments."""

from application.billing.check_books import CheckBooks
from application.ports.store import Store


async def assert_books(store: Store, organisation_id: str) -> None:
    """Raises AssertionError with a sentence for everything that does not agree."""
    wrong = await CheckBooks(store)(organisation_id)
    assert not wrong, "\n".join(wrong)
