#!/usr/bin/env python3
"""Record a labelled set of memory series of real programs in fast motion (Linux; needs gcc, node, a JDK and go).

    record.py OUT_DIR --seed N [--series 30] [--factor 10] [--stagger 20] [--minutes M] [--only I,J,…]

Draws programs in C, CPython, Node, Java and Go, runs them side by side with clocks that run FACTOR times as fast as the
wall clock, and writes of each its anonymous resident memory, for Node and Java also the used heap that the program reports,
with labels in the form that the benchmark's scorer reads. README.md beside this file says more.
"""
import argparse
import array
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import draw

HERE = os.path.dirname(os.path.abspath(__file__))
MB, HOUR = 1048576, 3600
PAGE = os.sysconf("SC_PAGE_SIZE")
HEALTHY_PATTERNS = ["stable", "periodic", "step", "spike", "saturating"]
# A leak of which less than this part shows in a series is hidden by its runtime, and the series is left out.
SHOWS = 0.35


def fail(message):
    sys.exit("record.py: " + message)


def build(runtimes, folder):
    """The command of each runtime, its source compiled where it has to be."""
    tools = {"c": "gcc", "go": "go", "jvm": "javac", "node": "node", "python": sys.executable}
    for runtime in runtimes:
        if not shutil.which(tools[runtime]):
            fail("%s is not in PATH; it is needed for the programs in %s" % (tools[runtime], runtime))
    source = lambda name: os.path.join(HERE, name)
    builds = {"c": ["gcc", "-O1", "-o", os.path.join(folder, "live-c"), source("live.c"), "-lm"],
              "go": ["go", "build", "-o", os.path.join(folder, "live-go"), source("live.go")],
              "jvm": ["javac", "-d", folder, source("Live.java")]}
    for runtime in sorted(set(runtimes) & set(builds)):
        done = subprocess.run(builds[runtime], capture_output=True, text=True)
        if done.returncode:
            fail("`%s` failed:\n%s" % (" ".join(builds[runtime]), done.stderr))
    return {"c": [os.path.join(folder, "live-c")], "go": [os.path.join(folder, "live-go")],
            "jvm": [shutil.which("java"), "{flags}", "-XX:-UsePerfData", "-cp", folder, "Live"],
            "node": [shutil.which("node"), "{flags}", source("live.js")], "python": [sys.executable, source("live.py")]}


class Run:
    """One program while it is recorded, through its restarts."""

    def __init__(self, name, program, command, folder, factor):
        self.name, self.program, self.command, self.factor = name, program, command, factor
        self.load, self.heap_path = (os.path.join(folder, name + end) for end in (".load", ".heap"))
        with open(self.load, "wb") as f:
            f.write(program["curve"])
        self.has_heap = program["runtime"] in ("node", "jvm")
        self.heap_fd = os.open(self.heap_path, os.O_RDWR | os.O_CREAT)
        self.errors = open(os.path.join(folder, name + ".err"), "w+b")
        self.process, self.statm, self.begun, self.restarts, self.died = None, None, None, [], None
        self.t, self.anon, self.heap_t, self.heap = (array.array(kind) for kind in "dqdq")
        self.cpu = 0.0

    def start(self, first):
        p = self.program
        os.pwrite(self.heap_fd, b" " * 16, 0)
        settings = dict(factor=self.factor, load=self.load, heap=self.heap_path, rate=p["rate"], tick=p["tick"],
                        seed=p["seed"] + round(first), until=p["seconds"] + 60 - round(first))
        settings["from"] = "%.3f" % first
        command = [word for part in self.command for word in (p["flags"] if part == "{flags}" else [part])]
        command += ["%s=%s" % pair for pair in settings.items()] + p["behaviours"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "PYTHON", "GO", "NODE_", "JAVA_", "_JAVA"))}
        self.process = subprocess.Popen(command, env={**environment, **p["env"]}, stdin=subprocess.DEVNULL,
                                        stdout=self.errors, stderr=self.errors)
        os.setpriority(os.PRIO_PROCESS, self.process.pid, 5)
        self.statm = os.open("/proc/%d/statm" % self.process.pid, os.O_RDONLY)

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.statm)
        self.process = None

    def done(self):
        return self.begun is not None and self.process is None

    def tick(self, wall):
        """Starts, samples, restarts or ends the program."""
        if self.begun is None:
            self.begun = wall
            self.start(0.0)
        now = (time.monotonic() - self.begun) * self.factor
        if now >= self.program["seconds"]:
            self.stop()
            return
        if len(self.restarts) < len(self.program["restarts"]) and now >= self.program["restarts"][len(self.restarts)]:
            self.stop()
            now = (time.monotonic() - self.begun) * self.factor
            self.restarts.append(round(now, 3))
            self.start(now)
        self.sample(now)

    def sample(self, now):
        fields = self.read_statm()
        if fields is None:
            self.errors.seek(0)
            self.died = "ended by itself with code %s after %d s: %s" % (
                self.process.wait(), now, self.errors.read(400).decode(errors="replace").strip())
            self.stop()
            return
        self.t.append(0.0 if not self.t else now)
        self.anon.append((fields[1] - fields[2]) * PAGE)
        told = os.pread(self.heap_fd, 16, 0).strip() if self.has_heap else b""
        if told:
            self.heap_t.append(self.t[-1])
            self.heap.append(int(told))

    def read_statm(self):
        """The fields of statm, or None where the process is no more."""
        if self.process.poll() is not None:
            return None
        try:
            fields = [int(x) for x in os.pread(self.statm, 256, 0).split()]
        except (OSError, ValueError):
            return None
        return fields if len(fields) > 2 and fields[0] else None


