"""Where everything is kept, and the unit of work that every use case opens.

A unit of work belongs to one organisation: its collections see nothing of another, by construction. Leaving the block
without `commit()` undoes everything. No network call belongs inside it.
"""

from abc import abstractmethod
from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import attrs

from application.ports.replayable import Replayable
from domain.audit import AuditEntry
from domain.billing.credit_notes import CreditNote
from domain.billing.customers import CustomerAtProvider, SavedMethod
from domain.billing.invoices import Invoice
from domain.billing.ledger import Balance, Entry
from domain.billing.links import Checkout, PaymentLink
from domain.billing.payments import Payment, Refund
from domain.billing.payouts import Payout
from domain.billing.plans import Plan, PlanAtProvider
from domain.billing.reconciliation import Difference, Reconciliation
from domain.billing.settings import BillingSettings
from domain.billing.subscriptions import Subscription
from domain.connections.connection import Connection
from domain.events import Event
from domain.inbox import Received
from domain.notifications.attempts import Attempt
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import Endpoint
from domain.notifications.replays import Replay
from domain.notifications.selection import Selection
from domain.notifications.signatures import SigningKeyPair
from domain.organisations import ApiKey, Organisation, Session, User
from domain.refusals import Conflict, Invalid
from domain.work.records import Kind, Record

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGE = 200


class StaleWrite(Conflict):
    """Someone else saved the thing since it was read. Reading it again and deciding anew is safe."""


class AlreadyThere(Conflict):
    """A thing with the same unique key exists."""


@attrs.frozen
class Slice:
    """Which part of a list is wanted: at most `limit` things after the one with the id `after`, newest first or not."""

    limit: int = attrs.field(default=50)
    after: str | None = None
    newest_first: bool = True

    @limit.validator
    def _bounded(self, _: object, limit: int) -> None:
        if not 1 <= limit <= MAX_PAGE:
            raise Invalid.field("limit", f"A page has from 1 to {MAX_PAGE} entries.")


@attrs.frozen
class Page(Generic[T_co]):
    """One part of a list. `next` is the id to continue after, None at the end."""

    items: tuple[T_co, ...]
    next: str | None


class Collection(Protocol[T]):
    """Things of one kind, of one organisation."""

    @abstractmethod
    async def find(self, id: str) -> T | None:
        """The thing, or None."""

    @abstractmethod
    async def get(self, id: str) -> T:
        """The thing. Raises domain.refusals.NotFound."""

    @abstractmethod
    async def add(self, thing: T) -> None:
        """Keep a new thing. Raises AlreadyThere when a unique key of its kind is taken."""

    @abstractmethod
    async def save(self, thing: T) -> T:
        """Keep a changed thing; returns it with the next version. Raises StaleWrite when it changed meanwhile."""

    @abstractmethod
    async def remove(self, id: str) -> None:
        """Forget the thing; nothing happens when there is none."""

    @abstractmethod
    async def page(self, slice: Slice = Slice(), /, **equal: object) -> Page[T]:
        """A part of the list. `equal` filters by field: a value, or a tuple of values of which one must match."""

    @abstractmethod
    async def all(self, **equal: object) -> tuple[T, ...]:
        """Every thing that matches, oldest first; only for kinds an organisation has few of, or narrow filters."""

    @abstractmethod
    async def expect(self, **one_of: Several[str]) -> None:
        """Say what will be asked for, `id=ids` or `invoice_id=ids`: a unit of work that is `together` loads it in one
        question. Elsewhere nothing happens."""


@attrs.frozen
class Answer:
    """What an API call was answered: kept with its Idempotency-Key, given again to the same call."""

    key: str
    request_hash: str
    status: int
    body: bytes
    headers: Mapping[str, str]
    created_at: datetime


class Answers(Protocol):
    """Answers given to calls that carried an Idempotency-Key."""

    @abstractmethod
    async def find(self, key: str) -> Answer | None:
        """The answer kept for this key."""

    @abstractmethod
    async def add(self, answer: Answer) -> None:
        """Keep it. Raises AlreadyThere."""

    @abstractmethod
    async def replace(self, answer: Answer) -> None:
        """Keep a later answer to the same call: it was carried further meanwhile."""


