"""What the checks of the dashboards let pass, each with its reason."""

CONFIGURED = "repeats what stands in the configuration, for rules of one's own; what follows from it is shown"

STREAMS = "of interest to who serves the page to hundreds; a bound keeps them from harming anybody"

# Metrics of docs/metrics.md that no alert and no page uses.
METRICS_NOT_SHOWN = {
    "memleak_exporter_streams": STREAMS,
    "memleak_exporter_streams_dropped_total": STREAMS,
    "memleak_exporter_severity_confidence_ratio": CONFIGURED,
    "memleak_exporter_severity_growth_per_day_ratio": CONFIGURED,
    "memleak_exporter_severity_time_to_limit_seconds": CONFIGURED,
}

NO_APPLICATION = "no application that tells of itself is watched in the test"
NO_DIRECTORY = "no directory is watched in the test"
NOT_READ = "the parts of a target are read where that is switched on"

# Pages that need what the test does not have. Their queries are asked all the same, to see that they are taken.
PAGES_WITHOUT_DATA = {"memleak-runtime": NO_APPLICATION}

# Queries (page, panel, letter; or page, "annotation", name) that have no data while all is well.
MAY_BE_EMPTY = {
    ("memleak-exporter", "Reads that failed", "A"): "shows reads that fail, and mostly none does",
    ("memleak-exporter", "Areas judged", "B"): "shows what a limit leaves out, and mostly none does",
    ("memleak-exporter", "OTLP batches", "B"): "shows batches that failed or were lost",
    ("memleak-fleet", "What leaks, worst first", "K"): "shows how fast counted areas leak, and here none does",
    ("memleak-target", "Areas that are counted", "B"): "shows a limit of objects once a fifth of it is used",
    ("memleak-target", "Budget", "C"): "shows budgets of objects, whose only rule is about files",
    ("memleak-exporter", "Sources of applications", "A"): NO_APPLICATION,
    ("memleak-target", "Who holds the memory", "A"): NOT_READ,
    ("memleak-target", "Which part grows, an hour", "A"): NOT_READ,
    **{("memleak-target", "Parts", letter): NOT_READ for letter in "ABCDEFG"},
    ("memleak-target", "Descriptors by kind", "A"): NOT_READ,
    ("memleak-target", "Garbage collection", "A"): NO_APPLICATION,
    ("memleak-target", "Age of the oldest file", "A"): NO_DIRECTORY,
    ("memleak-target", "annotation", "Killed for want of memory"): "the kernel kills nothing while there is memory",
}
