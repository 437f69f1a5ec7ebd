#!/usr/bin/env python3
"""Write a labelled set of memory series of imagined programs, to train the detector on (needs numpy).

    programs.py OUT_DIR --seed N [--series 400] [--interval 3] [--hours 12] [--load daily] [--deploys]

Each series is a small simulation of one program: it starts up, takes load, makes garbage under some collector, fills
caches, keeps or returns pages to the system, is deployed anew, and leaks or does not. The labels have the form that the
benchmark's scorer reads. Same arguments, same set.
"""
import argparse
import json
import os

import numpy as np

KB, MB = 1024.0, 1048576.0
HOUR, DAY = 3600.0, 86400.0
# Kinds of load and how common they are.
LOADS = {"even": 0.25, "noisy": 0.3, "daily": 0.2, "bursts": 0.15, "ramps": 0.1}


def log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def smooth(rng, n, dt, tau, deviation):
    """An AR(1) of time constant tau seconds with this stationary deviation."""
    phi = np.exp(-dt / tau)
    shocks = rng.normal(0, deviation * np.sqrt(1 - phi * phi), n)
    out, value = np.empty(n), rng.normal(0, deviation)
    for i in range(n):
        value = phi * value + shocks[i]
        out[i] = value
    return out


class Program:
    """The clock, the random source and the habits of one program."""

    def __init__(self, rng, interval, hours, load):
        self.rng, self.dt = rng, interval
        self.t = np.arange(0, hours * HOUR, interval)
        if rng.random() < 0.4:
            self.t = self.t + rng.uniform(-0.15, 0.15, len(self.t)) * interval
        self.n = len(self.t)
        self.hours = hours
        self.base = log_uniform(rng, 3 * MB, 8000 * MB)
        self.load = self.draw_load(load)
        self.work = np.cumsum(self.load) * interval

    def draw_load(self, kind):
        """Requests a second against the mean of 1, of this kind or of any."""
        rng, t, n, dt = self.rng, self.t, self.n, self.dt
        kind = kind or rng.choice(list(LOADS), p=list(LOADS.values()))
        load = np.ones(n)
        if kind == "noisy":
            load = np.exp(smooth(rng, n, dt, log_uniform(rng, 30, 7200), rng.uniform(0.1, 0.6)))
        elif kind == "daily":
            phase = rng.uniform(0, 2 * np.pi)
            load = 1 + rng.uniform(0.2, 0.9) * np.sin(2 * np.pi * t / DAY + phase)
            load *= 1 + rng.uniform(0, 0.3) * np.sin(4 * np.pi * t / DAY + rng.uniform(0, 6.3))
            if rng.random() < 0.5:
                weekend = ((t / DAY + rng.uniform(0, 7)) % 7) > 5
                load = np.where(weekend, rng.uniform(0.2, 0.7) * load, load)
            # No two days are alike, and some loads have no other noise than that.
            differ = rng.uniform(0, 0.3)
            days = rng.uniform(1 - differ, 1 + differ, int(t[-1] / DAY) + 3)
            load = load * days[(t / DAY + phase / (2 * np.pi) + 0.25).astype(int)]
            if rng.random() < 0.6:
                load = load * np.exp(smooth(rng, n, dt, log_uniform(rng, 300, 3600), 0.1))
        elif kind == "bursts":
            period = log_uniform(rng, 300, 6 * HOUR)
            busy = ((t + rng.uniform(0, period)) % period) < rng.uniform(0.1, 0.6) * period
            load = np.where(busy, 1.0, rng.uniform(0, 0.3))
        elif kind == "ramps":
            knots = np.cumsum(rng.exponential(log_uniform(rng, 900, 4 * HOUR), 200))
            load = np.interp(t, np.r_[0, knots], np.exp(np.clip(np.cumsum(rng.normal(0, 0.4, 201)), -1.5, 1.5)))
        return np.clip(load, 0, None) / max(load.mean(), 1e-9)

    def ages(self, restarts):
        begins = np.r_[0.0, restarts]
        life = np.searchsorted(restarts, self.t, side="right") if len(restarts) else np.zeros(self.n, int)
        return np.clip(self.t - begins[life], 0, None), life


def start_up(p, age):
    """The first seconds to minutes: from a part of the base to all of it, in a few strides."""
    rng = p.rng
    lasts = log_uniform(rng, 1, 240)
    strides = rng.integers(1, 12)
    at = np.sort(rng.random(strides)) * lasts
    part = rng.dirichlet(np.ones(strides)) * rng.uniform(0.2, 0.95)
    return p.base * (1 - part.sum() + sum(s * (age >= a) for s, a in zip(part, at)))


