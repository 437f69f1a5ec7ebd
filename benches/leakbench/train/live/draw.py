"""Draws programs for record.py: which runtime, which behaviours, under which load, leaking or not.

A program is a dictionary: `arguments` for the sources beside this file, `flags` and `env` for the runtime, the curve of its
load, and what its label says. Sizes are in bytes, times in seconds of the program, rates in bytes per second.
"""
import math

KB, MB, HOUR = 1024, 1048576, 3600
RUNTIMES = ["python", "node", "jvm", "c", "go"]
# What the runtime itself holds, and how much more than its payload a heap takes, both roughly.
OVERHEAD = {"c": 1 * MB, "go": 4 * MB, "python": 8 * MB, "node": 30 * MB, "jvm": 35 * MB}
SPREAD = {"c": 1.1, "go": 1.6, "python": 1.2, "node": 1.3, "jvm": 1.4}
KINDS = {
    "c": ["list", "map", "records", "buffers"],
    "go": ["list", "map", "records", "strings", "closures", "buffers"],
    "python": ["list", "map", "records", "strings", "closures", "buffers", "native"],
    "node": ["list", "map", "records", "strings", "closures", "buffers", "native"],
    "jvm": ["list", "map", "records", "strings", "closures", "buffers", "native"],
}
# Kinds that lie outside of the heap that the runtime reports.
OUTSIDE = {"node": ("buffers", "native"), "jvm": ("native",)}
# Things made in a second of the wall clock, so that thirty programs leave most of a core free.
PACE = 4000


def log_uniform(rng, low, high):
    return math.exp(rng.uniform(math.log(low), math.log(max(low, high))))


def clip(x, low, high):
    return max(low, min(high, x))


def load_curve(rng, seconds):
    """The kind of the load and its curve: a byte per second, 32 for the mean."""
    kind = rng.choices(["even", "noisy", "bursts", "wave", "ramp"], [0.25, 0.3, 0.15, 0.2, 0.1])[0]
    curve = [1.0] * seconds
    if kind == "noisy":
        tau, deviation, x = log_uniform(rng, 20, 1800), rng.uniform(0.1, 0.6), 0.0
        for i in range(seconds):
            x += -x / tau + deviation * math.sqrt(2 / tau) * rng.gauss(0, 1)
            curve[i] = math.exp(x)
    elif kind == "bursts":
        period, busy, quiet = log_uniform(rng, 60, 1800), rng.uniform(0.1, 0.6), rng.uniform(0, 0.4)
        curve = [1.0 if i % period < busy * period else quiet for i in range(seconds)]
    elif kind == "wave":
        period, depth, phase = rng.uniform(1200, 6000), rng.uniform(0.2, 0.9), rng.uniform(0, 2 * math.pi)
        curve = [1 + depth * math.sin(2 * math.pi * i / period + phase) + 0.1 * rng.gauss(0, 1) for i in range(seconds)]
    elif kind == "ramp":
        first, last = rng.uniform(0.2, 1.5), rng.uniform(0.2, 1.5)
        start, end = sorted(rng.uniform(0, seconds) for _ in range(2))
        curve = [first + (last - first) * clip((i - start) / max(1, end - start), 0, 1) for i in range(seconds)]
    mean = sum(max(0, x) for x in curve) / seconds
    return kind, bytes(int(clip(32 * x / mean, 0, 255)) for x in curve)


