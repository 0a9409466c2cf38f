"""Stripe's manifest: what a person types to connect it, and what it then does for the hub."""

from domain.connections.abilities import Ability, By, Support
from domain.connections.provider import AuthKind, Capability, Category, Field, Provider

_NOTES = {
    Ability.BANK_TRANSFER: "On Stripe's page, where bank debits or transfers are switched on in Stripe's dashboard.",
    Ability.PAUSE: "Nothing is collected meanwhile; the periods go on, and their bills are void.",
    Ability.PAYOUTS: "To the account's own bank account.",
}

PROVIDER = Provider(
    slug="stripe",
    name="Stripe",
    category=Category.PAYMENTS,
    auth=AuthKind.API_KEY,
    offers=frozenset((Capability.PAYMENTS,)),
    fields=(
        Field(
            "secret_key",
            "Secret key",
            secret=True,
            prefixes=("sk_test_", "sk_live_", "rk_test_", "rk_live_"),
            help="Developers → API keys. A restricted key needs to write Checkout Sessions, Customers, Payment Intents,"
            " Payment Methods, Refunds, Products, Prices, Subscriptions, Invoices and Payouts, and to read the Account,"
            " Charges, Disputes, Events and Balance Transactions.",
        ),
        Field(
            "webhook_secret",
            "Webhook signing secret",
            secret=True,
            required=False,
            prefixes=("whsec_",),
            help="Left empty, the hub registers its own webhook endpoint and keeps the secret it is given.",
        ),
        Field(
            "publishable_key",
            "Publishable key",
            required=False,
            prefixes=("pk_test_", "pk_live_"),
            help="Only for a page of your own that shows Stripe's card form.",
        ),
    ),
    docs="providers/stripe.md",
    receives_webhooks=True,
    live_marker=("secret_key", "_live_"),
    abilities={
        ability: Support(By.PROVIDER, _NOTES.get(ability, ""))
        for ability in Ability
        if ability is not Ability.MOBILE_MONEY
    },
)
