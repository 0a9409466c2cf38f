"""Stripe's amounts, and ours. Pure.

They follow docs.stripe.com/currencies: whole numbers of a smallest unit that is not always ISO 4217's.
"""

from decimal import Decimal

from application.ports.payments import ProviderRefused
from domain.money import Currency, Money, UnknownCurrency
from domain.refusals import Invalid, Refusal

_NO_DECIMALS = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
"""Counted in whole units. MGA has two decimals in ISO 4217, so 1.50 MGA cannot be charged."""
_THREE_DECIMALS = frozenset("BHD JOD KWD OMR TND".split())
"""Counted in thousandths whose last digit must be 0: the card networks know two decimals."""
_TWO_DECIMALS = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP"
    " CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD KES KGS"
    " KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN"
    " PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD SZL THB TJS TOP TRY TTD TWD TZS UAH UGX USD"
    " UYU UZS WST XCD XCG YER ZAR ZMW".split()
)
"""Counted in hundredths. ISK and UGX have no decimals in ISO 4217 and are sent as hundredths all the same."""
CURRENCIES = _NO_DECIMALS | _TWO_DECIMALS | _THREE_DECIMALS

_LEAST = {
    "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30,
    "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PLN": 200,
    "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50,
}  # fmt: skip
"""Smallest charges, in Stripe's units (docs.stripe.com/currencies, minimum and maximum charge amounts). They hold when
money settles in that currency; Stripe judges the others."""
_DIGITS = {"IDR": 12, "LBP": 12, "COP": 10, "HUF": 10, "JPY": 10, "INR": 9}
"""Digits of the largest charge where it is not eight (the same page; of LBP it says two things, and this errs on the wide
side). Some cards take less, which Stripe then says."""


def exponent(currency: Currency) -> int:
    """How many decimals Stripe counts in. Raises domain.refusals.Invalid for a currency that it cannot charge."""
    if currency.code in _NO_DECIMALS:
        return 0
    if currency.code in _THREE_DECIMALS:
        return 3
    if currency.code in _TWO_DECIMALS:
        return 2
    raise Invalid.field("currency", f"Stripe does not charge in {currency.code}.")


def to_stripe(money: Money, *, field: str = "amount") -> int:
    """The amount in Stripe's units. Raises domain.refusals.Invalid naming `field` if it has none."""
    amount = Decimal(money.amount).scaleb(exponent(money.currency) - money.currency.exponent)
    if amount != amount.to_integral_value():
        raise Invalid.field(field, f"Stripe charges {money.currency.code} in whole units; {money.decimal} is not one.")
    if money.currency.code in _THREE_DECIMALS and amount % 10:
        raise Invalid.field(
            field, f"Stripe charges {money.currency.code} with two decimals; the third of {money.decimal} must be 0."
        )
    return int(amount)


def from_stripe(amount: int, currency: str) -> Money:
    """What Stripe counted, in our minor units. Raises ProviderRefused if we cannot keep it exactly."""
    try:
        known = Currency(currency)
        ours = Decimal(amount).scaleb(known.exponent - exponent(known))
    except (UnknownCurrency, Invalid) as error:
        raise ProviderRefused(f"Stripe spoke of {currency!r}, which is not kept.", code="currency_unknown") from error
    if ours != ours.to_integral_value():
        raise ProviderRefused(f"{amount} of Stripe's {currency} is no whole amount.", code="amount_does_not_fit")
    return Money(int(ours), known)


def check_chargeable(money: Money, *, field: str = "amount") -> None:
    """Raise domain.refusals.Invalid naming `field` unless Stripe can charge this."""
    try:
        amount = to_stripe(money, field=field)
        least, most = limits(money.currency.code)
        if amount < least:
            raise Invalid.field(field, f"Stripe charges at least {from_stripe(least, money.currency.code)}.")
        if amount > most:
            raise Invalid.field(field, f"Stripe charges no more than {_whole(most, money.currency)}.")
    except Invalid as error:
        raise Invalid.field(field, error.faults[0].reason) from error
    except Refusal as error:
        raise Invalid.field(field, error.reason) from error


def limits(code: str) -> tuple[int, int]:
    """The smallest and the largest charge in the currency, in Stripe's units."""
    least = _LEAST.get(code, {2: 1, 3: 10}.get(exponent(Currency(code)), 1))
    least = 100 if code in ("ISK", "UGX") else least
    return least, 10 ** _DIGITS.get(code, 8) - 1


def _whole(most: int, currency: Currency) -> str:
    places = exponent(currency)
    return f"{Decimal(most).scaleb(-places):,.{min(places, currency.exponent)}f} {currency.code}"
