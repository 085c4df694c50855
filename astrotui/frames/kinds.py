"""What a file holds, from the words that programs and people use for it in headers and names."""

import re

from astrotui.frames.cards import Keywords
from astrotui.frames.model import FrameType

_WORDS = {
    **dict.fromkeys(
        ("light", "lights", "object", "science", "snapshot", "sci", "target", "sky"), FrameType.LIGHT
    ),
    **dict.fromkeys(("dark", "darks", "black"), FrameType.DARK),
    **dict.fromkeys(("bias", "biases", "offset", "offsets", "zero"), FrameType.BIAS),
    **dict.fromkeys(
        ("flat", "flats", "skyflat", "domeflat", "twilightflat", "lightflat", "flatlight"), FrameType.FLAT
    ),
    **dict.fromkeys(
        ("darkflat", "darkflats", "flatdark", "flatdarks", "darkforflat", "flatsdark"), FrameType.DARK_FLAT
    ),
}
_WORDS |= dict.fromkeys(("stack", "livestack", "integration"), FrameType.STACK)
_PICTTYPE = {1: FrameType.LIGHT, 2: FrameType.BIAS, 3: FrameType.DARK, 4: FrameType.FLAT}
_NOT_LETTERS = re.compile(r"[^a-z]+")
_MASTER_WORD = re.compile(r"^(?:master|super|combined|stacked)|(?:master|combined|stacked)$")

# Words in file and folder names: whole words, or capitalised parts such as in MasterDark and DarkFlat.
_IN_NAME = re.compile(
    r"(?<![a-z])(?:master|m)?[ _-]?"
    r"(?P<word>dark[ _-]?flats?|flats?[ _-]?darks?|darks?|flats?|bias(?:es)?|offsets?|lights?|blacks?)(?![a-z])"
)
_NOT_A_DARK = re.compile(
    r"dark[ _-]?(?:sky|skies|site|nebula|cloud|horse|side|room|park)|(?:black|flat)[ _-]?(?:eye|rock|hole|iron)"
)
_MASTER = re.compile(r"master|(?<![a-z])(?:super|stacked|integration)(?![a-z])")
_STACK = re.compile(r"(?:^|[ _-])(?:dso_stacked|stacked|stack|autosave|livestack|masterlight)(?:[ _.-]|\d|$)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def type_of_word(word: str) -> tuple[FrameType | None, bool]:
    """Frame type and "is a master" of an `IMAGETYP`-like value; (None, False) when it says nothing.

    Examples: `Dark Frame`, `FLAT`, `Flat Field`, `Master Bias`, `DARKFLAT`, `object`, `zero`, `SNAPSHOT`.
    """
    letters = _NOT_LETTERS.sub("", word.lower())
    bare = _MASTER_WORD.sub("", letters)
    for end in ("frames", "frame", "fields", "field", "image"):
        bare = bare.removesuffix(end)
    found = _WORDS.get(bare)
    return found, found is not None and bool(_MASTER_WORD.search(letters))


def type_in_header(header: Keywords) -> tuple[FrameType | None, bool]:
    """Frame type and "is a master" as the header tells."""
    for key in ("IMAGETYP", "FRAMETYP", "FRAME", "OBSTYPE", "CALFRAME"):
        word = header.text(key)
        if word:
            found, master = type_of_word(word)
            if found is not None:
                return found, master
    code = header.number("PICTTYPE")
    return (_PICTTYPE.get(int(code)), False) if code is not None and code == int(code) else (None, False)


def type_in_name(name: str) -> FrameType | None:
    """Frame type from the words in a file's stem or a folder's name; None when none or several are meant.

    `Flats 2024-06-24`, `MasterBias_1.0ms`, `dark_stacked`, `Light_1069`; but not `dark_sky_site` or `M31`.
    """
    lower = _NOT_A_DARK.sub(" ", _CAMEL.sub("_", name).lower())
    found = {_WORDS[_NOT_LETTERS.sub("", m["word"])] for m in _IN_NAME.finditer(lower)}
    return found.pop() if len(found) == 1 else None


def looks_like_master(name: str) -> bool:
    """Whether a name's words say that it is a combination (`master`, `stacked`, `integration`)."""
    return bool(_MASTER.search(name.lower()))


def looks_like_stack(stem: str) -> bool:
    """Whether a light's name says that it is a stack already (`Stacked_12_M31`, `r_pp_light_stacked`)."""
    return bool(_STACK.search(stem.lower()))


def calibration_prefix(stem: str) -> FrameType | None:
    """The calibration type that a name begins with (`flattest`, `biastest1`): too weak to decide, enough to
    doubt a header that names another one."""
    lower = stem.lower()
    for word in ("darkflat", "flatdark", "dark", "flat", "bias"):
        if lower.startswith(word):
            return _WORDS[word]
    return None
