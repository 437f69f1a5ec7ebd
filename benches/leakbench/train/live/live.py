"""One program in CPython for record.py: what it does stands in its arguments, see README.md."""
import collections
import ctypes
import importlib
import math
import random
import sys
import time

MODULES = """json decimal email.message http.client xml.dom.minidom sqlite3 asyncio unittest.mock logging.config csv zipfile tarfile
ssl difflib argparse multiprocessing.pool concurrent.futures xmlrpc.client http.server html.parser ipaddress statistics fractions
pydoc doctest ast dis inspect tokenize ctypes.util smtplib imaplib ftplib urllib.request calendar locale gettext optparse shelve
pickletools plistlib lzma bz2 zipapp turtledemo distutils.core lib2to3.pgen2.driver ensurepip venv cgi wsgiref.simple_server
encodings.idna encodings.big5 encodings.euc_jp encodings.cp932 unicodedata curses mailbox mimetypes netrc nntplib telnetlib""".split()


class Record:
    def __init__(self, number, payload):
        self.number, self.name, self.payload, self.tags = number, "record-%d" % number, payload, [number, number + 1]


class Parts:
    """The behaviours; each takes its own settings `p`, the age of the program and the load."""

    def __init__(self, rng):
        self.rng, self.number, self.modules = rng, 0, list(MODULES)
        rng.shuffle(self.modules)

    def varied(self, size):
        return max(16, int(size * self.rng.uniform(0.5, 1.5)))

    def thing(self, kind, size):
        self.number += 1
        if kind == "records":
            return Record(self.number, b"r" * size)
        if kind == "strings":
            return "s" * (size - 8) + "%08d" % (self.number % 100000000)
        if kind == "closures":
            payload = "c" * size
            return lambda: payload
        if kind == "native":
            return ctypes.create_string_buffer(b"n" * size, size)
        if kind == "buffers":
            return bytearray(b"b") * size
        return b"m" * size

    def keep(self, p, kind, size):
        """Adds one thing to what is never dropped."""
        if kind == "map":
            p.setdefault("map", {})["key-%d" % self.number] = self.thing(kind, size)
        else:
            p.setdefault("list", []).append(self.thing(kind, size))
        return size

    def base(self, p, now, dt, load, requests):
        want = p["bytes"] * (min(1, now / p["over"]) if p["over"] else 1)
        while p.get("used", 0) < want:
            p["used"] = p.get("used", 0) + self.keep(p, p["kind"], self.varied(p["size"]))

    def garbage(self, p, now, dt, load, requests):
        held = p.setdefault("list", collections.deque())
        for _ in range(requests):
            held.append([self.thing(p["kind"], self.varied(p["size"])) for _ in range(max(1, int(p["bytes"] / p["size"])))])
            while len(held) > p["held"]:
                held.popleft()

    def cache(self, p, now, dt, load, requests):
        entries = p.setdefault("map", collections.OrderedDict())
        p["owed"] = p.get("owed", 0) + requests * p["share"]
        while p["owed"] >= 1:
            p["owed"] -= 1
            key = int(p["keys"] * self.rng.random() ** p["skew"])
            if key in entries:
                entries.move_to_end(key)
                continue
            entries[key] = self.thing(p["kind"], self.varied(p["size"]))
            p["used"] = p.get("used", 0) + p["size"]
            while p["used"] > p["max"]:
                entries.popitem(last=False)
                p["used"] -= p["size"]

    def batch(self, p, now, dt, load, requests):
        since = (now + p["phase"]) % p["period"]
        if since >= p["last"]:
            p["list"], p["map"], p["used"] = [], {}, 0
            return
        while p.get("used", 0) < p["bytes"] * min(1, since / (0.3 * p["last"])):
            p["used"] = p.get("used", 0) + self.keep(p, p["kind"], self.varied(p["size"]))

    def fragment(self, p, now, dt, load, requests):
        if now < p.get("next", 0):
            return
        p["next"] = now + p["period"] * self.rng.uniform(0.7, 1.3)
        fresh, total = [], 0
        while total < p["bytes"]:
            size = int(p["size"] * (p["max"] / p["size"]) ** self.rng.random())
            fresh.append(bytearray(b"f") * size)
            total += size
        generations = p.setdefault("list", collections.deque())
        generations.append(fresh[::2])
        while len(generations) > p["keep"]:
            generations.popleft()

    def warmup(self, p, now, dt, load, requests):
        while p["steps"] and p["steps"][0][0] <= now:
            left = p["steps"].pop(0)[1]
            if p["kind"] == "modules" and self.modules:
                try:
                    importlib.import_module(self.modules.pop())
                except Exception:  # a module that this Python was built without loads nothing
                    pass
                continue
            while left > 0:
                left -= self.keep(p, "map", self.varied(min(left, p["size"])))

    def sessions(self, p, now, dt, load, requests):
        due = p.setdefault("map", {})
        p["owed"] = p.get("owed", 0) + requests * p["share"]
        while p["owed"] >= 1:
            p["owed"] -= 1
            ends = int(now + min(7200, self.rng.expovariate(1 / p["life"])))
            due.setdefault(ends, []).append({"user": self.number, "data": self.thing(p["kind"], self.varied(p["bytes"]))})
        for second in range(p.get("seen", 0), int(now)):
            due.pop(second, None)
        p["seen"] = int(now)

    def pool(self, p, now, dt, load, requests):
        pool = p.setdefault("list", [])
        want = min(p["max"], p["keys"] * load * math.exp(0.4 * self.rng.gauss(0, 1)))
        while len(pool) < want:
            pool.append(bytearray(b"p") * int(p["size"]))

    def reload(self, p, now, dt, load, requests):
        if now < p.get("next", 0):
            return
        p["next"] = now + p["period"]
        fresh, total = {}, 0
        while total < p["bytes"]:
            size = self.varied(p["size"])
            fresh[len(fresh)] = self.thing(p["kind"], size)
            total += size
        p["map"] = fresh

    def log(self, p, now, dt, load, requests):
        lines = p.setdefault("list", [])
        for _ in range(int(requests * p["share"]) + 1):
            lines.append(self.thing("strings", self.varied(p["size"])))
        if len(lines) * p["size"] > p["max"]:
            text = "\n".join(lines)
            p["list"] = [] if text else lines

    def leak(self, p, now, dt, load, requests):
        if now < p["onset"]:
            return
        p["owed"] = p.get("owed", 0) + p["rate"] * dt * (load if p["by"] == "work" else 1)
        p.setdefault("next", self.varied(p["size"]))
        while p["owed"] >= p["next"]:
            p["owed"] -= self.keep(p, p["kind"], p["next"])
            p["next"] = self.varied(p["size"])


def value(text):
    if "/" in text:
        return [tuple(map(float, step.split("/"))) for step in text.split("+")]
    try:
        return float(text)
    except ValueError:
        return text


def main():
    settings, wanted = {}, []
    for argument in sys.argv[1:]:
        if ":" in argument:
            name, _, rest = argument.partition(":")
            wanted.append((name, {k: value(v) for k, v in (pair.split("=") for pair in rest.split(","))}))
        else:
            key, _, text = argument.partition("=")
            settings[key] = text
    with open(settings["load"], "rb") as f:
        curve = f.read()
    factor, first, rate, tick, until = (float(settings[k]) for k in ("factor", "from", "rate", "tick", "until"))
    parts = Parts(random.Random(int(settings["seed"])))
    start, before, owed = time.monotonic(), 0.0, 0.0
    while before < until:
        now = (time.monotonic() - start) * factor
        dt, load = now - before, curve[min(len(curve) - 1, int(first + now))] / 32
        before, owed = now, min(owed + rate * load * dt, 10 * rate + 10)
        requests = int(owed)
        owed -= requests
        for name, p in wanted:
            getattr(parts, name)(p, now, dt, load, requests)
        time.sleep(tick / factor)


main()
