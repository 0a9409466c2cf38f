"""The tables. Each column is named as the attribute it keeps; a Money attribute takes two (`x_amount`, `x_currency`)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """A moment as whole microseconds since 1970 (UTC): the same in every database, and it sorts."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def keepable(text: str | None) -> str | None:
    """A text both databases can keep: NUL and unpaired surrogates become U+FFFD, as a receiver's binary answer may hold
    them, and PostgreSQL or UTF-8 refuses them."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Keepable(TypeDecorator[str]):
    """Texts as `keepable` makes them. Looking for one with NUL finds nothing."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return keepable(value)


class Short(_Keepable):
    """A text of bounded length."""

    impl = String
    cache_ok = True


class Long(_Keepable):
    """A text of any length."""

    impl = Text
    cache_ok = True


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key() -> Column[str]:
    return Column("id", Short(64), primary_key=True)


def _text(name: str, *, null: bool = False, length: int = 255) -> Column[str]:
    return Column(name, Short(length), nullable=null)


def _long(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Long, nullable=null)


def _json(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, JSON(none_as_null=True), nullable=null)


def _instant(name: str, *, null: bool = False) -> Column[datetime]:
    return Column(name, Instant, nullable=null)


def _number(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _version() -> Column[int]:
    return Column("version", Integer, nullable=False)


def _owned(name: str, *columns: Any) -> Table:
    """A table whose rows belong to an organisation."""
    return Table(name, metadata, _key(), _text("organisation_id", length=64), *columns)


organisations = Table(
    "organisations",
    metadata,
    _key(),
    _text("name"),
    _instant("created_at"),
    _text("notices_to", null=True, length=320),
)
users = _owned(
    "users",
    Column("email", Short(320), nullable=False, unique=True),
    _text("password_hash"),
    _text("role", length=20),
    _instant("created_at"),
    _version(),
)
sessions = _owned(
    "sessions", _text("user_id", length=64), _text("csrf"), _instant("created_at"), _instant("expires_at")
)
api_keys = _owned(
    "api_keys",
    _long("name"),
    Column("hash", Short(64), nullable=False, unique=True),
    _text("hint", length=8),
    _json("scopes"),
    _instant("created_at"),
    _instant("expires_at", null=True),
    _instant("last_used_at", null=True),
    _instant("revoked_at", null=True),
    _version(),
    Index(None, "organisation_id", "id"),
)
events = _owned(
    "events",
    _text("type", length=100),
    _json("data"),
    _instant("occurred_at"),
    _instant("created_at"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "type", "id"),
)
answers = Table(
    "answers",
    metadata,
    _text("organisation_id", length=64),
    _text("key"),
    _text("request_hash", length=64),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _json("headers"),
    _instant("created_at"),
    PrimaryKeyConstraint("organisation_id", "key"),
    Index(None, "created_at"),
)
counters = Table(
    "counters",
    metadata,
    _text("organisation_id", length=64),
    _text("name"),
    _number("value"),
    PrimaryKeyConstraint("organisation_id", "name"),
)
endpoints = _owned(
    "endpoints",
    _long("url"),
    _text("name"),
    _json("events"),
    _json("secrets"),
    _instant("created_at"),
    _instant("updated_at"),
    _text("state", length=20),
    _long("reason", null=True),
    _long("sealed_headers", null=True),
    Column("timeout_s", Integer, nullable=False),
    _text("mode", length=20),
    _json("options"),
    _long("sealed_oauth", null=True),
    _long("sealed_identity", null=True),
    _version(),
    Index(None, "organisation_id", "id"),
)
signing_keys = _owned(
    "signing_keys",
    _long("sealed"),
    _text("public"),
    _instant("created_at"),
    _instant("expires_at", null=True),
    _version(),
    Index(None, "organisation_id", "id"),
)
notifications = _owned(
    "notifications",
    _text("name"),
    _text("platform", length=40),
    _text("connection_id", length=64),
    _json("events"),
    _instant("created_at"),
    _instant("updated_at"),
    _json("target"),
    _flag("is_active"),
    _long("reason", null=True),
    _version(),
    Index(None, "organisation_id", "id"),
)
deliveries = _owned(
    "deliveries",
    _text("event_id", length=64),
    _text("event_type", length=100),
    _text("kind", length=20),
    _text("destination_id", length=64),
    _text("message_id", length=64),
    _instant("created_at"),
    _instant("due_at"),
    _text("state", length=20),
    Column("attempts", Integer, nullable=False),
    _long("last_error", null=True),
    Column("last_status", Integer, nullable=True),
    _instant("finished_at", null=True),
    _json("mail", null=True),
    _text("replay_of", null=True, length=64),
    _instant("expires_at", null=True),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "destination_id", "id"),
    Index(None, "organisation_id", "event_id"),
    Index(None, "finished_at"),
)
PENDING = Index(
    "ix_deliveries_pending",
    deliveries.c.destination_id,
    deliveries.c.due_at,
    deliveries.c.id,
    sqlite_where=deliveries.c.state == "pending",
    postgresql_where=deliveries.c.state == "pending",
)
"""The lanes: what waits for each destination, in the order in which it is due."""
Index(
    "ix_deliveries_waiting",
    deliveries.c.destination_id,
    deliveries.c.id,
    sqlite_where=deliveries.c.state == "waiting",
    postgresql_where=deliveries.c.state == "waiting",
)
lanes = Table(
    "lanes",
    metadata,
    Column("destination_id", Short(64), primary_key=True),
    _text("organisation_id", length=64),
    _text("kind", length=20),
    _number("generation"),
    Column("revision", Integer, nullable=False),
    _instant("paused_until", null=True),
    _instant("sent_at", null=True),
    _json("health"),
    Index(None, "generation"),
    Index(None, "organisation_id"),
)
workers = Table(
    "workers",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _text("name"),
    _instant("until"),
    sqlite_autoincrement=True,
)
statistics = Table(
    "statistics",
    metadata,
    _text("destination_id", length=64),
    Column("step", Integer, nullable=False),
    _instant("at"),
    _text("outcome", length=20),
    Column("bucket", Integer, nullable=False),
    _text("organisation_id", length=64),
    _number("count"),
    PrimaryKeyConstraint("destination_id", "step", "at", "outcome", "bucket"),
    Index(None, "organisation_id", "step", "at"),
    Index(None, "step", "at"),
)
replays = _owned(
    "replays",
    _text("kind", length=20),
    _json("wanted"),
    _long("asked_by"),
    _instant("created_at"),
    _instant("updated_at"),
    _text("state", length=20),
    _number("total"),
    _number("done"),
    _json("ahead"),
    _long("error", null=True),
    _version(),
    Index(None, "organisation_id", "id"),
    Index(None, "state"),
)
attempts = _owned(
    "attempts",
    _text("delivery_id", length=64),
    Column("number", Integer, nullable=False),
    _instant("at"),
    _text("verdict", length=20),
    _number("duration_us"),
    Column("status", Integer, nullable=True),
    _long("error", null=True),
    _json("request_headers"),
    _long("request_body"),
    _json("headers"),
    _long("body"),
    _number("retry_after_us", null=True),
    Index(None, "delivery_id", "number"),
)
connections = _owned(
    "connections",
    _text("provider", length=40),
    _text("name"),
    _json("settings"),
    _json("sealed"),
    _instant("created_at"),
    _instant("updated_at"),
    _flag("live"),
    _text("state", length=20),
    _long("account", null=True),
    _instant("last_used_at", null=True),
    _long("last_error", null=True),
    _instant("last_error_at", null=True),
    _text("webhook_reference", null=True),
    _text("account_reference", null=True),
    _version(),
    Index(None, "organisation_id", "id"),
    Index(None, "provider"),
)
inbox = _owned(
    "inbox",
    _text("connection_id", length=64),
    _text("provider", length=40),
    _text("external_id"),
    _text("type"),
    Column("body", LargeBinary, nullable=False),
    _json("headers"),
    _instant("received_at"),
    _instant("due_at"),
    _text("state", length=20),
    Column("tries", Integer, nullable=False),
    _instant("handled_at", null=True),
    _long("error", null=True),
    _text("object", null=True),
    _version(),
    _instant("leased_until", null=True),
    UniqueConstraint("connection_id", "external_id"),
    Index(None, "state", "due_at"),
    Index(None, "connection_id", "object", "state"),
    Index(None, "state", "handled_at"),
    Index(None, "organisation_id", "id"),
)
records = _owned(
    "records",
    _text("kind", length=40),
    _json("fields"),
    _version(),
    _instant("created_at"),
    _instant("updated_at"),
    Index(None, "organisation_id", "kind", "id"),
)
invoices = _owned(
    "invoices",
    _text("number", length=64),
    _json("client"),
    _text("currency", length=3),
    _json("lines"),
    _instant("created_at"),
    _instant("updated_at"),
    _text("state", length=20),
    _text("due_on", null=True, length=10),
    _long("memo"),
    _number("paid"),
    _number("refunded"),
    _instant("sent_at", null=True),
    _instant("paid_at", null=True),
    _json("discount", null=True),
    _number("credited"),
    _instant("opened_at", null=True),
    _json("reminders"),
    _text("subscription_id", null=True, length=64),
    _json("period", null=True),
    _text("source", null=True),
    _json("seller", null=True),
    _version(),
    UniqueConstraint("organisation_id", "number"),
    Index(None, "organisation_id", "source", unique=True),
    Index(None, "organisation_id", "subscription_id"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "state", "id"),
)
payments = _owned(
    "payments",
    _text("connection_id", length=64),
    _text("provider", length=40),
    _text("reference"),
    _number("asked_amount"),
    _text("asked_currency", length=3),
    _instant("created_at"),
    _instant("updated_at"),
    _text("invoice_id", null=True, length=64),
    _json("facts"),
    _long("conflict", null=True),
    _json("attempts"),
    _text("client_id", null=True, length=64),
    _text("subscription_id", null=True, length=64),
    _long("resolution", null=True),
    _text("conflict_kind", null=True, length=20),
    _text("state", length=20),  # reckoned from the facts, to filter by
    _version(),
    UniqueConstraint("organisation_id", "provider", "reference"),
    Index(None, "organisation_id", "state"),
    Index(None, "organisation_id", "provider", "updated_at", "id"),
    Index(None, "organisation_id", "subscription_id"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "invoice_id"),
)
refunds = _owned(
    "refunds",
    _text("payment_id", length=64),
    _number("amount_amount"),
    _text("amount_currency", length=3),
    _instant("created_at"),
    _instant("updated_at"),
    _long("reason"),
    _text("state", length=20),
    _text("reference", null=True),
    _long("failure", null=True),
    _instant("asked_at", null=True),
    Column("checks", Integer, nullable=False),
    _version(),
    Index(None, "organisation_id", "payment_id"),
    Index(None, "organisation_id", "state"),
)
links = _owned(
    "links",
    _text("invoice_id", length=64),
    _text("connection_id", length=64),
    _text("provider", length=40),
    Column("token", Short(64), nullable=False, unique=True),
    _instant("created_at"),
    _instant("updated_at"),
    _instant("expires_at"),
    _text("state", length=20),
    _version(),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "invoice_id"),
)
checkouts = _owned(
    "checkouts",
    _text("link_id", length=64),
    _text("invoice_id", length=64),
    _text("connection_id", length=64),
    _number("amount_amount"),
    _text("amount_currency", length=3),
    _instant("created_at"),
    _instant("updated_at"),
    _instant("expires_at"),
    _text("state", length=20),
    _text("reference", null=True),
    _long("url", null=True),
    _version(),
    Index(None, "organisation_id", "link_id"),
    Index(None, "organisation_id", "invoice_id"),
    Index(None, "connection_id", "reference"),
)
plans = _owned(
    "plans",
    _text("code", length=100),
    _text("name"),
    _long("description"),
    _text("interval", length=10),
    Column("count", Integer, nullable=False),
    _json("prices"),
    _instant("created_at"),
    _instant("updated_at"),
    Column("trial_days", Integer, nullable=False),
    _json("features"),
    _json("limits"),
    _text("state", length=20),
    _version(),
    UniqueConstraint("organisation_id", "code"),
    Index(None, "organisation_id", "id"),
)
plans_at_providers = _owned(
    "plans_at_providers",
    _text("plan_id", length=64),
    _text("provider", length=40),
    _text("account"),
    _number("price_amount"),
    _text("price_currency", length=3),
    _text("reference"),
    _text("product", null=True),
    _instant("created_at"),
    _instant("updated_at"),
    _version(),
    UniqueConstraint(
        "organisation_id",
        "plan_id",
        "provider",
        "account",
        "price_currency",
        "price_amount",
        name="uq_plans_at_providers",
    ),
)
subscriptions = _owned(
    "subscriptions",
    _json("client"),
    _text("plan_id", length=64),
    _number("price_amount"),
    _text("price_currency", length=3),
    _number("quantity"),
    _text("provider", length=40),
    _text("connection_id", length=64),
    _text("account"),
    _text("renewed_by", length=20),
    _instant("created_at"),
    _instant("updated_at"),
    _text("state", length=20),
    _text("reference", null=True),
    _text("began_reference", null=True),
    _long("url", null=True),
    _text("lost_method", null=True, length=64),
    _instant("anchor", null=True),
    _instant("period_start", null=True),
    _instant("period_end", null=True),
    _instant("trial_ends_at", null=True),
    _flag("cancel_at_period_end"),
    _instant("canceled_at", null=True),
    _instant("ended_at", null=True),
    _long("reason"),
    _json("planned", null=True),
    Column("tries", Integer, nullable=False),
    _instant("next_try_at", null=True),
    _text("invoice_id", null=True, length=64),
    _instant("seen_at", null=True),
    _number("worth"),
    _number("credit"),
    _flag("trial_told"),
    _text("client_id", length=64),
    _version(),
    UniqueConstraint("organisation_id", "provider", "reference"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "client_id"),
    Index(None, "organisation_id", "state", "next_try_at"),
    Index(None, "organisation_id", "provider", "began_reference"),
)
customers_at_providers = _owned(
    "customers_at_providers",
    _text("client_id", length=64),
    _text("provider", length=40),
    _text("account"),
    _text("reference"),
    _text("email", null=True, length=320),
    _instant("created_at"),
    _instant("updated_at"),
    _instant("gone_at", null=True),
    _version(),
    UniqueConstraint("organisation_id", "client_id", "provider", "account", name="uq_customers_at_providers_client"),
    UniqueConstraint("organisation_id", "provider", "account", "reference", name="uq_customers_at_providers_reference"),
)
saved_methods = _owned(
    "saved_methods",
    _text("client_id", length=64),
    _text("connection_id", length=64),
    _text("provider", length=40),
    _text("account"),
    _long("sealed"),
    _text("fingerprint", length=64),
    _text("kind", length=20),
    _text("brand", length=60),
    _text("last4", length=10),
    _text("email", length=320),
    _instant("created_at"),
    _instant("updated_at"),
    _text("expires_on", null=True, length=10),
    _flag("is_default"),
    _version(),
    UniqueConstraint("organisation_id", "client_id", "provider", "account", "fingerprint", name="uq_saved_methods"),
)
payouts = _owned(
    "payouts",
    _text("connection_id", length=64),
    _text("provider", length=40),
    _number("amount_amount"),
    _text("amount_currency", length=3),
    _instant("created_at"),
    _instant("updated_at"),
    _long("receiver"),
    _long("sealed_destination", null=True),
    _long("description"),
    _text("state", length=20),
    _text("reference", null=True),
    _number("fee"),
    _long("failure", null=True),
    _text("arrives_on", null=True, length=10),
    _instant("asked_at", null=True),
    Column("checks", Integer, nullable=False),
    _version(),
    UniqueConstraint("organisation_id", "provider", "reference"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "state"),
)
credit_notes = _owned(
    "credit_notes",
    _text("number", length=64),
    _text("invoice_id", length=64),
    _number("amount_amount"),
    _text("amount_currency", length=3),
    _number("tax_amount"),
    _text("tax_currency", length=3),
    _long("reason"),
    _instant("created_at"),
    _text("refund_id", null=True, length=64),
    _json("lines"),
    _version(),
    UniqueConstraint("organisation_id", "number"),
    Index(None, "organisation_id", "invoice_id"),
)
billing_settings = _owned(
    "billing_settings",
    _json("seller"),
    _instant("created_at"),
    _instant("updated_at"),
    _text("invoice_prefix", length=20),
    _text("credit_note_prefix", length=20),
    _json("reminders"),
    _json("retries"),
    _text("locale", length=20),
    _version(),
)
ledger = _owned(
    "ledger",
    _text("posting", length=64),
    _text("source"),
    _text("account", length=60),
    _number("amount_amount"),
    _text("amount_currency", length=3),
    _instant("at"),
    _text("subject", length=64),
    UniqueConstraint("organisation_id", "source", "account", "amount_currency"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "account", "amount_currency"),
    Index(None, "organisation_id", "subject"),
)
reconciliations = _owned(
    "reconciliations",
    _text("connection_id", length=64),
    _text("provider", length=40),
    _instant("since"),
    _instant("until"),
    _long("asked_by"),
    _instant("created_at"),
    _instant("updated_at"),
    _text("state", length=20),
    _number("compared"),
    _number("differences"),
    _json("totals"),
    _long("error", null=True),
    _instant("begun_at", null=True),
    _flag("nightly"),
    _version(),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "connection_id", "id"),
    Index(None, "organisation_id", "state"),
)
differences = _owned(
    "differences",
    _text("run_id", length=64),
    _text("kind", length=20),
    _text("movement", length=20),
    _text("reference"),
    _long("ours"),
    _long("theirs"),
    _number("amount_amount"),
    _text("amount_currency", length=3),
    _instant("at"),
    _text("payment_id", null=True, length=64),
    _instant("fixed_at", null=True),
    _long("fixed_by", null=True),
    _text("fix", null=True, length=40),
    _long("note"),
    _text("intent_reference", null=True),
    _version(),
    Index(None, "organisation_id", "run_id", "id"),
    Index(None, "organisation_id", "reference"),
)
audit = _owned(
    "audit",
    _long("actor"),
    _text("action", length=100),
    _text("subject"),
    _instant("at"),
    _json("detail"),
    Index(None, "organisation_id", "id"),
)
leases = Table(
    "leases",
    metadata,
    Column("name", Long, primary_key=True),
    _text("holder", length=64),
    _instant("until"),
)
marks = Table("marks", metadata, Column("name", Short(255), primary_key=True), _long("value"))
