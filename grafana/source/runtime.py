"""Runtime detail: what an application tells of itself, its heap first, and whether its collector keeps up."""

from .queries import HERE, rate, select
from .schema import (
    BAD,
    DASHED,
    DOTTED,
    FINE,
    PLAIN,
    STATES,
    WARN,
    WORST,
    annotation,
    dashboard,
    data_link,
    now,
    override_like,
    query,
    section,
    stat,
    steps,
    timeline,
    timeseries,
    variable,
)

UID = "memleak-runtime"
APPLICATION = HERE + ',kind="application",target="$target"'
HEAP = "heap|heap_committed|heap_after_gc|rss"
BESIDE = "external|array_buffers|direct_buffers|metaspace"
LEGEND = "{{area}} {{instance}}"
# Where the shipped budgets begin to warn, and where they call it critical.
RATIO = steps(FINE, (3, WARN), (4, BAD))
LAG = steps(FINE, (0.02, WARN), (0.1, BAD))
SHARE_OF_TIME = steps(FINE, (0.05, WARN), (0.2, BAD))


def size(areas, how="=~"):
    chosen = f'area{how}"{areas}"'
    return f"sum by (instance, area) ({select('memleak_area_size_bytes', chosen, inside=APPLICATION)})"


def collections(by=""):
    return f"sum by ({by}) ({rate('memleak_gc_collections_total', inside=APPLICATION)})"


def collecting(by=""):
    return f"sum by ({by}) ({rate('memleak_gc_duration_seconds_total', inside=APPLICATION)})"


def headline():
    """Is it the heap, what is beside it, or nothing?"""
    area = select("memleak_area_size_bytes", 'area="heap"', inside=APPLICATION)
    external = select("memleak_area_size_bytes", 'area="external"', inside=APPLICATION)
    return [
        stat(
            ("Verdict", "The worst of all areas of the application."),
            "none",
            "too little evidence yet",
            [now(f"max({select('memleak_area_leak_state', inside=APPLICATION)})")],
            mappings=STATES,
            thresholds=steps(FINE, (1, WARN), (2, BAD)),
            links=data_link(
                "Target in detail",
                "/d/memleak-target?var-kind=application&var-target=${target:percentencode}"
                "&var-datasource=${datasource}&${instance:queryparam}&${job:queryparam}&${__url_time_range}",
            ),
        ),
        stat(
            ("Heap in use", "Of all instances together."),
            "decbytes",
            "does not tell",
            [now(f"sum({area})")],
            thresholds=steps(PLAIN),
            decimals=1,
        ),
        stat(
            ("External memory", "Resident memory beside the committed heap, of all instances together."),
            "decbytes",
            "does not tell",
            [now(f"sum({external})")],
            thresholds=steps(PLAIN),
            decimals=1,
        ),
        stat(
            ("External to heap", "External memory for each byte of used heap, of the worst instance."),
            "none",
            "does not tell",
            [now(f"max({select('memleak_target_external_to_heap_ratio', inside=APPLICATION)})")],
            thresholds=RATIO,
            decimals=2,
        ),
        stat(
            ("Time spent collecting", "Share of time that went into garbage collection, of the worst instance."),
            "percentunit",
            "does not tell",
            [now(f"max({collecting('instance')})")],
            thresholds=SHARE_OF_TIME,
            decimals=1,
        ),
        stat(
            ("Event-loop lag", "By how much the event loop was late, of the worst instance."),
            "s",
            "has none",
            [now(f"max({select('memleak_event_loop_lag_seconds', inside=APPLICATION)})")],
            thresholds=LAG,
            decimals=1,
        ),
    ]


def memory():
    """The heap and what is beside it."""
    limit = select("memleak_area_limit_bytes", 'area="heap"', inside=APPLICATION)
    near = f"min by (instance, area) ({limit}) and on (instance, area) ({size('heap')} > 0.25 * min by (instance, area) ({limit}))"
    return [
        timeseries(
            (
                "Heap",
                (
                    "In use, right after a collection (dashed: where that rises, live objects pile up), and committed;"
                    " dotted: the resident memory around it; red: the limit, once a quarter of it is full."
                ),
            ),
            "decbytes",
            "does not tell",
            [query(size(HEAP), LEGEND), query(near, "limit " + LEGEND)],
            12,
            9,
            min=0,
            overrides=[
                override_like("/^heap_after_gc/", custom__lineStyle=DASHED, custom__fillOpacity=0),
                override_like("/^rss/", custom__lineStyle=DOTTED, custom__fillOpacity=0),
                override_like("/^limit/", color={"mode": "fixed", "fixedColor": WORST}, custom__fillOpacity=0),
            ],
        ),
        timeseries(
            ("Memory beside the heap", "External memory, and what the runtime tells of it: array buffers, direct buffers, metaspace."),
            "decbytes",
            "does not tell",
            [query(size(BESIDE), LEGEND)],
            12,
            9,
            min=0,
        ),
        timeseries(
            ("Pools and caches", "All other areas of the application, the pools of its runtime and those of its own."),
            "decbytes",
            "no other areas",
            [query(size(f"{HEAP}|{BESIDE}", "!~"), LEGEND)],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("Pools and caches, in objects", "Entries, connections, handles: whatever the application counts."),
            "short",
            "nothing counted",
            [query(f"sum by (instance, area) ({select('memleak_area_size_objects', inside=APPLICATION)})", LEGEND)],
            8,
            8,
            min=0,
        ),
        timeline(
            ("Who leaks", "The verdict on each area over time."),
            "none",
            "too little evidence yet",
            [query(f"max by (instance, area) ({select('memleak_area_leak_state', inside=APPLICATION)})", LEGEND)],
            8,
            8,
            mappings=STATES,
            thresholds=steps(FINE, (1, WARN), (2, BAD)),
            show_value="auto",
        ),
    ]


