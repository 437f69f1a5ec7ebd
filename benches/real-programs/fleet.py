"""The programs of the trial: for each runtime and rate one that leaks and its healthy twin.

A program and its twin have the same flags and do the same work. Runtimes, garbage, heaps and load differ from pair to
pair, as real services do.
"""

import dataclasses
import os
import random

# Bytes. The whole project says MB for a million.
MB = 1_000_000
RATES_MB_PER_HOUR = (20, 100, 500)
RUNTIMES = ("node", "python", "go", "java", "c")


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a pair is run. Bytes, bytes per second and seconds, where nothing else is said."""

    command: tuple
    environment: dict
    base: float
    cache: float
    garbage: float
    sessions: float
    life: float
    # Percent by which the load swings.
    swing: int
    # Share of the growth of resident memory that the program has to hold for it: the collector adds the rest. For Node
    # it is measured: V8 leaves so much free between old objects. Java's follows from MinHeapFreeRatio, and is a little
    # more where full collections become rare as the heap grows.
    held: float = 1.0


def node(*flags):
    return ("node", *flags, "{behaviour}.js"), {}


def java(*flags):
    return ("java", *flags, "-jar", "{behaviour}.jar"), {}


def go(percent):
    # The program knows GOGC and holds less accordingly.
    return ("{behaviour}-go",), {"GOGC": str(percent)}


def native(*command):
    return command, {"MALLOC_ARENA_MAX": "2"}


SETTINGS = {
    ("node", 20): Setting(*node("--max-old-space-size=768"), 70 * MB, 12 * MB, 3.0 * MB, 0.35 * MB, 6, 20, held=0.88),
    ("node", 100): Setting(*node(), 90 * MB, 20 * MB, 4.0 * MB, 0.40 * MB, 4, 10, held=0.87),
    ("node", 500): Setting(
        *node("--max-semi-space-size=8"), 60 * MB, 16 * MB, 2.5 * MB, 0.30 * MB, 8, 25, held=0.89,
    ),
    ("python", 20): Setting(*native("python3", "{behaviour}.py"), 110 * MB, 16 * MB, 1.0 * MB, 0.20 * MB, 8, 20),
    ("python", 100): Setting(*native("python3", "{behaviour}.py"), 90 * MB, 10 * MB, 1.5 * MB, 0.30 * MB, 5, 30),
    ("python", 500): Setting(*native("python3", "{behaviour}.py"), 140 * MB, 24 * MB, 2.0 * MB, 0.40 * MB, 3, 10),
    ("go", 20): Setting(*go(50), 120 * MB, 16 * MB, 3.0 * MB, 0.30 * MB, 5, 20),
    ("go", 100): Setting(*go(100), 150 * MB, 24 * MB, 4.0 * MB, 0.50 * MB, 3, 10),
    ("go", 500): Setting(*go(75), 100 * MB, 12 * MB, 2.0 * MB, 0.20 * MB, 8, 30),
    ("java", 20): Setting(
        *java("-XX:+UseSerialGC", "-Xms48m", "-Xmn12m", "-Xmx512m", "-XX:MinHeapFreeRatio=20"),
        80 * MB, 12 * MB, 3.0 * MB, 0.40 * MB, 6, 15, held=0.80,
    ),
    ("java", 100): Setting(
        *java("-XX:+UseSerialGC", "-Xms64m", "-Xmn24m", "-Xmx768m", "-XX:MinHeapFreeRatio=15"),
        70 * MB, 16 * MB, 4.0 * MB, 0.50 * MB, 4, 20, held=0.85,
    ),
    ("java", 500): Setting(
        *java("-XX:+UseSerialGC", "-Xms32m", "-Xmn16m", "-Xmx1g", "-XX:MinHeapFreeRatio=25"),
        90 * MB, 20 * MB, 2.5 * MB, 0.35 * MB, 8, 25, held=0.83,
    ),
    ("c", 20): Setting(*native("{behaviour}-c"), 150 * MB, 10 * MB, 2.0 * MB, 0.30 * MB, 5, 20),
    ("c", 100): Setting(*native("{behaviour}-c"), 100 * MB, 20 * MB, 4.0 * MB, 0.50 * MB, 3, 30),
    ("c", 500): Setting(*native("{behaviour}-c"), 120 * MB, 32 * MB, 3.0 * MB, 0.40 * MB, 8, 10),
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """One program of the trial."""

    runtime: str
    rate_mb_per_hour: int
    leaks: bool
    seed: int
    # Seconds after the trial's beginning.
    starts: float
    # Whole seconds after the program's own start.
    onset: int
    # Length of a swing of its load, in seconds.
    period: int

    @property
    def name(self):
        return f"{self.runtime}_{self.rate_mb_per_hour}_{'leak' if self.leaks else 'healthy'}"

    @property
    def bytes_per_second(self):
        return self.rate_mb_per_hour * MB / 3600

    def command(self, directory):
        """Words and environment of the program, found in a directory that tests/programs/build has filled."""
        setting = SETTINGS[self.runtime, self.rate_mb_per_hour]
        behaviour = "leak" if self.leaks else "steady"
        words = [
            os.path.join(directory, word.format(behaviour=behaviour)) if "{behaviour}" in word else word
            for word in setting.command
        ]
        options = {
            "--behaviour": behaviour,
            "--rate": round(self.bytes_per_second * setting.held),
            "--onset": self.onset,
            "--garbage": round(setting.garbage),
            "--sessions": round(setting.sessions),
            "--life": setting.life,
            "--swing": setting.swing,
            "--period": self.period,
            "--base": round(setting.base),
            "--cache": round(setting.cache),
            "--seconds": 1_000_000,
            # The rule that names the program looks for it at the end.
            "--seed": self.seed,
        }
        for name, value in options.items():
            words += [name, str(value)]
        return words, setting.environment


def plan(seed, warm_seconds, stagger_seconds):
    """All programs, with random phases that follow from the seed. `warm_seconds` is None for leaks from the start."""
    dice = random.Random(seed)
    pairs = [(runtime, rate, leaks) for runtime in RUNTIMES for rate in RATES_MB_PER_HOUR for leaks in (True, False)]
    plans = []
    for number, (runtime, rate, leaks) in enumerate(pairs):
        starts = dice.uniform(0, stagger_seconds)
        onset = 0 if warm_seconds is None else round(warm_seconds + dice.uniform(0, stagger_seconds) - starts)
        period = dice.randint(150, 500)
        plans.append(Plan(runtime, rate, leaks, seed * 100 + number, starts, max(0, onset), period))
    return plans
