"""The sandbox's cards. The numbers are those that Flutterwave publishes for testing, or made up beside them."""

from typing import Any

import attrs


@attrs.frozen
class Card:
    """A card and what becomes of it. said: the processor's words. token_good: whether its token can be charged later."""

    number: str
    brand: str
    good: bool = True
    said: str = "Approved. Successful"
    token_good: bool = True
    token_expired: bool = False

    def shown(self, token: str | None) -> dict[str, Any]:
        """As a transaction shows it."""
        return {
            "first_6digits": self.number[:6],
            "last_4digits": self.number[-4:],
            "issuer": f"{self.brand} SANDBOX BANK",
            "country": "NG",
            "type": self.brand,
            "expiry": "09/32",
            **({"token": token} if token else {}),
        }


CARDS = {
    card.number: card
    for card in (
        Card("5531886652142950", "MASTERCARD"),
        Card("4187427415564246", "VISA"),
        Card("5258585922666506", "MASTERCARD", good=False, said="Insufficient Funds"),
        Card("5143010522339965", "MASTERCARD", good=False, said="Declined: do not honour"),
        Card("5399838383838381", "MASTERCARD", token_good=False, said="Approved. Successful"),
        Card("5438898014560229", "MASTERCARD", token_expired=True),
    )
}


def card_of(number: str) -> Card | None:
    """The card with this number; any other of 13 to 19 digits pays."""
    if not (number.isascii() and number.isdigit() and 13 <= len(number) <= 19):
        return None
    return CARDS.get(number) or Card(number, "VISA" if number.startswith("4") else "MASTERCARD")
