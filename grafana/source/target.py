"""Target detail: everything about one target, the answer first and the evidence below it."""

from .queries import HERE, HOUR, TARGET, TARGET_AREA, TARGET_AREA_OR_NONE, rate, select
from .schema import (
    BAD,
    DASHED,
    DOTTED,
    FINE,
    NOTE,
    PLAIN,
    SEVERITIES,
    STATES,
    WARN,
    WORST,
    YES_IS_BAD,
    annotation,
    bars,
    column,
    dashboard,
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
    words,
)

UID = "memleak-target"
LEGEND = "{{area}} {{instance}}"
# Areas that lie within another area of the same target: they would count twice in a stack.
WITHIN = "rss|rss_peak|usage|peak|swap|slab|sock"


def of(metric, how="max", *matchers):
    """One value for each chosen area on each exporter."""
    return f"{how} by (instance, area) ({select(metric, *matchers, inside=TARGET_AREA)})"


def judged(metric, how="max"):
    """The same, of areas that are judged: their verdict is why this page was opened."""
    return f"{of(metric, how)} and on (instance, area) {select('memleak_area_leak_state', inside=TARGET_AREA)}"


def worst(metric, how="max"):
    """One value for all that is chosen."""
    return f"{how}({select(metric, inside=TARGET_AREA)})"


def headline():
    """The verdict in six words."""
    growth = worst("memleak_area_growth_bytes_per_second")
    return [
        stat(
            ("Verdict", "The worst of the chosen areas."),
            "none",
            "too little evidence yet",
            [now(worst("memleak_area_leak_state"))],
            mappings=STATES,
            thresholds=steps(FINE, (1, WARN), (2, BAD)),
        ),
        stat(
            ("Confidence", "How sure it is that an area leaks: of all verdicts at 90 %, nine in ten are leaks."),
            "percentunit",
            "too little evidence yet",
            [now(worst("memleak_area_leak_confidence_ratio"))],
            thresholds=steps(FINE, (0.5, WARN), (0.88, BAD)),
            decimals=0,
        ),
        stat(
            ("Severity", "How much it matters: confidence, time to the limit and growth together."),
            "none",
            "too little evidence yet",
            [now(worst("memleak_area_severity"))],
            mappings=SEVERITIES,
            thresholds=steps(FINE, (1, PLAIN), (2, NOTE), (3, WARN), (4, BAD)),
        ),
        stat(
            ("Growth an hour", "Growth of the floor, which garbage, spikes and single steps do not move."),
            "decbytes",
            "too little evidence yet",
            [now(f"{growth} * {HOUR}")],
            thresholds=steps(PLAIN),
            decimals=1,
        ),
        stat(
            ("Leaked so far", "How much the floor has risen since the open episode began."),
            "decbytes",
            "no open episode",
            [now(worst("memleak_area_leaked_bytes"))],
            thresholds=steps(PLAIN),
            decimals=1,
        ),
        stat(
            ("Runs out in", "Time until the nearest limit is reached at the present growth."),
            "s",
            "no limit in sight",
            [now(worst("memleak_area_time_to_limit_seconds", "min"))],
            thresholds=steps(BAD, (HOUR, WARN), (4 * HOUR, NOTE), (48 * HOUR, FINE)),
            decimals=1,
        ),
    ]


def past():
    """The raw size, the robust trend through the open episode, and the limit."""
    sampled, begun = "memleak_area_last_sample_timestamp_seconds", "memleak_area_leak_start_timestamp_seconds"

    def at_end(metric, how="max"):
        return f"{how} by (instance, area) ({select(metric, inside=TARGET_AREA)} @ end())"

    matched = "on (instance, area)"
    quarter_full = f"{at_end('memleak_area_size_bytes', 'sum')} > 0.25 * {at_end('memleak_area_limit_bytes', 'min')}"
    limit = judged("memleak_area_limit_bytes", "min")
    trend = (
        f"({at_end('memleak_area_size_bytes', 'sum')} + {matched}"
        f" {at_end('memleak_area_growth_bytes_per_second', 'sum')} * {matched} (time() - {at_end(sampled)})) and"
        f" {matched} ({at_end(begun, 'min')} <= time())"
    )
    return timeseries(
        (
            "Size, trend and limit",
            (
                "Sizes of the judged areas as they were sampled. Dashed: the growth found by the detector, drawn back"
                " from the last sample to where the open episode began. The red line is the limit that is reached"
                " first, once a quarter of it is full."
            ),
        ),
        "decbytes",
        "none of the chosen areas is judged",
        [
            query(judged("memleak_area_size_bytes", "sum"), LEGEND),
            query(trend, "trend " + LEGEND),
            query(f"{limit} and {matched} ({quarter_full})", "limit " + LEGEND),
        ],
        15,
        10,
        min=0,
        overrides=lines(),
    )


