"""Checks of the trial itself, without running it: `python3 -B benches/real-programs/check.py`."""

import contextlib
import io
import types
import unittest

import fleet
import report
import verdicts as said

PAGE = """\
# HELP memleak_area_size_bytes Size.
memleak_area_size_bytes{target="c_20_leak",kind="process",area="anon"} 5000
memleak_area_size_bytes{target="c_20_leak",kind="process",area="rss"} 7000
memleak_area_size_bytes{target="stranger",kind="process",area="anon"} 9000
memleak_area_last_sample_timestamp_seconds{target="stranger",kind="process",area="anon"} 1003
memleak_area_last_sample_timestamp_seconds{target="c_20_leak",kind="process",area="anon"} 1003
memleak_area_leak_state{target="c_20_leak",kind="process",area="anon"} 2
memleak_area_leak_confidence_ratio{target="c_20_leak",kind="process",area="anon"} 0.97
memleak_area_pattern{target="c_20_leak",kind="process",area="anon",pattern="linear"} 1
memleak_area_pattern{target="c_20_leak",kind="process",area="anon",pattern="step"} 0
"""
ONSET = 600


def program(leaks):
    """A program that has run for an hour and grown by 1000 bytes a second since the onset."""
    plan = fleet.Plan("c", 20, leaks, 1 if leaks else 2, 0, ONSET, 300)
    looks = [(at, 10**6 + (1000 * max(0, at - ONSET) if leaks else 0)) for at in range(0, 3600, 3)]
    return types.SimpleNamespace(plan=plan, ready=0, onset=ONSET, looks=looks)


def work(plan):
    """Options of a program, without those in which it differs from its twin."""
    words, _ = plan.command("/programs")
    first = words.index("--behaviour")
    options = dict(zip(words[first::2], words[first + 1 :: 2]))
    return {name: options[name] for name in options if name not in ("--behaviour", "--onset", "--period", "--seed")}


def figures(leaks_states, healthy_states):
    """F1 of one leak and its twin, whose states are given as (seconds, state)."""
    programs = [program(True), program(False)]
    verdicts = said.Verdicts("", [program.plan.name for program in programs], 0)
    for program_, states in zip(programs, (leaks_states, healthy_states)):
        name = program_.plan.name
        lines = [{"series": name, "t": at, "state": state, "confidence": 0.5} for at, state in states]
        verdicts.lines[name], verdicts.now[name] = lines, lines[-1]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        return report.table(programs, verdicts), text.getvalue()


class Score(unittest.TestCase):
    quiet = [(0, "none")]

    def test_a_leak_confirmed_after_its_onset_and_a_quiet_twin_are_right(self):
        f1, text = figures([(0, "none"), (900, "confirmed")], self.quiet)
        self.assertEqual(f1, 1.0)
        self.assertIn("5.0 min", text)

    def test_each_mistake_costs(self):
        mistakes = {
            "missed": ([(0, "none")], self.quiet),
            "dropped again": ([(900, "confirmed"), (1200, "none")], self.quiet),
            "before the onset": ([(300, "confirmed"), (400, "none"), (900, "confirmed")], self.quiet),
            "twin accused": ([(900, "confirmed")], [(900, "confirmed"), (1000, "none")]),
        }
        for name, states in mistakes.items():
            self.assertLess(figures(*states)[0], 1.0, name)


class Reader(unittest.TestCase):
    def test_the_slope_is_that_of_the_floor(self):
        looks = [(at, 1000 * at + (at * at % 977 * 1000 if at % 20 else 0)) for at in range(0, 3600)]
        self.assertAlmostEqual(report.slope(looks, 600), 1000, delta=1)

    def test_too_few_floors_give_no_slope(self):
        self.assertIsNone(report.slope([(at, at) for at in range(100)], 0))


class Page(unittest.TestCase):
    def test_only_anonymous_memory_of_the_programs_is_read(self):
        verdicts = said.Verdicts("", ["c_20_leak"], 1000)
        for name, values in said.areas(PAGE, verdicts.sizes).items():
            verdicts.remember(name, values)
            verdicts.remember(name, values)
        self.assertEqual(verdicts.sizes, {"c_20_leak": [(3, 5000)]})
        kept = verdicts.lines["c_20_leak"]
        self.assertEqual([(v["state"], v["confidence"], v["pattern"]) for v in kept], [("confirmed", 0.97, "linear")])


class Fleet(unittest.TestCase):
    def test_each_leak_has_a_twin_that_does_the_same_work(self):
        plans = fleet.plan(7, 600, 60)
        self.assertEqual(len(plans), 2 * len(fleet.RUNTIMES) * len(fleet.RATES_MB_PER_HOUR))
        self.assertEqual(plans, fleet.plan(7, 600, 60))
        for leak, twin in zip(plans[::2], plans[1::2]):
            self.assertEqual(work(leak), work(twin))
            # Programs count whole seconds.
            self.assertTrue(599 <= leak.starts + leak.onset <= 661)

    def test_from_the_start_means_the_first_second(self):
        self.assertEqual({plan.onset for plan in fleet.plan(7, None, 60)}, {0})


if __name__ == "__main__":
    unittest.main()
