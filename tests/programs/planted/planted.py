"""A program that leaks in one place: planted.py KIND [ARGUMENT…] RUN

KIND is malloc or pool (of a native module, whose path follows), shared (memory by a name), sockets (to an address and
port, never closed), events (files of a directory, whose path follows), or files (pages of a file, whose path follows: no
leak). RUN tells this run from others. Ends when
its standard input does.
"""

import ctypes
import mmap
import os
import select
import socket
import sys

STEP_SECS = 0.1
STEP_BYTES = 100_000


def module(path, function):
    leak = getattr(ctypes.CDLL(path), function)
    leak.argtypes = [ctypes.c_size_t]
    leak.restype = None
    return lambda: leak(STEP_BYTES)


def shared():
    kept = []
    pages = -(-STEP_BYTES // mmap.PAGESIZE) * mmap.PAGESIZE
    descriptor = os.memfd_create("planted")

    def step():
        os.ftruncate(descriptor, (len(kept) + 1) * pages)
        block = mmap.mmap(descriptor, pages, offset=len(kept) * pages)
        block.write(b"x" * pages)
        kept.append(block)

    return step


def sockets(host, port):
    kept = []
    return lambda: kept.append(socket.create_connection((host, int(port))))


def files(path):
    file = open(path, "rb")
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    seen = 0

    def step():
        nonlocal seen
        end = min(seen + 10 * STEP_BYTES, len(mapped))
        sum(mapped[place] for place in range(seen, end, mmap.PAGESIZE))
        seen = end
        file.seek(0)
        file.read(STEP_BYTES)

    return step


def events(directory):
    made = 0

    def step():
        nonlocal made
        for made in range(made + 1, made + 6):
            with open(os.path.join(directory, "%d.json" % made), "w") as file:
                file.write("{}")

    return step


KINDS = {
    "malloc": lambda path: module(path, "forget_blocks"),
    "pool": lambda path: module(path, "fill_pool"),
    "shared": shared,
    "sockets": sockets,
    "events": events,
    "files": files,
}


def main():
    kind, *arguments = sys.argv[1:-1]
    step = KINDS[kind](*arguments)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], STEP_SECS)[0]:
        step()


main()
