"""Dashboards as a running Prometheus answers them: the variables chosen and expanded as Grafana does it, each query run."""

import itertools
import json
import pathlib
import re
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
POINTS = 300
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def dashboards():
    """The written files, by uid."""
    pages = [json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))]
    return {page["uid"]: page for page in pages}


def panels(page):
    """The panels that ask something, from top to bottom."""
    asking = [each for each in page["panels"] if each["type"] != "row"]
    return sorted(asking, key=lambda each: (each["gridPos"]["y"], each["gridPos"]["x"]))


def queries(page):
    """Every query of panels and annotations: the panel that it is run in, itself, and a name to be told by."""
    for panel in panels(page):
        for query in panel["targets"]:
            yield panel, query, (page["uid"], panel["title"], query["refId"])
    for mark in page["annotations"]["list"]:
        if "expr" in mark:
            yield {}, {"expr": mark["expr"]}, (page["uid"], "annotation", mark["name"])


def seconds(duration):
    """`5m` in seconds."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


class Refused(Exception):
    """Prometheus did not take a query."""


class Prometheus:
    """A Prometheus, over a time range that ends now."""

    def __init__(self, address, span_secs, scrape_secs):
        self.address, self.span, self.scrape, self.end = address.rstrip("/"), span_secs, scrape_secs, time.time()

    def get(self, path, **parameters):
        text = urllib.parse.urlencode(parameters, doseq=True)
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{text}", timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error).get("error", str(error))) from None

    def label_values(self, definition, chosen):
        """The values of a variable of the form `label_values(SERIES, LABEL)`."""
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", definition).groups()
        return self.get(f"label/{label}/values", **{"match[]": self.expand(series, chosen), "start": self.end - self.span})

    def expand(self, expr, chosen, span=None, step=None):
        """The expression with Grafana's variables replaced."""
        span = span or self.span
        step = step or max(span / POINTS, 1)
        built_in = {
            "__rate_interval": f"{int(max(step + self.scrape, 4 * self.scrape))}s",
            "__interval": f"{int(step)}s",
            "__range": f"{int(span)}s",
        }
        return re.sub(r"\$(\w+)", lambda found: str({**built_in, **chosen}[found.group(1)]), expr)

    def run(self, panel, query, chosen):
        """The series of one query: `{"metric": …, "values": [[time, text], …]}`."""
        ahead = panel.get("timeFrom")
        span = seconds(ahead.lstrip("+")) if ahead else self.span
        start, end = (self.end, self.end + span) if ahead else (self.end - span, self.end)
        step = max(span / POINTS, seconds(panel.get("interval", "1s")))
        expr = self.expand(query["expr"], chosen, span, step)
        if query.get("instant"):
            return [{**each, "values": [each["value"]]} for each in self.get("query", query=expr, time=end)["result"]]
        return self.get("query_range", query=expr, start=start, end=end, step=step)["result"]


def choices(prometheus, page, given=None):
    """Every way to choose the page's variables: all values where several may be chosen, be there any or none, else one
    after the other.

    `given` fixes some of them by name.
    """
    given = given or {}
    chosen = [{}]
    for variable in page["templating"]["list"]:
        if variable["type"] != "query":
            continue
        chosen = list(itertools.chain.from_iterable(_choose(prometheus, variable, each, given) for each in chosen))
    return chosen


def _choose(prometheus, variable, chosen, given):
    name = variable["name"]
    if name in given:
        return [{**chosen, name: given[name]}]
    if variable["multi"]:
        return [{**chosen, name: variable["allValue"]}]
    values = prometheus.label_values(variable["query"], chosen)
    escaped = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return [{**chosen, name: value} for value in escaped]
