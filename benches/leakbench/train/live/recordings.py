#!/usr/bin/env python3
"""Keep recorded sets in a small form, and write them out as labelled sets again (needs nothing but Python).

    recordings.py pack SET_DIR…      SET_DIR/labels.jsonl and its series → recordings/NAME.jsonl.xz
    recordings.py unpack OUT_DIR     recordings/*.jsonl.xz → OUT_DIR/NAME/labels.jsonl and its series

The small form holds one sample per program second, in KiB, as differences; one JSON object per series: its label, and
`kib`, the first size and then the differences, null where there is no sample.
"""
import argparse
import glob
import json
import lzma
import os
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recordings")
STEP = 1.0
KB = 1024


def fail(message):
    sys.exit("recordings.py: " + message)


def read_series(path):
    try:
        with open(path) as f:
            f.readline()
            return [(float(t), int(size)) for t, size in (line.split(",") for line in f)]
    except (OSError, ValueError) as e:
        fail("%s: cannot be read as `t_seconds,bytes`: %s" % (path, e))


def thin(samples):
    """The sample of every step, in KiB as differences, None where a step has none."""
    first = {}
    for t, size in samples:
        first.setdefault(int(t / STEP + 0.5), round(size / KB))
    out, before = [], 0
    for k in range(max(first) + 1):
        out.append(first[k] - before if k in first else None)
        before = first.get(k, before)
    return out


def restore(kib):
    """Times and sizes in bytes from differences in KiB."""
    size = 0
    for k, difference in enumerate(kib):
        if difference is not None:
            size += difference
            yield k * STEP, size * KB


def labels_of(folder):
    try:
        with open(os.path.join(folder, "labels.jsonl")) as f:
            return [json.loads(line) for line in f]
    except (OSError, ValueError) as e:
        fail("%s is no labelled set: %s" % (folder, e))


def pack(folders):
    os.makedirs(FOLDER, exist_ok=True)
    for folder in folders:
        path = os.path.join(FOLDER, os.path.basename(os.path.normpath(folder)) + ".jsonl.xz")
        lines = [json.dumps({**label, "dt_s": STEP, "kib": thin(read_series(os.path.join(folder, label["name"] + ".csv")))},
                            separators=(",", ":")) + "\n" for label in labels_of(folder)]
        with lzma.open(path, "wt", preset=9 | lzma.PRESET_EXTREME) as f:
            f.writelines(lines)
        print("%s: %d series, %d bytes" % (path, len(lines), os.path.getsize(path)))


def unpack(out):
    paths = sorted(glob.glob(os.path.join(FOLDER, "*.jsonl.xz")))
    if not paths:
        fail("no recordings in %s" % FOLDER)
    for path in paths:
        folder = os.path.join(out, os.path.basename(path)[:-len(".jsonl.xz")])
        os.makedirs(folder, exist_ok=True)
        with lzma.open(path, "rt") as f, open(os.path.join(folder, "labels.jsonl"), "w") as labels:
            for line in f:
                label = json.loads(line)
                kib = label.pop("kib")
                with open(os.path.join(folder, label["name"] + ".csv"), "w") as series:
                    series.write("t_seconds,bytes\n")
                    series.writelines("%.3f,%d\n" % row for row in restore(kib))
                labels.write(json.dumps(label) + "\n")
        print(folder)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = ap.add_subparsers(dest="action", required=True)
    actions.add_parser("pack").add_argument("sets", nargs="+")
    actions.add_parser("unpack").add_argument("out")
    a = ap.parse_args()
    pack(a.sets) if a.action == "pack" else unpack(a.out)


if __name__ == "__main__":
    main()