def warm_up(p, age):
    rng = p.rng
    kind = rng.choice(["none", "curve", "strides", "log"], p=[0.35, 0.3, 0.25, 0.1])
    height = p.base * log_uniform(rng, 0.03, 1.5)
    tau = log_uniform(rng, 20, 3 * HOUR)
    if kind == "curve":
        return height * (1 - np.exp(-age / tau))
    if kind == "strides":
        count = rng.integers(4, 120)
        at = tau * np.expm1(rng.uniform(0, np.log1p(8.0), count))
        size = rng.lognormal(0, 1.0, count)
        order = np.argsort(at)
        heights = np.concatenate([[0], np.cumsum(size[order] / size.sum())]) * height
        return heights[np.searchsorted(at[order], age)]
    if kind == "log":
        return height * np.log1p(age / tau) / np.log1p(2 * DAY / tau)
    return 0.0


def caches(p, age, life):
    """Bounded caches: entries come with the work, until the bound or until all keys are known."""
    rng = p.rng
    if rng.random() < 0.6:
        return 0.0
    bound = p.base * log_uniform(rng, 0.05, 2)
    fills = log_uniform(rng, 300, 12 * HOUR)
    work = p.work - np.r_[0, p.work[np.searchsorted(life, np.arange(1, life.max() + 1))]][life] if life.max() else p.work
    delay = 0 if rng.random() < 0.6 else rng.uniform(0, 0.5) * p.hours * HOUR
    work = np.clip(work - delay, 0, None)
    if rng.random() < 0.35:
        filled = np.minimum(bound, bound * work / fills)
        if rng.random() < 0.3:
            filled = filled * np.where(filled >= bound, 1 + 0.02 * smooth(rng, p.n, p.dt, 600, 1), 1)
        return filled
    return bound * (1 - np.exp(-work * 2.5 / fills))


def in_flight(p):
    """What requests hold while they run: it follows the load, with a lag."""
    rng = p.rng
    if rng.random() < 0.4:
        return 0.0
    lag = log_uniform(rng, 1, 1800)
    gain = 1 - np.exp(-p.dt / lag)
    out, value = np.empty(p.n), p.load[0]
    for i in range(p.n):
        value += gain * (p.load[i] - value)
        out[i] = value
    return p.base * log_uniform(rng, 0.005, 0.5) * out


def garbage(p, live):
    """What lies beside the live bytes until it is collected."""
    rng = p.rng
    kind = rng.choice(["counted", "young", "pacer", "generations", "idle"], p=[0.35, 0.2, 0.2, 0.15, 0.1])
    if kind == "counted":
        return np.abs(rng.normal(0, p.base * log_uniform(rng, 1e-5, 5e-3), p.n))
    period = log_uniform(rng, 2, 1800)
    young = p.base * log_uniform(rng, 0.02, 0.6)
    pace = young / period
    out, heap, old = np.empty(p.n), rng.random() * young, 0.0
    promoted = rng.uniform(0.02, 0.2) if kind == "generations" else 0.0
    bound = p.base * log_uniform(rng, 0.1, 1.0)
    percent = rng.choice([0.5, 1.0, 1.0, 2.0])
    if kind == "pacer":
        pace = live.mean() * percent / log_uniform(rng, 3, 900)
    idle = log_uniform(rng, 600, 2 * HOUR)
    for i in range(p.n):
        heap += pace * p.load[i] * p.dt * (1 + 0.1 * rng.normal())
        top = percent * live[i] if kind == "pacer" else young
        if kind == "idle":
            if (p.t[i] % idle) < p.dt:
                heap = 0.0
        elif heap > top:
            turns = heap // max(top, 1.0)
            heap = rng.uniform(0, 0.1) * top + heap - turns * top
            old += promoted * young * turns
        if old > bound:
            old = rng.uniform(0, 0.1) * bound
        out[i] = max(heap, 0.0) + old
    return out


def keep_pages(p, used, life):
    """Resident memory: allocators and collectors give back late, in part, or never."""
    rng = p.rng
    kind = rng.choice(["at once", "never", "slowly"], p=[0.55, 0.25, 0.2])
    if kind == "at once":
        return used
    if kind == "never":
        out = used.copy()
        for one in range(life.max() + 1):
            mine = life == one
            out[mine] = np.maximum.accumulate(used[mine])
        return out + 0.0
    back = 1 - np.exp(-p.dt / log_uniform(rng, 60, 3600))
    out, value = np.empty(p.n), used[0]
    for i in range(p.n):
        value = max(used[i], value + back * (used[i] - value))
        out[i] = value
    return out


