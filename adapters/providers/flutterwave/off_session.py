"""Charging a Flutterwave payer again: a card by its token, a mobile money account by asking on its telephone."""

import re
from collections.abc import Mapping
from typing import Any

from adapters.providers.flutterwave import mapping
from adapters.providers.flutterwave.transactions import Transactions
from application.ports.payers import OffSession
from application.ports.payments import Intent, ProviderRefused, RetryLater
from domain.money import Money

MOBILE_MONEY = "mobile_money:"
"""How a mobile money method begins: `mobile_money:MTN:233547000000`, for XAF and XOF with the country, `…:CM`."""

_PHONE = re.compile(r"[0-9]{6,15}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9 _-]{0,30}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


class TokenCharges(Transactions, OffSession):
    """Charges without the payer's page. Our key is the `tx_ref`, by which a charge without an answer is found."""

    async def charge(
        self,
        access: Mapping[str, str],
        amount: Money,
        *,
        method: str,
        customer_reference: str | None,
        customer_email: str | None,
        key: str,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> Intent:
        """method: a card's token (`flw-t1nf-…`), or a mobile money account (see MOBILE_MONEY), whose owner is asked on
        the telephone: that payment is PROCESSING until they answer."""
        if not customer_email:
            raise ProviderRefused("Flutterwave charges again only with the payer's address.", code="email_needed")
        body: dict[str, Any] = {
            "tx_ref": key,
            "amount": mapping.to_wire(amount),
            "currency": amount.currency.code,
            "email": customer_email,
            "meta": dict(metadata or {}),
        }
        if method.startswith(MOBILE_MONEY):
            kind, payer = mobile_money(method, amount)
            envelope = await self._api.ask(access, "POST", "/charges", query={"type": kind}, body={**body, **payer})
        else:
            narration = description.strip()[:100] or "Payment"
            token = {"token": method, "narration": narration}
            envelope = await self._api.ask(access, "POST", "/tokenized-charges", body={**body, **token})
        data = envelope.get("data")
        if not isinstance(data, Mapping) or not data.get("id"):
            raise RetryLater("Flutterwave's answer has no transaction in it.", may_have_happened=True)
        # What the answer says is no more than a first word; what was taken is what verifying tells.
        return mapping.intent_of(await self._verified(access, str(data["id"]), key))

    async def _verified(self, access: Mapping[str, str], id_: str, key: str) -> Mapping[str, Any]:
        try:
            transaction = await self._transaction(access, id_)
        except ProviderRefused as refused:
            raise RetryLater("Flutterwave does not know its own charge yet.", may_have_happened=True) from refused
        except RetryLater as later:
            raise RetryLater(later.reason, after=later.after, may_have_happened=True) from later
        if transaction.get("tx_ref") != key:
            raise RetryLater("Flutterwave told of another charge than was asked for.", may_have_happened=True)
        return transaction


def mobile_money(method: str, amount: Money) -> tuple[str, dict[str, str]]:
    """(the kind of charge, what it says of the payer). Raises ProviderRefused for what Flutterwave cannot ask."""
    code = amount.currency.code
    kind = mapping.MOBILE_MONEY.get(code)
    if kind is None:
        raise ProviderRefused(f"Flutterwave has no mobile money in {code}.", code="currency_not_supported")
    if code in mapping.WHOLE_UNITS and amount.amount % 10**amount.currency.exponent:
        raise ProviderRefused(f"Mobile money in {code} takes whole units; {amount.decimal} is not one.", code="amount")
    network, _, rest = method.removeprefix(MOBILE_MONEY).partition(":")
    phone, _, country = rest.partition(":")
    if not _WORD.fullmatch(network) or not _PHONE.fullmatch(phone):
        raise ProviderRefused("A mobile money account is its network and its number.", code="method")
    payer = {"phone_number": phone, **({"network": network} if network else {})}
    if code in mapping.SEVERAL_COUNTRIES:
        if not _COUNTRY.fullmatch(country):
            raise ProviderRefused(f"Mobile money in {code} needs the payer's country, such as CM.", code="method")
        payer["country"] = country
    return kind, payer
