"""Library roots: adding one, recognising one that was mounted elsewhere, and folders inside or around known ones."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import CalibrationSet, Correction, Frame, Root, Session
from astrotui.errors import AstrotuiError
from astrotui.text import clean

_SAMPLE = 200  # files that are compared to recognise a root
_ENOUGH = 0.8  # of them must be there with their sizes


@dataclass(frozen=True)
class RootPlace:
    """Where to index: a root of the catalogue and, when only a part of it was named, that part."""

    root_id: int
    path: Path
    prefix: str = ""  # relative folder inside the root, "" for all of it

    @property
    def folder(self) -> Path:
        return self.path / self.prefix if self.prefix else self.path


def find_root(catalog: Catalog, given: Path) -> RootPlace:
    """The root for a folder that a person named; it is added when it is new.

    A folder inside a known root is that root's part. A folder around known roots takes them in. A tree
    whose known files stand here, while the old place is gone, is the old root at a new place.

    Raises
    ------
    AstrotuiError
        `given` is not a folder that can be read.
    """
    folder = _check(given)
    with catalog.write(durable=True) as db:
        roots = list(db.scalars(select(Root)))
        for root in roots:
            path = Path(root.path)
            if folder == path:
                return RootPlace(root.id, path)
            if path in folder.parents and path.is_dir():
                return RootPlace(root.id, path, folder.relative_to(path).as_posix())
        for root in roots:
            if not Path(root.path).is_dir() and _holds(db, root, folder):
                root.path = str(folder)
                return RootPlace(root.id, folder)
        new = Root(path=str(folder), identity=None, added=datetime.now(UTC), scanned=None)
        db.add(new)
        db.flush()
        for root in roots:
            if folder in Path(root.path).parents:
                _take_in(db, new, root, Path(root.path).relative_to(folder).as_posix())
        return RootPlace(new.id, folder)


def _check(given: Path) -> Path:
    name = clean(given, 400)
    try:
        folder = given.expanduser().resolve(strict=True)
    except FileNotFoundError:
        raise AstrotuiError(f"{name}: no such folder") from None
    except (OSError, RuntimeError) as error:
        raise AstrotuiError(f"{name}: cannot be read: {error}") from error
    if not folder.is_dir():
        raise AstrotuiError(f"{name}: not a folder; name the folder that holds the frames")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise AstrotuiError(f"{name}: this folder may not be read")
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise AstrotuiError(f"{name}: the folder's name is not UTF-8; rename it to index it") from None
    return folder


def _holds(db: DbSession, root: Root, folder: Path) -> bool:
    sample = db.execute(
        select(Frame.path, Frame.size).where(Frame.root_id == root.id).order_by(Frame.path).limit(_SAMPLE)
    ).all()
    return bool(sample) and sum(_same(folder / path, size) for path, size in sample) >= _ENOUGH * len(sample)


def _same(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _take_in(db: DbSession, outer: Root, inner: Root, prefix: str) -> None:
    """Move all that `inner` holds under `outer`; its paths gain `prefix`."""
    db.execute(
        update(Frame)
        .where(Frame.root_id == inner.id)
        .values(root_id=outer.id, path=prefix + "/" + Frame.path)
    )
    for model in (Session, CalibrationSet, Correction):
        longer = func.rtrim(prefix + "/" + model.folder, "/")
        db.execute(update(model).where(model.root_id == inner.id).values(root_id=outer.id, folder=longer))
    db.execute(delete(Root).where(Root.id == inner.id))


def list_roots(catalog: Catalog) -> Iterator[Path]:
    """Paths of all roots."""
    with catalog.read() as db:
        yield from [Path(path) for path in db.scalars(select(Root.path).order_by(Root.path))]


def inside_a_root(catalog: Catalog, path: Path) -> Path | None:
    """The root that `path` lies in, if any."""
    resolved = path.resolve()
    return next(
        islice((root for root in list_roots(catalog) if root == resolved or root in resolved.parents), 1),
        None,
    )
