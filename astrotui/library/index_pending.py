"""Folders of which only a part is written: whoever indexes next groups them."""

import json

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Setting
from astrotui.library.grouping import regroup


def pending(db: DbSession, root_id: int) -> set[str]:
    """The folders of a root that were written in part."""
    held = db.scalar(select(Setting.value).where(Setting.key == _key(root_id)))
    return set(json.loads(held)) if held else set()


def keep_pending(db: DbSession, root_id: int, folders: set[str]) -> None:
    """Remember them, or that there are none."""
    if folders:
        db.merge(Setting(key=_key(root_id), value=json.dumps(sorted(folders))))
    else:
        db.execute(delete(Setting).where(Setting.key == _key(root_id)))


def _key(root_id: int) -> str:
    return f"index.unfinished.{root_id}"


def resume(catalog: Catalog, root_id: int) -> None:
    """Group what an indexer that was killed had written of a large folder."""
    with catalog.read() as db:
        if not pending(db, root_id):
            return
    with catalog.write(durable=False) as db:
        for folder in pending(db, root_id):
            regroup(db, root_id, folder)
        keep_pending(db, root_id, set())
