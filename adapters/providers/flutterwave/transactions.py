"""Looking up Flutterwave's transactions."""

from collections.abc import Mapping
from typing import Any

from adapters.providers.flutterwave.client import FlutterwaveApi
from application.ports.payments import ProviderRefused, RetryLater

_SUCCESSFUL = ("successful", "success")


class Transactions:
    """By Flutterwave's id, and by our reference."""

    _api: FlutterwaveApi

    async def _transaction(self, access: Mapping[str, str], reference: str) -> Mapping[str, Any]:
        """The transaction with this id. Raises ProviderRefused with `missing` when there is none."""
        if not (reference.isascii() and reference.isdigit() and len(reference) < 20):
            raise ProviderRefused(f"{reference[:60]!r} is no transaction of Flutterwave's.", missing=True)
        found = _data(await self._api.ask(access, "GET", f"/transactions/{reference}/verify"))
        if str(found["id"]) != reference:
            raise RetryLater("Flutterwave told of another transaction than was asked for.")
        return found

    async def _transaction_for(self, access: Mapping[str, str], tx_ref: str) -> Mapping[str, Any] | None:
        """The transaction with our reference; None when Flutterwave has none.

        A payer who failed and tried again leaves several, and the one that succeeded counts: where the first answer is of
        another one, the list is looked through.
        """
        try:
            found = _data(
                await self._api.ask(access, "GET", "/transactions/verify_by_reference", query={"tx_ref": tx_ref})
            )
        except ProviderRefused as refused:
            if refused.missing:
                return None
            raise
        if found.get("tx_ref") != tx_ref:
            raise RetryLater("Flutterwave told of another transaction than was asked for.")
        if found.get("status") in _SUCCESSFUL:
            return found
        async for row in self._api.pages(access, "/transactions", {"tx_ref": tx_ref}):
            if row.get("tx_ref") == tx_ref and row.get("status") in _SUCCESSFUL:
                return await self._transaction(access, str(row.get("id")))
        return found


def _data(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    data = envelope.get("data")
    if not isinstance(data, Mapping) or not data.get("id"):
        raise RetryLater("Flutterwave's answer has no transaction in it.")
    return data
