"""Grafana's own words: panels, queries, variables and dashboards, as the JSON of schema version 42.

Nothing here knows a metric. A panel cannot be made without a title, a description, a unit and a text for when there is
nothing to show, so that none can be forgotten.
"""

SCHEMA_VERSION = 42
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
TAG = "memleak"

# One meaning for each colour, on every page.
FINE, NOTE, WARN, BAD, WORST, PLAIN = "green", "yellow", "orange", "red", "dark-red", "blue"


# --- queries ----------------------------------------------------------------------------------------------------------


def query(expr, legend="", format="time_series", instant=False, hide=False):
    """A query over the range, or at its end."""
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "format": format,
        "hide": hide,
        "instant": instant,
        "legendFormat": legend,
        "range": not instant,
    }


def now(expr, legend=""):
    """A query at the end of the range."""
    return query(expr, legend, instant=True)


def rows(expr):
    """A query at the end of the range whose series become rows of a table."""
    return query(expr, format="table", instant=True)


def _lettered(queries):
    return [{**each, "refId": chr(ord("A") + at)} for at, each in enumerate(queries)]


# --- what a value looks like ------------------------------------------------------------------------------------------


def steps(base, *above):
    """Colours by value: `base` below everything, then pairs of a value and the colour from there on."""
    return [{"color": base, "value": None}] + [{"color": color, "value": value} for value, color in above]


def words(**values):
    """Texts and colours for whole numbers: `words(_0=("none", "green"))`."""
    options = {name.lstrip("_"): {"index": at, "text": text, "color": color} for at, (name, (text, color)) in enumerate(values.items())}
    return [{"type": "value", "options": options}]


STATES = words(_0=("no leak", FINE), _1=("suspected", WARN), _2=("confirmed", BAD))
SEVERITIES = words(_0=("none", FINE), _1=("low", PLAIN), _2=("medium", NOTE), _3=("high", WARN), _4=("critical", BAD))
SUCCESS = words(_0=("failed", BAD), _1=("ok", FINE))
YES_IS_BAD = words(_0=("no", FINE), _1=("yes", BAD))


def override(name, **properties):
    """Settings of one column or series. Keywords are property names, with `__` for the dot."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def override_like(pattern, **properties):
    """Settings of all series whose name matches."""
    return {**override(pattern, **properties), "matcher": {"id": "byRegexp", "options": pattern}}


# --- panels -----------------------------------------------------------------------------------------------------------


def panel(kind, text, unit, empty, queries, width, height, options, custom=None, **defaults):
    """Any panel. `text` is title and description; `empty` is what stands there while there is nothing to show."""
    title, description = text
    extra = {key: defaults.pop(key) for key in ("transformations", "timeFrom", "interval") if key in defaults}
    return {
        "datasource": DATASOURCE,
        "description": description,
        "fieldConfig": {
            "defaults": {
                "color": {"mode": "palette-classic"},
                "custom": custom or {},
                "mappings": [],
                "noValue": empty,
                "thresholds": {"mode": "absolute", "steps": defaults.pop("thresholds", steps(FINE))},
                "unit": unit,
                **{key: value for key, value in defaults.items() if key != "overrides"},
            },
            "overrides": defaults.get("overrides", []),
        },
        "gridPos": {"w": width, "h": height},
        "options": options,
        "targets": _lettered(queries),
        "title": title,
        "type": kind,
        **extra,
    }


def _reduced(calculation="lastNotNull"):
    return {"calcs": [calculation], "fields": "", "values": False}


def _legend(calculations=(), shown=True):
    return {"calcs": list(calculations), "displayMode": "list", "placement": "bottom", "showLegend": shown}


def stat(text, unit, empty, queries, width=4, height=4, **defaults):
    """One number that says by its colour whether it is good."""
    graph = defaults.pop("graph", "none")
    options = {
        "colorMode": "background_solid" if graph == "none" else "value",
        "graphMode": graph,
        "justifyMode": "center",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": _reduced(),
        "showPercentChange": False,
        "textMode": defaults.pop("shows", "value"),
        "wideLayout": True,
    }
    defaults.setdefault("color", {"mode": "thresholds"})
    return panel("stat", text, unit, empty, queries, width, height, options, **defaults)


DASHED = {"fill": "dash", "dash": [8, 6]}
DOTTED = {"fill": "dot", "dash": [2, 6]}


def timeseries(text, unit, empty, queries, width=12, height=8, **defaults):
    """Curves over time. `stack`, `fill` and `legend` are the choices there are."""
    stack = defaults.pop("stack", False)
    custom = {
        "drawStyle": "line",
        "fillOpacity": defaults.pop("fill", 60 if stack else 8),
        "gradientMode": "none",
        "lineInterpolation": "linear",
        "lineWidth": 0 if stack else 2,
        "showPoints": "never",
        "spanNulls": 300000,
        "stacking": {"group": "A", "mode": "normal" if stack else "none"},
        "thresholdsStyle": {"mode": defaults.pop("threshold_line", "off")},
    }
    custom.update(defaults.pop("custom", {}))
    options = {"legend": _legend(defaults.pop("legend", ["lastNotNull"])), "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", text, unit, empty, queries, width, height, options, custom, **defaults)


def timeline(text, unit, empty, queries, width=12, height=8, **defaults):
    """One bar for each series, coloured by what its value is at the time."""
    options = {
        "alignValue": "left",
        "legend": _legend(shown=False),
        "mergeValues": True,
        "rowHeight": 0.85,
        "showValue": defaults.pop("show_value", "never"),
        "tooltip": {"mode": "single", "sort": "none"},
    }
    defaults.setdefault("color", {"mode": "thresholds"})
    custom = {"fillOpacity": 85, "lineWidth": 0}
    return panel("state-timeline", text, unit, empty, queries, width, height, options, custom, **defaults)


def bars(text, unit, empty, queries, width=12, height=8, **defaults):
    """One horizontal bar for each series, its name before it."""
    options = {
        "displayMode": "basic",
        "legend": _legend(shown=False),
        "maxVizHeight": 40,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "left",
        "orientation": "horizontal",
        "reduceOptions": _reduced(),
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }
    defaults.setdefault("color", {"mode": "thresholds"})
    return panel("bargauge", text, unit, empty, queries, width, height, options, **defaults)


def heatmap(text, unit, empty, queries, width=12, height=8, cells="short", **defaults):
    """How often each bucket of a histogram was hit, over time. `unit` is that of the buckets, `cells` of the counts."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": cells},
        "color": {
            "exponent": 0.5,
            "fill": "dark-orange",
            "mode": "scheme",
            "reverse": False,
            "scale": "exponential",
            "scheme": "Oranges",
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    return panel("heatmap", text, unit, empty, queries, width, height, options, **defaults)


def table(text, unit, empty, queries, columns, width=24, height=9, sort=None, descending=True, **defaults):
    """Series as rows. `columns` are `column(…)`s in their order; whatever is not among them is left out.

    `sort` is the field to sort by, shown or not: `Value #B` is the value of the second query.
    """
    order = {each["field"]: at for at, each in enumerate(columns)}
    hidden = {"Time": True, "__name__": True, "job": True, "Value": True, **({} if sort in order else {sort: True} if sort else {})}
    transformations = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    if sort:
        transformations.append({"id": "sortBy", "options": {"sort": [{"field": sort, "desc": descending}]}})
    transformations.append(
        {
            "id": "organize",
            "options": {
                "excludeByName": {name: True for name in hidden if name not in order},
                "indexByName": order,
                "renameByName": {each["field"]: each["name"] for each in columns},
            },
        }
    )
    options = {"cellHeight": "sm", "frameIndex": 0, "showHeader": True}
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False}
    overrides = [override(each["name"], **each["properties"]) for each in columns if each["properties"]]
    return panel(
        "table",
        text,
        unit,
        empty,
        queries,
        width,
        height,
        options,
        custom,
        transformations=transformations,
        overrides=overrides,
        **defaults,
    )


