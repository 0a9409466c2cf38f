"""What the API shows of money."""

import msgspec

from domain.billing.bodies import money_body
from domain.money import Money


class MoneyView(msgspec.Struct, frozen=True):
    """An amount: `amount` in minor units (cents), `decimal` in major units."""

    amount: int
    currency: str
    decimal: str

    @classmethod
    def of(cls, money: Money) -> "MoneyView":
        return cls(**money_body(money))