def collector():
    """Whether garbage collection keeps up."""
    return [
        timeseries(
            ("Collections a minute", "By generation, where the runtime tells. More and more of them mean a heap that is nearly full."),
            "cpm",
            "does not tell",
            [query(f"{collections('instance, generation')} * 60", "{{generation}} {{instance}}")],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("Time spent collecting", "Share of time; of Go the pauses, of others all of it."),
            "percentunit",
            "does not tell",
            [query(collecting("instance"), "{{instance}}")],
            8,
            8,
            min=0,
            thresholds=SHARE_OF_TIME,
            threshold_line="dashed",
        ),
        timeseries(
            ("Time of one collection", "Mean over the rate interval."),
            "s",
            "nothing was collected",
            [query(f"{collecting('instance')} / ({collections('instance')} > 0)", "{{instance}}")],
            8,
            8,
            min=0,
        ),
    ]


def service():
    """What users would feel."""
    requests = f"sum by (instance) ({rate('memleak_target_requests_total', inside=APPLICATION)})"
    answering = f"sum by (instance) ({rate('memleak_target_response_seconds_total', inside=APPLICATION)})"
    return [
        timeseries(
            ("Event-loop lag", "By how much the event loop was late when it was asked."),
            "s",
            "has none",
            [query(f"max by (instance) ({select('memleak_event_loop_lag_seconds', inside=APPLICATION)})", "{{instance}}")],
            8,
            8,
            min=0,
            thresholds=LAG,
            threshold_line="dashed",
        ),
        timeseries(
            ("External to heap", "External memory for each byte of used heap; high and rising is a leak beside the heap."),
            "none",
            "does not tell",
            [query(f"max by (instance) ({select('memleak_target_external_to_heap_ratio', inside=APPLICATION)})", "{{instance}}")],
            8,
            8,
            min=0,
            thresholds=RATIO,
            threshold_line="dashed",
        ),
        timeseries(
            ("CPU", "Processors in use, as the application tells."),
            "none",
            "does not tell",
            [query(f"sum by (instance) ({rate('memleak_target_cpu_seconds_total', inside=APPLICATION)})", "{{instance}}")],
            8,
            8,
            min=0,
        ),
        timeseries(
            ("Requests", "Answered a second, where the application tells under a well-known name."),
            "reqps",
            "does not tell",
            [query(requests, "{{instance}}")],
            12,
            8,
            min=0,
        ),
        timeseries(
            ("Response time", "The mean over the rate interval; where the application tells a histogram, how long 50, 95 and 99 % took at most."),
            "s",
            "does not tell",
            [
                query(f"{answering} / ({requests} > 0)", "mean {{instance}}"),
                query(
                    f"max by (instance, percentile) ({select('memleak_target_response_time_seconds', inside=APPLICATION)})",
                    "{{percentile}} % within {{instance}}",
                ),
            ],
            12,
            8,
            min=0,
        ),
    ]


def build():
    """The page."""
    info, present = "memleak_exporter_build_info", "memleak_target_present"
    variables = [
        variable("job", info),
        variable("instance", f'{info}{{job=~"$job"}}'),
        variable("target", f'{present}{{{HERE},kind="application"}}', label="Application", several=False),
    ]
    begins = select("memleak_area_leak_start_timestamp_seconds", inside=APPLICATION)
    restarts = select("memleak_target_restarts_total", inside=APPLICATION)
    marks = [
        annotation("Leak begins", BAD, f"{begins} * 1000", "A leak begins", "instance,area", at_value=True),
        annotation("Restarts and deploys", PLAIN, f"changes({restarts}[2m]) > 0", "Restart", "instance"),
    ]
    panels = [
        *headline(),
        *section("Memory", *memory()),
        *section("Garbage collection", *collector()),
        *section("What users would feel", *service()),
    ]
    return dashboard(
        UID, "Memory leaks: runtime", "What applications tell of their heaps, collectors and event loops.", variables, panels, marks
    )