class Program:
    """A program being drawn: its source of randomness, its behaviours and the size they should take."""

    def __init__(self, rng, runtime, factor):
        self.rng, self.runtime, self.factor = rng, runtime, factor
        self.seconds = int(rng.uniform(60, 100) * 60)
        self.rate = log_uniform(rng, 0.3, 30)
        self.base = log_uniform(rng, 1 * MB, 200 * MB)
        self.behaviours, self.live = [], 0.0
        self.restarts = [round(rng.uniform(0.2, 0.8) * self.seconds)] if rng.random() < 0.1 else []

    def kind(self):
        return self.rng.choice([k for k in KINDS[self.runtime] if k not in ("native", "buffers")])

    def add(self, behaviour, live, **settings):
        text = ",".join("%s=%s" % (k, v if isinstance(v, str) else "%.6g" % v) for k, v in settings.items())
        self.behaviours.append("%s:%s" % (behaviour, text))
        self.live += live

    def share_of_base(self, low, high, least, most):
        return clip(self.base * log_uniform(self.rng, low, high), least, most)

    def add_base(self):
        rng = self.rng
        over = 0 if rng.random() < 0.6 else log_uniform(rng, 60, 1800)
        size = max(log_uniform(rng, 64, 64 * KB), self.base / 100000)
        self.add("base", self.base, bytes=self.base, size=size, over=over, kind=self.kind())

    def add_garbage(self):
        rng = self.rng
        size = log_uniform(rng, 64, 32 * KB)
        chunks = clip(log_uniform(rng, 1, 200), 1, 8 * PACE / self.factor / self.rate)
        chunks = max(1, min(chunks, 3 * MB / self.rate / size))
        held = max(1, round(log_uniform(rng, 1, 30)))
        self.add("garbage", size * chunks * held, bytes=size * chunks, size=size, held=held, kind=self.kind())

    def add_cache(self):
        rng = self.rng
        total, fill = self.share_of_base(0.05, 1.5, MB, 120 * MB), log_uniform(rng, 180, 3600)
        size = max(log_uniform(rng, 200, 64 * KB), total / 30000)
        entries, skew = total / size, rng.choice([1, 1, rng.uniform(1, 1.6)])
        fill = min(fill, 0.6 * self.seconds) / skew ** 1.5  # skewed lookups miss less often
        if rng.random() < 0.5:  # fewer keys than fit: ever more of the lookups find theirs
            keys, lookups, bound = entries, 2.5 * entries / fill, 1.2 * total
        else:  # a bound that is reached, with evictions from then on
            keys, lookups, bound = min(6 * entries, 200000), 1.1 * entries / fill, total
        self.add("cache", total, max=bound, size=size, keys=keys, skew=skew,
                 share=lookups / self.rate, kind=self.kind())

    def add_batch(self):
        rng = self.rng
        total, period = self.share_of_base(0.1, 1, MB, 100 * MB), log_uniform(rng, 240, 3600)
        size = max(log_uniform(rng, 200, 256 * KB), total * self.factor / period / PACE)
        self.add("batch", 0.5 * total, bytes=total, size=size, period=period, phase=rng.uniform(0, period),
                 last=period * rng.uniform(0.08, 0.5), kind=self.kind())

    def add_fragment(self):
        rng = self.rng
        total, period = self.share_of_base(0.1, 0.6, MB, 60 * MB), log_uniform(rng, 60, 1200)
        small, large, keep = log_uniform(rng, 32, 512), log_uniform(rng, 2 * KB, 200 * KB), rng.randint(1, 4)
        keep = max(1, min(keep, int(1500 / period)))  # full well before the end
        most = clip(PACE * period / self.factor, 100, 20000)
        if total / ((large - small) / math.log(large / small)) > most:
            small = max(small, 0.3 * total / most)
            large = max(large, 4 * total / most)
        self.add("fragment", total * (0.5 + 0.5 * keep), bytes=total, size=small, max=large, period=period, keep=keep)

    def add_warmup(self):
        rng = self.rng
        total, tau, count = self.share_of_base(0.05, 0.8, MB / 2, 80 * MB), log_uniform(rng, 120, 1800), rng.randint(12, 90)
        at = sorted(tau * math.expm1(rng.uniform(0, math.log1p(self.seconds / tau))) for _ in range(count))
        parts = [rng.lognormvariate(0, 1.1) for _ in range(count)]
        kind = rng.choice(["modules", "map", "map"]) if self.runtime in ("python", "jvm") else "map"
        if kind == "modules":
            total = min(total, 15 * MB)
        steps = "+".join("%.1f/%d" % (t, total * part / sum(parts)) for t, part in zip(at, parts))
        self.add("warmup", total, size=max(log_uniform(rng, 200, 20 * KB), total / 30000), kind=kind, steps=steps)

    def add_sessions(self):
        rng = self.rng
        total, life = self.share_of_base(0.05, 0.6, MB / 2, 60 * MB), log_uniform(rng, 60, 1800)
        size = max(log_uniform(rng, KB, 100 * KB), total * self.factor / life / PACE)
        self.add("sessions", total, bytes=size, life=life, share=total / size / life / self.rate, kind=self.kind())

    def add_pool(self):
        rng = self.rng
        count = log_uniform(rng, 2, 40)
        size = clip(self.base * rng.uniform(0.02, 0.5) / count, 16 * KB, MB)
        self.add("pool", 2 * count * size, size=size, keys=count, max=count * rng.uniform(2, 4))

    def add_reload(self):
        rng = self.rng
        total, period = self.share_of_base(0.2, 1, MB, 80 * MB), log_uniform(rng, 300, 3600)
        size = max(log_uniform(rng, 200, 64 * KB), total * self.factor / period / PACE)
        self.add("reload", 2 * total, bytes=total, size=size, period=period, kind=self.kind())

    def add_log(self):
        rng = self.rng
        most, size, share = log_uniform(rng, 256 * KB, 12 * MB), rng.uniform(60, 300), rng.uniform(0.5, 8)
        most = min(most, self.rate * share * size * log_uniform(rng, 30, 1500))  # flushed in the recording, and more than once
        self.add("log", 0, max=most, size=size, share=share)

    def typical(self):
        return OVERHEAD[self.runtime] + SPREAD[self.runtime] * self.live

    def add_leak(self, curve):
        """The leak, or None where none fits: too slow to show beside the rest, or too fast for the heap."""
        rng, typical = self.rng, self.typical()
        onset = 0.0 if self.restarts or rng.random() < 0.7 else round(rng.uniform(0.1, 0.5) * self.seconds)
        longest = max(self.restarts[0], self.seconds - self.restarts[0]) if self.restarts else self.seconds - onset
        low = max(4 * MB / HOUR, 0.15 * typical / longest)
        most = 600 * MB / HOUR if self.runtime != "jvm" else min(600 * MB / HOUR, (340 * MB - 1.3 * self.live) / longest)
        if most <= low:
            return None
        rate, kind = log_uniform(rng, low, most), rng.choice(KINDS[self.runtime])
        size = max(log_uniform(rng, 200, 20 * KB), rate * self.factor / PACE)
        if kind in ("buffers", "native"):
            size = min(log_uniform(rng, 32 * KB, 2 * MB), rate * longest / 60)
        by = rng.choice(["time", "work"])
        after = curve[int(onset):]
        shown = rate * (sum(after) / len(after) / 32 if by == "work" else 1)
        self.add("leak", rate * longest, rate=rate, size=size, onset=onset, by=by, kind=kind)
        return {"onset_s": onset, "rate_bytes_per_s": shown, "kind": kind}

    def flags(self):
        """Options of the runtime and its environment; None where the heap would not do."""
        rng, flags, env = self.rng, [], {}
        if self.runtime == "jvm":
            fit = [m for m in (64, 96, 128, 192, 256, 384, 512) if m * MB > 1.5 * self.live + 20 * MB]
            if not fit:
                return None
            most = fit[0] if rng.random() < 0.6 else rng.choice(fit)
            least = most if rng.random() < 0.12 else rng.choice([m for m in (8, 16, 32, 64) if m <= most])
            flags = ["-XX:+Use%sGC" % rng.choice(["Serial", "G1", "Parallel"]), "-Xmx%dm" % most, "-Xms%dm" % least]
            flags += ["-XX:MaxDirectMemorySize=2g"]
        elif self.runtime == "node":
            flags = rng.choice([[], [], ["--max-semi-space-size=%d" % rng.choice([1, 2, 4, 8])]])
        elif self.runtime == "go":
            env["GOGC"] = str(rng.choice([50, 100, 100, 200]))
            if rng.random() < 0.2:
                env["GOMEMLIMIT"] = "%dMiB" % (2.2 * self.live / MB + 32)
        else:
            if self.runtime == "python" and rng.random() < 0.15:
                env["PYTHONMALLOC"] = "malloc"
            if rng.random() < 0.4:
                env["MALLOC_MMAP_THRESHOLD_"] = str(rng.choice([16, 64, 128, 1024]) * KB)
            if rng.random() < 0.2:
                env["MALLOC_TRIM_THRESHOLD_"] = str(rng.choice([64, 1024, 16384]) * KB)
        return flags, env


