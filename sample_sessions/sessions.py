"""What the sample library holds: three sessions of lights, calibration frames, and what is true of them."""

from sample_sessions.dwarf import M42, M45, dwarf2_darks, dwarf2_lights, dwarf3_lights
from sample_sessions.nina import M51, mono_calibration, mono_lights
from sample_sessions.parts import File
from sample_sessions.sky import Truth


def library() -> tuple[list[File], dict[str, Truth]]:
    """Every file of the sample library, and the truth of its sessions by folder."""
    orion, orion_truth = dwarf2_lights()
    pleiades, pleiades_truth = dwarf3_lights()
    whirlpool, whirlpool_truth = mono_lights()
    files = [*orion, *dwarf2_darks(), *pleiades, *whirlpool, *mono_calibration()]
    return files, {M42: orion_truth, M45: pleiades_truth, f"{M51}/LIGHT": whirlpool_truth}
