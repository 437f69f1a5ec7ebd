"""What remains of a trial: the recordings with their labels, and the table."""

import csv
import json
import os

# Garbage and sessions come and go within seconds; a floor is the lowest look of a minute.
FLOOR_SECONDS = 60
# The slope is taken from the last part of the leak: runtimes fill their heaps first.
SLOPE_SHARE = 0.8


def write_recordings(out, programs, verdicts):
    """Two sets of series with labels: as the exporter sampled them, and as the independent reader did, in `proc`."""
    programs = sorted(programs, key=lambda program: program.plan.seed)
    looks = {program.plan.name: program.looks for program in programs}
    for folder, series in ((out, verdicts.sizes), (os.path.join(out, "proc"), looks)):
        os.makedirs(folder, exist_ok=True)
        for name, samples in series.items():
            with open(os.path.join(folder, name + ".csv"), "w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(("t_seconds", "bytes"))
                rows.writerows((f"{at:.3f}", size) for at, size in samples)
        with open(os.path.join(folder, "labels.jsonl"), "w", encoding="utf-8") as file:
            for program in programs:
                if series[program.plan.name]:
                    file.write(json.dumps(label(program, verdicts.limits.get(program.plan.name))) + "\n")
    with open(os.path.join(out, "verdicts.jsonl"), "w", encoding="utf-8") as file:
        for name in verdicts.lines:
            kept = verdicts.lines[name]
            last = verdicts.now.get(name)
            for verdict in kept + ([last] if last and last is not kept[-1] else []):
                file.write(json.dumps(verdict) + "\n")


def label(program, limit):
    plan = program.plan
    return {
        "name": plan.name,
        "label": int(plan.leaks),
        "family": f"{plan.runtime}_{'leak' if plan.leaks else 'healthy'}",
        "onset_s": round(program.onset, 3) if plan.leaks and program.onset is not None else None,
        "rate_bytes_per_s": plan.bytes_per_second if plan.leaks else 0.0,
        "measured_bytes_per_s": measured(program),
        "limit_bytes": limit,
        "restarts_s": [],
        "dt_s": 3.0,
        "died_at_limit": False,
        "patterns": ["linear"] if plan.leaks else ["stable", "saturating", "periodic"],
    }


def measured(program):
    """The independent reader's growth over the last part of the leak, or of its twin; None if it saw too little."""
    looks = program.looks
    if not looks or program.onset is None:
        return None
    end = looks[-1][0]
    return slope(looks, end - SLOPE_SHARE * (end - program.onset))


def slope(looks, since):
    """Growth of the floor in bytes per second, by least squares over the minima of each minute; None if too few."""
    floors = {}
    for at, size in looks:
        if at >= since:
            window = int(at / FLOOR_SECONDS)
            floors[window] = min(floors.get(window, (size, at)), (size, at))
    points = [(at, size) for size, at in floors.values()]
    if len(points) < 3:
        return None
    mean_at = sum(at for at, _ in points) / len(points)
    mean_size = sum(size for _, size in points) / len(points)
    variance = sum((at - mean_at) ** 2 for at, _ in points)
    return sum((at - mean_at) * (size - mean_size) for at, size in points) / variance


def table(programs, verdicts):
    """Prints a row for each program and the figures below; gives F1."""
    print(
        f"{'runtime':8}{'MB/h':>5} {'label':8}{'state':10}{'confirmed':>11}{'highest':>9}{'final':>7}"
        f"{'MB/h exporter':>15}{'MB/h reader':>13}{'apart':>9}"
    )
    results = [Result(program, verdicts) for program in sorted(programs, key=lambda program: program.plan.seed)]
    for result in results:
        print(result.row())
    leaks = sum(program.plan.leaks for program in programs)
    found = sum(result.found for result in results)
    accused = sum(result.accused for result in results)
    precision = found / (found + accused) if found + accused else 0.0
    recall = found / leaks if leaks else 0.0
    f1 = 2 * precision * recall / (precision + recall) if found else 0.0
    print(
        f"precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}: "
        f"{found} of {leaks} leaks found, {accused} of {len(programs)} programs accused wrongly"
    )
    return f1


class Result:
    """What came out for one program."""

    def __init__(self, program, verdicts):
        plan = program.plan
        self.program = program
        self.now = verdicts.now.get(plan.name, {"state": "unknown", "confidence": 0})
        self.highest = verdicts.highest.get(plan.name, 0)
        self.onset = program.onset if plan.leaks and program.onset is not None else float("inf")
        first = verdicts.first_confirmation(plan.name, 0)
        self.confirmed = verdicts.first_confirmation(plan.name, self.onset)
        # Confirmed before the leak, or in a program that has none.
        self.accused = first is not None and first < self.onset
        # Found is what was confirmed in time and still is at the end.
        self.found = self.confirmed is not None and self.now["state"] == "confirmed"

    def row(self):
        plan = self.program.plan
        exporter, reader = self.now.get("growth_bytes_per_second"), measured(self.program)
        apart = exporter / reader - 1 if exporter is not None and reader and plan.leaks else None
        if self.accused:
            confirmed = "wrongly"
        else:
            confirmed = f"{(self.confirmed - self.onset) / 60:.1f} min" if self.confirmed is not None else "–"
        return (
            f"{plan.runtime:8}{plan.rate_mb_per_hour:5} {'leak' if plan.leaks else 'healthy':8}{self.now['state']:10}"
            f"{confirmed:>11}{self.highest:9.3f}{self.now['confidence']:7.3f}{per_hour(exporter):>15}"
            f"{per_hour(reader):>13}{'–' if apart is None else f'{apart:+.1%}':>9}"
        )


def per_hour(bytes_per_second):
    return "–" if bytes_per_second is None else f"{bytes_per_second * 3600 / 1e6:.1f}"
