#!/usr/bin/env python3
"""Train the detector's model and write it as src/detect/model/weights.rs (needs numpy and catboost).

    train.py --leakbench DIR --work DIR [--steps sets,features,model] [--threads 2]

1. sets: labelled series to learn from, in WORK/sets: the benchmark's generator with seeds from 101 on and rates drawn at
   random (never seeds 1 and 2, which are what is reported), the `train` half of its real backgrounds, the imagined
   programs of programs.py, and recordings of real ones (live/). The half named `test` and the benchmark's own `live`
   recordings are never read.
2. features: what the detector measures of them, by `cargo run --release --example features`, in WORK/features.
3. model: gradient-boosted symmetric trees on those rows (logistic loss), every series with the weight of its set.
4. patterns: fewer and smaller trees on the generator's rows whose mechanism has a name.
5. table: borders, questions and votes of both as the bytes and 16-bit numbers that the detector reads.

Everything is seeded: the same inputs give the same table.
"""
import argparse
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", "..", ".."))
WEIGHTS = os.path.join(ROOT, "src", "detect", "model", "weights.rs")
CONSTANTS = [np.float32(x) for x in (np.log(2), np.log(10), np.pi, np.e, np.sqrt(2), np.sqrt(0.5), 1 / np.log(10), 1 / np.log(2))]
DEPTH = 6
BORDERS = 40
MOST_COLUMNS = 110
# Votes are whole multiples of this part of a log-odd.
VOTE = 1 / 4096

# What the second model tells apart; the rest of the patterns follow from plain rules.
PATTERNS = ["stable", "linear", "exponential", "step", "spike", "periodic", "saturating"]
PATTERN_TREES, PATTERN_DEPTH = 60, 5

# name: weight of one of its series, share of the looks that are kept, and how it is made:
# generator (seeds, series per family, interval s, hours, rates between, in MB/h) or programs (seed, series, interval, hours,
# options).
GENERATED = {
    "g30": (0.52, 0.025, range(101, 191), 20, 30, 48, (0.7, 700)),
    "g3": (0.1, 0.05, range(301, 367), 24, 3, 6, (12, 700)),
    "g3more": (0.1, 0.05, range(701, 801), 24, 3, 6, (12, 700)),
    "g3long": (0.7, 0.05, range(401, 405), 10, 3, 24, (3, 700)),
    "g1": (0.7, 0.03, range(501, 502), 20, 1, 2, (20, 900)),
    "g1short": (0.7, 0.03, range(502, 506), 20, 1, 1.6, (10, 900)),
    "g10": (1.0, 0.02, range(601, 602), 20, 10, 24, (2, 700)),
    "g15": (1.0, 0.02, range(602, 603), 20, 15, 24, (2, 700)),
    "g60": (1.0, 0.05, range(603, 604), 20, 60, 96, (0.7, 500)),
    "g300": (1.0, 0.05, range(604, 605), 20, 300, 336, (0.5, 200)),
    "g60short": (1.0, 0.05, range(611, 613), 20, 60, 16, (5, 500)),
}
PROGRAMS = {
    "p1": (0.2, 0.03, 1, 1000, 1, 2),
    "p1short": (0.2, 0.03, 2, 1000, 1, 1.5),
    "p3": (0.2, 0.04, 3, 800, 3, 12),
    "p3short": (0.2, 0.03, 4, 1000, 3, 4),
    "p3long": (0.2, 0.03, 5, 400, 3, 30),
    "p10": (0.2, 0.02, 6, 400, 10, 24),
    "p15": (0.2, 0.02, 7, 400, 15, 48),
    "p30": (0.2, 0.02, 8, 800, 30, 72),
    "p60": (0.2, 0.05, 9, 400, 60, 96),
    "p60short": (0.2, 0.05, 10, 500, 60, 10),
    "p60week": (0.2, 0.04, 11, 300, 60, 168),
    "p30day": (0.6, 0.03, 12, 1000, 30, 60, "--load=daily"),
    "p60day": (0.6, 0.03, 13, 500, 60, 120, "--load=daily"),
    # Most leaks come with a new version, after lives without one.
    "p3deploy": (0.5, 0.03, 14, 800, 3, 12, "--deploys"),
    "p30deploy": (0.5, 0.03, 15, 1000, 30, 60, "--deploys"),
    "p60deploy": (0.5, 0.03, 16, 400, 60, 120, "--deploys"),
}
# Recordings of real programs, kept in live/recordings: the same.
RECORDED = {"train_%d" % seed: (8.0, 1.0) for seed in range(1, 19)}
# Rows of a process that has just started count so much more, which fades in this time: there it is hardest to tell a
# leak from a warm-up. The weight depends on nothing but the age, so what is learned stays a probability.
YOUNG_WEIGHT, YOUNG_SECS = 6.0, 5400.0
# The real backgrounds: few and precious too.
REAL = {"real": (12.0, 1.0, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5))}


