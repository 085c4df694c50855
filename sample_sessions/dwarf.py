"""Sessions as DWARF telescopes write them: M 42 with a dark library, M 45 with a rejected frame."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from sample_sessions import scenes
from sample_sessions.fitsfile import Cards
from sample_sessions.parts import (
    NOTE,
    SEED,
    File,
    after,
    cloud_map,
    draw_dark,
    light_file,
    session_truth,
)
from sample_sessions.sky import Camera, Truth, random_hot, similarity

D2 = Camera(
    576, 336, "GBRG", e_per_adu=1.1, read_noise_e=2.2, dark_e_s=0.12, dark_at_c=22.0, bias_adu=200,
    bias_pattern_adu=0.7, full_scale_adu=4095, hot=random_hot(SEED, 576, 336, 150, low=10, high=350),
    vignette=0.12, dust=1, dust_radius=0.03, amp_glow_e_s=0.6, seed=SEED,
)  # fmt: skip
D3 = Camera(
    400, 240, "RGGB", e_per_adu=0.25, read_noise_e=1.6, dark_e_s=0.05, dark_at_c=14.0, bias_adu=800,
    bias_pattern_adu=2.0, hot=random_hot(SEED + 1, 400, 240, 40, low=8, high=150), vignette=0.1,
    seed=SEED + 1,
)  # fmt: skip

M42 = "DWARF_II/Astronomy/DWARF_RAW_M42_EXP_10_GAIN_60_2025-01-25-21-13-52-418"
M45 = "DWARF3/Astronomy/DWARF_RAW_TELE_M 45_EXP_15_GAIN_60_2025-11-15-22-40-11-207"
DARKS = "DWARF_II/Astronomy/DWARF_DARK"


def dwarf2_lights() -> tuple[list[File], Truth]:
    """Sixteen lights of M 42 with field rotation and drift; a satellite, two clouded, one trailed."""
    sky = scenes.nebula(7, D2.width, D2.height)
    rng = np.random.default_rng([SEED, 100])
    start = datetime(2025, 1, 25, 21, 14, 8, 612000)
    middle = ((D2.width - 1) / 2, (D2.height - 1) / 2)
    files = []
    for i in range(16):
        began = after(start, 31.52 * i + rng.uniform(0, 0.3))
        seeing, jitter = rng.uniform(2.05, 2.35), rng.normal(0, 1.3, 2)
        recentered = 14.0 if i >= 10 else 0.0  # the mount corrects its drift once
        to_frame = similarity(
            1.9 * i - recentered + jitter[0],
            -1.1 * i + jitter[1],
            0.098 * i + rng.normal(0, 0.004),
            1.0,
            middle,
        )
        how: dict[str, Any] = {"transparency": round(float(0.97 + rng.uniform(-0.03, 0.03)), 4)}
        glow = 1 + 0.006 * i
        if i == 5:
            how |= {"trail": (-20.0, 262.0, 600.0, 41.0, 2.6, 950.0), "faults": ("trail",)}
        if i in (8, 9):
            how |= {
                "transparency": cloud_map(rng, D2.width, D2.height, 0.55 - 0.17 * (i - 8)),
                "faults": ("cloud",),
            }
            glow *= 1.35
        if i == 12:
            how |= {"elongation": 3.4, "angle_deg": 24.0, "faults": ("trailed",)}
            seeing *= 1.55
        cards: Cards = [
            ("DATE-OBS", began.isoformat(timespec="milliseconds"), ""),
            ("DATE", after(began, 16.496).isoformat(timespec="milliseconds"), ""),
            ("EXP", 10.0, ""),
            ("GAIN", 60, ""),
            ("BINNING", "1*1", ""),
            ("RA", 5.588139, "[h]"),
            ("DEC", -5.391111, ""),
            ("OBJECT", "M42", ""),
            ("BAYERPAT", "GBRG", ""),
            ("TELESCOP", "DWARFII", ""),
            ("INSTRUME", "DWARFII", ""),
            ("ORIGIN", "DWARFLAB", ""),
        ]
        files.append(
            light_file(
                f"{M42}/raw_M42_10s_60_{3 * i:04d}.fits",
                sky,
                D2,
                cards,
                exposure_s=10.0,
                to_frame=to_frame,
                fwhm_px=round(seeing, 3),
                beta=3.5,
                sky_e_s=tuple(round(glow * v, 3) for v in (6.0, 9.5, 7.2)),
                gradient=(0.05, -0.08),
                temperature_c=21.5 + 0.15 * i,
                **how,
            )
        )
    info = {
        "DEC": -5.391111,
        "RA": 5.588139,
        "binning": "1*1",
        "exp": "10",
        "format": "FITS",
        "gain": 60,
        "ir": "PASS",
        "shotsStacked": 42,
        "shotsTaken": 46,
        "shotsToTake": 60,
        "target": "M42",
    }
    truth = session_truth(sky, D2, 10.0, files)
    files.append(File(f"{M42}/shotsInfo.json", text=json.dumps(info, separators=(",", ":"))))
    return files, truth


def dwarf2_darks() -> list[File]:
    """The dark library: an exact match for M 42, one of another exposure, one of another gain."""
    files = []
    for exposure, gain, count in ((10, 60, 4), (15, 60, 2), (15, 100, 2)):
        camera = D2 if gain == 60 else _louder(D2)
        for i in range(count):
            path = f"{DARKS}/exp_{exposure}_gain_{gain}_bin_1/{i:04d}.fits"
            cards: Cards = [
                ("EXP", float(exposure), ""),
                ("GAIN", gain, ""),
                ("BINNING", "1*1", ""),
                ("RA", 0.0, "[h]"),
                ("DEC", 0.0, ""),
                ("OBJECT", "", ""),
                ("BAYERPAT", "GBRG", ""),
                ("TELESCOP", "DWARFII", ""),
                ("INSTRUME", "DWARFII", ""),
                ("ORIGIN", "DWARFLAB", ""),
                NOTE,
            ]
            files.append(File(path, draw_dark(path, camera, float(exposure), 22.5), tuple(cards)))
    return files


def _louder(camera: Camera) -> Camera:
    """The camera at gain 100 instead of 60: fewer electrons per ADU (a gain step is 0.1 dB)."""
    return replace(camera, e_per_adu=camera.e_per_adu / 10 ** (40 / 200))


def dwarf3_lights() -> tuple[list[File], Truth]:
    """Four lights of M 45, one of which the telescope itself rejected (`failed_`), without any dark."""
    sky = scenes.cluster(7, D3.width, D3.height)
    rng = np.random.default_rng([SEED, 200])
    start = datetime(2025, 11, 15, 22, 40, 31, 188000)
    middle = ((D3.width - 1) / 2, (D3.height - 1) / 2)
    files = []
    for i in range(4):
        ended = after(start, 15.4 * i + 15.0)
        drift = rng.normal(0, 1.2, 2) + np.array([0.8, 0.5]) * i
        failed = i == 2
        how: dict[str, Any] = {"elongation": 4.5, "angle_deg": -38.0, "faults": ("trailed", "rejected")}
        cards: Cards = [
            ("DATE-OBS", ended.isoformat(timespec="milliseconds"), "end of exposure"),
            ("EXPTIME", 15.0, ""),
            ("GAIN", 60, ""),
            ("XBINNING", 1, ""),
            ("YBINNING", 1, ""),
            ("FILTER", "Astro", ""),
            ("CAMERA", "TELE", ""),
            ("XPIXSZ", 2.0, ""),
            ("FOCALLEN", 150.0, ""),
            ("DET-TEMP", 14, ""),
            ("RA", 56.85, ""),
            ("DEC", 24.11667, ""),
            ("OBJECT", "M 45", ""),
            ("BAYERPAT", "RGGB", ""),
            ("TELESCOP", "DWARF 3", ""),
            ("INSTRUME", "DWARF 3", ""),
            ("RESTACK", 0, ""),
            ("ORIGIN", "DWARFLAB", ""),
        ]
        name = f"M 45_15s60_Astro_{ended:%Y%m%d-%H%M%S}{ended.microsecond // 1000:03d}_14C.fits"
        files.append(
            light_file(
                f"{M45}/{'failed_' if failed else ''}{name}",
                sky,
                D3,
                cards,
                exposure_s=15.0,
                to_frame=similarity(drift[0], drift[1], 0.05 * i, 1.0, middle),
                fwhm_px=round(float(rng.uniform(2.3, 2.5)) * (1.7 if failed else 1.0), 3),
                beta=3.5,
                sky_e_s=(4.5, 6.0, 5.2),
                temperature_c=14.0,
                **(how if failed else {}),
            )
        )
    info = {
        "DEC": 24.11667,
        "RA": 3.79,
        "binning": "1*1",
        "exp": "15",
        "format": "FITS",
        "gain": 60,
        "ir": "Astro",
        "maxTemp": 14,
        "minTemp": 14,
        "shotsStacked": 3,
        "shotsTaken": 4,
        "shotsToTake": 60,
        "target": "M 45",
    }
    truth = session_truth(sky, D3, 15.0, files)
    files.append(File(f"{M45}/shotsInfo.json", text=json.dumps(info, separators=(",", ":"))))
    return files, truth
