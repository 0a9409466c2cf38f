"""Flutterwave's manifest: what a person types to connect it, and what it and the hub then do."""

from domain.connections.abilities import Ability, By, Support
from domain.connections.provider import AuthKind, Capability, Category, Field, Provider

_BY_TOKEN = Support(
    By.HUB,
    "The hub renews by itself and charges the card's token, which Flutterwave keeps for a year. Cards only, and only in"
    " the currency and for the e-mail address of the first payment.",
)
_BY_HUB = Support(By.HUB, "Flutterwave has none; the hub's own subscription engine does it.")

ABILITIES = {
    Ability.HOSTED_CHECKOUT: Support(By.PROVIDER, "Cards, mobile money, bank transfer and what else the account has."),
    Ability.INTENTS: Support(
        By.NOBODY,
        "Flutterwave has no payment that waits for a page of your own. Use a payment link: its page takes cards, mobile"
        " money and bank transfers.",
    ),
    Ability.MOBILE_MONEY: Support(
        By.PROVIDER, "Ghana, Kenya (M-Pesa, whole shillings), Uganda, Rwanda, Zambia, Tanzania, XAF and XOF countries."
    ),
    Ability.BANK_TRANSFER: Support(By.PROVIDER, "On the hosted page; what the payer sends may differ from the price."),
    Ability.REFUNDS: Support(By.PROVIDER, "Out of the available balance: Flutterwave refuses more than it holds."),
    Ability.PARTIAL_REFUNDS: Support(By.PROVIDER),
    Ability.CUSTOMERS: Support(By.NOBODY, "Flutterwave's v3 API keeps no customers: a payer is an e-mail address."),
    Ability.PAYMENT_METHODS: Support(
        By.NOBODY, "Flutterwave lists no payment methods; the hub keeps the card's token."
    ),
    Ability.OFF_SESSION: Support(By.PROVIDER, "Cards by token; a mobile money payer is asked on the telephone."),
    Ability.PLANS: Support(By.PROVIDER, "Daily, weekly, monthly, quarterly or yearly."),
    Ability.SUBSCRIPTIONS: _BY_TOKEN,
    Ability.TRIALS: _BY_HUB,
    Ability.QUANTITY: _BY_HUB,
    Ability.CHANGE_PLAN: _BY_HUB,
    Ability.PRORATION: _BY_HUB,
    Ability.CANCEL_AT_PERIOD_END: _BY_HUB,
    Ability.PAUSE: _BY_HUB,
    Ability.RESUME: _BY_HUB,
    Ability.PAYOUTS: Support(
        By.PROVIDER,
        "To bank accounts and mobile money. Flutterwave takes them only from addresses on its IP whitelist.",
    ),
    Ability.INVOICES: Support(By.NOBODY, "Flutterwave writes no invoices."),
    Ability.SETTLEMENTS: Support(By.PROVIDER, "Payments, refunds and transfers by the day they were made."),
    Ability.EVENT_LIST: Support(
        By.NOBODY, "Flutterwave lists no events. A payment whose webhook is lost is found by asking for its reference."
    ),
    Ability.SIGNED_WEBHOOKS: Support(
        By.PROVIDER,
        "v3 webhooks carry a fixed hash and are only a hint: the hub asks for the transaction. v4 signs the body; the"
        " connection's setting says which is right.",
    ),
}

PROVIDER = Provider(
    slug="flutterwave",
    name="Flutterwave",
    category=Category.PAYMENTS,
    auth=AuthKind.API_KEY,
    offers=frozenset((Capability.PAYMENTS,)),
    fields=(
        Field(
            "secret_key",
            "Secret key",
            secret=True,
            prefixes=("FLWSECK_TEST-", "FLWSECK-"),
            help="Settings → API keys. Test keys begin with FLWSECK_TEST-.",
        ),
        Field(
            "webhook_secret",
            "Secret hash",
            secret=True,
            help="Settings → Webhooks. Make up a long secret hash, save it there with the address of the hub's door for"
            " Flutterwave, and paste it here: Flutterwave's API cannot do this for you.",
        ),
        Field(
            "webhook_version",
            "Webhook version",
            required=False,
            default="v3",
            choices=("v3", "v4"),
            help="v3: the hash itself comes in the header verif-hash. v4: the body is signed with it, in"
            " flutterwave-signature. A webhook of the other version is refused.",
        ),
        Field(
            "public_key",
            "Public key",
            required=False,
            prefixes=("FLWPUBK_TEST-", "FLWPUBK-"),
            help="Only for a page of your own that shows Flutterwave's inline form.",
        ),
        Field(
            "encryption_key",
            "Encryption key",
            secret=True,
            required=False,
            help="Only for card details on a page of your own, which the hub never sees.",
        ),
    ),
    docs="providers/flutterwave.md",
    receives_webhooks=True,
    abilities=ABILITIES,
    # A test key says FLWSECK_TEST-, which does not hold this text.
    live_marker=("secret_key", "FLWSECK-"),
)