def lines():
    """A limit is a red line and a trend a dashed one, in every picture of sizes."""
    return [
        override_like("/^limit/", color={"mode": "fixed", "fixedColor": WORST}, custom__fillOpacity=0),
        override_like("/^(trend|forecast)/", color={"mode": "fixed", "fixedColor": WARN}, custom__fillOpacity=0, custom__lineStyle=DASHED),
        override_like(
            "/^at worst/",
            color={"mode": "fixed", "fixedColor": BAD},
            custom__fillOpacity=0,
            custom__lineStyle=DOTTED,
        ),
    ]


def future():
    """What counts against the limit, from now on: a panel whose time range is its own."""

    def at_start(metric, how="max"):
        return f"{how} by (instance, area) ({select(metric, inside=TARGET_AREA)} @ start())"

    matched = "on (instance, area)"
    limit = at_start("memleak_area_limit_bytes", "min")
    used = f"{limit} * {matched} {at_start('memleak_area_limit_used_ratio')}"
    elapsed = f"(time() - {at_start('memleak_area_last_sample_timestamp_seconds')})"
    left = at_start("memleak_area_time_to_limit_seconds", "min")
    soonest = at_start("memleak_area_time_to_limit_lower_seconds", "min")
    room = f"({limit} - {matched} {used})"
    forecast = f"clamp_max({used} + {matched} {room} / {matched} {left} * {matched} {elapsed}, scalar(max({limit})))"
    at_worst = f"clamp_max({used} + {matched} {room} / {matched} {soonest} * {matched} {elapsed}, scalar(max({limit})))"
    return timeseries(
        (
            "The next 24 hours at this growth",
            (
                "All that counts against the limit, other programs included, if the growth stays what it is now;"
                " dotted: at the fast end of its 80 % interval. Where a line meets the red one, memory is out."
            ),
        ),
        "decbytes",
        "nothing grows towards a limit",
        [
            query(forecast, "forecast " + LEGEND),
            query(at_worst, "at worst " + LEGEND),
            query(f"{limit} and {matched} {left}", "limit " + LEGEND),
        ],
        9,
        10,
        min=0,
        timeFrom="+24h",
        legend=[],
        overrides=lines(),
    )


def verdicts():
    """How the verdict came about."""
    pattern = select("memleak_area_pattern", inside=TARGET_AREA)
    return [
        timeseries(
            ("Confidence", "How sure it was at each time, from 0 to 1. Suspicion and confirmation also ask that it lasts."),
            "percentunit",
            "too little evidence yet",
            [query(of("memleak_area_leak_confidence_ratio"), LEGEND)],
            8,
            7,
            min=0,
            max=1,
            thresholds=steps(FINE, (0.5, WARN), (0.88, BAD)),
            threshold_line="dashed",
        ),
        timeline(
            ("State and severity", "Verdicts as they changed over time."),
            "none",
            "too little evidence yet",
            [query(of("memleak_area_leak_state"), "state of {{area}}"), query(of("memleak_area_severity"), "severity of {{area}}")],
            8,
            7,
            show_value="auto",
            mappings=STATES,
            overrides=[override_like("/^severity/", mappings=SEVERITIES)],
            thresholds=steps(FINE, (1, WARN), (2, BAD)),
        ),
        timeline(
            ("Pattern", ("What shape the growth had: linear and exponential growth are leaks, saturating is a warm-up, periodic is load.")),
            "none",
            "too little evidence yet",
            [query(f"max by (instance, area, pattern) ({pattern} == 1)", "{{area}}: {{pattern}}")],
            8,
            7,
            thresholds=steps(PLAIN),
            mappings=[{"type": "value", "options": {"1": {"index": 0, "text": "seen", "color": PLAIN}}}],
        ),
    ]


