"""A Siril 1.0 script that stacks a benchmark set: masters, calibration, registration, winsorized 3 3."""

from pathlib import Path

SCRIPT = """requires 1.0.0
setext fits
set32bits
setcpu {cpus}
cd {set}/biases
convert bias -out={work}
cd {work}
stack bias rej w 3 3 -nonorm -out=bias_stacked
cd {set}/darks
convert dark -out={work}
cd {work}
stack dark rej w 3 3 -nonorm -out=dark_stacked
cd {set}/flats
convert flat -out={work}
cd {work}
preprocess flat -bias=bias_stacked
stack pp_flat rej w 3 3 -norm=mul -out=flat_stacked
cd {set}/lights
convert light -out={work}
cd {work}
preprocess light -dark=dark_stacked -flat=flat_stacked -cc=dark -cfa -equalize_cfa -debayer
register pp_light
stack r_pp_light rej w 3 3 -norm=addscale -out={out}
close
"""


def write_script(folder: Path, work: Path, out: Path, cpus: int) -> Path:
    """The script that stacks the set in `folder`; intermediates go to `work`, the result to `out` (.fits)."""
    script = work / "stack.ssf"
    text = SCRIPT.format(set=folder.resolve(), work=work, out=out.with_suffix(""), cpus=cpus)
    script.write_text(text, encoding="utf-8")
    return script


def registered_frames(work: Path, lights: list[str]) -> dict[str, Path]:
    """The registered frames that Siril left, by the name of the light."""
    found = {}
    for number, name in enumerate(lights, 1):
        path = work / f"r_pp_light_{number:05d}.fits"
        if path.is_file():
            found[name] = path
    return found