def random_rates(seed, low, high):
    """Five rates drawn evenly in their logarithm, so that no rate of the reported sets is a special one."""
    rng = np.random.default_rng(seed)
    return ",".join("%.3g" % rate for rate in np.exp(rng.uniform(np.log(low), np.log(high), 5)))


def sets(leakbench):
    """All sets: name, weight, share, command that writes it."""
    python = ["python3"]
    generate, inject = (os.path.join(leakbench, name) for name in ("generate.py", "inject.py"))
    for name, (weight, share, seeds, per_family, interval, hours, rates) in GENERATED.items():
        for seed in seeds:
            yield "%s_%d" % (name, seed), weight, share, lambda out, seed=seed, per_family=per_family, interval=interval, hours=hours, rates=rates: python + [
                generate, out, "--seed", str(seed), "--per-family", str(per_family), "--interval", str(interval),
                "--hours", str(hours), "--rates", random_rates(seed, *rates)]
    for name, (weight, share, seed, series, interval, hours, *options) in PROGRAMS.items():
        yield name, weight, share, lambda out, seed=seed, series=series, interval=interval, hours=hours, options=options: python + [
            os.path.join(HERE, "programs.py"), out, "--seed", str(seed), "--series", str(series),
            "--interval", str(interval), "--hours", str(hours), *options]
    for name, (weight, share) in RECORDED.items():
        # One call writes all of them.
        yield name, weight, share, lambda out: python + [
            os.path.join(HERE, "live", "recordings.py"), "unpack", os.path.dirname(out)]
    for name, (weight, share, rates) in REAL.items():
        yield name, weight, share, lambda out, rates=rates: python + [
            inject, os.path.join(leakbench, "real"), out, "--split", "train", "--rates", ",".join(map(str, rates))]


def side_by_side(commands, threads):
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(subprocess.run, command, check=True, cwd=ROOT) for command in commands]:
            done.result()


def make_sets(a):
    folder = os.path.join(a.work, "sets")
    os.makedirs(folder, exist_ok=True)
    missing = [command(os.path.join(folder, name)) for name, _, _, command in sets(a.leakbench)
               if not os.path.exists(os.path.join(folder, name, "labels.jsonl"))]
    side_by_side([command for at, command in enumerate(missing) if command not in missing[:at]], a.threads)


