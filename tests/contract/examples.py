"""One bare and one full example of everything the store keeps: nothing optional is set, or everything is."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import attrs

from domain.audit import AuditEntry
from domain.billing.invoices import Billed, Invoice, InvoiceState, Line
from domain.billing.links import Checkout, CheckoutState, LinkState, PaymentLink
from domain.billing.payments import Fact, FactKind, Payment, Refund, RefundState
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
    "payments": Examples.payment,
    "refunds": Examples.refund,
    "links": Examples.link,
    "checkouts": Examples.checkout,
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
        lines=(Line(TEXT, 3, Money(1_000_000_000, JPY)), Line("Discount", 1, Money(-5, JPY))),
        state=InvoiceState.PARTLY_PAID,
        due_on=date(2026, 2, 28),
        memo=TEXT,
        paid=999_999_999_999_999,
        refunded=1,
        sent_at=ODD,
        paid_at=ODD,
        version=7,
    ),
    "payments": _full(
        invoice_id="inv_1",
        facts=(Fact(FactKind.CAPTURED, "ch_1", 100, ODD), Fact(FactKind.REFUNDED, "re_1", 40, NOW)),
        conflict=TEXT,
        version=7,
    ),
    "refunds": _full(reason=TEXT, state=RefundState.FAILED, reference="re_1", failure=TEXT, version=7),
    "links": _full(state=LinkState.COMPLETED, version=7),
    "checkouts": _full(
        amount=Money(5000, JPY),
        state=CheckoutState.OPEN,
        reference="cs_1",
        url="https://pay.example/" + "a" * 2000,
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