def growth():
    """How fast, and how long it will last."""
    level = "max by (instance, area, rule, level) "
    return [
        timeseries(
            (
                "Growth an hour",
                "Robust growth of the floor; on the right that of areas which are counted. Dashed: numbers of the budget for it.",
            ),
            "decbytes",
            "too little evidence yet",
            [
                query(f"({of('memleak_area_growth_bytes_per_second')}) * {HOUR}", LEGEND),
                query(
                    f"{level}({select('memleak_threshold_bytes_per_second', inside=TARGET_AREA)}) * {HOUR}", "budget {{rule}} ({{level}})"
                ),
                query(f"({of('memleak_area_growth_objects_per_second')}) * {HOUR}", "objects " + LEGEND),
            ],
            8,
            7,
            overrides=[
                override_like("/^budget/", color={"mode": "fixed", "fixedColor": WORST}, custom__fillOpacity=0, custom__lineStyle=DASHED),
                override_like("/^objects/", unit="short", custom__axisPlacement="right"),
            ],
        ),
        timeseries(
            (
                "Time to the limit",
                "At the growth of that time; the lower end of the 80 % interval beside it. It falls evenly in a steady leak.",
            ),
            "s",
            "nothing grows towards a limit",
            [
                query(of("memleak_area_time_to_limit_seconds", "min"), LEGEND),
                query(of("memleak_area_time_to_limit_lower_seconds", "min"), "at worst " + LEGEND),
            ],
            8,
            7,
            min=0,
            custom={"scaleDistribution": {"type": "symlog", "log": 10, "linearThreshold": 60}},
            overrides=lines(),
        ),
        timeseries(
            ("Share of the limit in use", "By everything that counts against it, other programs included."),
            "percentunit",
            "no limit known",
            [query(judged("memleak_area_limit_used_ratio"), LEGEND)],
            8,
            7,
            min=0,
            max=1,
            thresholds=steps(FINE, (0.5, WARN), (0.8, BAD)),
            threshold_line="dashed",
        ),
    ]


def parts():
    """What it is made of."""
    size = "memleak_area_size_bytes"
    whole = select(size, 'kind!="application"', f'area!~"{WITHIN}|shmem"', inside=TARGET_AREA)
    own = select(size, 'kind="application"', 'area=~"heap|external"', inside=TARGET_AREA)
    shared = select(size, 'kind="host"', 'area="shmem"', inside=TARGET_AREA)
    total = select(size, 'area=~"rss|usage"', inside=TARGET_AREA)
    objects = of("memleak_area_size_objects", "sum")
    return [
        timeseries(
            ("Areas, stacked", "Parts that do not overlap; the line is all that is resident (rss) or in use (usage), page cache included."),
            "decbytes",
            "no sizes",
            [query(f"sum by (area) ({whole} or {shared} or {own})", "{{area}}"), query(f"sum by (area) ({total})", "all: {{area}}")],
            12,
            8,
            stack=True,
            min=0,
            overrides=[
                override_like(
                    "/^all/",
                    custom__stacking={"mode": "none", "group": "A"},
                    custom__fillOpacity=0,
                    custom__lineWidth=2,
                    color={"mode": "fixed", "fixedColor": "text"},
                )
            ],
        ),
        timeseries(
            (
                "Areas that are counted",
                "Descriptors, threads, files and other objects; red: how many there may be, once a fifth of that is used.",
            ),
            "short",
            "nothing counted",
            [
                query(objects, LEGEND),
                query(
                    f"{of('memleak_area_limit_objects', 'min')} and on (instance, area) ({objects}) > 0.2 *"
                    f" {of('memleak_area_limit_objects', 'min')}",
                    "limit " + LEGEND,
                ),
            ],
            12,
            8,
            min=0,
            overrides=lines(),
        ),
    ]


