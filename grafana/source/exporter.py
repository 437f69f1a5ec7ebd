"""Exporter health: whether the watcher itself is well, and what it costs."""

from .queries import buckets, quantile, rate, select
from .schema import (
    BAD,
    DASHED,
    FINE,
    PLAIN,
    SUCCESS,
    WARN,
    YES_IS_BAD,
    annotation,
    column,
    dashboard,
    heatmap,
    now,
    override_like,
    query,
    rows,
    section,
    stat,
    steps,
    table,
    timeline,
    timeseries,
    variable,
)

UID = "memleak-exporter"
TICK = "memleak_exporter_last_tick_timestamp_seconds"
LEGEND = "{{instance}}"


def by_instance(metric, how="max"):
    return f"{how} by (instance) ({select(metric)})"


def headline():
    """Is it well?"""
    lost = f"increase({select('memleak_exporter_dropped_total')}[$__range])"
    return [
        stat(
            ("Exporters that answer", "Share of the chosen exporters that Prometheus can scrape."),
            "percentunit",
            "no exporter",
            [now(f"avg({select('up')})")],
            thresholds=steps(BAD, (1, FINE)),
            decimals=0,
        ),
        stat(
            ("Oldest numbers", "Age of the last tick at the scrape; above five sampling intervals something hangs."),
            "s",
            "no exporter",
            [now(f"max(timestamp({select(TICK)}) - {select(TICK)})")],
            thresholds=steps(FINE, (60, WARN), (300, BAD)),
            decimals=1,
        ),
        stat(
            ("Failing collectors", "Collectors that failed or were late at the last tick."),
            "none",
            "no exporter",
            [now(f"sum({select('memleak_exporter_collector_success')} == bool 0)")],
            thresholds=steps(FINE, (1, BAD)),
        ),
        stat(
            ("Left out by limits", "What configured limits left out within the time range, counted at each tick."),
            "short",
            "no exporter",
            [now(f"sum({lost})")],
            thresholds=steps(FINE, (1, WARN)),
            decimals=0,
        ),
        stat(
            ("Areas judged", "Areas that are remembered and judged."),
            "short",
            "no exporter",
            [now(f"sum({select('memleak_exporter_areas_judged')})")],
            thresholds=steps(PLAIN),
        ),
        stat(
            ("Refused configurations", "Configurations and web files that were refused; what was read before stays in force."),
            "none",
            "no exporter",
            [
                now(
                    f"sum({select('memleak_exporter_config_last_reload_successful')} == bool 0)"
                    f" + (sum({select('memleak_exporter_web_config_last_reload_successful')} == bool 0) or vector(0))"
                )
            ],
            thresholds=steps(FINE, (1, BAD)),
        ),
    ]


def collecting():
    """Reading the world."""
    success = f"min by (instance, collector) ({select('memleak_exporter_collector_success')})"
    source = f"min by (instance, source) ({select('memleak_exporter_source_success')})"
    errors = f"sum by (instance, collector, reason) ({rate('memleak_exporter_collector_errors_total')}) > 0"
    return [
        timeline(
            ("Collectors", "Whether each collector delivered."),
            "none",
            "no exporter",
            [query(success, "{{collector}} on {{instance}}")],
            12,
            8,
            mappings=SUCCESS,
            thresholds=steps(BAD, (1, FINE)),
        ),
        timeseries(
            ("Time of a reading, 99th percentile", "How long each collector takes; more than four fifths of its interval is late."),
            "s",
            "no exporter",
            [query(quantile(0.99, "memleak_exporter_collector_duration_seconds", "instance, collector"), "{{collector}} on {{instance}}")],
            12,
            8,
            min=0,
        ),
        timeline(
            ("Sources of applications", "Whether each configured source told what it was asked for when it was asked last."),
            "none",
            "no source is configured",
            [query(source, "{{source}} {{instance}}")],
            12,
            8,
            mappings=SUCCESS,
            thresholds=steps(BAD, (1, FINE)),
        ),
        timeseries(
            ("Reads that failed", "By reason. Refused reads of other users' processes are usual without CAP_SYS_PTRACE."),
            "ops",
            "no read fails",
            [query(errors, "{{collector}}, {{reason}} on {{instance}}")],
            12,
            8,
            min=0,
        ),
    ]


