"""Samples of measured files, that tell replaced pixels under an equal header; the level of flats."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("measurements", sa.Column("sample", sa.String(40)))
    op.add_column("calibration_sets", sa.Column("median_adu", sa.Double()))
