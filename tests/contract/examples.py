"""One bare and one full example of everything the store keeps: nothing optional is set, or everything is."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import attrs

from domain.audit import AuditEntry
from domain.billing.conflicts import ConflictKind
from domain.billing.credit_notes import CreditedLine, CreditNote
from domain.billing.invoices import Billed, Discount, Invoice, InvoiceState, Line, Period, Reminder, Tax
from domain.billing.ledger import Entry
from domain.billing.links import Checkout, CheckoutState, LinkState, PaymentLink
from domain.billing.payments import Attempt as ChargeAttempt
from domain.billing.payments import AttemptState, Fact, FactKind, Payment, Refund, RefundState
from domain.billing.payouts import Payout, PayoutState
from domain.billing.plans import Interval, Plan, PlanAtProvider, PlanState
from domain.billing.reconciliation import Difference, DifferenceKind, Reconciliation, RunState
from domain.billing.settings import Seller
from domain.billing.subscriptions import Planned, RenewedBy, Subscription, SubscriptionState
from domain.connections.connection import Connection, ConnectionState
from domain.events import Event
from domain.inbox import InboxState, Received
from domain.money import Currency, Money
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.endpoints import Endpoint, EndpointMode, EndpointState, SigningSecret
from domain.notifications.envelopes import Envelope
from domain.notifications.options import Options
from domain.notifications.replays import Replay, ReplayKind, ReplayState
from domain.notifications.selection import Selection, Trouble
from domain.notifications.shape import Shape
from domain.notifications.signatures import SignatureStyle, SigningKeyPair
from domain.notifications.windows import Rate
from domain.organisations import ApiKey, Organisation, Role, Scope, Session, User
from domain.work.kinds import kind_named
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds

NOW = FrozenClock().now()
ODD = NOW + timedelta(days=400, microseconds=123457)
"""A moment with microseconds, which must not be lost."""

TEXT = "Zoë's „Größe“ — 請求書 🧾\n'); DROP TABLE invoices; -- %s \\u0000 \t"
JSON: dict[str, Any] = {
    "text": TEXT,
    "number": 1.25,
    "large": 2**53,
    "none": None,
    "yes": True,
    "list": [1, "two", {"three": []}],
    "object": {"": {"b": {"a": 1}}},
}
USD, JPY = Currency("USD"), Currency("JPY")


class Examples:
    """Makes examples; every one has an id of its own, and ids sort as they were made."""

    def __init__(self) -> None:
        self.ids = CountingIds()

    def id(self, kind: str) -> str:
        """A new id."""
        return self.ids.new(kind)

    def organisation(self) -> Organisation:
        """An organisation."""
        return Organisation(self.id("organisation"), "Acme", NOW)

    def event(self, org: str, **changes: Any) -> Event:
        """An event."""
        return attrs.evolve(Event(self.id("event"), org, "invoice.paid", {}, NOW, NOW), **changes)

    def delivery(self, org: str, event: Event | None = None, destination: str = "wh_1", **changes: Any) -> Delivery:
        """A delivery that is due."""
        event = event or self.event(org)
        made = Delivery.of(event, DestinationKind.ENDPOINT, destination, id=self.id("delivery"), now=NOW)
        return attrs.evolve(made, **changes)

    def attempt(self, delivery: Delivery, outcome: Outcome | None = None, number: int = 1) -> Attempt:
        """An attempt."""
        outcome = outcome or Outcome(Verdict.DELIVERED, timedelta(milliseconds=5), 200)
        return Attempt(self.id("attempt"), delivery.organisation_id, delivery.id, number, NOW, outcome)

    def received(self, org: str, **changes: Any) -> Received:
        """A webhook that is due."""
        id_ = self.id("inbox")
        made = Received(id_, org, "con_1", "fake", f"their_{id_}", "intent.succeeded", b"{}", {}, NOW, NOW)
        return attrs.evolve(made, **changes)

    def user(self, org: str, **changes: Any) -> User:
        """A person."""
        id_ = self.id("user")
        return attrs.evolve(User(id_, org, f"{id_.lower()}@acme.example", "hash", Role.OWNER, NOW), **changes)

    def key(self, org: str, **changes: Any) -> ApiKey:
        """An API key."""
        id_ = self.id("key")
        scopes = frozenset({Scope.EVENTS_READ})
        return attrs.evolve(ApiKey(id_, org, "app", ApiKey.hash_of(id_), "abcd", scopes, NOW), **changes)

    def endpoint(self, org: str, **changes: Any) -> Endpoint:
        """A webhook endpoint."""
        secrets = (SigningSecret("sealed", NOW),)
        made = Endpoint(self.id("endpoint"), org, "https://acme.example/hook", "", ("*",), secrets, NOW, NOW)
        return attrs.evolve(made, **changes)

    def notification(self, org: str, **changes: Any) -> Notification:
        """A notification configuration."""
        made = Notification(self.id("notification"), org, "Sales", "board", "con_1", ("*",), NOW, NOW)
        return attrs.evolve(made, **changes)

    def signing_key(self, org: str, **changes: Any) -> SigningKeyPair:
        """A key pair that signs."""
        made = SigningKeyPair(self.id("signing_key"), org, "sealed", "whpk_" + "A" * 43 + "=", NOW)
        return attrs.evolve(made, **changes)

    def replay(self, org: str, **changes: Any) -> Replay:
        """A replay that is under way."""
        wanted = Selection("wh_1", ("invoice.*",), (DeliveryState.FAILED,), (Trouble.TIMEOUT,), NOW, ODD, "evt_1")
        made = Replay(self.id("replay"), org, ReplayKind.MISSED, wanted, "user:ada", NOW, NOW, 10)
        return attrs.evolve(made, **changes)

    def connection(self, org: str, **changes: Any) -> Connection:
        """A connection."""
        return attrs.evolve(Connection(self.id("connection"), org, "fake", "Fake", {}, {}, NOW, NOW), **changes)

    def record(self, org: str, kind: str = "client", **fields: Any) -> Any:
        """A work record."""
        given = fields or ({"name": "Acme"} if kind == "client" else {})
        return kind_named(kind).create(given, id_=self.id(kind), organisation_id=org, now=NOW)

    def invoice(self, org: str, **changes: Any) -> Invoice:
        """A draft."""
        id_ = self.id("invoice")
        line = Line("Work", 1, Money(100, USD))
        made = Invoice(id_, org, f"N-{id_}", Billed("client_1", "Acme", None), USD, (line,), NOW, NOW)
        return attrs.evolve(made, **changes)

    def credit_note(self, org: str, **changes: Any) -> CreditNote:
        """A credit note over a little."""
        id_ = self.id("credit_note")
        made = CreditNote(id_, org, f"C-{id_}", "inv_1", Money(100, USD), Money(0, USD), "", NOW)
        return attrs.evolve(made, **changes)

    def plan(self, org: str, **changes: Any) -> Plan:
        """A plan."""
        id_ = self.id("plan")
        price = (Money(9000, USD),)
        made = Plan(id_, org, id_.lower().replace("_", "-"), "Studio", "", Interval.MONTH, 1, price, NOW, NOW)
        return attrs.evolve(made, **changes)

    def plan_at_provider(self, org: str, **changes: Any) -> PlanAtProvider:
        """A plan's price at a provider."""
        id_ = self.id("plan_at_provider")
        made = PlanAtProvider(
            id_, org, f"of {id_}", "fake", "account", Money(9000, USD), f"price of {id_}", None, NOW, NOW
        )
        return attrs.evolve(made, **changes)

    def subscription(self, org: str, **changes: Any) -> Subscription:
        """One that nobody has agreed to yet."""
        client, price, by = Billed("client_1", "Acme", None), Money(9000, USD), RenewedBy.PROVIDER
        made = Subscription(
            self.id("subscription"), org, client, "plan_1", price, 1, "fake", "con_1", "account", by, NOW, NOW
        )
        return attrs.evolve(made, **changes)

    def payment(self, org: str, **changes: Any) -> Payment:
        """A payment nothing is known of yet."""
        id_ = self.id("payment")
        return attrs.evolve(Payment(id_, org, "con_1", "fake", f"pi_{id_}", Money(100, USD), NOW, NOW), **changes)

    def refund(self, org: str, **changes: Any) -> Refund:
        """A refund that was just asked for."""
        return attrs.evolve(Refund(self.id("refund"), org, "pay_1", Money(60, USD), NOW, NOW), **changes)

    def link(self, org: str, **changes: Any) -> PaymentLink:
        """A live link."""
        id_ = self.id("link")
        made = PaymentLink(id_, org, "inv_1", "con_1", "fake", f"token-{id_}", NOW, NOW, NOW + timedelta(days=30))
        return attrs.evolve(made, **changes)

    def checkout(self, org: str, **changes: Any) -> Checkout:
        """A page that is being opened."""
        until = NOW + timedelta(hours=23)
        made = Checkout(self.id("checkout"), org, "lnk_1", "inv_1", "con_1", Money(100, USD), NOW, NOW, until)
        return attrs.evolve(made, **changes)

    def payout(self, org: str, **changes: Any) -> Payout:
        """Money on its way out."""
        return attrs.evolve(Payout(self.id("payout"), org, "con_1", "stripe", Money(1, USD), NOW, NOW), **changes)

    def ledger_entry(self, org: str, **changes: Any) -> Entry:
        """One side of a posting, each for a source of its own."""
        id_ = self.id("ledger_entry")
        return attrs.evolve(Entry(id_, org, "pst_1", f"opened:{id_}", "fees", Money(1, USD), NOW, "pay_1"), **changes)

    def reconciliation(self, org: str, **changes: Any) -> Reconciliation:
        """A comparison of one moment."""
        id_ = self.id("reconciliation")
        return attrs.evolve(Reconciliation(id_, org, "con_1", "stripe", NOW, NOW, "hub", NOW, NOW), **changes)

    def difference(self, org: str, **changes: Any) -> Difference:
        """Something that does not agree."""
        id_, kind = self.id("difference"), DifferenceKind.AMOUNT
        made = Difference(id_, org, "rec_1", kind, "payment", "pi_1", "1", "2", Money(1, USD), NOW)
        return attrs.evolve(made, **changes)

    def entry(self, org: str, **changes: Any) -> AuditEntry:
        """An audit entry."""
        return attrs.evolve(AuditEntry(self.id("audit"), org, "hub", "invoice.sent", "inv_1", NOW), **changes)

    def session(self, org: str, **changes: Any) -> Session:
        """A signed-in browser."""
        made = Session(self.id("session"), org, "usr_1", "csrf", NOW, NOW + timedelta(hours=12))
        return attrs.evolve(made, **changes)

    def full_outcome(self) -> Outcome:
        """Everything an attempt can bring back."""
        return Outcome(
            Verdict.RETRY,
            timedelta(seconds=1, microseconds=7),
            503,
            TEXT,
            {"content-type": "application/json"},
            TEXT,
            {"retry-after": "3"},
            TEXT,
            timedelta(seconds=3, microseconds=11),
        )