class Counters(Protocol):
    """Numbers without gaps."""

    @abstractmethod
    async def next(self, name: str) -> int:
        """The next number, from 1; given back if the unit of work is not committed."""


class Deliveries(Collection[Delivery], Replayable, Protocol):
    """Deliveries, many of them."""

    @abstractmethod
    async def selected(self, slice: Slice, selection: Selection) -> Page[Delivery]:
        """A part of the list of those that the filter means."""

    @abstractmethod
    async def add_all(self, deliveries: Sequence[Delivery]) -> None:
        """Keep many new ones."""

    @abstractmethod
    async def cancel_pending(self, destination_id: str, reason: str, now: datetime) -> int:
        """Cancel what still waits for a destination that is no more, also what waits to be fetched. Returns how many."""

    @abstractmethod
    async def counts(self, destination_id: str | None = None) -> Mapping[str, int]:
        """How many are in each state (DeliveryState's values)."""

    @abstractmethod
    async def head(self, destination_id: str) -> Delivery | None:
        """The pending delivery that is the first in its lane: with FIFO, all others wait for it."""

    @abstractmethod
    async def waiting(
        self, destination_id: str, now: datetime, limit: int, after: str | None = None
    ) -> tuple[Delivery, ...]:
        """What waits to be fetched, is due and has not expired: oldest first, after the delivery with this id."""

    @abstractmethod
    async def hand_out(self, ids: Several[str]) -> None:
        """Count one attempt more for those of these that wait: they were fetched."""

    @abstractmethod
    async def collect(
        self, destination_id: str, now: datetime, *, ids: Several[str] = (), up_to: str | None = None
    ) -> int:
        """Mark as delivered, and count in the statistics, what waits: these, or what was handed out up to this id.

        Returns how many. What was never handed out is not meant by `up_to`: it may have come, or become due, meanwhile.
        """

    @abstractmethod
    async def expire_waiting(self, destination_id: str, now: datetime) -> int:
        """Mark as expired what waited to be fetched for too long. Returns how many."""

    @abstractmethod
    async def hand_over(self, destination_id: str, state: DeliveryState) -> None:
        """Have what is open there be fetched (WAITING) or sent (PENDING) from now on."""

    @abstractmethod
    async def stir(self, destination_id: str) -> None:
        """Have a destination's pause ended and its settings read anew by whoever delivers there."""


class Attempts(Protocol):
    """Attempts, many of them."""

    @abstractmethod
    async def add(self, attempt: Attempt) -> None:
        """Keep one attempt that was made outside the engine: a test send."""

    @abstractmethod
    async def of(self, delivery_id: str) -> tuple[Attempt, ...]:
        """The attempts of one delivery, oldest first."""


class Records(Collection[Record], Protocol):
    """Work records of every kind."""

    @abstractmethod
    async def matching(self, kind: Kind, slice: Slice, fields: Mapping[str, str]) -> Page[Record]:
        """A part of the list of one kind, of those whose kept fields are these texts.

        A name with a dot leads into a field: `subject.id`. Lists are not looked into.
        """


@attrs.frozen
class After:
    """Where reading on begins: behind the thing that was changed then and has this id."""

    changed_at: datetime
    id: str


class Payments(Collection[Payment], Protocol):
    """Payments, many of them."""

    @abstractmethod
    async def moved(
        self, provider: str, since: datetime, until: datetime, *, limit: int, after: After | None = None
    ) -> tuple[After, ...]:
        """Which payments at a provider were begun before `until` and changed at or after `since`: every one that has a fact
        from in between, and others. In the order in which they were changed, at most `limit`, those behind `after`."""


class Ledger(Collection[Entry], Protocol):
    """The entries of the books, many of them. None is ever changed or removed."""

    @abstractmethod
    async def add_all(self, entries: Sequence[Entry]) -> None:
        """Keep the entries of a posting. Raises AlreadyThere when its source was posted before."""

    @abstractmethod
    async def balances(self) -> tuple[Balance, ...]:
        """What each account comes to in each currency, by account and currency; added up where the entries are."""


