"""Derived files of deploy/, written, or compared with --check. deploy/generate explains and calls it."""

import pathlib
import re
import sys

from chart import CHART, render
from common import DEPLOY, ROOT, fail

# The two parts of deploy/kubernetes: what every cluster takes, and what only the operator's kinds make sense to.
PLAIN = {"networkPolicy": {"enabled": True}}
OPERATOR = {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
OPERATOR_TEMPLATES = {"podmonitor.yaml", "prometheusrule.yaml"}


def main():
    """Every derived file with its text; a directory that holds derived files alone loses all others."""
    # The chart's copies come first: what is rendered reads them.
    copies = chart_copies()
    if sys.argv[1:] == ["--check"]:
        problems = [*compare(copies), *compare(rendered())]
        if problems:
            fail(*problems, "deploy/generate writes them anew")
        return
    if sys.argv[1:]:
        fail("usage: deploy/generate [--check]")
    write(copies)
    write(rendered())


def chart_copies():
    """The rules and the dashboards, byte by byte, and the routes without their receivers."""
    files = CHART / "files"
    copies = {files / "memleak.rules.yml": (ROOT / "alerts" / "memleak.rules.yml").read_text()}
    for dashboard in sorted((ROOT / "grafana").glob("*.json")):
        copies[files / "dashboards" / dashboard.name] = dashboard.read_text()
    for other in (files / "dashboards").glob("*.json"):
        copies.setdefault(other, None)
    copies[DEPLOY / "compose" / "alertmanager.yml"] = silent_routes()
    return copies


def silent_routes():
    """The routes and inhibitions that are shipped, comments included; the receivers keep their names alone."""
    text = (ROOT / "alerts" / "alertmanager.yml").read_text()
    found = re.search(r"^route:\n.*?(?=^receivers:\n)", text, re.MULTILINE | re.DOTALL)
    receivers = re.findall(r"^  - name: (\S+)$", text, re.MULTILINE)
    if not found or not receivers:
        fail("alerts/alertmanager.yml: no route, or no receivers behind it")
    head = "# Written by deploy/generate from alerts/alertmanager.yml: its routes, with receivers that send nothing. Alerts\n"
    head += "# show on Alertmanager's own page. To have them sent, mount alerts/ and your secrets instead.\n"
    return head + found[0] + "receivers:\n" + "".join(f"  - name: {name}\n" for name in receivers)


def rendered():
    """The plain manifests, and the operator's."""
    plain = render(PLAIN)
    operator = render(OPERATOR)
    kubernetes = DEPLOY / "kubernetes"
    return {
        kubernetes / "memleak-exporter.yaml": joined(plain, set(plain) - {"NOTES.txt"}),
        kubernetes / "prometheus-operator" / "monitoring.yaml": joined(operator, OPERATOR_TEMPLATES),
    }


def joined(texts, wanted):
    """One stream of documents without the labels that say Helm manages them."""
    head = "# Written by deploy/generate from the chart in deploy/helm. deploy/README.md says how to apply it.\n"
    body = "\n---\n".join(texts[name].removeprefix("---\n") for name in sorted(wanted))
    return head + re.sub(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", "", body, flags=re.MULTILINE) + "\n"


def compare(files):
    """What is missing, out of date, or too much."""
    for path, text in files.items():
        name = path.relative_to(ROOT)
        if text is None:
            yield f"{name}: derived from nothing that is there"
        elif not path.exists():
            yield f"{name}: missing"
        elif path.read_text() != text:
            yield f"{name}: out of date"


def write(files):
    """Writes all files, and removes those without a text."""
    path: pathlib.Path
    for path, text in files.items():
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


main()
