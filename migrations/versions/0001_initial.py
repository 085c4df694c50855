"""The first version of the tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "roots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("identity", sa.String()),
        sa.Column("added", sa.DateTime(), nullable=False),
        sa.Column("scanned", sa.DateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roots")),
        sa.UniqueConstraint("path", name=op.f("uq_roots_path")),
    )

    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("device", sa.String()),
        sa.Column("camera", sa.String()),
        sa.Column("target", sa.String()),
        sa.Column("night", sa.Date()),
        sa.Column("first_date", sa.DateTime()),
        sa.Column("last_date", sa.DateTime()),
        sa.Column("exposure_s", sa.Double()),
        sa.Column("gain", sa.Double()),
        sa.Column("offset", sa.Double()),
        sa.Column("readout_mode", sa.String()),
        sa.Column("binning", sa.String()),
        sa.Column("filter", sa.String()),
        sa.Column("temperature_c", sa.Double()),
        sa.Column("temperature_min_c", sa.Double()),
        sa.Column("temperature_max_c", sa.Double()),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("cfa", sa.String()),
        sa.Column("cfa_phase", sa.String()),
        sa.Column("full_scale_adu", sa.Double()),
        sa.Column("focal_mm", sa.Double()),
        sa.Column("pixel_um", sa.Double()),
        sa.Column("ra_deg", sa.Double()),
        sa.Column("dec_deg", sa.Double()),
        sa.Column("rotator_deg", sa.Double()),
        sa.Column("roi_x", sa.Integer()),
        sa.Column("roi_y", sa.Integer()),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("reference_id", sa.Integer()),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("rating", sa.Integer()),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["root_id"], ["roots.id"], name=op.f("fk_sessions_root_id_roots"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("root_id", "key", name=op.f("uq_sessions_root_id_key")),
    )
    op.create_index(op.f("ix_sessions_night"), "sessions", ["night"])
    op.create_index(op.f("ix_sessions_target"), "sessions", ["target"])

    op.create_table(
        "calibration_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("is_master", sa.Boolean(), nullable=False),
        sa.Column("depth", sa.Integer()),
        sa.Column("device", sa.String()),
        sa.Column("camera", sa.String()),
        sa.Column("date", sa.DateTime()),
        sa.Column("exposure_s", sa.Double()),
        sa.Column("gain", sa.Double()),
        sa.Column("offset", sa.Double()),
        sa.Column("readout_mode", sa.String()),
        sa.Column("binning", sa.String()),
        sa.Column("filter", sa.String()),
        sa.Column("temperature_c", sa.Double()),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("cfa", sa.String()),
        sa.Column("cfa_phase", sa.String()),
        sa.Column("full_scale_adu", sa.Double()),
        sa.Column("focal_mm", sa.Double()),
        sa.Column("rotator_deg", sa.Double()),
        sa.Column("roi_x", sa.Integer()),
        sa.Column("roi_y", sa.Integer()),
        sa.Column("calstat", sa.String(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["root_id"], ["roots.id"], name=op.f("fk_calibration_sets_root_id_roots"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calibration_sets")),
        sa.UniqueConstraint("root_id", "key", name=op.f("uq_calibration_sets_root_id_key")),
    )
    op.create_index(op.f("ix_calibration_sets_kind"), "calibration_sets", ["kind"])

    op.create_table(
        "frames",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer()),
        sa.Column("set_id", sa.Integer()),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("mtime_ns", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Boolean(), nullable=False),
        sa.Column("quarantine", sa.String()),
        sa.Column("content_id", sa.String(length=40)),
        sa.Column("header_digest", sa.String(length=40)),
        sa.Column("frame_type", sa.String()),
        sa.Column("is_master", sa.Boolean(), nullable=False),
        sa.Column("stack_count", sa.Integer()),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("planes", sa.Integer()),
        sa.Column("bitpix", sa.Integer()),
        sa.Column("cfa", sa.String()),
        sa.Column("cfa_phase", sa.String()),
        sa.Column("full_scale_adu", sa.Double()),
        sa.Column("device", sa.String()),
        sa.Column("camera", sa.String()),
        sa.Column("target", sa.String()),
        sa.Column("date_obs", sa.DateTime()),
        sa.Column("night", sa.Date()),
        sa.Column("sequence", sa.Integer()),
        sa.Column("exposure_s", sa.Double()),
        sa.Column("gain", sa.Double()),
        sa.Column("offset", sa.Double()),
        sa.Column("readout_mode", sa.String()),
        sa.Column("temperature_c", sa.Double()),
        sa.Column("binning", sa.String()),
        sa.Column("filter", sa.String()),
        sa.Column("focal_mm", sa.Double()),
        sa.Column("pixel_um", sa.Double()),
        sa.Column("ra_deg", sa.Double()),
        sa.Column("dec_deg", sa.Double()),
        sa.Column("rotator_deg", sa.Double()),
        sa.Column("roi_x", sa.Integer()),
        sa.Column("roi_y", sa.Integer()),
        sa.Column("calstat", sa.String(), nullable=False),
        sa.Column("device_rejected", sa.Boolean(), nullable=False),
        sa.Column("hdu", sa.Integer(), nullable=False),
        sa.Column("measured", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("rating", sa.Integer()),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('undecided', 'accepted', 'rejected')", name=op.f("ck_frames_decision")
        ),
        sa.ForeignKeyConstraint(
            ["root_id"], ["roots.id"], name=op.f("fk_frames_root_id_roots"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_frames_session_id_sessions"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["set_id"],
            ["calibration_sets.id"],
            name=op.f("fk_frames_set_id_calibration_sets"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frames")),
        sa.UniqueConstraint("root_id", "path", name=op.f("uq_frames_root_id_path")),
    )
    op.create_index(op.f("ix_frames_content_id"), "frames", ["content_id"])
    op.create_index(
        "ix_frames_session",
        "frames",
        ["session_id", "missing", "quarantine", "decision", "measured", "exposure_s"],
    )
    op.create_index(op.f("ix_frames_set_id"), "frames", ["set_id"])

    op.create_table(
        "measurements",
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.String(length=40)),
        sa.Column("dark_digest", sa.String()),
        sa.Column("measured", sa.DateTime(), nullable=False),
        sa.Column("problem", sa.String()),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.Column("fwhm_px", sa.Double()),
        sa.Column("fwhm_a_px", sa.Double()),
        sa.Column("fwhm_b_px", sa.Double()),
        sa.Column("hfr_px", sa.Double()),
        sa.Column("eccentricity", sa.Double()),
        sa.Column("background_adu", sa.Double()),
        sa.Column("gradient_adu", sa.Double()),
        sa.Column("noise_adu", sa.Double()),
        sa.Column("saturated_fraction", sa.Double()),
        sa.Column("streak", sa.Boolean()),
        sa.Column("reference_id", sa.Integer()),
        sa.Column("matched", sa.Integer()),
        sa.Column("dx_px", sa.Double()),
        sa.Column("dy_px", sa.Double()),
        sa.Column("rotation_deg", sa.Double()),
        sa.Column("scale", sa.Double()),
        sa.Column("transparency", sa.Double()),
        sa.Column("depth", sa.Double()),
        sa.Column("score", sa.Double()),
        sa.Column("star_list", sa.LargeBinary()),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.id"], name=op.f("fk_measurements_frame_id_frames"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_measurements")),
    )
    # Totals of sessions are counted from an index of frames that knows which are measured.
    op.execute("""CREATE TRIGGER measurements_inserted AFTER INSERT ON measurements BEGIN
