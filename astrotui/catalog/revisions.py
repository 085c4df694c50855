"""The versions of the catalogue's tables."""

# Every revision this program can read, oldest first; a test compares it with migrations/versions.
REVISIONS: tuple[str, ...] = ("0001", "0002", "0003")
