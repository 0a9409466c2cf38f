"""Billing on several providers: plans, subscriptions, customers, payouts, credit notes, the ledger, reconciliations."""

import sqlalchemy as sa
from alembic import op

from adapters.persistence import tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("interval", sa.String(length=10), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("prices", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("trial_days", sa.Integer(), nullable=False),
        sa.Column("features", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("limits", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint("organisation_id", "code", name=op.f("uq_plans_organisation_id_code")),
    )
    op.create_index(op.f("ix_plans_organisation_id_id"), "plans", ["organisation_id", "id"])
    op.create_table(
        "plans_at_providers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("plan_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("product", sa.String(length=255), nullable=True),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans_at_providers")),
        sa.UniqueConstraint(
            "organisation_id",
            "plan_id",
            "provider",
            "account",
            "price_currency",
            "price_amount",
            name=op.f("uq_plans_at_providers"),
        ),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("client", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("plan_id", sa.String(length=64), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("renewed_by", sa.String(length=20), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column("began_reference", sa.String(length=255), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("lost_method", sa.String(length=64), nullable=True),
        sa.Column("anchor", tables.Instant(), nullable=True),
        sa.Column("period_start", tables.Instant(), nullable=True),
        sa.Column("period_end", tables.Instant(), nullable=True),
        sa.Column("trial_ends_at", tables.Instant(), nullable=True),
        sa.Column("cancel_at_period_end", sa.Boolean(), nullable=False),
        sa.Column("canceled_at", tables.Instant(), nullable=True),
        sa.Column("ended_at", tables.Instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("planned", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", tables.Instant(), nullable=True),
        sa.Column("invoice_id", sa.String(length=64), nullable=True),
        sa.Column("seen_at", tables.Instant(), nullable=True),
        sa.Column("worth", sa.BigInteger(), nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=False),
        sa.Column("trial_told", sa.Boolean(), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint(
            "organisation_id", "provider", "reference", name=op.f("uq_subscriptions_organisation_id_provider_reference")
        ),
    )
    op.create_index(op.f("ix_subscriptions_organisation_id_id"), "subscriptions", ["organisation_id", "id"])
    op.create_index(
        op.f("ix_subscriptions_organisation_id_client_id"), "subscriptions", ["organisation_id", "client_id"]
    )
    op.create_index(
        op.f("ix_subscriptions_organisation_id_provider_began_reference"),
        "subscriptions",
        ["organisation_id", "provider", "began_reference"],
    )
    op.create_index(
        op.f("ix_subscriptions_organisation_id_state_next_try_at"),
        "subscriptions",
        ["organisation_id", "state", "next_try_at"],
    )
    op.create_table(
        "customers_at_providers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("gone_at", tables.Instant(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers_at_providers")),
        sa.UniqueConstraint(
            "organisation_id", "client_id", "provider", "account", name=op.f("uq_customers_at_providers_client")
        ),
        sa.UniqueConstraint(
            "organisation_id", "provider", "account", "reference", name=op.f("uq_customers_at_providers_reference")
        ),
    )
    op.create_table(
        "saved_methods",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("brand", sa.String(length=60), nullable=False),
        sa.Column("last4", sa.String(length=10), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("expires_on", sa.String(length=10), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_methods")),
        sa.UniqueConstraint(
            "organisation_id", "client_id", "provider", "account", "fingerprint", name=op.f("uq_saved_methods")
        ),
    )
    op.create_table(
        "payouts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("amount_amount", sa.BigInteger(), nullable=False),
        sa.Column("amount_currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("sealed_destination", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("arrives_on", sa.String(length=10), nullable=True),
        sa.Column("asked_at", tables.Instant(), nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payouts")),
        sa.UniqueConstraint(
            "organisation_id", "provider", "reference", name=op.f("uq_payouts_organisation_id_provider_reference")
        ),
    )
    op.create_index(op.f("ix_payouts_organisation_id_id"), "payouts", ["organisation_id", "id"])
    op.create_index(op.f("ix_payouts_organisation_id_state"), "payouts", ["organisation_id", "state"])
    op.create_table(
        "credit_notes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("invoice_id", sa.String(length=64), nullable=False),
        sa.Column("amount_amount", sa.BigInteger(), nullable=False),
        sa.Column("amount_currency", sa.String(length=3), nullable=False),
        sa.Column("tax_amount", sa.BigInteger(), nullable=False),
        sa.Column("tax_currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("refund_id", sa.String(length=64), nullable=True),
        sa.Column("lines", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_notes")),
        sa.UniqueConstraint("organisation_id", "number", name=op.f("uq_credit_notes_organisation_id_number")),
    )
    op.create_index(
        op.f("ix_credit_notes_organisation_id_invoice_id"), "credit_notes", ["organisation_id", "invoice_id"]
    )
    op.create_table(
        "billing_settings",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("seller", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("invoice_prefix", sa.String(length=20), nullable=False),
        sa.Column("credit_note_prefix", sa.String(length=20), nullable=False),
        sa.Column("reminders", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("retries", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_settings")),
    )
    op.create_table(
        "ledger",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("posting", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=60), nullable=False),
        sa.Column("amount_amount", sa.BigInteger(), nullable=False),
        sa.Column("amount_currency", sa.String(length=3), nullable=False),
        sa.Column("at", tables.Instant(), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint(
            "organisation_id",
            "source",
            "account",
            "amount_currency",
            name=op.f("uq_ledger_organisation_id_source_account_amount_currency"),
        ),
    )
    op.create_index(
        op.f("ix_ledger_organisation_id_account_amount_currency"),
        "ledger",
        ["organisation_id", "account", "amount_currency"],
    )
    op.create_index(op.f("ix_ledger_organisation_id_id"), "ledger", ["organisation_id", "id"])
    op.create_index(op.f("ix_ledger_organisation_id_subject"), "ledger", ["organisation_id", "subject"])
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("since", tables.Instant(), nullable=False),
        sa.Column("until", tables.Instant(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("differences", sa.BigInteger(), nullable=False),
        sa.Column("totals", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("begun_at", tables.Instant(), nullable=True),
        sa.Column("nightly", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    op.create_index(
        op.f("ix_reconciliations_organisation_id_connection_id_id"),
        "reconciliations",
        ["organisation_id", "connection_id", "id"],
    )
    op.create_index(op.f("ix_reconciliations_organisation_id_id"), "reconciliations", ["organisation_id", "id"])
    op.create_index(op.f("ix_reconciliations_organisation_id_state"), "reconciliations", ["organisation_id", "state"])
    op.create_table(
        "differences",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("movement", sa.String(length=20), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.Column("amount_amount", sa.BigInteger(), nullable=False),
        sa.Column("amount_currency", sa.String(length=3), nullable=False),
        sa.Column("at", tables.Instant(), nullable=False),
        sa.Column("payment_id", sa.String(length=64), nullable=True),
        sa.Column("fixed_at", tables.Instant(), nullable=True),
        sa.Column("fixed_by", sa.Text(), nullable=True),
        sa.Column("fix", sa.String(length=40), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("intent_reference", sa.String(length=255), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_differences")),
    )
    op.create_index(
        op.f("ix_differences_organisation_id_run_id_id"), "differences", ["organisation_id", "run_id", "id"]
    )
    op.create_index(op.f("ix_differences_organisation_id_reference"), "differences", ["organisation_id", "reference"])
    with op.batch_alter_table("invoices") as batch:
        batch.add_column(sa.Column("discount", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("credited", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("opened_at", tables.Instant(), nullable=True))
        batch.add_column(sa.Column("reminders", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("subscription_id", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("period", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("source", sa.String(length=255), nullable=True))
        batch.add_column(sa.Column("seller", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("invoices") as batch:
        batch.alter_column("credited", server_default=None)
        batch.alter_column("reminders", server_default=None)
    with op.batch_alter_table("payments") as batch:
        batch.add_column(sa.Column("attempts", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("client_id", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("subscription_id", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("resolution", sa.Text(), nullable=True))
        batch.add_column(sa.Column("conflict_kind", sa.String(length=20), nullable=True))
        batch.add_column(sa.Column("state", sa.String(length=20), nullable=False, server_default="pending"))
    _reckon_states()
    with op.batch_alter_table("payments") as batch:
        batch.alter_column("attempts", server_default=None)
        batch.alter_column("state", server_default=None)
    with op.batch_alter_table("refunds") as batch:
        batch.add_column(sa.Column("asked_at", tables.Instant(), nullable=True))
        batch.add_column(sa.Column("checks", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("refunds") as batch:
        batch.alter_column("checks", server_default=None)
    with op.batch_alter_table("connections") as batch:
        batch.add_column(sa.Column("account_reference", sa.String(length=255), nullable=True))
    op.create_index(op.f("ix_invoices_organisation_id_source"), "invoices", ["organisation_id", "source"], unique=True)
    op.create_index(
        op.f("ix_invoices_organisation_id_subscription_id"), "invoices", ["organisation_id", "subscription_id"]
    )
    op.create_index(
        op.f("ix_payments_organisation_id_subscription_id"), "payments", ["organisation_id", "subscription_id"]
    )
    op.create_index(op.f("ix_payments_organisation_id_state"), "payments", ["organisation_id", "state"])
    op.create_index(op.f("ix_refunds_organisation_id_state"), "refunds", ["organisation_id", "state"])
    op.create_index(
        op.f("ix_payments_organisation_id_provider_updated_at_id"),
        "payments",
        ["organisation_id", "provider", "updated_at", "id"],
    )


def _reckon_states() -> None:
    """What the facts of each payment add up to, as the hub of this revision reckons it."""
    payments = sa.table(
        "payments",
        sa.column("id", sa.String),
        sa.column("state", sa.String),
        sa.column("conflict", sa.Text),
        sa.column("facts", sa.JSON),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(payments.c.id, payments.c.conflict, payments.c.facts)).all()
    for id_, conflict, facts in rows:
        failed = {fact["reference"] for fact in facts if fact["kind"] == "refund_failed"}
        kinds = {fact["kind"] for fact in facts}
        captured = sum(fact["amount"] for fact in facts if fact["kind"] == "captured")
        refunded = sum(
            fact["amount"] for fact in facts if fact["kind"] == "refunded" and fact["reference"] not in failed
        )
        if conflict is not None and not 0 < captured == refunded:
            state = "conflicted"
        elif captured:
            state = "succeeded" if not refunded else "partially_refunded" if captured > refunded else "refunded"
        else:
            state = next((kind for kind in ("canceled", "failed") if kind in kinds), "pending")
        connection.execute(payments.update().where(payments.c.id == id_).values(state=state))


def downgrade() -> None:
    # States that the older hub does not know; it would fail at reading them.
    op.execute("UPDATE invoices SET state = 'void' WHERE state = 'uncollectible'")
    op.execute("UPDATE refunds SET state = 'requested' WHERE state = 'unknown'")
    op.drop_index(op.f("ix_refunds_organisation_id_state"), table_name="refunds")
    op.drop_index(op.f("ix_payments_organisation_id_state"), table_name="payments")
    op.drop_index(op.f("ix_payments_organisation_id_provider_updated_at_id"), table_name="payments")
    op.drop_index(op.f("ix_payments_organisation_id_subscription_id"), table_name="payments")
    op.drop_index(op.f("ix_invoices_organisation_id_subscription_id"), table_name="invoices")
    op.drop_index(op.f("ix_invoices_organisation_id_source"), table_name="invoices")
    with op.batch_alter_table("invoices") as batch:
        batch.drop_column("seller")
        batch.drop_column("source")
        batch.drop_column("period")
        batch.drop_column("subscription_id")
        batch.drop_column("reminders")
        batch.drop_column("opened_at")
        batch.drop_column("credited")
        batch.drop_column("discount")
    with op.batch_alter_table("payments") as batch:
        batch.drop_column("state")
        batch.drop_column("conflict_kind")
        batch.drop_column("resolution")
        batch.drop_column("subscription_id")
        batch.drop_column("client_id")
        batch.drop_column("attempts")
    with op.batch_alter_table("refunds") as batch:
        batch.drop_column("checks")
        batch.drop_column("asked_at")
    with op.batch_alter_table("connections") as batch:
        batch.drop_column("account_reference")
    for table in (
        "differences",
        "reconciliations",
        "ledger",
        "billing_settings",
        "credit_notes",
        "payouts",
        "saved_methods",
        "customers_at_providers",
        "subscriptions",
        "plans_at_providers",
        "plans",
    ):
        op.drop_table(table)
