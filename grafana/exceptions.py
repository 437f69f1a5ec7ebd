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

# Queries (page, panel, letter; or page, "annotation", name) that have no data while all is well.
MAY_BE_EMPTY = {
    ("memleak-exporter", "Reads that failed", "A"): "shows reads that fail, and mostly none does",
    ("memleak-exporter", "Areas judged", "B"): "shows what a limit leaves out, and mostly none does",
    ("memleak-exporter", "OTLP batches", "B"): "shows batches that failed or were lost",
}
