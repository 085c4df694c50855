"""Library roots: adding one, recognising one that was mounted elsewhere, and folders inside or around known ones."""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import CalibrationSet, Correction, Frame, Root, Session
from astrotui.errors import AstrotuiError
from astrotui.text import clean, plural

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
    whose known files stand here, while the old place is gone or empty, is the old root at a new place.

    Raises
    ------
    AstrotuiError
        `given` is not a folder that can be read.
    """
    folder = check_folder(given)
    with catalog.read() as db:
        roots = list(db.scalars(select(Root)))
        place = _known_place(roots, folder)
        moved = None if place is not None else _remounted(db, roots, folder)
    if place is not None:
        return place
    with catalog.write(durable=True) as db:
        if moved is not None:
            db.execute(update(Root).where(Root.id == moved[0]).values(path=str(moved[1])))
        roots = list(db.scalars(select(Root)))
        place = _known_place(roots, folder)  # another indexer may have added it meanwhile
        if place is not None:
            return place
        new = Root(path=str(folder), identity=None, added=datetime.now(UTC), scanned=None)
        db.add(new)
        db.flush()
        for root in roots:
            if folder in Path(root.path).parents:
                _take_in(db, new, root, Path(root.path).relative_to(folder).as_posix())
        return RootPlace(new.id, folder)


def _known_place(roots: Sequence[Root], folder: Path) -> RootPlace | None:
    for root in roots:
        path = Path(root.path)
        if folder == path:
            return RootPlace(root.id, path)
        if path in folder.parents and path.is_dir():
            return RootPlace(root.id, path, folder.relative_to(path).as_posix())
    return None


def _remounted(db: DbSession, roots: Sequence[Root], folder: Path) -> tuple[int, Path] | None:
    """A root whose files are here now, and where it begins: at `folder`, in it or around it."""
    for root in roots:
        old = Path(root.path)
        if old.is_dir() and not is_empty(old):
            continue
        tail = old.parts[1:]
        places = [folder, *(folder.joinpath(*tail[i:]) for i in range(1, len(tail))), *folder.parents]
        for place in places:
            if place.is_dir() and _holds(db, root, place):
                return root.id, place
    return None


def is_empty(folder: Path) -> bool:
    """Whether there is nothing in a folder but hidden names, as where a disk is not mounted."""
    try:
        with os.scandir(folder) as entries:
            return all(entry.name.startswith(".") for entry in entries)
    except OSError:
        return False


def check_folder(given: Path) -> Path:
    """The real path of a folder that a person named; raises `AstrotuiError` when it cannot be indexed."""
    name = clean(given, 400)
    try:
        folder = given.expanduser().resolve(strict=True)
    except (FileNotFoundError, ValueError):  # a NUL in the name
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


def check_outside(catalog_file: Path, folder: Path) -> None:
    """Refuse a folder in which the catalogue lies, or would: nothing is ever written among frames.

    A hidden folder, such as `.local` of a home folder, is not looked into and so not a part of the library.

    Raises
    ------
    AstrotuiError
        It does.
    """
    try:
        place, root = catalog_file.expanduser().resolve(), folder.expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        return  # whoever opens them says what is wrong
    if root in place.parents and not any(
        part.startswith(".") for part in place.parent.relative_to(root).parts
    ):
        raise AstrotuiError(
            f"{clean(folder, 400)}: the catalogue {clean(place, 400)} lies in this folder, and nothing is written "
            "among frames; name another place with --catalog"
        )


def check_not_empty(catalog: Catalog, folder: Path) -> None:
    """Refuse a folder without anything in it: a disk that is not mounted, or a folder that was named by mistake.

    Raises
    ------
    AstrotuiError
        It is empty.
    """
    if not is_empty(folder):
        return
    name = clean(folder, 400)
    with catalog.read() as db:
        known = sum(_present_in(db, root, folder) for root in db.scalars(select(Root)))
    if not known:
        raise AstrotuiError(f"{name}: no frames found: the folder is empty")
    raise AstrotuiError(
        f"{name}: the folder is empty, and the catalogue knows {plural(known, 'frame')} in it; is the disk "
        f"mounted? Nothing was changed. If they are gone for good: astrotui index --emptied {shlex.quote(name)}"
    )


def _present_in(db: DbSession, root: Root, folder: Path) -> int:
    """Frames of a root that were in `folder` when it was looked at last."""
    place = Path(root.path)
    mine = select(func.count()).select_from(Frame).where(Frame.root_id == root.id, ~Frame.missing)
    if folder == place:
        return db.scalar(mine) or 0
    if place not in folder.parents:
        return 0
    below = folder.relative_to(place).as_posix()
    return db.scalar(mine.where(Frame.path > f"{below}/", Frame.path < f"{below}0")) or 0


def _holds(db: DbSession, root: Root, folder: Path) -> bool:
    # By content, which is as good as at random: a folder that was removed meanwhile does not hide the rest.
    sample = db.execute(
        select(Frame.path, Frame.size)
        .where(Frame.root_id == root.id, ~Frame.missing)
        .order_by(Frame.content_id)
        .limit(_SAMPLE)
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
    for model in (Session, CalibrationSet):
        longer = func.rtrim(prefix + "/" + model.folder, "/")
        # Two roots may have groups of one key; the next grouping of the folder gives them their own again.
        key = f"{inner.id}:" + model.key
        db.execute(
            update(model).where(model.root_id == inner.id).values(root_id=outer.id, folder=longer, key=key)
        )
    _take_in_corrections(db, outer, inner, prefix)
    db.execute(delete(Root).where(Root.id == inner.id))


def _take_in_corrections(db: DbSession, outer: Root, inner: Root, prefix: str) -> None:
    of_folder = Correction.content_id == ""
    longer = func.rtrim(prefix + "/" + Correction.folder, "/")
    mine = Correction.root_id == inner.id
    db.execute(update(Correction).where(mine, of_folder).values(root_id=outer.id, folder=longer))
    # Of one content, another root that was taken in may have brought the same correction.
    rows = db.execute(
        select(Correction.content_id, Correction.field).where(Correction.root_id == outer.id, ~of_folder)
    )
    known = {(content, field) for content, field in rows}
    for row in db.scalars(select(Correction).where(mine, ~of_folder)).all():
        if (row.content_id, row.field) in known:
            db.delete(row)
        else:
            row.root_id = outer.id
    db.flush()


def forget_empty_roots(catalog: Catalog) -> None:
    """Remove roots in which no frame was ever found: a folder that was named by mistake."""
    used = exists().where(Frame.root_id == Root.id)
    with catalog.write(durable=False) as db:
        db.execute(delete(Root).where(~used))


def list_roots(catalog: Catalog) -> Iterator[Path]:
    """Paths of all roots."""
    with catalog.read() as db:
        yield from [Path(path) for path in db.scalars(select(Root.path).order_by(Root.path))]
