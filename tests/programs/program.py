"""A watched program for the end-to-end tests, in Python. README.md beside this file says what every option and
behaviour means; all five sources follow it alike.

Live memory is made of bytes objects of 1 to 8 KiB, headers included, each filled with written content, so that resident
memory follows the amount asked for.
"""

import collections
import ctypes
import math
import os
import re
import select
import signal
import sys
import time

# Work happens in short ticks: often enough for a smooth curve at 200 ms sampling, seldom enough to cost no CPU.
TICK_SECONDS = 0.04
# After a stall, garbage is not made up for, since a burst would move the peak and not the floor.
LONGEST_GARBAGE_SECONDS = 0.2
LARGEST_BLOCK = 8192
# A bytes object has 33 bytes beside its content and malloc keeps 8 before it. The content is shorter by that much, so
# that blocks are powers of two: they fill the gaps that garbage leaves to the last byte, where odd sizes would lose
# some 5 % to remainders too small to use.
HEADER_BYTES = 33 + 8
# The slot of a block in the list.
SLOT_BYTES = 8

BEHAVIOURS = ("leak", "sawtooth", "warmup", "daily", "step", "steady")


def main():
    options = read_options(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    sizes = random_stream(options["--seed"])
    base = Pool(sizes)
    base.resize(options["--base"])
    live = Pool(sizes)
    cache = Flow(sizes)
    cache.turn(options["--cache"], options["--cache"])
    sessions = Flow(sizes)
    garbage = Garbage(sizes, options["--garbage"])
    give_back = GiveBack(options["--amplitude"])
    wanted = live_curve(options)
    print(f"ready pid={os.getpid()}", flush=True)

    start = time.monotonic()
    while not input_ended(TICK_SECONDS):
        seconds = time.monotonic() - start
        if seconds >= options["--seconds"]:
            break
        give_back.after(live.resize(wanted(seconds)))
        cache.turn(*through_the_cache(options, seconds))
        work = done_work(options, seconds)
        sessions.turn(options["--sessions"] * work, options["--sessions"] * options["--life"] * pace(options, seconds))
        garbage.make(work)


def input_ended(wait_seconds):
    """Waits for the next tick, and answers early when standard input has something to say."""
    try:
        ready, _, _ = select.select([0], [], [], wait_seconds)
        return bool(ready) and not os.read(0, 4096)
    except OSError:
        return True


def through_the_cache(options, seconds):
    """The bytes that have entered the cache, and how many it may hold: once it leaks, nothing leaves it."""
    leaks = options["--behaviour"] == "leak"
    bound = options["--cache"]
    if not leaks and bound == 0:
        return 0, 0
    leaked = options["--rate"] * max(0, seconds - options["--onset"]) if leaks else 0
    return bound + options["--rate"] * seconds, bound + leaked


def pace(options, seconds):
    """How much busier than usual the program is: the load swings."""
    return 1 + options["--swing"] / 100 * math.sin(2 * math.pi * seconds / options["--period"])


def done_work(options, seconds):
    """The sum of the pace since the start, which is the seconds where the load does not swing."""
    turn = 2 * math.pi / options["--period"]
    return seconds + options["--swing"] / 100 * (1 - math.cos(turn * seconds)) / turn


def live_curve(options):
    """The bytes held above the base and the cache, as a function of the seconds since the start."""
    amplitude, period = options["--amplitude"], options["--period"]
    curves = {
        "sawtooth": sawtooth(amplitude, period, random_stream(options["--seed"] + 1)),
        "warmup": lambda seconds: amplitude * (1 - math.exp(-seconds / period)),
        "daily": lambda seconds: amplitude * (1 - math.cos(2 * math.pi * seconds / period)) / 2,
        "step": lambda seconds: 0 if seconds < period else amplitude,
    }
    return curves.get(options["--behaviour"], lambda seconds: 0)


def sawtooth(amplitude, period, random):
    """The slope is constant and the drop comes early or late by up to a quarter, so the peaks vary by as much."""

    def cycle_length():
        return period * (0.75 + 0.5 * next(random) / 2**32)

    began, ends = 0.0, cycle_length()

    def curve(seconds):
        nonlocal began, ends
        while seconds >= ends:
            began, ends = ends, ends + cycle_length()
        return amplitude * (seconds - began) / period

    return curve


class Pool:
    """A stack of bytes objects that is resized to a number of bytes, overhead included."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.bytes = 0
        self.blocks = []

    def resize(self, target):
        """Returns the change in bytes: above zero for growth, below for blocks dropped."""
        before = self.bytes
        # Stops within half of the largest block of the target, so that the rounding has no lasting direction.
        while self.bytes + LARGEST_BLOCK / 2 <= target:
            size = block_size(self.sizes)
            self.blocks.append(written(size))
            self.bytes += size + SLOT_BYTES
        while self.blocks and self.bytes - LARGEST_BLOCK > target:
            self.bytes -= len(self.blocks.pop()) + HEADER_BYTES + SLOT_BYTES
        return self.bytes - before


class Flow:
    """A queue of bytes objects: new ones enter at the end, and the oldest leave once it holds more than it may."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.bytes = 0
        self.entered = 0
        self.blocks = collections.deque()

    def turn(self, entered, bound):
        """Lets objects in until so many bytes have entered in all, and out until it holds no more than the bound."""
        while self.entered + LARGEST_BLOCK / 2 <= entered:
            size = block_size(self.sizes)
            self.blocks.append(written(size))
            self.bytes += size + SLOT_BYTES
            self.entered += size + SLOT_BYTES
        while self.blocks and self.bytes - LARGEST_BLOCK > bound:
            self.bytes -= len(self.blocks.popleft()) + HEADER_BYTES + SLOT_BYTES


class Garbage:
    """Short-lived objects: the ones of a tick are held until the next, then dropped."""

    def __init__(self, sizes, bytes_per_second):
        self.sizes = sizes
        self.bytes_per_second = bytes_per_second
        self.last = 0.0
        self.owed = 0.0
        self.held = []

    def make(self, seconds):
        self.owed += self.bytes_per_second * min(seconds - self.last, LONGEST_GARBAGE_SECONDS)
        self.last = seconds
        self.held.clear()
        while self.owed > 0:
            size = block_size(self.sizes)
            self.held.append(written(size))
            self.owed -= size


class GiveBack:
    """Asks the allocator to return dropped memory after each eighth of the amplitude, and when a descent has ended."""

    def __init__(self, amplitude):
        self.enough = amplitude / 8
        self.dropped = 0
        # Only glibc has malloc_trim; elsewhere the allocator returns what it sees fit.
        self.trim = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def after(self, change):
        if change < 0:
            self.dropped -= change
        if self.dropped > 0 and (self.dropped >= self.enough or change > 0):
            self.dropped = 0
            if self.trim:
                self.trim(0)


scratch = bytearray(b"memory  " * (LARGEST_BLOCK // 8))
written_so_far = 0


def written(size):
    """A block of its own with new content: every byte is copied, so every page of it is touched."""
    global written_so_far
    written_so_far = (written_so_far + 1) & 0xFFFFFFFF
    scratch[:4] = written_so_far.to_bytes(4, "little")
    return bytes(memoryview(scratch)[: size - HEADER_BYTES])


def block_size(random):
    return 1024 << (next(random) >> 30)


def random_stream(seed):
    """Xorshift in 32 bits, since every one of the five languages computes it alike."""
    state = (seed * 2654435761 + 2654435769) & 0xFFFFFFFF or 1
    while True:
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        yield state


def read_whole(text):
    return int(text) if re.fullmatch("[0-9]{1,10}", text) and int(text) <= 10**9 else None


def read_positive(text):
    return float(text) if re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text) and 0 < float(text) <= 10**6 else None


PERCENT = ("a whole number from 0 to 100", lambda text: read_whole(text) if (read_whole(text) or 0) <= 100 else None)
WHOLE = ("a whole number from 0 to 1000000000", read_whole)
POSITIVE = ("a number above 0, at most 1000000", read_positive)
OPTIONS = {
    "--behaviour": ("one of " + ", ".join(BEHAVIOURS), lambda text: text if text in BEHAVIOURS else None),
    "--rate": WHOLE,
    "--onset": WHOLE,
    "--garbage": WHOLE,
    "--sessions": WHOLE,
    "--life": POSITIVE,
    "--swing": PERCENT,
    "--base": WHOLE,
    "--cache": WHOLE,
    "--amplitude": WHOLE,
    "--period": POSITIVE,
    "--seed": WHOLE,
    "--seconds": POSITIVE,
}


def read_options(words):
    options = {
        "--rate": 200000, "--onset": 0, "--garbage": 4000000, "--sessions": 0, "--life": 5, "--swing": 0,
        "--base": 25165824, "--cache": 0, "--amplitude": 33554432, "--period": 60, "--seed": 1, "--seconds": 900,
    }
    for i in range(0, len(words), 2):
        name = words[i]
        if name not in OPTIONS:
            refuse(f"unknown option '{name}', accepted: {', '.join(OPTIONS)}")
        expected, read = OPTIONS[name]
        if i + 1 == len(words):
            refuse(f"{name}: value missing, expected {expected}")
        options[name] = read(words[i + 1])
        if options[name] is None:
            refuse(f"{name}: '{words[i + 1]}' is not {expected}")
    if "--behaviour" not in options:
        refuse(f"--behaviour: missing, expected {OPTIONS['--behaviour'][0]}")
    return options


def refuse(message):
    print(f"program: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