class Work(Protocol):
    """One unit of work in one organisation."""

    organisation_id: str
    organisation: Collection[Organisation]
    users: Collection[User]
    keys: Collection[ApiKey]
    events: Collection[Event]
    answers: Answers
    counters: Counters
    endpoints: Collection[Endpoint]
    signing_keys: Collection[SigningKeyPair]
    replays: Collection[Replay]
    notifications: Collection[Notification]
    deliveries: Deliveries
    attempts: Attempts
    connections: Collection[Connection]
    inbox: Collection[Received]
    records: Records
    invoices: Collection[Invoice]
    payments: Payments
    refunds: Collection[Refund]
    links: Collection[PaymentLink]
    checkouts: Collection[Checkout]
    plans: Collection[Plan]
    plans_at_providers: Collection[PlanAtProvider]
    subscriptions: Collection[Subscription]
    customers_at_providers: Collection[CustomerAtProvider]
    saved_methods: Collection[SavedMethod]
    payouts: Collection[Payout]
    credit_notes: Collection[CreditNote]
    billing_settings: Collection[BillingSettings]
    ledger: Ledger
    reconciliations: Collection[Reconciliation]
    differences: Collection[Difference]
    audit: Collection[AuditEntry]

    @abstractmethod
    async def commit(self) -> None:
        """Make everything true at once, durably."""


@runtime_checkable
class Store(Protocol):
    """Everything that is kept, over all organisations."""

    @abstractmethod
    def of(self, organisation_id: str) -> AbstractAsyncContextManager[Work]:
        """A unit of work that may write."""

    @abstractmethod
    def together(self, organisation_id: str) -> AbstractAsyncContextManager[Work]:
        """A unit of work that may write and is meant for many things at once: what it was told to `expect` it answers without
        asking, and what is written goes out together, at the commit at the latest. So AlreadyThere and StaleWrite may come
        later than elsewhere; nothing of it all is then written."""

    @abstractmethod
    def reading(self, organisation_id: str) -> AbstractAsyncContextManager[Work]:
        """A unit of work that only reads: it never waits for a writer."""

    # What has to look across organisations, each for one reason.

    @abstractmethod
    async def found(self, organisation: Organisation, owner: User | None = None) -> None:
        """Keep a new organisation and the person who owns it."""

    @abstractmethod
    async def organisations(self) -> tuple[Organisation, ...]:
        """All of them, oldest first."""

    @abstractmethod
    async def key_by_hash(self, hash: str) -> ApiKey | None:
        """The API key with this hash."""

    @abstractmethod
    async def user_by_email(self, email: str) -> User | None:
        """The person with this address (in lower case)."""

    @abstractmethod
    async def link_by_token(self, token: str) -> PaymentLink | None:
        """The payment link with this token."""

    @abstractmethod
    async def connections_of(self, provider: str) -> tuple[Connection, ...]:
        """Every organisation's connections to one provider: whose secret signed this webhook?"""

    @abstractmethod
    async def find_session(self, id: str) -> Session | None:
        """A console session."""

    @abstractmethod
    async def add_session(self, session: Session) -> None:
        """Keep a console session."""

    @abstractmethod
    async def remove_session(self, id: str) -> None:
        """End a console session."""

    @abstractmethod
    async def remove_sessions_of(self, user_id: str) -> None:
        """End every console session of one person."""

    @abstractmethod
    async def live_signing_keys(self, now: datetime) -> tuple[SigningKeyPair, ...]:
        """Every organisation's key pairs that sign now."""

    @abstractmethod
    async def running_replays(self) -> tuple[Replay, ...]:
        """Every organisation's replays that are under way, oldest first."""

    # What the metrics show.

    @abstractmethod
    async def backlog(self) -> Mapping[str, Any]:
        """For metrics: `deliveries_pending`, `deliveries_oldest_due`, `inbox_pending`, `inbox_failed`."""

    # The scheduler's side.

    @abstractmethod
    async def forget(self, before: datetime) -> Mapping[str, int]:
        """Delete finished deliveries with their attempts, handled webhooks, old answers and sessions. How many of each."""

    @abstractmethod
    async def marked(self, name: str) -> str | None:
        """A small named text of the installation's (the vault's canary, a job's last run)."""

    @abstractmethod
    async def mark(self, name: str, value: str) -> None:
        """Keep a small named text."""

    @abstractmethod
    async def mark_once(self, name: str, value: str) -> str:
        """Keep a small named text unless there is one by this name. Returns what stands: of several at once, one wins."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise when the database does not answer."""
