"""Which file system a path lies on: SQLite's write-ahead log does not work across a network."""

import os
import re
from pathlib import Path

MOUNT_TABLE = Path("/proc/self/mountinfo")

# Types under which two hosts, or a host and its guest, may see one file without sharing memory.
NETWORK_TYPES = frozenset(
    {
        "9p", "acfs", "afpfs", "afs", "auristorfs", "beegfs", "ceph", "cifs", "coda", "curlftpfs", "davfs",
        "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "panfs", "pvfs2", "smb2",
        "smb3", "smbfs", "sshfs",
    }
)  # fmt: skip
NETWORK_FUSE = NETWORK_TYPES | {
    "ceph-fuse", "davfs2", "gcsfuse", "goofys", "juicefs", "mfsmount", "moosefs", "rclone", "s3fs",
    "smbnetfs",
}  # fmt: skip
_OCTAL = re.compile(rb"\\([0-7]{3})")


def file_system(path: Path, table: Path | None = None) -> tuple[Path, str] | None:
    """Mount point and type of the file system that holds `path`, by the mount table.

    `path` need not exist yet; symbolic links on the way are followed. None where there is no mount table
    (macOS) or it does not tell.
    """
    try:
        lines = (table or MOUNT_TABLE).read_bytes().splitlines()
    except OSError:
        return None
    place = Path(os.path.realpath(path))
    above = {place, *place.parents}
    found: tuple[Path, str] | None = None
    for line in lines:
        # mountinfo(5): id, parent, device, root, mount point, options, any tags, "-", type, source, options
        head, dash, tail = line.partition(b" - ")
        fields = head.split()
        if not dash or len(fields) < 5 or not tail.split():
            continue
        point = Path(_unescape(fields[4]))
        # Of equally deep mounts the later one lies on top.
        if point in above and (found is None or len(point.parts) >= len(found[0].parts)):
            found = point, tail.split()[0].decode("ascii", "replace")
    return found


def is_network(kind: str) -> bool:
    """Whether a file system type of the mount table reaches over a network or a host's border."""
    name, _, helper = kind.partition(".")
    return helper in NETWORK_FUSE if name in ("fuse", "fuseblk") and helper else name in NETWORK_TYPES


def _unescape(field: bytes) -> str:
    plain = _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)
    return plain.decode("utf-8", "surrogateescape")