def column(field, name, unit=None, width=None, mappings=None, thresholds=None, cell=None, links=None, **more):
    """A column of a table. `cell` is Grafana's type of cell: color-text, color-background or gauge."""
    properties = {}
    if unit:
        properties["unit"] = unit
    if width:
        properties["custom__width"] = width
    if mappings:
        properties["mappings"] = mappings
    if thresholds:
        properties["thresholds"] = {"mode": "absolute", "steps": thresholds}
        properties["color"] = {"mode": "thresholds"}
    if cell:
        mode = {"mode": "basic", "valueDisplayMode": "text"} if cell == "gauge" else {}
        properties["custom__cellOptions"] = {"type": cell, **mode}
    if links:
        properties["links"] = links
    properties.update(more)
    return {"field": field, "name": name, "properties": properties}


# --- the page ---------------------------------------------------------------------------------------------------------


def section(title, *panels):
    """A heading and what stands below it."""
    return [{"collapsed": False, "gridPos": {"w": 24, "h": 1}, "panels": [], "title": title, "type": "row"}, *panels]


def _placed(panels):
    """The panels from left to right and from top to bottom, numbered."""
    x = y = tallest = 0
    for number, each in enumerate(panels, start=1):
        place = each["gridPos"]
        if x + place["w"] > 24:
            x, y, tallest = 0, y + tallest, 0
        each["id"] = number
        each["gridPos"] = {**place, "x": x, "y": y}
        x += place["w"]
        tallest = max(tallest, place["h"])
    return panels


def datasource_variable():
    """The data source is a variable, so that the same file serves provisioning and import by hand."""
    return {
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }


def variable(name, metric, label=None, several=True):
    """A label's values, from the series of `metric`; with `several`, many can be chosen, and at first all are."""
    everything = {"allValue": ".+", "current": {"selected": True, "text": "All", "value": "$__all"}}
    return {
        **(everything if several else {}),
        "datasource": DATASOURCE,
        "hide": 0,
        "includeAll": several,
        "label": label or name.capitalize(),
        "multi": several,
        "name": name,
        "options": [],
        "query": f"label_values({metric}, {name})",
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }


def annotation(name, color, expr, title, tags="", at_value=False):
    """Marks on every curve where the query has a value; with `at_value`, at the time that the value is."""
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expr,
        "hide": False,
        "iconColor": color,
        "name": name,
        "step": "60s",
        "tagKeys": tags,
        "textFormat": "",
        "titleFormat": title,
        "useValueForTime": "on" if at_value else False,
    }


def _built_in_annotation():
    return {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }


def _link_to_the_others():
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": [TAG],
        "targetBlank": False,
        "title": "",
        "tooltip": "",
        "type": "dashboards",
        "url": "",
    }


def data_link(title, url):
    """A link on a value."""
    return [{"targetBlank": False, "title": title, "url": url}]


def dashboard(uid, title, description, variables, panels, annotations=(), period="now-6h", tags=()):
    """A whole page: uneditable, since the files are what counts."""
    return {
        "annotations": {"list": [_built_in_annotation(), *annotations]},
        "description": description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [_link_to_the_others()],
        "liveNow": False,
        "panels": _placed(panels),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG, *tags],
        "templating": {"list": [datasource_variable(), *variables]},
        "time": {"from": period, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }
