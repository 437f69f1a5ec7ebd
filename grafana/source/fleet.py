"""Fleet overview: who leaks, how sure that is, how fast, and who runs out first."""

from .queries import AREA, HERE, HOUR, buckets, of_leaks, per_area, select
from .schema import (
    BAD,
    FINE,
    NOTE,
    PLAIN,
    SEVERITIES,
    STATES,
    WARN,
    annotation,
    bars,
    column,
    dashboard,
    data_link,
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
    variable,
)

UID = "memleak-fleet"
KIND = HERE + ',kind=~"$kind"'
ALERTS = 'alertstate="firing",alertname=~"MemoryLeak.*|Memleak.*"'
# Seconds to the limit, as the critical alerts see them: an hour, four hours; and two days, as severities do.
TIME_LEFT = steps(BAD, (3600, WARN), (4 * 3600, NOTE), (2 * 86400, FINE))


def link_to_target(labels):
    """To the page about the target, with all that chooses it; `labels` is where the labels are to be had."""
    chosen = "&".join(f"var-{name}=${{{labels}.{name}:percentencode}}" for name in ("job", "instance", "kind", "target"))
    return data_link("Target in detail", f"/d/memleak-target?{chosen}&var-datasource=${{datasource}}&${{__url_time_range}}")


def count(least):
    """How many areas leak; 0 while series of exporters are there, and nothing while none is."""
    state = select("memleak_area_leak_state", inside=KIND)
    explained = select("memleak_area_leak_explained", inside=KIND)
    return f"sum(({state} == bool {least}) unless {explained} == 1)"


def headline():
    """The answer, in six numbers."""
    red, orange = steps(FINE, (1, BAD)), steps(FINE, (1, WARN))
    return [
        stat(
            ("Leaks confirmed", "Areas that leak, each leak counted once: growth that leaks inside explain is left out."),
            "none",
            "no data",
            [now(count(2))],
            thresholds=red,
        ),
        stat(
            ("Leaks suspected", "Areas under suspicion that are not confirmed yet."), "none", "no data", [now(count(1))], thresholds=orange
        ),
        stat(
            ("First to run out", "The shortest time until a leaking area reaches its limit at its present growth."),
            "s",
            "no limit near",
            [now(f"min({of_leaks('memleak_area_time_to_limit_seconds', 'min', KIND)})")],
            thresholds=TIME_LEFT,
            decimals=1,
        ),
        stat(
            ("Growth an hour", "What all leaking areas together grow by in an hour."),
            "decbytes",
            "nothing grows",
            [now(f"sum({of_leaks('memleak_area_growth_bytes_per_second', 'sum', KIND)}) * {HOUR}")],
            thresholds=steps(PLAIN),
            decimals=1,
        ),
        stat(
            ("Leaked so far", "How much the floors have risen since the open episodes began."),
            "decbytes",
            "nothing",
            [now(f"sum({of_leaks('memleak_area_leaked_bytes', 'sum', KIND)})")],
            thresholds=steps(PLAIN),
            decimals=1,
        ),
        stat(
            ("Exporters that answer", "Of those chosen above. Where one is silent, nothing is watched."),
            "percentunit",
            "no exporter",
            [now(f"avg({select('up')})")],
            thresholds=steps(BAD, (1, FINE)),
            decimals=0,
        ),
    ]


def leaks_table():
    """Worst first: severity, and within it the time that is left, as a share of 1 that halves with the first hour."""
    severity = of_leaks("memleak_area_severity", inside=KIND)
    left = per_area("memleak_area_time_to_limit_seconds", "min", KIND)
    growth = of_leaks("memleak_area_growth_bytes_per_second", "sum", KIND)
    since = of_leaks("memleak_area_leak_start_timestamp_seconds", "min", KIND)
    queries = [
        rows(of_leaks("memleak_area_leak_state", inside=KIND)),
        rows(severity),
        rows(of_leaks("memleak_area_leak_confidence_ratio", inside=KIND)),
        rows(of_leaks("memleak_area_time_to_limit_seconds", "min", KIND)),
        rows(f"({growth}) * {HOUR}"),
        rows(of_leaks("memleak_area_leaked_bytes", "sum", KIND)),
        rows(of_leaks("memleak_area_size_bytes", "sum", KIND)),
        rows(of_leaks("memleak_area_limit_used_ratio", inside=KIND)),
        rows(f"({since}) * 1000"),
        rows(f"({severity}) + on ({AREA}) 0.99 / (1 + {left} / {HOUR}) or {severity}"),
        rows(f"({of_leaks('memleak_area_growth_objects_per_second', 'sum', KIND)}) * {HOUR}"),
    ]
    columns = [
        column("target", "Target", links=link_to_target("__data.fields")),
        column("Value #A", "State", width=90, mappings=STATES, cell="color-background"),
        column("Value #B", "Severity", width=80, mappings=SEVERITIES, cell="color-background"),
        column("Value #D", "Runs out in", unit="s", width=95, thresholds=TIME_LEFT, cell="color-text", decimals=1),
        column(
            "Value #C",
            "Confidence",
            unit="percentunit",
            width=115,
            cell="gauge",
            min=0,
            max=1,
            thresholds=steps(FINE, (0.5, WARN), (0.88, BAD)),
        ),
        column("Value #E", "Growth an hour", unit="decbytes", width=115, decimals=1),
        column("Value #K", "Objects an hour", unit="short", width=110, decimals=0),
        column("Value #F", "Leaked so far", unit="decbytes", width=105, decimals=1),
        column("Value #G", "Size", unit="decbytes", width=85, decimals=1),
        column(
            "Value #H",
            "Limit used",
            unit="percentunit",
            width=105,
            cell="gauge",
            min=0,
            max=1,
            thresholds=steps(FINE, (0.5, WARN), (0.8, BAD)),
        ),
        column("Value #I", "Leaks since", unit="dateTimeFromNow", width=110),
        column("area", "Area", width=95),
        column("kind", "Kind", width=85),
        column("instance", "Instance", width=110),
    ]
    return table(
        (
            "What leaks, worst first",
            (
                "Suspected and confirmed leaks by severity, then by the time that is left. A click on a target opens it. "
                "Growth that leaks inside a control group or the machine explain is left out."
            ),
        ),
        "none",
        "nothing leaks",
        queries,
        columns,
        sort="Value #J",
        height=8,
    )


def running_out():
    """Whose time is short."""
    text = ("Time to the limit", "The ten leaks that reach their limit first, at their present growth. A full bar is two days or more.")
    expr = f"bottomk(10, {of_leaks('memleak_area_time_to_limit_seconds', 'min', KIND)})"
    return bars(
        text,
        "s",
        "no leak has a limit in sight",
        [now(expr, "{{target}} ({{area}})")],
        8,
        9,
        thresholds=TIME_LEFT,
        min=0,
        max=2 * 86400,
        decimals=1,
        links=link_to_target("__field.labels"),
    )


def suspicion():
    """The heat map of confidence that names its rows."""
    ever = f"max_over_time({select('memleak_area_leak_state', inside=KIND)}[$__range] @ end()) >= 1"
    expr = f"max by (job, instance, kind, target) ({select('memleak_area_leak_confidence_ratio', inside=KIND)} and on ({AREA}) {ever})"
    return timeline(
        (
            "How sure, target by target",
            "Confidence of every target that was under suspicion within the time range: green is calm, red is a leak.",
        ),
        "percentunit",
        "nobody was under suspicion",
        [query(expr, "{{target}} ({{kind}}, {{instance}})")],
        16,
        9,
        thresholds=steps(FINE, (0.3, NOTE), (0.5, WARN), (0.88, BAD)),
        min=0,
        max=1,
        decimals=0,
        links=link_to_target("__field.labels"),
    )


