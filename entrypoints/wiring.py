"""The composition root: which adapter stands behind which port. The only module that imports punq."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
import punq
import structlog
from prometheus_client import CollectorRegistry

from adapters.clock import RandomIds, SystemClock
from adapters.http.guard import AddressGuard
from adapters.http.outgoing import GuardedOutgoing
from adapters.http.tls import TlsIdentities
from adapters.paper.printer import PdfPaper
from adapters.passwords import ArgonPasswords
from adapters.persistence.database import Database
from adapters.persistence.dispatch import SqlDispatch
from adapters.persistence.inbox import SqlWebhookInbox
from adapters.persistence.intake import SqlIntake
from adapters.persistence.leases import SqlLeases
from adapters.persistence.migrate import begun
from adapters.persistence.pruning import SqlPruning
from adapters.persistence.statistics import SqlStatistics
from adapters.persistence.store import SqlStore
from adapters.providers import KnownProviders
from adapters.queue import queue_at
from adapters.queue.embedded import EmbeddedQueue
from adapters.signer import Ed25519Signer
from adapters.vault import KeyRing, SealedVault
from application.billing.books import Books
from application.billing.charge import ChargeOffSession
from application.billing.check_books import CheckBooks
from application.billing.checkout import OpenCheckout
from application.billing.close_checkouts import CloseCheckouts
from application.billing.credit import CreditInvoice
from application.billing.customers import EnsureCustomer, KeepMethod, SyncCustomer
from application.billing.fix_difference import FixDifference
from application.billing.follow import FollowPaymentLink, ReturnFromCheckout
from application.billing.intents import StartPayment
from application.billing.invoices import CreateInvoice, ReviseInvoice, VoidInvoice
from application.billing.janitor import PollPages, ResumeRefunds, UnknownPayments
from application.billing.learn import LearnPayment
from application.billing.links import CreatePaymentLink, ExpirePaymentLink
from application.billing.methods import ClientMethods
from application.billing.mirror import MirrorInvoice
from application.billing.news import TellOfPayment
from application.billing.open_books import OpenBooks
from application.billing.open_page import OpenPage
from application.billing.payouts import CreatePayout, NotePayout, SyncPayout
from application.billing.printing import PrintInvoice
from application.billing.provider_invoices import InvoiceAtProvider
from application.billing.reconcile import Reconcile, StartReconciliation
from application.billing.refund import RefundPayment
from application.billing.reminders import InvoiceReminders, RemindClient
from application.billing.resolve import ResolveConflict
from application.billing.send_invoice import SendInvoice
from application.billing.settings import SaveBillingSettings
from application.billing.settle import Settle
from application.billing.subscriptions.at_provider import Reach
from application.billing.subscriptions.cancel import CancelSubscription, ResumeSubscription
from application.billing.subscriptions.change import ChangeSubscription
from application.billing.subscriptions.create import CreateSubscription
from application.billing.subscriptions.invoicing import SubscriptionInvoices
from application.billing.subscriptions.paid import NoteSubscriptionPaid
from application.billing.subscriptions.pause import PauseSubscription
from application.billing.subscriptions.plans import ChangePlan, CreatePlan, EnsurePlan
from application.billing.subscriptions.preview import PreviewChange
from application.billing.subscriptions.renew import RenewSubscription
from application.billing.subscriptions.renewals import Renewals, SweepSubscriptions
from application.billing.subscriptions.returning import ReturnFromAgreement
from application.billing.subscriptions.sync import SyncSubscription
from application.billing.subscriptions.telling import TellOfSubscription
from application.billing.unknown_payouts import ResolvePayouts
from application.billing.write_off import WriteOffInvoice
from application.connections.connect import Connect, PublicUrl
from application.connections.leave import LeaveAccount
from application.connections.manage import ChangeConnection, Disconnect, TestConnection
from application.delivery.consequences import Consequences
from application.delivery.handover import Handover
from application.inbox.decide import DownloadWebhook, HandleAgain, HandleManyAgain, SkipWebhook
from application.inbox.handle import HandleInbox
from application.inbox.receive import ReceiveWebhook
from application.inbox.senders import KnownSenders
from application.inbox.sweep import SweepMissed
from application.notifications.carry import Carry, ConsoleUrl
from application.notifications.client_credentials import ClientCredentials
from application.notifications.configurations import PreviewNotification, RemoveNotification, SaveNotification
from application.notifications.deliver_due import DeliverDue
from application.notifications.endpoint_settings import EndpointSetup, OwnAddresses
from application.notifications.endpoints import ChangeEndpoint, CreateEndpoint, RemoveEndpoint, RotateSecret
from application.notifications.looking import LookAtEndpoints
from application.notifications.polling import AcknowledgePolled, PollEndpoint, SeekPolled
from application.notifications.previews import PreviewEndpoint
from application.notifications.publish_events import PublishEvents
from application.notifications.replays import CancelReplay, StartReplay
from application.notifications.run_replays import RunReplays
from application.notifications.send_again import RetryLane, SendAgain
from application.notifications.signing_keys import SigningKeys
from application.notifications.skipping import SkipDelivery
from application.notifications.statistics import ReadStatistics
from application.notifications.tell import Tell
from application.notifications.try_out import TryOut
from application.organisations.keys import IssueKey, RecogniseKey, RevokeKey
from application.organisations.people import ChangePassword, FoundOrganisation, RecogniseSession, SignIn
from application.ports.clock import Clock
from application.ports.dispatch import Dispatch
from application.ports.ids import Ids
from application.ports.inbox import WebhookInbox
from application.ports.intake import Intake
from application.ports.invoice_paper import InvoicePaper
from application.ports.journal import Journal
from application.ports.leases import Leases
from application.ports.outgoing import ClientIdentities, Outgoing
from application.ports.passwords import Passwords
from application.ports.providers import Providers
from application.ports.pruning import Pruning
from application.ports.signer import Signer
from application.ports.statistics import Statistics
from application.ports.store import Store
from application.ports.vault import Vault, WrongKey
from application.ports.work_queue import WorkQueue
from application.upkeep.jobs import ExpireLinks, ExpireWaiting, ForgetOld, MarkOverdue, Retention
from application.upkeep.pruning import Prune
from application.upkeep.statistics import RollUpStatistics
from application.work.change_record import ChangeRecord
from application.work.create_record import CreateRecord
from application.work.remove_record import RemoveRecord
from domain.notifications.schedule import DEFAULT, RetrySchedule
from entrypoints.journal import LoggedJournal
from entrypoints.metrics import Metrics
from entrypoints.settings import Settings

T = TypeVar("T")

JOBS = (
    MarkOverdue,
    InvoiceReminders,
    ExpireLinks,
    ExpireWaiting,
    ResumeRefunds,
    ResolvePayouts,
    OpenBooks,
    Reconcile,
    UnknownPayments,
    PollPages,
    ForgetOld,
    Prune,
    RollUpStatistics,
    SweepMissed,
    Renewals,
    SweepSubscriptions,
)

USE_CASES: tuple[type[Any], ...] = (
    AcknowledgePolled,
    Books,
    CancelReplay,
    CancelSubscription,
    Carry,
    ChangeConnection,
    ChangeEndpoint,
    ChangePassword,
    ChangePlan,
    ChangeRecord,
    ChangeSubscription,
    CheckBooks,
    ChargeOffSession,
    ClientCredentials,
    ClientMethods,
    CloseCheckouts,
    Connect,
    Consequences,
    CreateEndpoint,
    CreateInvoice,
    CreatePaymentLink,
    CreatePlan,
    CreatePayout,
    CreateRecord,
    CreateSubscription,
    CreditInvoice,
    DeliverDue,
    Disconnect,
    DownloadWebhook,
    EndpointSetup,
    EnsureCustomer,
    EnsurePlan,
    ExpirePaymentLink,
    FixDifference,
    FollowPaymentLink,
    FoundOrganisation,
    HandleAgain,
    HandleInbox,
    HandleManyAgain,
    InvoiceAtProvider,
    IssueKey,
    KeepMethod,
    KnownSenders,
    LearnPayment,
    LeaveAccount,
    LookAtEndpoints,
    MirrorInvoice,
    NotePayout,
    NoteSubscriptionPaid,
    OpenCheckout,
    PauseSubscription,
    OpenPage,
    PollEndpoint,
    PreviewChange,
    PreviewEndpoint,
    PreviewNotification,
    PrintInvoice,
    PublishEvents,
    Reach,
    ReadStatistics,
    ReceiveWebhook,
    RecogniseKey,
    RecogniseSession,
    RefundPayment,
    RemindClient,
    RemoveEndpoint,
    RemoveNotification,
    RemoveRecord,
    RenewSubscription,
    ResumeSubscription,
    ResolveConflict,
    RetryLane,
    ReturnFromAgreement,
    ReturnFromCheckout,
    ReviseInvoice,
    RevokeKey,
    RotateSecret,
    RunReplays,
    SaveBillingSettings,
    SaveNotification,
    SeekPolled,
    SendAgain,
    SendInvoice,
    Settle,
    SignIn,
    SigningKeys,
    SkipDelivery,
    SkipWebhook,
    StartPayment,
    StartReconciliation,
    StartReplay,
    SubscriptionInvoices,
    SyncCustomer,
    SyncPayout,
    SyncSubscription,
    Tell,
    TellOfPayment,
    TellOfSubscription,
    TestConnection,
    TryOut,
    VoidInvoice,
    WriteOffInvoice,
    *JOBS,
)

GIVEN: tuple[type[Any], ...] = (
    Store,
    WebhookInbox,
    Leases,
    Vault,
    Clock,
    Ids,
    Providers,
    Settings,
    Metrics,
    CollectorRegistry,
)

CANARY = "vault-canary"


class WrongKeyFile(Exception):
    """The database was sealed with another key ring; the text says what to do."""


@attrs.define
class Hub:
    """A hub with its adapters opened."""

    settings: Settings
    database: Database
    outgoing: GuardedOutgoing
    providers: KnownProviders
    metrics: Metrics
    queue: WorkQueue
    _container: punq.Container

    @classmethod
    def open(cls, settings: Settings, ring: KeyRing, *, clock: Clock | None = None, ids: Ids | None = None) -> "Hub":
        """Put the adapters behind their ports. Opens nothing on the network and reads nothing from the database."""
        clock = clock or SystemClock()
        ids = ids or RandomIds()
        database = Database.at(settings.database_url)
        guard = AddressGuard(settings.allow_networks)
        outgoing = GuardedOutgoing(guard, proxy=settings.proxy)

        async def installation() -> str:
            return await store.mark_once("installation", ids.token())

        queue = queue_at(settings.queue_url, settings.database_url, installation, database.version)
        store = SqlStore(database, clock, queue)
        providers = KnownProviders.open(
            outgoing,
            guard,
            clock,
            stripe_url=settings.stripe_url,
            paypal_url=settings.paypal_url,
            flutterwave_url=settings.flutterwave_url,
        )
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        handover = Handover()
        container = punq.Container()
        instances: tuple[tuple[Any, Any], ...] = (
            (Clock, clock),
            (Ids, ids),
            (Store, store),
            (WebhookInbox, SqlWebhookInbox(database, queue)),
            (Dispatch, SqlDispatch(database, settings.public_url)),
            (Intake, SqlIntake(database, ids, queue, handover)),
            (Handover, handover),
            (Signer, Ed25519Signer()),
            (Leases, SqlLeases(database, clock, ids)),
            (WorkQueue, queue),
            (Vault, SealedVault(ring)),
            (Outgoing, outgoing),
            (ClientIdentities, TlsIdentities()),
            (OwnAddresses, OwnAddresses(settings.public_url, settings.host, settings.port)),
            (Providers, providers),
            (Passwords, ArgonPasswords()),
            (InvoicePaper, PdfPaper()),
            (PublicUrl, PublicUrl(settings.public_url)),
            (ConsoleUrl, ConsoleUrl(f"{settings.public_url}/console")),
            (RetrySchedule, DEFAULT),
            (Retention, Retention(settings.retention, settings.payload_retention, settings.audit_retention)),
            (Pruning, SqlPruning(database)),
            (Statistics, SqlStatistics(database)),
            (Settings, settings),
            (Metrics, metrics),
            (Journal, LoggedJournal(metrics)),
            (CollectorRegistry, registry),
        )
        for port, instance in instances:
            container.register(port, instance=instance)
        for use_case in USE_CASES:
            container.register(use_case, scope=punq.Scope.singleton)
        return cls(settings, database, outgoing, providers, metrics, queue, container)

    def resolve(self, kind: type[T]) -> T:
        """A use case, or what stands behind a port."""
        found: T = self._container.resolve(kind)
        return found

    def dependencies(self) -> Mapping[str, Any]:
        """Everything a request handler may ask for by name: `publish_events` is the PublishEvents use case."""
        kinds: tuple[type[Any], ...] = (*USE_CASES, *GIVEN)
        named: dict[str, Any] = {_snake(kind.__name__): self.resolve(kind) for kind in kinds}
        return {**named, "registry": named.pop("collector_registry")}

    async def check_keys(self) -> None:
        """Raises WrongKeyFile when this key ring cannot open what the database holds. Seals a canary at the first start."""
        store, vault = self.resolve(Store), self.resolve(Vault)  # type: ignore[type-abstract]
        canary = await store.marked(CANARY)
        # Of several first starts at once one seals it, and the others check themselves against that one.
        self.check_canary(canary or await store.mark_once(CANARY, vault.seal("patchbay", about=CANARY)))

    def check_canary(self, canary: str) -> None:
        """Raises WrongKeyFile when this key ring does not open it."""
        try:
            self.resolve(Vault).open(canary, about=CANARY)  # type: ignore[type-abstract]
        except WrongKey as error:
            raise WrongKeyFile(
                f"The key ring ({ring_shown(self.settings)}) does not open this database ({database_shown(self.settings)}).\n"
                "Its secrets were sealed with another key. Put the right key file back (from your backup), or point"
                " PATCHBAY_KEY_FILE at it. The database was left as it is."
            ) from error

    async def close(self) -> None:
        """Let go of connections."""
        await self.queue.aclose()
        await self.outgoing.aclose()
        await self.providers.aclose()
        await self.database.close()
        structlog.get_logger("hub").debug("closed")


async def sealed_canary(settings: Settings) -> str | None:
    """The canary of a database that is there, read without making or changing anything; None when there is none."""
    if Database.is_missing(settings.database_url):
        return None
    database = Database.at(settings.database_url)
    try:
        if not await begun(database):
            return None
        return await SqlStore(database, SystemClock(), EmbeddedQueue()).marked(CANARY)
    finally:
        await database.close()


def check_key_file(settings: Settings, canary: str | None) -> None:
    """Raises WrongKeyFile when secrets were sealed and the key file is gone: a new one would not open them."""
    if canary is not None and settings.key_ring is None and not settings.key_file.exists():
        raise WrongKeyFile(
            f"There is no key ring at {settings.key_file}, but this database ({database_shown(settings)}) was sealed with"
            " one.\nPut the right key file back (from your backup), or point PATCHBAY_KEY_FILE at it. Nothing was made or"
            " changed."
        )


def database_shown(settings: Settings) -> str:
    """The database's address without its user and password, and without parameters, which may hold one."""
    address = settings.database_url.partition("?")[0]
    return re.sub(r"//.*@", "//…@", address, flags=re.DOTALL) if address.startswith("postgresql:") else address


def ring_shown(settings: Settings) -> str:
    """Where the key ring comes from."""
    return str(settings.key_file) if settings.key_ring is None else "PATCHBAY_KEY_RING"


def reason(error: Exception) -> str:
    """Why the database or a file could not be used, in one line and without parameters."""
    told = getattr(error, "orig", None) or error
    return " ".join(str(told).split()) or type(told).__name__


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
