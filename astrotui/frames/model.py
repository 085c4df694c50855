"""What is known of one exposure on disk without reading its pixels."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

GAMMA = "probably gamma-encoded, not linear: "  # begins the warning of files that should not calibrate


class FrameType(StrEnum):
    """What a file holds. A stack is a result, from astrotui or a device: indexed, never stacked again."""

    LIGHT = "light"
    DARK = "dark"
    BIAS = "bias"
    FLAT = "flat"
    DARK_FLAT = "dark-flat"
    STACK = "stack"

    @property
    def is_calibration(self) -> bool:
        return self in (FrameType.DARK, FrameType.BIAS, FrameType.FLAT, FrameType.DARK_FLAT)


@dataclass(frozen=True, slots=True)
class FrameMetadata:
    """Facts of one file; what is unknown is None, never guessed.

    Attributes
    ----------
    frame_type : light, dark, ...
    is_master : a ready master of a device or program
    stack_count : how many exposures the file combines; None when unknown, 1 for a raw frame
    width, height : pixels of the stored image
    planes : 1 for mono and CFA frames, 3 for colour
    bitpix : FITS BITPIX (or its equivalent for other formats)
    cfa : pattern of the file's first rows as written in the file, such as "RGGB"; None for mono
    cfa_phase : the pattern at row 0, column 0 as stored, after ROWORDER and XBAYROFF/YBAYROFF
    full_scale_adu : the level at which the camera saturates (4095 for 12 bits); None when unknown
    device : the telescope or program family ("DWARF II", "Seestar S50", "N.I.N.A.", ...)
    camera : the instrument as the file names it
    target : cleaned name of the object, None when absent or meaningless
    date_obs : start of the exposure, aware UTC
    night : local date of the noon before the exposure
    sequence : number of the frame in its session as the file name tells
    exposure_s, gain, offset, temperature_c, binning, filter : as set for the exposure; binning is "1x1"
    readout_mode : name of the camera's mode
    focal_mm, pixel_um : optics; pixel pitch as stored (after binning)
    ra_deg, dec_deg : pointing in degrees
    rotator_deg : angle of the rotator
    roi_x, roi_y : origin of the sub-frame on the sensor
    calstat : letters of what was already done (B, D, F)
    device_rejected : the device itself discarded the frame (`failed_`)
    header_digest : digest of the header bytes, part of the content identity
    hdu : index of the HDU that holds the image
    warnings : disagreements between header, sidecar and names, each one line
    """

    frame_type: FrameType
    width: int
    height: int
    header_digest: str
    is_master: bool = False
    stack_count: int | None = None
    planes: int = 1
    bitpix: int = 16
    cfa: str | None = None
    cfa_phase: str | None = None
    full_scale_adu: float | None = None
    device: str | None = None
    camera: str | None = None
    target: str | None = None
    date_obs: datetime | None = None
    night: date | None = None
    sequence: int | None = None
    exposure_s: float | None = None
    gain: float | None = None
    offset: float | None = None
    temperature_c: float | None = None
    binning: str | None = None
    filter: str | None = None
    readout_mode: str | None = None
    focal_mm: float | None = None
    pixel_um: float | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    rotator_deg: float | None = None
    roi_x: int | None = None
    roi_y: int | None = None
    calstat: str = ""
    device_rejected: bool = False
    hdu: int = 0
    warnings: tuple[str, ...] = ()