def history():
    """What happened lately."""
    firing = select("ALERTS", ALERTS)
    alerts = f"count by (alertname) ({firing})"
    confirmed = select("memleak_episodes_total", inside=KIND)
    episodes = f"round(sum by (job, instance, kind, target) (increase({confirmed}[$__range]))) > 0"
    since = f"min by (job, instance, kind, target) ({of_leaks('memleak_area_leak_start_timestamp_seconds', 'min', KIND, least=2)})"
    return [
        timeline(
            ("Alerts that fire", "How many alerts of each of this exporter's rules fire, as Prometheus evaluates them."),
            "none",
            "no alert fires",
            [query(alerts, "{{alertname}}")],
            12,
            8,
            thresholds=steps(WARN),
            show_value="auto",
            decimals=0,
            overrides=[override_like("/^MemoryLeakLimit/", thresholds={"mode": "absolute", "steps": steps(BAD)})],
        ),
        table(
            ("Leaks confirmed in this time range", "How often each target was confirmed to leak, and since when it leaks now."),
            "none",
            "no leak was confirmed",
            [rows(episodes), rows(f"({since}) * 1000"), rows(f"{since} or {episodes}")],
            [
                column("target", "Target", links=link_to_target("__data.fields")),
                column("kind", "Kind", width=90),
                column("instance", "Instance", width=150),
                column("Value #A", "Confirmed", unit="none", width=100, decimals=0),
                column("Value #B", "Leaks since", unit="dateTimeFromNow", width=150),
            ],
            width=12,
            height=8,
            sort="Value #C",
        ),
    ]


def spread():
    """For a fleet too large for names."""
    return heatmap(
        (
            "Verdicts by confidence",
            "How many verdicts of all watched areas fell into each range of confidence: a healthy fleet is dark at the bottom only.",
        ),
        "percentunit",
        "no verdicts yet",
        [query(buckets("memleak_exporter_confidence_ratio"), "{{le}}", "heatmap")],
        12,
        8,
    )


def exporters():
    """Who watches."""
    by = "job, instance"
    ticks = "memleak_exporter_last_tick_timestamp_seconds"
    queries = [
        rows(f"max by ({by}) ({select('up')})"),
        rows(f"count by ({by}) ({select('memleak_target_present')} == 1)"),
        rows(f"max by ({by}) ({select('memleak_exporter_areas_judged')})"),
        rows(f"max by ({by}) (timestamp({select(ticks)}) - {select(ticks)})"),
        rows(f"min by ({by}) ({select('memleak_exporter_collector_success')})"),
    ]
    link = data_link(
        "Exporter in detail",
        "/d/memleak-exporter?var-job=${__data.fields.job:percentencode}&var-instance=${__value.raw:percentencode}"
        "&var-datasource=${datasource}&${__url_time_range}",
    )
    answers = [
        {
            "type": "value",
            "options": {"0": {"index": 0, "text": "silent", "color": BAD}, "1": {"index": 1, "text": "answers", "color": FINE}},
        }
    ]
    collect = [
        {"type": "value", "options": {"0": {"index": 0, "text": "fail", "color": BAD}, "1": {"index": 1, "text": "work", "color": FINE}}}
    ]
    columns = [
        column("instance", "Exporter", links=link),
        column("Value #A", "State", width=90, mappings=answers, cell="color-background"),
        column("Value #E", "Collectors", width=100, mappings=collect, cell="color-background"),
        column("Value #B", "Targets", unit="none", width=90),
        column("Value #C", "Areas judged", unit="none", width=110),
        column(
            "Value #D",
            "Age of its numbers",
            unit="s",
            width=150,
            decimals=1,
            cell="color-text",
            thresholds=steps(FINE, (60, WARN), (300, BAD)),
        ),
    ]
    return table(
        ("Exporters", "Every exporter chosen above. One that is silent watches nothing; its leaks are not over."),
        "none",
        "no exporter",
        queries,
        columns,
        width=12,
        height=8,
        sort="Value #A",
        descending=False,
    )


def build():
    """The page."""
    info, present = "memleak_exporter_build_info", "memleak_target_present"
    variables = [variable("job", info), variable("instance", f'{info}{{job=~"$job"}}'), variable("kind", f"{present}{{{HERE}}}")]
    begins = select("memleak_area_leak_start_timestamp_seconds", inside=KIND)
    marks = [annotation("Leaks begin", BAD, f"{begins} * 1000", "{{target}} begins to leak", "instance,kind,area", at_value=True)]
    panels = [
        *headline(),
        leaks_table(),
        running_out(),
        suspicion(),
        *section("What happened, and who watches", *history(), spread(), exporters()),
    ]
    return dashboard(
        UID,
        "Memory leaks: fleet",
        "Which targets leak, how sure that is, how fast they grow and when they run out.",
        variables,
        panels,
        marks,
    )