UPDATE frames SET measured = 1 WHERE id = NEW.frame_id; END""")
    op.execute("""CREATE TRIGGER measurements_deleted AFTER DELETE ON measurements BEGIN
UPDATE frames SET measured = 0 WHERE id = OLD.frame_id; END""")

    op.create_table(
        "decision_batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer()),
        sa.Column("made", sa.DateTime(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_decision_batches_session_id_sessions"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision_batches")),
    )
    op.create_index(op.f("ix_decision_batches_session_id"), "decision_batches", ["session_id"])

    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("before_reasons", sa.JSON(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["decision_batches.id"],
            name=op.f("fk_decisions_batch_id_decision_batches"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.id"], name=op.f("fk_decisions_frame_id_frames"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_batch_id"), "decisions", ["batch_id"])
    op.create_index(op.f("ix_decisions_frame_id"), "decisions", ["frame_id"])

    op.create_table(
        "pins",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("set_id", sa.Integer()),
        sa.Column("path", sa.String()),
        sa.Column("made", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_pins_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["set_id"],
            ["calibration_sets.id"],
            name=op.f("fk_pins_set_id_calibration_sets"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pins")),
        sa.UniqueConstraint("session_id", "kind", name=op.f("uq_pins_session_id_kind")),
    )

    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("content_id", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("made", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["root_id"], ["roots.id"], name=op.f("fk_corrections_root_id_roots"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint(
            "root_id",
            "folder",
            "content_id",
            "field",
            name=op.f("uq_corrections_root_id_folder_content_id_field"),
        ),
    )

    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("after_id", sa.Integer()),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("plan_path", sa.String()),
        sa.Column("plan_digest", sa.String()),
        sa.Column("stage", sa.String()),
        sa.Column("stages", sa.JSON(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer()),
        sa.Column("eta_s", sa.Double()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String()),
        sa.Column("owner_host", sa.String()),
        sa.Column("owner_boot", sa.String()),
        sa.Column("owner_pid", sa.Integer()),
        sa.Column("owner_start", sa.String()),
        sa.Column("lease_until", sa.DateTime()),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("started", sa.DateTime()),
        sa.Column("finished", sa.DateTime()),
        sa.Column("error", sa.String()),
        sa.Column("log", sa.String()),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_jobs_status")
        ),
        sa.ForeignKeyConstraint(
            ["after_id"], ["jobs.id"], name=op.f("fk_jobs_after_id_jobs"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_status_priority_id"), "jobs", ["status", "priority", "id"])

    op.create_table(
        "stacks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer()),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("manifest", sa.String()),
        sa.Column("manifest_digest", sa.String()),
        sa.Column("preview", sa.String()),
        sa.Column("target", sa.String()),
        sa.Column("sessions", sa.JSON(), nullable=False),
        sa.Column("frames_used", sa.Integer(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("rating", sa.Integer()),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_stacks_job_id_jobs"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stacks")),
    )
    op.create_index(op.f("ix_stacks_job_id"), "stacks", ["job_id"])

    op.create_table(
        "saved_queries",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_saved_queries")),
    )

    op.create_table(
        "settings",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
    )