def record(runs, factor, stagger):
    """Runs all programs side by side until each has its length."""
    begin, step = time.monotonic(), 1.0 / factor
    starts = [begin + stagger * i / max(1, len(runs)) for i in range(len(runs))]
    n = 0
    while not all(run.done() for run in runs):
        wall = time.monotonic()
        for run, start in zip(runs, starts):
            if wall >= start and not run.done():
                run.tick(wall)
        # Late looks are left out, so that samples never come in a crowd.
        n = max(n + 1, int((time.monotonic() - begin) / step))
        time.sleep(max(0.0, begin + n * step - time.monotonic()))


def slope(t, y):
    """Least squares, bytes per second."""
    mt, my = statistics.fmean(t), statistics.fmean(y)
    return sum((a - mt) * (b - my) for a, b in zip(t, y)) / max(1e-9, sum((a - mt) ** 2 for a in t))


def around(t, y, second, width=60):
    """The median of the samples within `width` seconds after this one, or after the first where that comes later."""
    begin = max(second, t[0])
    return statistics.median([b for a, b in zip(t, y) if begin <= a <= begin + width] or [y[-1]])


def shown_part(run, t, y):
    """Which part of the programmed growth of the longest undisturbed life is seen in the series."""
    leak, length = run.program["leak"], t[-1]
    lives = list(zip([0.0, *run.restarts], [*run.restarts, length]))
    start, end = max(lives, key=lambda life: life[1] - life[0])
    start = max(start, leak["onset_s"])
    grown = around(t, y, end - 60) - around(t, y, start + 20)
    return grown / (leak["rate_bytes_per_s"] * (end - start - 50))