def ticking():
    """Judging."""
    ticks = f"sum by (instance) ({rate('memleak_exporter_ticks_total')})"
    wanted = f"1 / {by_instance('memleak_exporter_sampling_interval_seconds')}"
    dropped = f"sum by (instance, limit) (increase({select('memleak_exporter_dropped_total')}[$__rate_interval])) > 0"
    return [
        timeseries(
            ("Ticks a second", "How often it samples; dashed: how often it should."),
            "hertz",
            "no exporter",
            [query(ticks, LEGEND), query(wanted, "wanted on {{instance}}")],
            8,
            8,
            min=0,
            overrides=[override_like("/^wanted/", custom__lineStyle=DASHED, custom__fillOpacity=0)],
        ),
        timeseries(
            ("Time of judging, 99th percentile", "How long a tick takes to remember and judge all areas."),
            "s",
            "no exporter",
            [query(quantile(0.99, "memleak_exporter_detect_duration_seconds", "instance"), LEGEND)],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("Areas judged", "And what configured limits leave out, where they do."),
            "short",
            "no exporter",
            [query(by_instance("memleak_exporter_areas_judged"), LEGEND), query(dropped, "left out by {{limit}} on {{instance}}")],
            8,
            8,
            min=0,
        ),
    ]


def verdicts():
    """What comes out, over all areas."""
    delay = select("memleak_exporter_detection_delay_seconds_bucket")
    return [
        heatmap(
            ("Verdicts by confidence", "How many verdicts fell into each range of confidence."),
            "percentunit",
            "no verdicts yet",
            [query(buckets("memleak_exporter_confidence_ratio"), "{{le}}", "heatmap")],
            8,
            8,
        ),
        heatmap(
            ("Verdicts by growth", "How many verdicts fell into each range of growth, in bytes a second."),
            "Bps",
            "no verdicts yet",
            [query(buckets("memleak_exporter_growth_bytes_per_second"), "{{le}}", "heatmap")],
            8,
            8,
        ),
        timeseries(
            (
                "From onset to confirmation",
                (
                    "Half of the leaks confirmed within the time range so far, and nine in ten, were confirmed within"
                    " this time of their onset."
                ),
            ),
            "s",
            "no leak was confirmed in this range",
            [
                query(f"histogram_quantile(0.5, sum by (le) (increase({delay}[$__range]))) > 0", "half"),
                query(f"histogram_quantile(0.9, sum by (le) (increase({delay}[$__range]))) > 0", "nine in ten"),
            ],
            8,
            8,
            min=0,
        ),
    ]


def sending():
    """Who reads it, and what goes out."""
    sent = rate("memleak_exporter_otlp_exports_total", 'result="sent"')
    not_sent = rate("memleak_exporter_otlp_exports_total", 'result!="sent"')
    return [
        timeseries(
            ("Requests", "HTTP requests answered, by handler and status."),
            "reqps",
            "nobody asks",
            [
                query(
                    f"sum by (instance, handler, code) ({rate('memleak_exporter_http_requests_total')})",
                    "{{handler}} {{code}} on {{instance}}",
                )
            ],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("OTLP batches", "By result: what failed is tried again, what was dropped is lost."),
            "cps",
            "OTLP is off",
            [
                query(f"sum by (instance) ({sent})", "sent by {{instance}}"),
                query(f"sum by (instance, result) ({not_sent}) > 0", "{{result}} by {{instance}}"),
            ],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("OTLP batches that wait", "The queue is bounded; the oldest is dropped first."),
            "short",
            "OTLP is off",
            [query(by_instance("memleak_exporter_otlp_queue_batches"), LEGEND)],
            8,
            8,
            min=0,
            decimals=0,
        ),
    ]


