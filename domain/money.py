"""Money as integer minor units with the ISO 4217 exponent of its currency.

What does not fit the currency is refused, never rounded: 10.005 USD or 1.5 JPY is a mistake of the sender's.
A provider that counts otherwise (Stripe's UGX, PayPal's HUF) converts in its own `mapping.py`.
"""

import re
from decimal import Decimal

import attrs

from domain.refusals import Refusal

MAX_MINOR_UNITS = 999_999_999_999_999
"""The largest amount kept: it fits a 64-bit column and a JSON number that JavaScript reads exactly."""

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,20})?")
"""Plain digits: no exponents, separators or digits of other scripts, so that nothing is guessed."""

_NO_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_FOUR_DECIMALS = frozenset(("CLF", "UYW"))
_TWO_DECIMALS = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF"
    " CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF"
    " IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN"
    " MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS"
    " SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR"
    " ZMW ZWG".split()
)


class UnknownCurrency(Refusal):
    """The code is not an active ISO 4217 currency."""

    def __init__(self, code: str) -> None:
        super().__init__(f"'{code[:20]}' is not an ISO 4217 currency code such as USD or JPY.", field="currency")


class DoesNotFit(Refusal):
    """The decimal has more places than the currency has, is not a number, or is too large to keep."""


class CurrencyMismatch(Refusal):
    """Two amounts of different currencies were to be added or compared."""


def _normal(code: str) -> str:
    return str(code).strip().upper()


@attrs.frozen(order=True)
class Currency:
    """An ISO 4217 currency. `Currency("usd")` is `Currency("USD")`; raises UnknownCurrency."""

    code: str = attrs.field(converter=_normal)

    def __attrs_post_init__(self) -> None:
        if _exponent(self.code) is None:
            raise UnknownCurrency(self.code)

    @property
    def exponent(self) -> int:
        """How many decimal places the currency has: 2 for USD, 0 for JPY, 3 for KWD."""
        exponent = _exponent(self.code)
        assert exponent is not None
        return exponent


def _exponent(code: str) -> int | None:
    if code in _TWO_DECIMALS:
        return 2
    if code in _NO_DECIMALS:
        return 0
    if code in _THREE_DECIMALS:
        return 3
    return 4 if code in _FOUR_DECIMALS else None


@attrs.frozen
class Money:
    """An amount in minor units (cents for USD, yen for JPY, fils for KWD) and its currency."""

    amount: int = attrs.field()
    currency: Currency

    @amount.validator
    def _keeps(self, _: object, amount: int) -> None:
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise DoesNotFit(f"{amount!r} is not a whole number of minor units.", field="amount")
        if abs(amount) > MAX_MINOR_UNITS:
            raise DoesNotFit(f"{amount} minor units is more than can be kept.", field="amount")

    @classmethod
    def of(cls, decimal: str | int | Decimal, currency: Currency | str, *, field: str = "amount") -> "Money":
        """Read a decimal in major units ("12.50" USD). Raises DoesNotFit naming `field`, or UnknownCurrency."""
        currency = currency if isinstance(currency, Currency) else Currency(currency)
        text = str(decimal).strip()
        if not _DECIMAL.fullmatch(text):
            raise DoesNotFit(f"'{text[:60]}' is not a decimal number such as 12.50.", field=field)
        whole, _, places = text.partition(".")
        places = places.rstrip("0")
        if len(places) > currency.exponent:
            kept = "no decimals" if currency.exponent == 0 else f"{currency.exponent} decimals"
            raise DoesNotFit(f"'{text}' does not fit {currency.code}, which has {kept}.", field=field)
        minor = int(whole + places.ljust(currency.exponent, "0"))
        if abs(minor) > MAX_MINOR_UNITS:
            raise DoesNotFit(f"'{text}' is more than can be kept.", field=field)
        return cls(minor, currency)

    @classmethod
    def zero(cls, currency: Currency) -> "Money":
        """Nothing, in this currency."""
        return cls(0, currency)

    @property
    def decimal(self) -> str:
        """The amount in major units with all of the currency's places: "12.50", "5000", "0.125"."""
        return f"{Decimal(self.amount).scaleb(-self.currency.exponent):.{self.currency.exponent}f}"

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._like(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._like(other), self.currency)

    def __mul__(self, count: int) -> "Money":
        return Money(self.amount * count, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._like(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._like(other)

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        return f"{self.decimal} {self.currency.code}"

    def _like(self, other: "Money") -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{other} is not in {self.currency.code}.", field="currency")
        return other.amount