BARE: Mapping[str, Callable[[Examples, str], Any]] = {
    "users": Examples.user,
    "keys": Examples.key,
    "events": Examples.event,
    "endpoints": Examples.endpoint,
    "signing_keys": Examples.signing_key,
    "replays": Examples.replay,
    "notifications": Examples.notification,
    "deliveries": Examples.delivery,
    "connections": Examples.connection,
    "inbox": Examples.received,
    "records": Examples.record,
    "invoices": Examples.invoice,
    "credit_notes": Examples.credit_note,
    "payments": Examples.payment,
    "refunds": Examples.refund,
    "links": Examples.link,
    "checkouts": Examples.checkout,
    "payouts": Examples.payout,
    "ledger": Examples.ledger_entry,
    "reconciliations": Examples.reconciliation,
    "differences": Examples.difference,
    "plans": Examples.plan,
    "plans_at_providers": Examples.plan_at_provider,
    "subscriptions": Examples.subscription,
    "audit": Examples.entry,
}
"""By the name of the collection."""


def _full(**changes: Any) -> Mapping[str, Any]:
    return changes


FULL: Mapping[str, Mapping[str, Any]] = {
    "users": _full(version=7),
    "keys": _full(name=TEXT * 10, scopes=frozenset(Scope), expires_at=ODD, last_used_at=ODD, revoked_at=ODD, version=7),
    "events": _full(data=JSON, occurred_at=ODD),
    "endpoints": _full(
        url="https://acme.example/" + "a" * 2000,
        name="Acme",
        events=("invoice.*", "payment.received"),
        secrets=(SigningSecret("new", ODD), SigningSecret("old", NOW, ODD)),
        state=EndpointState.DISABLED,
        reason=TEXT,
        sealed_headers=TEXT,
        timeout_s=30,
        mode=EndpointMode.POLL,
        options=Options(
            shape=Shape(envelope=Envelope.FORM),
            filter="data.total > 100",
            signature=SignatureStyle.STRIPE,
            signature_header="acme-signature",
            retries=(1, 60),
            retries_by_type={"invoice.*": (5,)},
            expires_after_s=3600,
            fifo=True,
            rate=Rate(10, 60),
        ),
        sealed_oauth=TEXT,
        sealed_identity=TEXT,
        version=7,
    ),
    "signing_keys": _full(expires_at=ODD, version=7),
    "replays": _full(state=ReplayState.FAILED, done=3, ahead={"wh_1": "dlv_3"}, error=TEXT, version=7),
    "notifications": _full(target={"to": ["a@acme.example"]}, is_active=False, reason=TEXT, version=7),
    "deliveries": _full(
        state=DeliveryState.FAILED,
        attempts=12,
        last_error=TEXT,
        last_status=503,
        finished_at=ODD,
        mail=JSON,
        replay_of="dlv_0",
        expires_at=ODD,
    ),
    "connections": _full(
        settings={"host": "mail.acme.example"},
        sealed={"password": TEXT},
        live=False,
        state=ConnectionState.FAILING,
        account=TEXT * 10,
        last_used_at=ODD,
        last_error=TEXT,
        last_error_at=ODD,
        webhook_reference="we_1",
        account_reference="acct_1/test",
        version=7,
    ),
    "inbox": _full(
        body=bytes(range(256)),
        headers={"stripe-signature": "t=1,v1=2"},
        state=InboxState.IGNORED,
        tries=3,
        handled_at=ODD,
        error=TEXT,
        object="intent:pi_1",
        version=7,
    ),
    "records": _full(fields=JSON, updated_at=ODD, version=7),
    "invoices": _full(
        client=Billed("client_1", TEXT, "billing@acme.example"),
        currency=JPY,
        lines=(
            Line(
                TEXT,
                3,
                Money(1_000_000_000, JPY),
                Tax("VAT", 1950, included=True),
                Discount(percent=333, name=TEXT[:20]),
            ),
            Line("Discount", 1, Money(-5, JPY), Tax("VAT", 700)),
        ),
        discount=Discount(amount=7),
        credited=3,
        opened_at=ODD,
        reminders=(Reminder(-3, ODD), Reminder(7, NOW)),
        subscription_id="sub_1",
        period=Period(NOW, ODD),
        source="stripe:in_1",
        seller=Seller(TEXT, (TEXT, ""), "1", "a@b.example", (TEXT,), TEXT),
        state=InvoiceState.PARTLY_PAID,
        due_on=date(2026, 2, 28),
        memo=TEXT,
        paid=999_999_999_999_999,
        refunded=1,
        sent_at=ODD,
        paid_at=ODD,
        version=7,
    ),
    "credit_notes": _full(
        amount=Money(119, JPY),
        tax=Money(19, JPY),
        reason=TEXT,
        refund_id="ref_1",
        lines=(CreditedLine(0, 2), CreditedLine(7, 1)),
        version=7,
    ),
    "payments": _full(
        invoice_id="inv_1",
        facts=(Fact(FactKind.CAPTURED, "ch_1", 100, ODD), Fact(FactKind.REFUNDED, "re_1", 40, NOW)),
        conflict=TEXT,
        conflict_kind=ConflictKind.OVERPAID,
        resolution=TEXT,
        attempts=(ChargeAttempt("key_1", ODD, AttemptState.FAILED, "visa 4242", TEXT, 2, NOW),),
        client_id="client_1",
        subscription_id="sub_1",
        version=7,
    ),
    "refunds": _full(
        reason=TEXT, state=RefundState.FAILED, reference="re_1", failure=TEXT, asked_at=ODD, checks=3, version=7
    ),
    "links": _full(state=LinkState.COMPLETED, version=7),
    "checkouts": _full(
        amount=Money(5000, JPY),
        state=CheckoutState.OPEN,
        reference="cs_1",
        url="https://pay.example/" + "a" * 2000,
        version=7,
    ),
    "payouts": _full(
        receiver="044 ·· 0031",
        sealed_destination=TEXT,
        description=TEXT,
        state=PayoutState.UNKNOWN,
        reference="po_" + "a" * 252,
        fee=25,
        failure=TEXT,
        arrives_on=date(2026, 2, 28),
        asked_at=ODD,
        checks=3,
        version=7,
    ),
    "ledger": _full(account="balance:" + "a" * 52, amount=Money(-(10**15) + 1, JPY), at=ODD),
    "reconciliations": _full(
        state=RunState.FAILED,
        compared=2**40,
        differences=3,
        totals={"USD": {"ours:payment": 2**53, "theirs:payment": -1}},
        error=TEXT,
        begun_at=ODD,
        nightly=True,
        version=7,
    ),
    "differences": _full(
        payment_id="pay_1",
        fixed_at=ODD,
        fixed_by="user:" + "a" * 320,
        fix="accepted",
        note=TEXT,
        intent_reference="pi_" + "a" * 252,
        version=7,
    ),
    "plans": _full(
        description=TEXT,
        prices=(Money(5, USD), Money(999_999_999_999_999, JPY)),
        trial_days=14,
        features=("api", "exports"),
        limits={"seats": 5, "projects": -1},
        state=PlanState.ARCHIVED,
        version=7,
    ),
    "plans_at_providers": _full(product="prod_" + "a" * 250, version=7),
    "subscriptions": _full(
        client=Billed("client_1", TEXT, "billing@acme.example"),
        renewed_by=RenewedBy.HUB,
        state=SubscriptionState.PAST_DUE,
        reference="sub_" + "a" * 251,
        began_reference="cs_" + "a" * 252,
        url="https://pay.example/" + "a" * 2000,
        lost_method="a" * 64,
        anchor=NOW,
        period_start=NOW,
        period_end=ODD,
        trial_ends_at=ODD,
        cancel_at_period_end=True,
        canceled_at=ODD,
        ended_at=ODD,
        reason=TEXT,
        planned=Planned("plan_2", Money(5, JPY), 3, "inv_2", anew=True),
        tries=3,
        next_try_at=ODD,
        invoice_id="inv_1",
        seen_at=ODD,
        worth=999_999_999_999_999,
        credit=1,
        trial_told=True,
        client_id="client_2",
        version=7,
    ),
    "audit": _full(actor="user:" + "a" * 320, detail=JSON),
}
"""What a full example has that a bare one has not."""


def full(examples: Examples, name: str, org: str) -> Any:
    """A full example."""
    return attrs.evolve(BARE[name](examples, org), **FULL[name])


def optional(kind: type) -> Mapping[str, Any]:
    """The fields that have a default, and the default."""
    found = {}
    for field in attrs.fields(kind):
        if field.default is not attrs.NOTHING:
            factory = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]
            found[field.name] = field.default.factory() if factory else field.default
    return found


MOMENTS = (NOW, ODD, datetime.fromisoformat("1970-01-01T00:00:00+00:00"))