def keeping():
    """State and configuration."""
    save = "memleak_exporter_storage_last_save_timestamp_seconds"
    loaded = select("memleak_exporter_config_last_reload_success_timestamp_seconds")
    by = "job, instance"
    return [
        timeseries(
            ("Age of the saved state", "How much would be learned anew after a crash; it is saved once a minute."),
            "s",
            "--storage.path is not set",
            [query(f"max by (instance) (timestamp({select(save)}) - {select(save)})", LEGEND)],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("Trouble with saving", "Saves that failed, and areas whose past did not fit into the file."),
            "short",
            "--storage.path is not set",
            [
                query(
                    f"sum by (instance) (increase({select('memleak_exporter_storage_save_failures_total')}[$__rate_interval]))",
                    "failed on {{instance}}",
                ),
                query(by_instance("memleak_exporter_storage_areas_left_out"), "areas left out on {{instance}}"),
            ],
            8,
            8,
            min=0,
            decimals=0,
        ),
        table(
            ("Versions and configuration", "What runs where, and since when its configuration is in force."),
            "none",
            "no exporter",
            [
                rows(f"max by ({by}, version, revision) ({select('memleak_exporter_build_info')})"),
                rows(f"max by ({by}) ({loaded}) * 1000"),
                rows(f"max by ({by}) ({select('memleak_exporter_config_last_reload_successful')} == bool 0)"),
                rows(f"max by ({by}) ({select('memleak_exporter_sampling_interval_seconds')})"),
            ],
            [
                column("instance", "Exporter"),
                column("version", "Version", width=70),
                column("revision", "Revision", width=80),
                column("Value #B", "Configured", unit="dateTimeFromNow", width=100),
                column("Value #C", "Refused", width=70, mappings=YES_IS_BAD, cell="color-text"),
                column("Value #D", "Interval", unit="s", width=75),
            ],
            width=8,
            height=8,
            sort="Value #C",
        ),
    ]


def costs():
    """What it takes for itself."""
    return [
        timeseries(
            ("CPU", "Share of one processor that the exporter itself uses, over five minutes at least: its counter knows whole seconds."),
            "percentunit",
            "no exporter",
            [query(f"sum by (instance) ({rate('process_cpu_seconds_total')})", LEGEND)],
            8,
            8,
            min=0,
            interval="5m",
        ),
        timeseries(
            ("Memory", "Resident memory of the exporter itself."),
            "decbytes",
            "no exporter",
            [query(by_instance("process_resident_memory_bytes"), LEGEND)],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("Descriptors and threads", "Of the exporter itself: each watched process keeps one descriptor open."),
            "short",
            "no exporter",
            [
                query(by_instance("process_open_fds"), "descriptors on {{instance}}"),
                query(by_instance("process_threads"), "threads on {{instance}}"),
            ],
            8,
            8,
            min=0,
            decimals=0,
        ),
    ]


def build():
    """The page."""
    info = "memleak_exporter_build_info"
    variables = [variable("job", info), variable("instance", f'{info}{{job=~"$job"}}')]
    loaded = select("memleak_exporter_config_last_reload_success_timestamp_seconds")
    marks = [annotation("Configuration loaded", PLAIN, f"{loaded} * 1000", "Configuration loaded", "instance", at_value=True)]
    panels = [
        *headline(),
        *section("Reading", *collecting()),
        *section("Judging", *ticking(), *verdicts()),
        *section("Answering and sending", *sending()),
        *section("State and configuration", *keeping()),
        *section("What it costs", *costs()),
    ]
    return dashboard(
        UID, "Memory leaks: exporter", "Whether the exporters themselves are well, and what they cost.", variables, panels, marks
    )
