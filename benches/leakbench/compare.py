"""The detector beside a baseline at the same number of false alarms: what counts is who finds more, and sooner.

The confirmations are decided anew from the trace that `analyze --every-look` writes, with another threshold and the
detector's own patience.
"""
import collections
import json
import math
import statistics

# As in src/detect/episode.rs; `disagreements` finds out when they no longer fit. What depends on the area stands in the
# trace.
CONFIRM_AT = 0.88
CLEAR_BELOW = 0.2
WAVERING_PACE = 0.5
# The thresholds that are tried, in log-odds.
GRID = [step / 4 for step in range(-24, 33)]


def log_odds(share):
    return math.log(share / (1 - share))


def share(odds):
    return 1 / (1 + math.exp(-odds))


def read(path):
    """The lines of a file of verdicts, by series, in the order of time."""
    by_series = collections.defaultdict(list)
    with open(path) as lines:
        for line in lines:
            verdict = json.loads(line)
            by_series[verdict["series"]].append(verdict)
    for verdicts in by_series.values():
        verdicts.sort(key=lambda verdict: verdict["t"])
    return by_series


def read_trace(path):
    """Of every look its time, its confidence, and how soon people are told of a change of mind, by series."""
    looks = collections.defaultdict(list)
    with open(path) as lines:
        for line in lines:
            verdict = json.loads(line)
            if "tempo" in verdict:
                looks[verdict["series"]].append((verdict["t"], verdict["confidence"], verdict["tempo"]))
    return looks


def moved(threshold, confirm_at):
    """The other thresholds move with that of confirmation."""
    return share(log_odds(threshold) + log_odds(confirm_at) - log_odds(CONFIRM_AT))


def sure_time(before, confidence, secs, confirm_at, tempo):
    """The time of sureness after so many seconds more, or none when it is over."""
    if confidence >= moved(tempo["very_sure_at"], confirm_at):
        return 0.0 if before is None else before + tempo["haste"] * secs
    if confidence >= confirm_at:
        return 0.0 if before is None else before + secs
    if before is not None and confidence >= moved(tempo["wavers_to"], confirm_at):
        return max(0.0, before - WAVERING_PACE * secs)
    return None


def decide(looks, restarts, confirm_at, clear_below):
    """When it would have been confirmed and when not, as verdicts: the state machine of the detector."""
    verdicts, restarts = [], list(restarts)
    confirmed, sure, noted_at, doubt_since = False, None, None, None
    for now, confidence, tempo in looks:
        if restarts and restarts[0] <= now:
            if confirmed:
                verdicts.append({"t": restarts[0], "state": "none"})
            confirmed, sure, noted_at, doubt_since = False, None, None, None
            restarts = [restart for restart in restarts if restart > now]
        sure = sure_time(sure, confidence, 0.0 if noted_at is None else now - noted_at, confirm_at, tempo)
        noted_at = now
        doubt_since = (now if doubt_since is None else doubt_since) if confidence < clear_below else None
        if doubt_since is not None and now - doubt_since >= tempo["patience_secs"]:
            if confirmed:
                verdicts.append({"t": now, "state": "none"})
            confirmed, sure = False, None
        elif not confirmed and sure is not None and sure >= tempo["patience_secs"]:
            confirmed = True
            verdicts.append({"t": now, "state": "confirmed"})
    return verdicts


class Truth:
    """A labelled set, and what verdicts on it are worth."""

    def __init__(self, score, directory):
        self.score = score
        self.series = []
        for label in score.load(directory / "labels.jsonl"):
            name = label["name"]
            start, end = score.start_of(directory, name), score.end_of(directory, name)
            onset = label["onset_s"] if label["label"] else math.inf
            self.series.append((name, label["restarts_s"], onset, (min(onset, end) - start) / 86400))

    def outcome(self, verdicts_of):
        """False alarms a day, recall, and the median delay in minutes, of the verdicts that the function gives."""
        false, days, found, leaks, delays = 0, 0.0, 0, 0, []
        for name, restarts, onset, clean_days in self.series:
            alarms = [alarm["t"] for alarm in self.score.alarms(verdicts_of(name, restarts))]
            false += sum(alarm < onset for alarm in alarms)
            days += clean_days
            true = [alarm for alarm in alarms if alarm >= onset]
            leaks += onset < math.inf
            if true:
                found += 1
                delays.append((true[0] - onset) / 60)
        delay = statistics.median(delays) if delays else math.nan
        return false / max(days, 1e-9), found / max(leaks, 1), delay


class Moved:
    """The detector with its confirmation moved to another threshold."""

    def __init__(self, truth, looks):
        self.truth, self.looks, self.known = truth, looks, {}

    def outcome(self, odds):
        if odds not in self.known:
            # Lowered, the threshold of clearing goes down with it, or each confirmation would end at once.
            down = min(0.0, odds - log_odds(CONFIRM_AT))
            clear_below = share(log_odds(CLEAR_BELOW) + down)
            self.known[odds] = self.truth.outcome(
                lambda name, restarts: decide(self.looks[name], restarts, share(odds), clear_below)
            )
        return self.known[odds]

    def at(self, false_per_day):
        """The lowest threshold with at most so many false alarms a day, and what comes of it."""
        low, high = 0, len(GRID) - 1
        while low < high:
            middle = (low + high) // 2
            if self.outcome(GRID[middle])[0] <= false_per_day:
                high = middle
            else:
                low = middle + 1
        return share(GRID[low]), self.outcome(GRID[low])

    def disagreements(self, verdicts):
        """In how many series the alarms decided here, at the detector's own threshold, are not the detector's."""
        alarms = self.truth.score.alarms
        count = 0
        for name, restarts, _, _ in self.truth.series:
            ours = decide(self.looks[name], restarts, CONFIRM_AT, CLEAR_BELOW)
            count += [a["t"] for a in alarms(ours)] != [a["t"] for a in alarms(verdicts[name])]
        return count
