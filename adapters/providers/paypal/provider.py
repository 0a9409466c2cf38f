"""PayPal's manifest: what a person types to connect it, what it then does for the hub, and what the hub does instead."""

from domain.connections.abilities import Ability, By, Support
from domain.connections.provider import AuthKind, Capability, Category, Field, Provider

_DOES = Support(By.PROVIDER)

PROVIDER = Provider(
    slug="paypal",
    name="PayPal",
    category=Category.PAYMENTS,
    auth=AuthKind.API_KEY,
    offers=frozenset((Capability.PAYMENTS,)),
    fields=(
        Field(
            "client_id",
            "Client id",
            help="developer.paypal.com → Apps & Credentials, in the application made for the hub.",
        ),
        Field(
            "client_secret",
            "Client secret",
            secret=True,
            help="Beside the client id; it can be shown and replaced there.",
        ),
        Field(
            "mode",
            "Mode",
            choices=("sandbox", "live"),
            default="sandbox",
            help="Which of PayPal's two worlds the client id belongs to.",
        ),
        Field(
            "webhook_secret",
            "Webhook id",
            secret=True,
            required=False,
            help="Left empty, the hub registers its own webhook and keeps its id, which every signature is made over.",
        ),
    ),
    docs="providers/paypal.md",
    receives_webhooks=True,
    abilities={
        Ability.HOSTED_CHECKOUT: Support(
            By.PROVIDER, "The payer agrees at PayPal; the hub takes the money while the invoice is still payable."
        ),
        Ability.INTENTS: Support(By.PROVIDER, "An order that PayPal's buttons on the host's own page approve."),
        Ability.MOBILE_MONEY: Support(By.NOBODY, "PayPal takes no mobile money."),
        Ability.BANK_TRANSFER: Support(By.NOBODY, "PayPal offers a payer no bank transfer that the hub could ask for."),
        Ability.REFUNDS: Support(By.PROVIDER, "Within 180 days of the payment."),
        Ability.PARTIAL_REFUNDS: _DOES,
        Ability.CUSTOMERS: Support(
            By.NOBODY, "PayPal knows payers by their own accounts; a merchant keeps no customers."
        ),
        Ability.PAYMENT_METHODS: Support(By.NOBODY, "Payers keep their methods in their own PayPal accounts."),
        Ability.OFF_SESSION: Support(
            By.NOBODY, "Charging a payer who is away takes PayPal's vault, which this hub does not use."
        ),
        Ability.PLANS: _DOES,
        Ability.SUBSCRIPTIONS: _DOES,
        Ability.TRIALS: Support(By.PROVIDER, "The subscription starts, and is first charged, when the trial is over."),
        Ability.QUANTITY: Support(By.PROVIDER, "The payer agrees to a change at PayPal."),
        Ability.CHANGE_PLAN: Support(
            By.PROVIDER, "The payer agrees at PayPal; the new price holds from the next charge."
        ),
        Ability.PRORATION: Support(By.HUB, "PayPal has none; the hub bills the difference."),
        Ability.CANCEL_AT_PERIOD_END: Support(
            By.HUB, "PayPal ends at once only; the hub asks it when the time has come."
        ),
        Ability.PAUSE: Support(By.PROVIDER, "Suspended: nothing is charged until it is activated."),
        Ability.RESUME: Support(By.HUB, "While the end is still to come. PayPal takes back no end that has come."),
        Ability.PAYOUTS: Support(
            By.PROVIDER, "To an e-mail address. PayPal must have switched Payouts on for the account."
        ),
        Ability.INVOICES: Support(By.NOBODY, "The hub writes its own invoices, which are paid at PayPal."),
        Ability.SETTLEMENTS: Support(By.PROVIDER, "PayPal lists a transaction up to three hours late."),
        Ability.EVENT_LIST: _DOES,
        Ability.SIGNED_WEBHOOKS: Support(By.PROVIDER, "By a certificate of PayPal's, checked here."),
    },
    live_marker=("mode", "live"),
)
