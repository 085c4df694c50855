"""A dark theme that leaves night vision alone, and a light one."""

from textual.theme import Theme

THEMES = (
    Theme(
        name="astrotui-dark",
        primary="#7aa2c8",
        secondary="#9d8ec7",
        accent="#e0b060",
        foreground="#c8ccd4",
        background="#0c0e13",
        surface="#12151c",
        panel="#1c212b",
        success="#7fb77e",
        warning="#d8a657",
        error="#d8707a",
        dark=True,
    ),
    Theme(
        name="astrotui-light",
        primary="#1f5f99",
        secondary="#6a4fb0",
        accent="#8a5000",
        foreground="#20242c",
        background="#fbfaf7",
        surface="#f3f1ec",
        panel="#e3dfd6",
        success="#2f7d32",
        warning="#8a5000",
        error="#b3261e",
        dark=False,
    ),
)
