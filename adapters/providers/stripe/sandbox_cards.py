"""The cards and payment methods that Stripe's test mode knows (docs.stripe.com/testing), and what each of them does."""

from enum import Enum

import attrs


class Fate(Enum):
    """What becomes of a payment with the card."""

    PAYS = "pays"
    DECLINED = "declined"
    AUTHENTICATES = "authenticates"


@attrs.frozen
class Card:
    """A card. decline: (code, decline code, what people read). refund: the state its refunds begin in, and end in.

    is_kept: it can be kept for a customer though it is declined when it is charged.
    """

    number: str
    fate: Fate = Fate.PAYS
    decline: tuple[str, str, str] = ("", "", "")
    refund: tuple[str, str] = ("succeeded", "succeeded")
    is_kept: bool = False

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]

    @property
    def brand(self) -> str:
        """The network, by the first digit."""
        return {"3": "amex", "5": "mastercard", "6": "discover"}.get(self.number[:1], "visa")

    @property
    def cvc_digits(self) -> int:
        """How long its security code is."""
        return 4 if self.brand == "amex" else 3


def _declined(number: str, code: str, decline: str, text: str) -> Card:
    return Card(number, Fate.DECLINED, (code, decline, text))


CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242"),
        Card("5555555555554444"),
        Card("378282246310005"),
        Card("6011111111111117"),
        _declined("4000000000000002", "card_declined", "generic_decline", "The card was declined."),
        _declined("4000000000009995", "card_declined", "insufficient_funds", "The card has insufficient funds."),
        _declined("4000000000009987", "card_declined", "lost_card", "The card was declined."),
        _declined("4000000000000069", "expired_card", "expired_card", "The card has expired."),
        _declined("4000000000000127", "incorrect_cvc", "incorrect_cvc", "The card's security code is incorrect."),
        _declined("4000000000000119", "processing_error", "processing_error", "The card could not be processed."),
        Card(
            "4000000000000341",
            Fate.DECLINED,
            ("card_declined", "generic_decline", "The card was declined."),
            is_kept=True,
        ),
        Card("4000002500003155", Fate.AUTHENTICATES),
        Card("4000002760003184", Fate.AUTHENTICATES),
        Card("4000000000007726", refund=("pending", "succeeded")),
        Card("4000000000005126", refund=("succeeded", "failed")),
    )
}

METHODS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequired": "4000002500003155",
    "pm_card_pendingRefund": "4000000000007726",
    "pm_card_refundFail": "4000000000005126",
}


def card_of(number: str) -> Card | None:
    """The test card. A well-formed number that is none is declined; a malformed one is None."""
    if number in CARDS:
        return CARDS[number]
    if not (number.isascii() and number.isdigit() and 12 <= len(number) <= 19 and _luhn(number)):
        return None
    return _declined(number, "card_declined", "test_mode_live_card", "Only test cards are taken in test mode.")


def _luhn(number: str) -> bool:
    """The check digit of ISO/IEC 7812-1."""
    doubled = [sum(divmod(int(digit) * 2, 10)) for digit in number[-2::-2]]
    return (sum(doubled) + sum(int(digit) for digit in number[-1::-2])) % 10 == 0
