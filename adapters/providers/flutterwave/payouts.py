"""Sending money out of a Flutterwave balance: to bank accounts and mobile money."""

import re
from collections.abc import Mapping

from adapters.providers.flutterwave import mapping
from adapters.providers.flutterwave.client import FlutterwaveApi
from application.ports.payments import ProviderRefused, RetryLater
from application.ports.payouts import PayoutOrder, Payouts, ProviderPayout
from domain.connections.provider import Field
from domain.refusals import Fault, Invalid

_FIELDS = (
    Field(
        "account_bank",
        "Bank",
        help="The bank's code at Flutterwave, such as 044 (Access Bank); for mobile money MPS (M-Pesa), MTN, VODAFONE,"
        " AIRTEL or TIGO.",
    ),
    Field("account_number", "Account number", secret=True, help="Or the telephone number, for mobile money."),
    Field("beneficiary_name", "Name of the receiver"),
    Field(
        "destination_branch_code",
        "Branch code",
        required=False,
        help="Of a bank in Ghana, Uganda, Rwanda or Tanzania.",
    ),
)
_SHAPES = {
    "account_bank": (re.compile(r"[A-Za-z0-9]{2,20}", re.ASCII), "A bank's code is letters and digits, such as 044."),
    "account_number": (re.compile(r"[A-Za-z0-9]{4,20}", re.ASCII), "An account number has 4 to 20 letters and digits."),
    "beneficiary_name": (re.compile(r".{2,100}"), "A name has 2 to 100 characters."),
    "destination_branch_code": (re.compile(r"[A-Za-z0-9]{2,20}", re.ASCII), "A branch code is letters and digits."),
}


class Transfers(Payouts):
    """Transfers. Our key is the transfer's `reference`, which Flutterwave takes once."""

    _api: FlutterwaveApi

    @property
    def destination_fields(self) -> tuple[Field, ...]:
        """A bank account, or a mobile money account."""
        return _FIELDS

    def check_payout(self, order: PayoutOrder) -> None:
        """Raise domain.refusals.Invalid naming every field that is wrong."""
        faults: list[Fault] = []
        try:
            mapping.check_chargeable(order.amount)
        except Invalid as wrong:
            faults.extend(wrong.faults)
        known = {field.name: field for field in _FIELDS}
        faults.extend(
            Fault(f"destination.{name}", "Flutterwave has no such field.") for name in order.destination.keys() - known
        )
        for name, field in known.items():
            value = order.destination.get(name, "").strip()
            shape, why = _SHAPES[name]
            if not value and field.required:
                faults.append(Fault(f"destination.{name}", f"{field.label} is needed."))
            elif value and not shape.fullmatch(value):
                faults.append(Fault(f"destination.{name}", why))
        if faults:
            raise Invalid(*faults)

    async def create_payout(self, access: Mapping[str, str], order: PayoutOrder, *, key: str) -> ProviderPayout:
        """Send it from the balance in the same currency."""
        filled = {name: value.strip() for name, value in order.destination.items() if value.strip()}
        envelope = await self._api.ask(
            access,
            "POST",
            "/transfers",
            body={
                **filled,
                "amount": mapping.to_wire(order.amount),
                "currency": order.amount.currency.code,
                "debit_currency": order.amount.currency.code,
                "narration": order.description.strip()[:100] or "Payout",
                "reference": key,
            },
        )
        data = envelope.get("data")
        if not isinstance(data, Mapping) or not data.get("id"):
            raise RetryLater("Flutterwave's answer has no transfer in it.", may_have_happened=True)
        return mapping.payout_of(data)

    async def fetch_payout(self, access: Mapping[str, str], reference: str) -> ProviderPayout:
        """The transfer as it is now."""
        if not (reference.isascii() and reference.isdigit() and len(reference) < 20):
            raise ProviderRefused(f"{reference[:60]!r} is no transfer of Flutterwave's.", missing=True)
        data = (await self._api.ask(access, "GET", f"/transfers/{reference}")).get("data")
        if not isinstance(data, Mapping) or str(data.get("id")) != reference:
            raise RetryLater("Flutterwave told of another transfer than was asked for.")
        return mapping.payout_of(data)

    async def find_payout(self, access: Mapping[str, str], key: str) -> ProviderPayout | None:
        """The transfer with this `reference`."""
        async for row in self._api.pages(access, "/transfers", {"reference": key}):
            if row.get("reference") == key:
                return mapping.payout_of(row)
        return None
