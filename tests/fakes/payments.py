"""A payment provider in memory, which behaves as the port says and does what a test tells it."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, final

import attrs

from application.ports.clock import Clock
from application.ports.payments import (
    Account,
    Action,
    BadSignature,
    CheckoutOrder,
    CheckoutState,
    EventList,
    HostedCheckout,
    Intent,
    IntentState,
    ListedEvent,
    PaymentProvider,
    ProviderEvent,
    ProviderRefund,
    ProviderRefused,
    ReconnectNeeded,
    RefundState,
)
from domain.money import Money
from domain.refusals import Invalid
from tests.fakes.clock import FrozenClock
from tests.fakes.payers import FakePayers
from tests.fakes.payouts import FakePayouts
from tests.fakes.recurring import FakeRecurring
from tests.fakes.settlements import FakeSettlements

HEADER = "Fake-Signature"
GOOD, DECLINED, ASKING = "good", "declined", "asking"
"""The payment methods it knows: it pays, it is declined, its owner must act first."""
_TOLERANCE = 300
_MOST = 99_999_999

_T = TypeVar("_T")


@final
class FakePayments(FakePayers, FakeRecurring, FakePayouts, FakeSettlements, PaymentProvider, EventList):
    """Takes any key that is not `revoked`.

    Tests use: `pay`, `approve`, `decline`, `settle_refund`, `dispute`, `put_status`, `fail_next`, `revoked`, `events` (the
    bodies of its webhooks, oldest first), `sign`, `calls` (the names of the port's methods that were called, oldest
    first), `webhook_secret`, `keyless` (it knows no keys and tells nothing of a page that nobody has paid on), `tokens`
    (each payment on a page that keeps the method hands out a token), `late` (what was paid on a page is
    under way until `confirm`).
    """

    def __init__(self, clock: Clock | None = None, slug: str = "fake") -> None:
        self._slug = slug
        FakePayers.__init__(self)
        FakePayouts.__init__(self)
        FakeSettlements.__init__(self)
        FakeRecurring.__init__(self)
        self.clock = clock or FrozenClock()
        self.revoked: set[str] = set()
        self.calls: list[str] = []
        self.events: list[bytes] = []
        self.webhook_secret = "fake_secret"
        self.account_reference = "fake_account"
        self.key_life: timedelta | None = timedelta(hours=23)
        self.keyless = False
        self.tokens = False
        self.late = False
        self.checkouts: dict[str, HostedCheckout] = {}
        self.intents: dict[str, Intent] = {}
        self.refunds: dict[str, ProviderRefund] = {}
        self._answers: dict[str, tuple[tuple[Any, ...], object]] = {}
        self._errors: list[tuple[Exception, bool, str | None]] = []
        self._count = 0

    # What a test tells it.

    def fail_next(self, error: Exception, *, after_work: bool = False, of: str | None = None) -> None:
        """Raise this from the next call, or the next one `of` a method of the port, before or after doing what was asked.
        Told twice, the next two fail."""
        self._errors.append((error, after_work, of))

    def approve(self, reference: str) -> None:
        """The payer agrees on an open page; the hub is to capture."""
        page = self.checkouts[reference]
        assert page.state is CheckoutState.OPEN, f"{reference} is {page.state.value}"
        self.checkouts[reference] = attrs.evolve(page, state=CheckoutState.APPROVED)
        self._tell("checkout.approved", "checkout", reference, None, page.metadata)

    def pay(self, reference: str, amount: Money | None = None) -> HostedCheckout:
        """The payer pays an open page: what it asks for, or an amount of their own."""
        checkout = self.checkouts[reference]
        payable = (CheckoutState.OPEN, CheckoutState.APPROVED)
        assert checkout.state in payable, f"{reference} is {checkout.state.value}"
        assert checkout.amount is not None
        intent = self._begin(amount or checkout.amount, checkout.metadata, None)
        if self.tokens:
            self._change(intent.reference, method_reference=f"token_of_{intent.reference}")
        done = attrs.evolve(
            checkout, state=CheckoutState.COMPLETE, paid=not self.late, url=None, intent_reference=intent.reference
        )
        if self.late:
            self._change(intent.reference, state=IntentState.PROCESSING, raw_status="processing")
        else:
            self._succeed(intent.reference)
        self.checkouts[reference] = done
        if not self.late:
            self._tell("checkout.paid", "checkout", reference, intent.reference, checkout.metadata)
        return done

    def confirm(self, intent_reference: str) -> None:
        """What was under way arrives, late."""
        page = next(one for one in self.checkouts.values() if one.intent_reference == intent_reference)
        self._succeed(intent_reference)
        self.checkouts[page.reference] = attrs.evolve(page, paid=True)

    def dispute(self, intent_reference: str, amount: Money | None) -> None:
        """The payer's bank takes so much back; None gives it all back to us."""
        intent = self._change(
            intent_reference, disputed=amount or Money.zero(self.intents[intent_reference].amount.currency)
        )
        self._tell("dispute.changed", "dispute", f"dispute_of_{intent_reference}", intent_reference, intent.metadata)

    def charge_fee(self, intent_reference: str, fee: Money) -> None:
        """The provider says what it keeps."""
        self._change(intent_reference, fee=fee)

    def put_status(self, intent_reference: str, status: str) -> None:
        """A word for where a payment stands that nobody has heard of."""
        self._change(intent_reference, state=IntentState.UNKNOWN, raw_status=status)

    def decline(self, reference: str) -> None:
        """The payer's card is declined on an open page, which stays open."""
        checkout = self.checkouts[reference]
        assert checkout.amount is not None
        intent = self._begin(checkout.amount, checkout.metadata, None)
        self._change(intent.reference, failure="The card was declined.")
        self.checkouts[reference] = attrs.evolve(checkout, intent_reference=intent.reference)
        self._tell("intent.failed", "intent", intent.reference, intent.reference, checkout.metadata)

    def settle_refund(self, reference: str, state: RefundState) -> None:
        """The bank's last word on a refund; one that fails gives the payment its money back."""
        refund = self.refunds[reference]
        assert refund.intent_reference
        if state is RefundState.FAILED:
            intent = self.intents[refund.intent_reference]
            self._change(intent.reference, refunded=intent.refunded - refund.amount)
        failure = "The bank refused it." if state is RefundState.FAILED else None
        self.refunds[reference] = attrs.evolve(refund, state=state, failure=failure)
        self._tell("refund.changed", "refund", reference, refund.intent_reference, {})

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The headers of a webhook."""
        moment = int(at.timestamp())
        return {HEADER: f"t={moment},v1={_signature(secret, moment, body)}"}

    # The port.

    @property
    def slug(self) -> str:
        """`fake`, unless it was made as another."""
        return self._slug

    async def aclose(self) -> None:
        """Nothing is open."""

    @property
    def currencies(self) -> frozenset[str]:
        """Some."""
        return frozenset(("EUR", "GBP", "JPY", "KWD", "NGN", "USD"))

    def keeps_keys(self, action: Action) -> timedelta | None:
        """A day, unless a test says otherwise."""
        return self.key_life

    def check_amount(self, amount: Money, *, field: str = "amount") -> None:
        """Anything from 1 to 99,999,999 minor units."""
        if not 0 < amount.amount <= _MOST:
            raise Invalid.field(field, f"{amount} cannot be charged.")
        if amount.currency.code not in self.currencies:
            raise Invalid.field(field, f"{amount.currency.code} is not taken.")

    async def account(self, access: Mapping[str, str]) -> Account:
        """`Fake shop`."""
        return self._do("account", access, lambda: Account(self.account_reference, "Fake shop"))

    async def create_checkout(self, access: Mapping[str, str], order: CheckoutOrder, *, key: str) -> HostedCheckout:
        """A page at pay.fake."""

        def work() -> HostedCheckout:
            self._chargeable(order.amount)
            if self.keyless and key in self.checkouts:
                return self.checkouts[key]
            reference = key if self.keyless else self._id("page")
            self.checkouts[reference] = HostedCheckout(
                reference=reference,
                url=f"https://pay.fake/{reference}",
                state=CheckoutState.OPEN,
                amount=order.amount,
                expires_at=order.expires_at,
                paid=False,
                intent_reference=None,
                metadata=dict(order.metadata),
            )
            return self.checkouts[reference]

        return self._do("create_checkout", access, work, key, order)

    async def fetch_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """As it is now; a page whose time is up has expired."""

        def work() -> HostedCheckout:
            if self.keyless and reference not in self.checkouts:
                return HostedCheckout(reference, None, CheckoutState.OPEN, None, None, False, None, {})
            page = self._page(reference)
            if self.keyless and page.state is CheckoutState.OPEN and page.intent_reference is None:
                return attrs.evolve(page, url=None, amount=None, expires_at=None, metadata={})
            return page

        return self._do("fetch_checkout", access, work)

    async def capture_checkout(self, access: Mapping[str, str], reference: str, *, key: str) -> HostedCheckout:
        """Takes the money of a page that was approved."""

        def work() -> HostedCheckout:
            page = self._page(reference)
            return self.pay(reference) if page.state is CheckoutState.APPROVED else page

        return self._do("capture_checkout", access, work, key, reference)

    async def expire_checkout(
        self, access: Mapping[str, str], reference: str, *, url: str | None = None
    ) -> HostedCheckout:
        """Close it if it is open."""

        def work() -> HostedCheckout:
            page = self._page(reference)
            return self._expire(page) if page.state is CheckoutState.OPEN else page

        return self._do("expire_checkout", access, work)

    async def create_intent(
        self,
        access: Mapping[str, str],
        amount: Money,
        *,
        key: str,
        description: str = "",
        customer_reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Intent:
        """A payment that waits for a method."""

        def work() -> Intent:
            self._chargeable(amount)
            if customer_reference is not None:
                _get(self.customers, customer_reference)
            return self._begin(amount, metadata or {}, customer_reference)

        asked = (amount, description, customer_reference, tuple((metadata or {}).items()))
        return self._do("create_intent", access, work, key, *asked)

    async def confirm_intent(self, access: Mapping[str, str], reference: str, *, method: str, key: str) -> Intent:
        """GOOD pays, DECLINED raises ProviderRefused, ASKING goes on waiting."""

        def work() -> Intent:
            intent = _get(self.intents, reference)
            if intent.state is not IntentState.WAITING:
                raise ProviderRefused(f"The payment is {intent.raw_status}.", code="unexpected_state")
            if method == GOOD:
                return self._succeed(reference)
            if method == ASKING:
                return self._change(reference, raw_status="asking")
            if method != DECLINED:
                raise ProviderRefused(f"There is no method {method!r}.", code="missing", missing=True)
            self._change(reference, failure="The card was declined.")
            self._tell("intent.failed", "intent", reference, reference, intent.metadata)
            raise ProviderRefused("The card was declined.", code="generic_decline")

        return self._do("confirm_intent", access, work, key, reference, method)

    async def fetch_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """As it is now."""
        return self._do("fetch_intent", access, lambda: _get(self.intents, reference))

    async def cancel_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """One that waits is canceled."""

        def work() -> Intent:
            intent = _get(self.intents, reference)
            if intent.state is not IntentState.WAITING:
                return intent
            return self._change(reference, state=IntentState.CANCELED, raw_status="canceled")

        return self._do("cancel_intent", access, work)

    async def refund(
        self, access: Mapping[str, str], intent_reference: str, amount: Money, *, key: str, reason: str = ""
    ) -> ProviderRefund:
        """Succeeds at once, if so much is left."""

        def work() -> ProviderRefund:
            intent = _get(self.intents, intent_reference)
            left = intent.received - intent.refunded
            if not Money.zero(amount.currency) < amount <= left:
                raise ProviderRefused(f"{amount} cannot go back; {left} is left.", code="too_much", field="amount")
            refund = ProviderRefund(self._id("refund"), intent_reference, RefundState.SUCCEEDED, amount, key=key)
            self.refunds[refund.reference] = refund
            self._change(intent_reference, refunded=intent.refunded + amount)
            self._tell("refund.created", "refund", refund.reference, intent_reference, {})
            return refund

        return self._do("refund", access, work, key, intent_reference, amount, reason)

    async def refunds_of(self, access: Mapping[str, str], intent_reference: str) -> tuple[ProviderRefund, ...]:
        """Newest first."""
        rows = [row for row in reversed(self.refunds.values()) if row.intent_reference == intent_reference]
        return self._do("refunds_of", access, lambda: tuple(rows))

    async def find_refund(self, access: Mapping[str, str], intent_reference: str, key: str) -> ProviderRefund | None:
        """By its key."""
        rows = [one for one in self.refunds.values() if one.intent_reference == intent_reference and one.key == key]
        return self._do("find_refund", access, lambda: rows[0] if rows else None)

    async def find_payment(self, access: Mapping[str, str], key: str) -> Intent | None:
        """What was asked for with this key."""

        def work() -> Intent | None:
            (_, made) = self._answers.get(key, ((), None))
            if isinstance(made, HostedCheckout):
                page = self.checkouts[made.reference]
                return self.intents[page.intent_reference] if page.intent_reference else None
            return self.intents[made.reference] if isinstance(made, Intent) else None

        return self._do("find_payment", access, work)

    async def register_webhook(self, access: Mapping[str, str], url: str, *, key: str) -> tuple[str, str]:
        """Always the same secret. Nothing is sent by itself: `events` has the bodies."""
        return self._do("register_webhook", access, lambda: (self._id("hook"), self.webhook_secret), key, url)

    async def remove_webhook(self, access: Mapping[str, str], reference: str) -> None:
        """Noted among `calls`."""
        self._do("remove_webhook", access, lambda: None)

    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """The same scheme as `sign` makes, with several `v1` allowed."""
        header = {name.lower(): value for name, value in headers.items()}.get(HEADER.lower(), "")
        parts = [part.partition("=")[::2] for part in header.split(",")]
        moments = [value for name, value in parts if name == "t" and value.isdigit()]
        if not moments:
            raise BadSignature(f"{HEADER} is missing or malformed.")
        at = int(moments[0])
        if not any(
            hmac.compare_digest(_signature(secret, at, body), value)
            for secret in secrets
            for name, value in parts
            if name == "v1"
        ):
            raise BadSignature("No signature matches.")
        if abs(now.timestamp() - at) > _TOLERANCE:
            raise BadSignature("It was signed at another time.")
        return self.parse_webhook(body)

    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """Read one of `events`."""
        told = json.loads(body)
        if not isinstance(told, dict) or "about" not in told:
            raise ValueError("The body is not an event.")
        return ProviderEvent(
            external_id=told["id"],
            type=told["type"],
            object_kind=told["kind"],
            object_reference=told["about"],
            created_at=datetime.fromtimestamp(told["at"], UTC),
            live=False,
            intent_reference=told["intent"],
            metadata=told["metadata"],
            failed=told["type"] == "intent.failed",
            payload=told,
            subscription_reference=told.get("subscription"),
        )

    @property
    def events_kept(self) -> timedelta:
        """30 days."""
        return timedelta(days=30)

    async def events_between(
        self, access: Mapping[str, str], since: datetime, until: datetime
    ) -> AsyncIterator[ListedEvent]:
        """Of `events`."""
        for body in self._do("events_between", access, lambda: list(self.events)):
            event = self.parse_webhook(body)
            if since <= event.created_at < until:
                yield ListedEvent(event, body)

    # How it works.

    def _do(self, name: str, access: Mapping[str, str], work: Callable[[], _T], key: str = "", *asked: object) -> _T:
        self.calls.append(name)
        if access.get("secret_key", "") in self.revoked:
            raise ReconnectNeeded("The key was revoked.") from PermissionError(name)
        error, after_work = self._failing(name)
        if error and not after_work:
            raise error from OSError("told to fail")
        if key:
            known = None if self.keyless else self._answers.get(key)
            if known and known[0] != (name, *asked):
                raise ProviderRefused("The key was used for another request.", code="idempotency_error") from None
            answer = known[1] if known else work()
            self._answers[key] = ((name, *asked), answer)
        else:
            answer = work()
        if error:
            raise error from OSError("told to fail")
        return answer  # type: ignore[return-value]

    def _failing(self, name: str) -> tuple[Exception | None, bool]:
        if not self._errors or self._errors[0][2] not in (None, name):
            return None, False
        error, after_work, _ = self._errors.pop(0)
        return error, after_work

    def _page(self, reference: str) -> HostedCheckout:
        page = _get(self.checkouts, reference)
        over = page.state is CheckoutState.OPEN and page.expires_at is not None and page.expires_at <= self.clock.now()
        return self._expire(page) if over else page

    def _expire(self, page: HostedCheckout) -> HostedCheckout:
        self.checkouts[page.reference] = attrs.evolve(page, state=CheckoutState.EXPIRED, url=None)
        self._tell("checkout.expired", "checkout", page.reference, page.intent_reference, page.metadata)
        return self.checkouts[page.reference]

    def _begin(self, amount: Money, metadata: Mapping[str, str], customer: str | None) -> Intent:
        reference = self._id("intent")
        nothing = Money.zero(amount.currency)
        self.intents[reference] = Intent(
            reference=reference,
            state=IntentState.WAITING,
            amount=amount,
            received=nothing,
            refunded=nothing,
            raw_status="waiting",
            client_secret=f"{reference}_secret",
            failure=None,
            metadata=dict(metadata),
            customer_reference=customer,
        )
        return self.intents[reference]

    def _succeed(self, reference: str) -> Intent:
        amount = self.intents[reference].amount
        done = self._change(
            reference, state=IntentState.SUCCEEDED, received=amount, raw_status="succeeded", failure=None
        )
        self._tell("intent.succeeded", "intent", reference, reference, done.metadata)
        return done

    def _change(self, reference: str, **changes: Any) -> Intent:
        self.intents[reference] = attrs.evolve(self.intents[reference], **changes)
        return self.intents[reference]

    def _chargeable(self, amount: Money) -> None:
        try:
            self.check_amount(amount)
        except Invalid as error:
            raise ProviderRefused(str(error), code="amount", field="amount") from error

    def _tell(self, kind: str, about: str, reference: str, intent: str | None, metadata: Mapping[str, str]) -> None:
        body = {
            "id": self._id("event"),
            "type": kind,
            "kind": about,
            "about": reference,
            "intent": intent,
            "at": int(self.clock.now().timestamp()),
            "metadata": dict(metadata),
        }
        self.events.append(json.dumps(body).encode())

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"fake_{kind}_{self._count}"


def _get(shelf: Mapping[str, _T], reference: str) -> _T:
    if reference not in shelf:
        raise ProviderRefused(f"There is no {reference!r}.", code="missing", missing=True) from KeyError(reference)
    return shelf[reference]


def _signature(secret: str, at: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