def leak(p, rate, onset, age, life):
    """Bytes that nobody needs any more: with the clock or with the work, smooth or in pieces, in bursts or ever faster."""
    rng = p.rng
    begun = p.t >= onset
    with_work = rng.random() < 0.5
    pace = (p.load if with_work else np.ones(p.n)) * begun * rate * p.dt
    kind = rng.choice(["smooth", "pieces", "table", "bursts", "faster"], p=[0.4, 0.22, 0.22, 0.08, 0.08])
    name = "linear"
    if kind == "pieces":
        piece = log_uniform(rng, 64 * KB, max(128 * KB, rate * 1200))
        pace = rng.poisson(pace / piece) * piece
    elif kind == "bursts":
        period = log_uniform(rng, 600, 4 * HOUR)
        share = rng.uniform(0.2, 0.7)
        pace = np.where((p.t % period) < share * period, pace / share, 0)
    elif kind == "faster":
        doubling = rng.uniform(0.15, 0.5) * p.hours * HOUR
        pace = pace * 2 ** np.minimum(np.clip(p.t - onset, 0, None) / doubling, 8)
        name = "exponential"
    leaked = np.cumsum(pace)
    starts = np.searchsorted(life, np.arange(1, life.max() + 1))
    leaked = leaked - np.r_[0.0, leaked[starts]][life]
    if kind == "table":
        # A hash table or a vector that holds what is leaked grows by a factor each time it is full.
        share, factor = rng.uniform(0.15, 0.6), rng.choice([1.125, 1.5, 2.0, 2.0])
        first = log_uniform(rng, 64 * KB, 2 * MB)
        table = first * factor ** np.ceil(np.log(np.maximum(share * leaked, first) / first) / np.log(factor) - 1e-9)
        leaked = (1 - share) * leaked + np.where(leaked > 0, table, 0.0)
    return leaked, name


def onset_of(rng, restarts, span, deploys):
    """When a leak begins: with the process, in its midst, or with one of the deploys, which is the usual way."""
    if deploys and rng.random() < 0.75:
        life = rng.integers(0, len(restarts))
        begins, ends = [*restarts, span][life:life + 2]
        return float(begins + rng.choice([0.0, rng.uniform(0, 0.4)]) * (ends - begins))
    return 0.0 if restarts or rng.random() < 0.5 else float(rng.uniform(0.1, 0.6) * span)


def draw(rng, interval, hours, load, deploys):
    p = Program(rng, interval, hours, load)
    span = p.t[-1]
    leaks = rng.random() < 0.4
    restarts = []
    if deploys or rng.random() < 0.15:
        restarts = sorted(rng.uniform(0.1, 0.95, rng.integers(1, 4)) * span)
    age, life = p.ages(np.array(restarts))
    live = start_up(p, age) + warm_up(p, age) + caches(p, age, life) + in_flight(p)
    rate, onset, name = 0.0, None, None
    if leaks:
        rate = min(log_uniform(rng, 0.5, 1500) * MB / HOUR, 20 * p.base / HOUR)
        # A leak that changes the size by less than a twentieth in the time there is would be no lesson.
        rate = max(rate, 0.05 * p.base / span)
        onset = onset_of(rng, restarts, span, deploys)
        leaked, name = leak(p, rate, onset, age, life)
        live = live + leaked
    elif rng.random() < 0.25:
        for at in rng.uniform(0, span, rng.integers(1, 5)):
            live = live + p.base * rng.uniform(0.02, 0.6) * rng.choice([1, 1, -0.3]) * (p.t > at)
    live = np.maximum(live, 0.05 * p.base)
    size = keep_pages(p, live + garbage(p, live), life)
    if rng.random() < 0.5:
        size = size + smooth(rng, p.n, p.dt, log_uniform(rng, 5, 4 * HOUR), p.base * log_uniform(rng, 1e-4, 0.02))
    quantum = rng.choice([4 * KB, 4 * KB, 64 * KB, KB, MB])
    size = np.maximum(np.round(size / quantum) * quantum, 0)
    keep = np.ones(p.n, bool)
    limit, died = p.base * float(rng.choice([1.5, 2, 4, 8, 16])), False
    if leaks and not restarts:
        over = np.where((size > limit) & (p.t > onset + 900))[0]
        if len(over):
            keep[over[0] + 1:], died = False, True
    if rng.random() < 0.2:
        gap = rng.uniform(0.1, 0.9) * span
        keep &= ~((p.t > gap) & (p.t < gap + log_uniform(rng, 60, 7200)))
    label = dict(label=int(leaks), family="program" + (" leak" if leaks else ""), onset_s=onset, rate_bytes_per_s=rate,
                 limit_bytes=limit, restarts_s=[float(x) for x in restarts], dt_s=interval, died_at_limit=died,
                 patterns=[name] if leaks else ["stable", "periodic", "saturating", "step", "spike"])
    return p.t[keep], size[keep], label


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--series", type=int, default=400)
    parser.add_argument("--interval", type=float, default=3.0)
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--load", choices=LOADS, help="of all programs; without it each has its own")
    parser.add_argument("--deploys", action="store_true", help="start every program anew, and let most leaks come with that")
    a = parser.parse_args()
    os.makedirs(a.out, exist_ok=True)
    with open(os.path.join(a.out, "labels.jsonl"), "w") as labels:
        for k in range(a.series):
            rng = np.random.default_rng([a.seed, k])
            t, size, label = draw(rng, a.interval, a.hours, a.load, a.deploys)
            label["name"] = "program_%04d" % k
            with open(os.path.join(a.out, label["name"] + ".csv"), "w") as f:
                f.write("t_seconds,bytes\n")
                f.writelines("%.3f,%d\n" % row for row in zip(t, size))
            labels.write(json.dumps(label) + "\n")


if __name__ == "__main__":
    main()
