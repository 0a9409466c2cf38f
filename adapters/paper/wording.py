"""Amounts, days and numbers as a locale writes them."""

import copy
import re
from datetime import date
from decimal import Decimal

import attrs
from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal

from adapters.paper.fonts import printable
from domain.billing.lines import percent
from domain.money import Currency, Money

_CODE = re.compile(r"(?<=[A-Z])(?=[0-9-])|(?<=[0-9])(?=[A-Z])")


@attrs.frozen
class Wording:
    """One locale's way."""

    locale: Locale

    @classmethod
    def of(cls, tag: str) -> "Wording":
        """For a BCP 47 tag. Raises ValueError for one that is not known."""
        try:
            return cls(Locale.parse(tag, sep="-"))
        except UnknownLocaleError as error:
            raise ValueError(str(error)) from error

    @property
    def tag(self) -> str:
        """The locale as BCP 47."""
        return str(self.locale).replace("_", "-")

    @property
    def printed(self) -> bool:
        """Whether the embedded font has the letters of its days and amounts; those of East Asia are printed otherwise."""
        if self.locale.language in ("zh", "ja", "ko"):
            return True
        shown = [self.day(date(2026, month, 22)) for month in range(1, 13)]
        return all(printable(text) for text in (*shown, self.money(Money(-123_456_789, Currency("EUR")))))

    def money(self, money: Money) -> str:
        """With the currency's sign, and as many places as ISO 4217 gives it."""
        pattern = copy.copy(self.locale.currency_formats["standard"])
        pattern.frac_prec = (money.currency.exponent, money.currency.exponent)
        value = Decimal(money.decimal)
        shown = str(pattern.apply(value, self.locale, currency=money.currency.code, currency_digits=False))
        # The embedded font has the narrow sign; and a code that stands for the sign is kept apart (CLDR, currencySpacing).
        return _CODE.sub("\N{NO-BREAK SPACE}", shown.replace("\N{FULLWIDTH YEN SIGN}", "\N{YEN SIGN}"))

    def day(self, day: date) -> str:
        """A calendar day."""
        return str(format_date(day, "long", locale=self.locale))

    def number(self, number: int) -> str:
        """With the locale's separators."""
        return str(format_decimal(number, locale=self.locale))

    def percent(self, hundredths: int) -> str:
        """A rate: `19.5 %` as the locale writes its decimals."""
        return f"{format_decimal(Decimal(percent(hundredths)), locale=self.locale)}\N{NO-BREAK SPACE}%"
