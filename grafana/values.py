"""Values as Grafana shows them: units, value mappings, threshold colours and the names of series."""

import re
import time

COLORS = {
    "green": "#73BF69",
    "yellow": "#FADE2A",
    "orange": "#FF9830",
    "red": "#F2495C",
    "dark-red": "#C4162A",
    "blue": "#5794F2",
    "text": "#CCCCDC",
    "purple": "#B877D9",
}
CLASSIC = [
    "#73BF69",
    "#5794F2",
    "#F2CC0C",
    "#B877D9",
    "#FF780A",
    "#8AB8FF",
    "#FF9830",
    "#56A64B",
    "#CA95E5",
    "#E0B400",
    "#37872D",
    "#FFA6B0",
]
SIZES = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (0, "B")]
TIMES = [(86400 * 365, "years"), (86400 * 7, "weeks"), (86400, "days"), (3600, "hours"), (60, "mins"), (1, "s"), (1e-3, "ms"), (0, "µs")]
PER_SECOND = {"ops": "ops/s", "reqps": "req/s", "cps": "c/s", "cpm": "c/m", "hertz": "Hz"}


def color(name):
    """A colour by Grafana's name for it."""
    return COLORS.get(name, name)


def on(background):
    """The colour of text on a background: black on light ones."""
    red, green, blue = (int(background[at : at + 2], 16) for at in (1, 3, 5))
    return "#111217" if 0.299 * red + 0.587 * green + 0.114 * blue > 170 else "white"


def plain(value, decimals):
    """A number with at most so many decimals, by default as many as it needs."""
    if decimals is None:
        decimals = 0 if abs(value) >= 100 or value == int(value) else 2
    return f"{value:.{int(decimals)}f}"


def scaled(value, units, decimals):
    """In the largest unit that it fills."""
    scale, unit = next((scale, unit) for scale, unit in units if abs(value) >= scale)
    divisor = scale if scale else (1e-6 if unit == "µs" else 1)
    return f"{plain(value / divisor, 1 if decimals is None else decimals)} {unit}"


def ago(milliseconds):
    """How long ago a time in Unix milliseconds is, in words."""
    seconds = time.time() - milliseconds / 1000
    count, unit = next((seconds / scale, unit) for scale, unit in TIMES if seconds >= scale)
    return f"{count:.0f} {unit} ago"


def formatted(value, unit, decimals=None):
    """A number in a unit."""
    if unit == "decbytes":
        return scaled(value, SIZES, decimals)
    if unit == "Bps":
        return scaled(value, SIZES, decimals) + "/s"
    if unit == "s":
        return "0 s" if value == 0 else scaled(value, TIMES, decimals)
    if unit == "percentunit":
        return f"{plain(value * 100, decimals if decimals is not None else 1)} %"
    if unit == "dateTimeFromNow":
        return ago(value)
    if unit == "short" and abs(value) >= 1000:
        return scaled(value, [(1e9, "Bil"), (1e6, "Mil"), (1e3, "K")], decimals)
    return f"{plain(value, decimals)} {PER_SECOND.get(unit, '')}".strip()


def threshold_color(value, field):
    """The colour of the highest step at or below the value."""
    reached = [step for step in field["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    return color(reached[-1]["color"])


def mapped(value, field):
    """Text and colour that a mapping gives to a value, or `None`."""
    for mapping in field.get("mappings", []):
        found = mapping["options"].get(plain(value, None))
        if found:
            return found["text"], color(found["color"])
    return None


def shown(value, field):
    """Text and colour of a value."""
    found = mapped(value, field)
    if found:
        return found
    return formatted(value, field.get("unit", "none"), field.get("decimals")), threshold_color(value, field)


def field_of(panel, name):
    """The settings of one series or column: the panel's, and over them those of the overrides that match its name."""
    settings = dict(panel["fieldConfig"]["defaults"])
    settings["custom"] = dict(settings.get("custom", {}))
    for each in panel["fieldConfig"]["overrides"]:
        wanted = each["matcher"]["options"]
        by_pattern = each["matcher"]["id"] == "byRegexp" and re.search(wanted.strip("/"), name)
        if by_pattern or wanted == name:
            for item in each["properties"]:
                _set(settings, item["id"], item["value"])
    return settings


def _set(settings, path, value):
    if path.startswith("custom."):
        settings["custom"][path.removeprefix("custom.")] = value
    else:
        settings[path] = value


def legend(query, labels):
    """The name of a series."""
    if not query["legendFormat"]:
        return ", ".join(f"{name}={value}" for name, value in labels.items())
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found.group(1), ""), query["legendFormat"]).strip()
