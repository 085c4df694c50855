"""Totals of sessions, kept; names of frames found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FORGET = "DELETE FROM session_totals WHERE session_id"


def upgrade() -> None:
    counts = "lights undecided accepted rejected missing quarantined unmeasured".split()
    op.create_table(
        "session_totals",
        sa.Column("session_id", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts),
        sa.Column("integration_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_session_totals_session_id_sessions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_session_totals"),
    )
    op.execute(
        f"""CREATE TRIGGER frames_counted_inserted AFTER INSERT ON frames WHEN NEW.session_id IS NOT NULL BEGIN
{_FORGET} = NEW.session_id; END"""
    )
    op.execute(
        f"""CREATE TRIGGER frames_counted_deleted AFTER DELETE ON frames WHEN OLD.session_id IS NOT NULL BEGIN
{_FORGET} = OLD.session_id; END"""
    )
    op.execute(
        f"""CREATE TRIGGER frames_counted_updated
AFTER UPDATE OF session_id, missing, quarantine, decision, measured, exposure_s ON frames BEGIN
{_FORGET} IN (OLD.session_id, NEW.session_id); END"""
    )
    op.drop_index("ix_frames_session", "frames")
    op.create_index(
        "ix_frames_session",
        "frames",
        ["session_id", "missing", "quarantine", "decision", "measured", "exposure_s", "path"],
    )
    op.create_index(
        "ix_frames_odd_path",
        "frames",
        ["path"],
        sqlite_where=sa.text("length(path) <> length(CAST(path AS BLOB))"),
    )
