"""Who reads a page: the locale their browser asks for, and how money, moments and numbers are put for them."""

import copy
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import attrs
from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent

from domain.money import Money

_LOCALES = frozenset(
    "ar ar_EG bg bn ca cs da de de_AT de_CH el en en_AU en_CA en_GB en_IE en_IN en_KE en_NG en_NZ en_US en_ZA es es_AR es_MX et"
    " fi fil fr fr_BE fr_CA fr_CH he hi hr hu id it it_CH ja ko lt lv ms nb nl nl_BE nn pl pt pt_BR ro ru sk sl sr sv sw th tr"
    " uk ur vi zh zh_Hans zh_Hant zh_CN zh_TW zh_HK".split()
)
"""Those that are loaded: each takes memory for good, and anyone can ask for any of the thousand that exist."""

_MOST_ASKED = 10

_BESIDE = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_BLANK = "\N{NO-BREAK SPACE}"
"""Between letters and digits, as in KWD 5.124 (CLDR's currencySpacing, which Babel leaves out)."""


@attrs.frozen
class Reader:
    """One reader at one moment (`now` is what "3 minutes ago" counts from)."""

    locale: Locale
    now: datetime

    @classmethod
    def asking(cls, accept_language: str, now: datetime) -> "Reader":
        """The first language of the header that is known (RFC 9110 §12.5.4); English for none."""
        for tag in _by_preference(accept_language):
            for name in (tag, tag.partition("_")[0]):
                if name in _LOCALES:
                    return cls(Locale.parse(name), now)
        return cls(Locale.parse("en"), now)

    @property
    def tag(self) -> str:
        """The locale as an HTML `lang`."""
        return str(self.locale).replace("_", "-")

    def money(self, money: Money) -> str:
        """With the currency's symbol, and as many places as ISO 4217 gives it. Never through a float. In Western
        digits for everybody, as on the providers' pages and on bank statements: an amount must be comparable."""
        pattern = copy.copy(self.locale.currency_formats["standard"])
        pattern.frac_prec = (money.currency.exponent, money.currency.exponent)
        shown = pattern.apply(
            Decimal(money.decimal),
            self.locale,
            currency=money.currency.code,
            currency_digits=False,
        )
        return _BESIDE.sub(_BLANK, shown)

    def moment(self, moment: datetime) -> str:
        """The moment itself, in UTC."""
        return f"{format_datetime(moment, 'medium', tzinfo=UTC, locale=self.locale)} UTC"

    def ago(self, moment: datetime) -> str:
        """How long ago, or in how long."""
        away = moment - self.now
        if abs(away) < timedelta(seconds=1):
            away = timedelta(seconds=-1)
        return str(format_timedelta(away, add_direction=True, threshold=1, locale=self.locale))

    def day(self, day: date) -> str:
        """A calendar day."""
        return str(format_date(day, "medium", locale=self.locale))

    def number(self, number: int) -> str:
        """With the locale's separators."""
        return str(format_decimal(number, locale=self.locale))

    def share(self, share: float) -> str:
        """A part of one, in per cent."""
        return str(format_percent(share, format="#,##0.#%", locale=self.locale))

    def duration(self, duration: timedelta) -> str:
        """A short time: milliseconds below a second."""
        seconds = duration.total_seconds()
        if seconds < 1:
            return f"{format_decimal(round(seconds * 1000), locale=self.locale)} ms"
        return f"{format_decimal(round(seconds, 1), locale=self.locale)} s"


def _by_preference(header: str) -> Iterator[str]:
    asked: list[tuple[float, str]] = []
    for part in header[:500].split(",")[:_MOST_ASKED]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            asked.append((float(weight or 1), tag.strip().replace("-", "_")))
        except ValueError:
            continue
    for _, tag in sorted(asked, key=lambda one: -one[0]):
        language, _, rest = tag.partition("_")
        yield f"{language.lower()}_{rest.upper() if len(rest) == 2 else rest.title()}" if rest else language.lower()
