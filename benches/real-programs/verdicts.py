"""What the exporter says of the programs, scrape by scrape."""

import re
import urllib.request

SERIES = re.compile(r'^memleak_area_(\w+)\{([^}]*)\} (\S+)$')
LABEL = re.compile(r'(\w+)="([^"]*)"')
STATES = ("none", "suspected", "confirmed")
# A line is kept at each change of state, and so many seconds after the last one.
KEPT_EVERY = 60


class Verdicts:
    """Sizes and verdicts of all programs, in seconds after the trial's beginning."""

    def __init__(self, address, names, began_unix):
        self.address = address
        self.began_unix = began_unix
        self.sizes = {name: [] for name in names}
        self.lines = {name: [] for name in names}
        self.limits = {}
        # The present verdict of each program, and its highest confidence.
        self.now = {}
        self.highest = {}

    def scrape(self):
        with urllib.request.urlopen(self.address, timeout=10) as answer:
            text = answer.read().decode("utf-8")
        for name, values in areas(text, self.sizes).items():
            self.remember(name, values)

    def remember(self, name, values):
        if "last_sample_timestamp_seconds" not in values or "size_bytes" not in values:
            return
        at = values["last_sample_timestamp_seconds"] - self.began_unix
        sizes = self.sizes[name]
        if sizes and at <= sizes[-1][0]:
            return
        sizes.append((at, int(values["size_bytes"])))
        if "limit_bytes" in values:
            self.limits[name] = int(values["limit_bytes"])
        if "leak_state" not in values:
            return
        verdict = line(name, at, values)
        self.highest[name] = max(self.highest.get(name, 0), verdict["confidence"])
        kept = self.lines[name]
        if not kept or kept[-1]["state"] != verdict["state"] or at - kept[-1]["t"] >= KEPT_EVERY:
            kept.append(verdict)
        self.now[name] = verdict

    def first_confirmation(self, name, after):
        """When a program was first confirmed at or after a time, or None."""
        times = (kept["t"] for kept in self.lines[name] if kept["state"] == "confirmed" and kept["t"] >= after)
        return next(times, None)


def areas(text, names):
    """Values of the anonymous memory of the named targets, by target and by the part of the name behind the area."""
    found = {}
    for row in text.splitlines():
        series = SERIES.match(row)
        if not series:
            continue
        labels = dict(LABEL.findall(series[2]))
        if labels.get("area") != "anon" or labels.get("target") not in names:
            continue
        values = found.setdefault(labels["target"], {})
        if series[1] != "pattern":
            values[series[1]] = float(series[3])
        elif float(series[3]) == 1:
            values["pattern"] = labels["pattern"]
    return found


def line(name, at, values):
    """A verdict in the form that scoring programs read."""
    verdict = {
        "series": name,
        "t": round(at, 3),
        "state": STATES[int(values["leak_state"])],
        "confidence": values.get("leak_confidence_ratio", 0),
    }
    optional = {
        "growth_bytes_per_second": "growth_bytes_per_second",
        "pattern": "pattern",
        "time_to_limit_seconds": "time_to_limit_seconds",
        "time_to_limit_low": "time_to_limit_lower_seconds",
    }
    return verdict | {key: values[metric] for key, metric in optional.items() if metric in values}
