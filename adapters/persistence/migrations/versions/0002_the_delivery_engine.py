"""The delivery engine: lanes and workers' leases, endpoint options, statistics, replays, signing keys."""

import sqlalchemy as sa
from alembic import op

from adapters.persistence import tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lanes",
        sa.Column("destination_id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("paused_until", tables.Instant(), nullable=True),
        sa.Column("sent_at", tables.Instant(), nullable=True),
        sa.Column("health", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("destination_id", name=op.f("pk_lanes")),
    )
    op.create_index(op.f("ix_lanes_generation"), "lanes", ["generation"])
    op.create_index(op.f("ix_lanes_organisation_id"), "lanes", ["organisation_id"])
    op.create_table(
        "workers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("until", tables.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "statistics",
        sa.Column("destination_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("at", tables.Instant(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("destination_id", "step", "at", "outcome", "bucket", name=op.f("pk_statistics")),
    )
    op.create_index(op.f("ix_statistics_organisation_id_step_at"), "statistics", ["organisation_id", "step", "at"])
    op.create_index(op.f("ix_statistics_step_at"), "statistics", ["step", "at"])
    op.create_table(
        "replays",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("wanted", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("updated_at", tables.Instant(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("ahead", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index(op.f("ix_replays_organisation_id_id"), "replays", ["organisation_id", "id"])
    op.create_index(op.f("ix_replays_state"), "replays", ["state"])
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("public", sa.String(length=255), nullable=False),
        sa.Column("created_at", tables.Instant(), nullable=False),
        sa.Column("expires_at", tables.Instant(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
    )
    op.create_index(op.f("ix_signing_keys_organisation_id_id"), "signing_keys", ["organisation_id", "id"])
    with op.batch_alter_table("endpoints") as batch:
        batch.add_column(sa.Column("mode", sa.String(length=20), nullable=False, server_default="push"))
        batch.add_column(sa.Column("options", sa.JSON(none_as_null=True), nullable=False, server_default="{}"))
        batch.add_column(sa.Column("sealed_oauth", sa.Text(), nullable=True))
        batch.add_column(sa.Column("sealed_identity", sa.Text(), nullable=True))
        batch.drop_column("failures")
    with op.batch_alter_table("endpoints") as batch:
        batch.alter_column("mode", server_default=None)
        batch.alter_column("options", server_default=None)
    op.drop_index("ix_deliveries_state_due_at", table_name="deliveries")
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("expires_at", tables.Instant(), nullable=True))
        batch.drop_column("generation")
        batch.drop_column("leased_until")
    for name, columns, state in (
        ("ix_deliveries_pending", ["destination_id", "due_at", "id"], "pending"),
        ("ix_deliveries_waiting", ["destination_id", "id"], "waiting"),
    ):
        where = sa.text(f"state = '{state}'")
        op.create_index(name, "deliveries", columns, sqlite_where=where, postgresql_where=where)
    with op.batch_alter_table("inbox") as batch:
        batch.add_column(sa.Column("object", sa.String(length=255), nullable=True))
        batch.create_index(op.f("ix_inbox_connection_id_object_state"), ["connection_id", "object", "state"])
        batch.create_index(op.f("ix_inbox_state_handled_at"), ["state", "handled_at"])


def downgrade() -> None:
    with op.batch_alter_table("inbox") as batch:
        batch.drop_index(op.f("ix_inbox_state_handled_at"))
        batch.drop_index(op.f("ix_inbox_connection_id_object_state"))
        batch.drop_column("object")
    # States and modes that the older hub does not know; it would fail at reading them.
    op.execute("UPDATE deliveries SET state = 'failed' WHERE state = 'expired'")
    op.execute("UPDATE deliveries SET state = 'cancelled', finished_at = created_at WHERE state = 'waiting'")
    op.execute("UPDATE endpoints SET state = 'paused', reason = 'it was polled' WHERE mode = 'poll'")
    op.drop_index("ix_deliveries_waiting", table_name="deliveries")
    op.drop_index("ix_deliveries_pending", table_name="deliveries")
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_column("expires_at")
        batch.add_column(sa.Column("generation", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("leased_until", tables.Instant(), nullable=True))
    op.create_index("ix_deliveries_state_due_at", "deliveries", ["state", "due_at"])
    with op.batch_alter_table("endpoints") as batch:
        batch.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        batch.drop_column("sealed_identity")
        batch.drop_column("sealed_oauth")
        batch.drop_column("options")
        batch.drop_column("mode")
    with op.batch_alter_table("endpoints") as batch:
        batch.alter_column("failures", server_default=None)
    for table in ("signing_keys", "replays", "statistics", "workers", "lanes"):
        op.drop_table(table)