def holders():
    """Who holds the memory, as the exporter attributes it."""

    def part(metric, how="sum"):
        return f"{how} by (instance, part) ({select(metric, inside=TARGET)})"

    def an_hour(metric):
        return f"({part(metric)}) * {HOUR}"

    growth = "memleak_attribution_growth_bytes_per_second"
    read = select("memleak_attribution_last_reading_timestamp_seconds", inside=TARGET)
    read_at = f"({part('memleak_attribution_confidence_ratio')}) * 0 + on (instance) group_left min by (instance) ({read}) * 1000"
    label = "{{part}} {{instance}}"
    return [
        timeseries(
            (
                "Who holds the memory",
                "Parts of all memory of those processes that are under suspicion: native modules, buffers, stacks and so on. "
                "Other processes are not read.",
            ),
            "decbytes",
            "not under suspicion, or not switched on",
            [query(part("memleak_attribution_bytes"), label)],
            14,
            9,
            stack=True,
            min=0,
        ),
        bars(
            ("Which part grows, an hour", "Since the processes came under suspicion."),
            "decbytes",
            "no part grows",
            [now(f"topk(8, {an_hour(growth)} > 0)", label)],
            10,
            9,
            thresholds=steps(WARN),
            min=0,
            decimals=1,
        ),
        table(
            ("Parts", "What each part holds, how much it grows, and how sure it is that it is what its name says."),
            "none",
            "not under suspicion, or not switched on",
            [
                rows(part("memleak_attribution_bytes")),
                rows(an_hour(growth)),
                rows(part("memleak_attribution_descriptors")),
                rows(an_hour("memleak_attribution_growth_descriptors_per_second")),
                rows(part("memleak_attribution_socket_bytes")),
                rows(part("memleak_attribution_confidence_ratio", "min")),
                rows(read_at),
            ],
            [
                column("part", "Part"),
                column("Value #A", "Memory", unit="decbytes", width=110, decimals=1),
                column("Value #B", "Growth an hour", unit="decbytes", width=130, decimals=1),
                column("Value #C", "Descriptors", unit="short", width=100, decimals=0),
                column("Value #D", "More an hour", unit="short", width=110, decimals=0),
                column("Value #E", "In sockets", unit="decbytes", width=110, decimals=1),
                column("Value #F", "Sure", unit="percentunit", width=80, decimals=0),
                column("Value #G", "Read", unit="dateTimeFromNow", width=120),
                column("instance", "Instance", width=150),
            ],
            width=16,
            sort="Value #B",
        ),
        timeseries(
            ("Descriptors by kind", "Files, pipes, and sockets by the usual port of their peer."),
            "short",
            "not under suspicion, or not switched on",
            [query(part("memleak_attribution_descriptors"), label)],
            8,
            9,
            min=0,
        ),
    ]


def life():
    """What happened to it."""

    def happened(metric, legend):
        return query(f"sum by (instance) (increase({select(metric, inside=TARGET)}[$__rate_interval]))", legend + " {{instance}}")

    oldest = select("memleak_directory_oldest_file_timestamp_seconds", inside=TARGET)
    bars_of = {"drawStyle": "bars", "fillOpacity": 70, "lineWidth": 0}
    return [
        timeseries(
            (
                "Restarts, kills and reached limits",
                (
                    "Restarts of the target, processes that the kernel killed for want of memory, and how often its"
                    " control group reached its limit."
                ),
            ),
            "short",
            "none",
            [
                happened("memleak_target_restarts_total", "restarts"),
                happened("memleak_target_oom_kills_total", "kills"),
                happened("memleak_target_out_of_memory_total", "out of memory"),
                happened("memleak_target_limit_hits_total", "limit reached"),
                happened("memleak_target_limit_throttles_total", "throttled"),
                happened("memleak_episodes_total", "leaks confirmed"),
            ],
            8,
            7,
            custom=bars_of,
            min=0,
            legend=["sum"],
        ),
        timeseries(
            (
                "Waiting for memory",
                "Share of time in which some, or all, tasks waited for memory (pressure of the control group or the machine).",
            ),
            "percentunit",
            "not measured here",
            [
                query(f"sum by (instance) ({rate('memleak_target_stall_seconds_total', inside=TARGET)})", "some {{instance}}"),
                query(f"sum by (instance) ({rate('memleak_target_full_stall_seconds_total', inside=TARGET)})", "all {{instance}}"),
            ],
            8,
            7,
            min=0,
        ),
        timeseries(
            ("Processes", "How many processes the target has; 0 while an expected target is absent."),
            "short",
            "not a target of processes",
            [
                query(f"sum by (instance) ({select('memleak_target_processes', inside=TARGET)})", "processes {{instance}}"),
                query(f"sum by (instance) ({select('memleak_target_present', inside=TARGET)} == 0)", "absent {{instance}}"),
            ],
            8,
            7,
            min=0,
            decimals=0,
        ),
        timeseries(
            ("Garbage collection", "Share of time that went into it, of an application that tells; the page about runtimes has more."),
            "percentunit",
            "does not tell",
            [query(f"sum by (instance) ({rate('memleak_gc_duration_seconds_total', inside=TARGET)})", "{{instance}}")],
            12,
            5,
            min=0,
        ),
        timeseries(
            ("Age of the oldest file", "Of a directory: where it rises, nobody clears up."),
            "s",
            "not a directory",
            [query(f"max by (instance) (time() - {oldest})", "{{instance}}")],
            12,
            5,
            min=0,
        ),
    ]