def attempt(rng, runtime, leaking, factor):
    p = Program(rng, runtime, factor)
    load, curve = load_curve(rng, p.seconds)
    p.add_base()
    if rng.random() < 0.85:
        p.add_garbage()
    extras = [p.add_cache, p.add_batch, p.add_fragment, p.add_warmup, p.add_sessions, p.add_pool, p.add_reload, p.add_log]
    for extra in rng.sample(extras, rng.choices([0, 1, 2, 3], [0.12, 0.36, 0.32, 0.2])[0]):
        extra()
    leak = p.add_leak(curve) if leaking else None
    options = p.flags()
    if options is None or (leaking and leak is None):
        return None
    return {
        "runtime": runtime, "seconds": p.seconds, "rate": round(p.rate, 3), "tick": round(rng.uniform(0.4, 1), 2), "load": load,
        "curve": curve, "behaviours": p.behaviours, "flags": options[0], "env": options[1], "restarts": p.restarts,
        "leak": leak, "seed": rng.randrange(1, 1 << 30),
    }


def draw(rng, count, factor, leaking_share=0.45):
    """`count` programs, every runtime about equally often."""
    programs = []
    while len(programs) < count:
        deck = [*RUNTIMES, "python"]
        rng.shuffle(deck)
        for runtime in deck:
            leaking, program = rng.random() < leaking_share, None
            while program is None:
                program = attempt(rng, runtime, leaking, factor)
            programs.append(program)
    return programs[:count]