def make_features(a):
    folder = os.path.join(a.work, "features")
    os.makedirs(folder, exist_ok=True)
    # Features of an earlier detector are of no use: remove the folder after a change of it.
    build = ["cargo", "build", "--release", "--locked", "--example", "features"]
    subprocess.run(build, check=True, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    program = os.path.join(target, "release", "examples", "features")
    side_by_side([[program, os.path.join(a.work, "sets", name), os.path.join(folder, name + ".bin"), str(share)]
                  for name, _, share, _ in sets(a.leakbench)
                  if not os.path.exists(os.path.join(folder, name + ".bin"))], a.threads)


def rows_of(path, columns):
    return np.fromfile(path, dtype="<f4").reshape(-1, columns)


def ages(a, name, rows):
    """The age of the process at each row, in seconds."""
    ages = rows[:, 1].astype(float)
    with open(os.path.join(a.work, "sets", name, "labels.jsonl")) as f:
        restarts = [np.r_[0.0, json.loads(line)["restarts_s"]] for line in f]
    for series in np.unique(rows[:, 0].astype(int)):
        if len(restarts[series]) > 1:
            of_series = rows[:, 0] == series
            lives = np.searchsorted(restarts[series], ages[of_series], side="right") - 1
            ages[of_series] -= restarts[series][lives]
    return np.clip(ages, 0.0, None)


def read_rows(a, names):
    """Features, labels and weights. The weight of a row makes up for the share of looks that were kept."""
    x, y, w = [], [], []
    rng = np.random.default_rng(1)
    for name, weight, _, _ in sets(a.leakbench):
        rows = rows_of(os.path.join(a.work, "features", name + ".bin"), 4 + len(names))
        series = rows[:, 0].astype(int)
        kept = rows[:, 3].astype(float)
        kept *= 1 + YOUNG_WEIGHT * np.exp(-ages(a, name, rows) / YOUNG_SECS)
        of_rows = weight * kept / np.bincount(series, weights=kept)[series]
        # Looks of one series are much alike: a part of them teaches nearly as much in less time. Real ones are few.
        part = 1.0 if name in REAL or name in RECORDED else a.part
        taken = rng.random(len(rows)) < part
        x.append(rows[taken, 4:])
        y.append(rows[taken, 2])
        w.append(of_rows[taken] / part)
    w = np.concatenate(w)
    return np.concatenate(x), np.concatenate(y), w / w.mean()


def feature_names():
    text = subprocess.run(["cargo", "run", "--release", "--locked", "--quiet", "--example", "features", "--", "--names"],
                          check=True, cwd=ROOT, capture_output=True, text=True).stdout
    return text.split()


def fit(a, names):
    from catboost import CatBoostClassifier, Pool
    x, y, w = read_rows(a, names)
    print("%d rows, %d features, %.3f of their weight leaks" % (*x.shape, (y * w).mean()), flush=True)
    model = CatBoostClassifier(iterations=a.trees, depth=DEPTH, learning_rate=a.rate, l2_leaf_reg=20, border_count=BORDERS,
                               random_seed=1, verbose=100, thread_count=a.threads, bootstrap_type="Bernoulli",
                               subsample=0.5, rsm=0.3, boosting_type="Plain",
                               train_dir=os.path.join(a.work, "catboost"))
    model.fit(Pool(x, y, weight=w, feature_names=names))
    model.save_model(os.path.join(a.work, "model.cbm"))
    model.save_model(os.path.join(a.work, "model.json"), format="json")
    return model


def pattern_rows(a, names):
    """Rows of the generator's sets whose mechanism has a name, late enough to be seen; and their classes."""
    x, y, w = [], [], []
    rng = np.random.default_rng(1)
    for name, weight, _, _ in sets(a.leakbench):
        if not name.startswith("g"):
            continue
        rows = rows_of(os.path.join(a.work, "features", name + ".bin"), 4 + len(names))
        with open(os.path.join(a.work, "sets", name, "labels.jsonl")) as f:
            labels = [json.loads(line) for line in f]
        classes = np.array([PATTERNS.index(l["patterns"][0]) for l in labels])
        begins = np.array([l["onset_s"] or 0.0 for l in labels])
        series = rows[:, 0].astype(int)
        seen = rows[:, 1] - begins[series] > 0.15 * rows[:, 1].max()
        keep = seen & (rng.random(len(rows)) < 0.35)
        x.append(rows[keep, 4:])
        y.append(classes[series[keep]])
        families = [l["family"] for l in labels]
        _, family, counts = np.unique(families, return_inverse=True, return_counts=True)
        w.append(weight / counts[family][series[keep]] * rows[keep, 1] / rows[keep, 1].max())
    w = np.concatenate(w)
    return np.concatenate(x), np.concatenate(y), w / w.mean()


def fit_patterns(a, names):
    from catboost import CatBoostClassifier, Pool
    x, y, w = pattern_rows(a, names)
    print("%d rows for patterns" % len(x), flush=True)
    borders = borders_of(read_model(a, "model"))
    unused = [at for at, of_feature in enumerate(borders) if not of_feature]
    model = CatBoostClassifier(loss_function="MultiClass", ignored_features=unused, iterations=PATTERN_TREES, depth=PATTERN_DEPTH, learning_rate=0.3,
                               l2_leaf_reg=20, border_count=BORDERS, random_seed=1, verbose=20, thread_count=a.threads,
                               bootstrap_type="Bernoulli", subsample=0.5, rsm=0.3, boosting_type="Plain",
                               train_dir=os.path.join(a.work, "catboost"))
    # Both models read the same bytes, so the second one may ask only what lies between borders of the first.
    with open(os.path.join(a.work, "borders.tsv"), "w") as f:
        for at, of_feature in enumerate(borders):
            f.writelines("%d\t%r\n" % (at, border) for border in of_feature)
    # "Nothing to say" lies below all borders, as in the detector.
    pool = Pool(np.where(np.isnan(x), np.float32(-3e38), x), y, weight=w)
    pool.quantize(input_borders=os.path.join(a.work, "borders.tsv"))
    model.fit(pool)
    model.save_model(os.path.join(a.work, "patterns.json"), format="json")


def read_model(a, name):
    with open(os.path.join(a.work, name + ".json")) as f:
        return json.load(f)


def borders_of(model):
    return [feature["borders"] or [] for feature in model["features_info"]["float_features"]]


def trees_of(model, depth, dimensions, borders):
    """The questions and votes of all trees, as the detector reads them."""
    questions, votes = [], []
    for tree in model["oblivious_trees"]:
        splits = []
        for split in tree["splits"]:
            of_feature = borders[split["float_feature_index"]]
            at = int(np.argmin(np.abs(np.array(of_feature) - split["border"])))
            assert abs(of_feature[at] - split["border"]) < 1e-5 * max(1, abs(split["border"])), (split, of_feature)
            splits.append((split["float_feature_index"], at))
        leaves = [int(round(v / VOTE)) for v in tree["leaf_values"]]
        assert len(leaves) == dimensions << len(splits)
        # A tree that found fewer questions asks its first one again, and both answers lead to the same leaves.
        while len(splits) < depth:
            leaves = leaves + leaves
            splits.append(splits[0] if splits else (0, 255))
        questions += splits
        votes += leaves
    assert max(map(abs, votes)) < 32768 and max(f for f, _ in questions) < 256
    return questions, votes


def write_weights(a, names):
    model, patterns = read_model(a, "model"), read_model(a, "patterns")
    borders = borders_of(model)
    questions, votes = trees_of(model, DEPTH, 1, borders)
    pattern_questions, pattern_votes = trees_of(patterns, PATTERN_DEPTH, len(PATTERNS), borders)
    with open(WEIGHTS, "w") as f:
        f.write("//! Generated by `benches/leakbench/train/train.py`; not to be edited.\n//!\n")
        f.write("//! %d symmetric trees for the confidence and %d for the pattern, trained on %d sets of simulated series (seeds\n"
                "//! from 101 on), on recorded programs, and on the `train` half of the real backgrounds.\n\n"
                % (len(questions) // DEPTH, len(pattern_questions) // PATTERN_DEPTH, len(list(sets(a.leakbench)))))
        f.write("use super::Question;\nuse crate::detect::features::ALL_FEATURES;\n\n")
        scale, bias = model["scale_and_bias"]
        write_constant(f, "Log-odds of one vote.", "SCALE: f64", repr(float(scale * VOTE)))
        write_constant(f, "Log-odds before any vote.", "BIAS: f64", repr(float(bias[0])))
        write_constant(f, "What the second model tells apart, in the order of its votes.", "PATTERNS: [&str; %d]" % len(PATTERNS),
                       "[%s]" % ", ".join('"%s"' % name for name in PATTERNS))
        write_table(f, "The borders of each feature, ascending.", "BORDERS: [&[f32]; ALL_FEATURES]",
                    ["&[%s]" % ", ".join(number(b) for b in of_feature) for of_feature in borders], 1)
        write_table(f, "The questions of all trees, %d each." % DEPTH, "QUESTIONS: [Question; %d]" % len(questions),
                    ["(%d, %d)" % q for q in questions], 2 * DEPTH)
        write_table(f, "The votes of their leaves, %d each." % 2 ** DEPTH, "VOTES: [i16; %d]" % len(votes),
                    [str(v) for v in votes], 2 ** (DEPTH - 1))
        write_table(f, "The questions of the trees for the pattern, %d each." % PATTERN_DEPTH,
                    "PATTERN_QUESTIONS: [Question; %d]" % len(pattern_questions), ["(%d, %d)" % q for q in pattern_questions], 2 * PATTERN_DEPTH)
        write_table(f, "The votes of their leaves, one for each pattern, %d leaves each." % 2 ** PATTERN_DEPTH,
                    "PATTERN_VOTES: [i16; %d]" % len(pattern_votes), [str(v) for v in pattern_votes], 4 * len(PATTERNS))


def write_constant(f, words, name, value):
    line = "pub(super) const %s = %s;" % (name, value)
    # As rustfmt breaks it.
    f.write("/// %s\n%s\n" % (words, line if len(line) <= MOST_COLUMNS else line.replace(" = ", " =\n    ", 1)))


def write_table(f, words, name, items, per_line):
    f.write("\n/// %s\n#[rustfmt::skip]\npub(super) static %s = [\n" % (words, name))
    for at in range(0, len(items), per_line):
        f.write("    %s,\n" % ", ".join(items[at:at + per_line]))
    f.write("];\n")


def number(border):
    """The shortest decimal that is this border as a 32-bit float."""
    border = np.float32(border)
    if border in CONSTANTS:
        # One step further: a table of numbers must not look as if somebody had typed a constant.
        border = np.nextafter(border, np.float32(np.inf))
    text = str(border)
    return text if any(c in text for c in ".e") else text + ".0"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leakbench", required=True, help="the benchmark's folder: generate.py, inject.py, real/")
    parser.add_argument("--work", required=True, help="where sets, features and the model go (8 GB)")
    parser.add_argument("--steps", default="sets,features,model,patterns,table")
    parser.add_argument("--trees", type=int, default=2000)
    parser.add_argument("--part", type=float, default=0.24, help="part of the rows to learn from")
    parser.add_argument("--rate", type=float, default=0.12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    a = parser.parse_args()
    steps = a.steps.split(",")
    if "sets" in steps:
        make_sets(a)
    if "features" in steps:
        make_features(a)
    if "model" in steps:
        fit(a, feature_names())
    if "patterns" in steps:
        fit_patterns(a, feature_names())
    if "table" in steps:
        write_weights(a, feature_names())


if __name__ == "__main__":
    main()