def rules():
    """What is held against it."""
    labels = "instance, area, rule, level"

    def number(metric):
        return rows(f"max by ({labels}) ({select(metric, inside=TARGET_AREA_OR_NONE)})")

    known = "unit, namespace, pod, container_name, container, pod_uid, runtime"
    ours, critical = ('alertstate="firing"', 'alertname=~"MemoryLeak.*|Memleak.*"'), 'severity="critical"'
    firing = f"max by (instance, alertname, area) ({select('ALERTS', *ours, inside=TARGET)})"
    pages = f"max by (instance, alertname, area) ({select('ALERTS', *ours, critical, inside=TARGET)})"
    return [
        table(
            (
                "Budget",
                (
                    "Numbers configured for this target, and whether each is breached. Without a budget there are none:"
                    " the detector needs no numbers."
                ),
            ),
            "none",
            "no budget is configured",
            [
                number("memleak_area_budget_breached"),
                number("memleak_threshold_bytes"),
                number("memleak_threshold_objects"),
                number("memleak_threshold_ratio"),
                number("memleak_threshold_seconds"),
                number("memleak_threshold_bytes_per_second"),
                number("memleak_threshold_per_second"),
            ],
            [
                column("rule", "Rule", width=170),
                column("level", "Level", width=90),
                column("area", "Area", width=80),
                column("Value #A", "Breached", width=90, mappings=YES_IS_BAD, cell="color-text"),
                column("Value #B", "Size", unit="decbytes", width=90),
                column("Value #C", "Objects", unit="short", width=80),
                column("Value #D", "Share", unit="percentunit", width=80),
                column("Value #E", "Time", unit="s", width=80),
                column("Value #F", "Rate", unit="Bps", width=90),
                column("Value #G", "Frequency", unit="ops", width=90),
                column("instance", "Instance"),
            ],
            width=14,
            height=8,
            sort="Value #A",
        ),
        timeline(
            ("Alerts", "Alerts about this target that fire; red is what pages."),
            "none",
            "no alert fires",
            [query(f"2 * {pages} or {firing}", "{{alertname}} {{area}}")],
            10,
            8,
            thresholds=steps(WARN, (2, BAD)),
            mappings=words(_1=("warning", WARN), _2=("critical", BAD)),
        ),
        table(
            ("What it is", "What is known of the target beside its name."),
            "none",
            "gone",
            [rows(f"max by (instance, {known}) ({select('memleak_target_info', inside=TARGET)})")],
            [
                column("instance", "Instance"),
                column("unit", "Unit"),
                column("namespace", "Namespace"),
                column("pod", "Pod"),
                column("container_name", "Container"),
                column("container", "Container's id"),
                column("pod_uid", "Pod's uid"),
                column("runtime", "Runtime"),
            ],
            width=24,
            height=4,
        ),
    ]


def marks():
    """What happened, on every curve."""

    def at_value(metric):
        return f"{select(metric, inside=TARGET)} * 1000"

    def changed(metric):
        return f"changes({select(metric, inside=TARGET)}[2m]) > 0"

    return [
        annotation(
            "Leak begins", BAD, at_value("memleak_area_leak_start_timestamp_seconds"), "A leak begins", "instance,area", at_value=True
        ),
        annotation("Restarts and deploys", PLAIN, changed("memleak_target_restarts_total"), "Restart", "instance"),
        annotation("Killed for want of memory", WORST, changed("memleak_target_oom_kills_total"), "Killed for want of memory", "instance"),
    ]


def build():
    """The page."""
    info, present = "memleak_exporter_build_info", "memleak_target_present"
    sampled = "memleak_area_last_sample_timestamp_seconds"
    variables = [
        variable("job", info),
        variable("instance", f'{info}{{job=~"$job"}}'),
        variable("kind", f"{present}{{{HERE}}}", several=False),
        variable("target", f'{present}{{{HERE},kind="$kind"}}', several=False),
        variable("area", f"{sampled}{{{TARGET}}}"),
    ]
    panels = [
        *headline(),
        past(),
        future(),
        *section("How it came to that verdict", *verdicts(), *growth()),
        *section("What it is made of, and what happened to it", *parts(), *life()),
        *section("Who holds it", *holders()),
        *section("Rules and alerts", *rules()),
    ]
    return dashboard(
        UID, "Memory leaks: target", "Everything about one target: verdict, forecast, evidence, parts, rules.", variables, panels, marks()
    )
