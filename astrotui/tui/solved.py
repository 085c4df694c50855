"""What a plate solver found, in words for people."""

from typing import Any

from astrotui.text import clean


def solved_lines(result: dict[str, Any]) -> list[str]:
    """What a plate solver found, in words."""
    lines: list[str] = []
    for one in result["solved"]:
        what = f"session {one['session']}" if "session" in one else f"stack {one['stack']}"
        if not one["solved"]:
            lines.append(f"{what}: not found: {one['reason']}")
            continue
        named = f" It is named {one['named']} now." if one["named"] else ""
        lines.append(f"{what}: {in_the_sky(one)}.{named}")
    return [clean(line, 600) for line in lines]


def in_the_sky(field: dict[str, Any]) -> str:
    """Place, size and contents of a field that was solved."""
    hours, degrees = field["ra_deg"] / 15, abs(field["dec_deg"])
    sign = "-" if field["dec_deg"] < 0 else "+"
    right = f"{int(hours):02d}h{hours % 1 * 60:04.1f}m"
    place = f"{right} {sign}{int(degrees):02d}d{degrees % 1 * 60:02.0f}m"
    turned = f"turned by {field['rotation_deg']:.1f}{', mirrored' if field['mirrored'] else ''}"
    inside = f", with {', '.join(field['objects'])}" if field["objects"] else ""
    return (
        f"{place}, {field['width_deg']:.2f} x {field['height_deg']:.2f} degrees, "
        f'{field["scale_arcsec"]:.2f}"/px, {turned}{inside}'
    )