def save(run, out, labels, is_heap):
    """Writes one series and its label, and a line of the table; says why where it leaves one out."""
    program, leak = run.program, run.program["leak"]
    name = run.name + ("_heap" if is_heap else "")
    t, y = (run.heap_t, run.heap) if is_heap else (run.t, run.anon)
    if is_heap and leak and leak["kind"] in draw.OUTSIDE[program["runtime"]]:
        return "%-20s left out: what leaks lies outside of the heap" % name
    part = shown_part(run, t, y) if leak else None
    tail = [(a, b) for a, b in zip(t, y) if a >= t[-1] / 3]
    family = "live %s %s%s" % (program["runtime"], "leak" if leak else "healthy", " heap" if is_heap else "")
    line = "%-20s %-7s %s %7.1f %7.1f %7.1f %7.1f %7.1f  %s  %s" % (
        name, program["runtime"], "leak   " if leak else "healthy", leak["rate_bytes_per_s"] * HOUR / MB if leak else 0,
        slope(*zip(*tail)) * HOUR / MB, around(t, y, 20, 10) / MB, statistics.median(y) / MB, around(t, y, t[-1] - 60) / MB,
        "%5.2f" % part if leak else "    -",
        "+".join(b.split(":")[0] for b in program["behaviours"]) + (" restarted" if run.restarts else ""))
    if leak and part < SHOWS:
        return line + "  LEFT OUT: the leak does not show"
    with open(os.path.join(out, name + ".csv"), "w") as f:
        f.write("t_seconds,bytes\n")
        f.writelines("%.3f,%d\n" % row for row in zip(t, y))
    labels.write(json.dumps({
        "name": name, "label": int(bool(leak)), "family": family, "onset_s": leak["onset_s"] if leak else None,
        "rate_bytes_per_s": leak["rate_bytes_per_s"] if leak else 0.0, "limit_bytes": 4 * statistics.median(y),
        "restarts_s": run.restarts, "dt_s": 1.0, "died_at_limit": False,
        "patterns": ["linear"] if leak else HEALTHY_PATTERNS,
        "program": {k: program[k] for k in ("runtime", "flags", "env", "rate", "tick", "load", "behaviours", "seed")}}) + "\n")
    return line


def save_all(runs, out):
    print("%-20s %-7s %-7s %7s %7s %7s %7s %7s  %5s  %s" % (
        "name", "runtime", "label", "MB/h", "slope", "first", "median", "last", "shown", "behaviours"))
    with open(os.path.join(out, "labels.jsonl"), "w") as labels:
        for run in runs:
            if run.died or len(run.t) < 60:
                print("%-20s left out: %s" % (run.name, run.died or "too few samples"))
                continue
            print(save(run, out, labels, False))
            if run.has_heap:
                print(save(run, out, labels, True))


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--seed", type=int, required=True)
    ap.add_argument("--series", type=int, default=30, help="programs; the heaps that they report come on top")
    ap.add_argument("--factor", type=float, default=10.0, help="program seconds in a second")
    ap.add_argument("--stagger", type=float, default=20.0, help="seconds over which the starts are spread")
    ap.add_argument("--minutes", type=float, help="end all recordings after this many program minutes, to try it out")
    ap.add_argument("--only", help="numbers of the drawn programs to record, such as 3,17; the others are not run")
    a = ap.parse_args()
    try:
        a.only = range(a.series) if a.only is None else [range(a.series)[int(i)] for i in a.only.split(",")]
    except (ValueError, IndexError):
        fail("--only %s: numbers from 0 to %d, separated by commas" % (a.only, a.series - 1))
    if not 1 <= a.series <= 200:
        fail("--series %d: between 1 and 200 programs can run side by side" % a.series)
    if not 1 <= a.factor <= 50:
        fail("--factor %g: between 1 and 50, faster than that no clock of a program keeps up" % a.factor)
    if a.stagger < 0 or (a.minutes is not None and a.minutes < 3):
        fail("--stagger is at least 0 and --minutes at least 3")
    if os.path.exists(os.path.join(a.out, "labels.jsonl")):
        fail("%s holds a set already; remove it or name another folder" % a.out)
    return a


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    a = arguments()
    os.makedirs(a.out, exist_ok=True)
    signal.signal(signal.SIGTERM, interrupted)
    drawn = draw.draw(random.Random(a.seed), a.series, a.factor)
    programs = [drawn[i] for i in a.only]
    for program in programs:
        if a.minutes:
            program["seconds"] = min(program["seconds"], int(a.minutes * 60))
    runs = []
    with tempfile.TemporaryDirectory(prefix="leakbench-live-") as folder:
        commands = build({p["runtime"] for p in programs}, folder)
        try:
            for i, p in zip(a.only, programs):
                runs.append(Run("live_%s_s%d_%02d" % (p["runtime"], a.seed, i), p, commands[p["runtime"]], folder, a.factor))
            record(runs, a.factor, a.stagger)
        except KeyboardInterrupt:
            fail("interrupted; nothing was written")
        finally:
            for run in runs:
                run.stop()
        save_all(runs, a.out)
        used = os.times()
        print("processor time of the programs: %.0f s of %.0f s" % (
            used.children_user + used.children_system, max(run.t[-1] for run in runs if run.t) / a.factor))


if __name__ == "__main__":
    main()
