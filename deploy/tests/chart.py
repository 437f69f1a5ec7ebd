"""The chart as Helm's own engine sees it: for deploy/generate and the checks."""

import helm_python as helm
import yaml

from common import DEPLOY, Strict

CHART = DEPLOY / "helm" / "memleak-exporter"


def render(values, name="memleak-exporter", namespace="memleak"):
    """The text of each rendered manifest by the name of its template, empty ones left out."""
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(values, name=name, namespace=namespace)
    prefix = "memleak-exporter/templates/"
    named = {path.removeprefix(prefix): text.strip() for path, text in rendered.items()}
    return {name: text for name, text in sorted(named.items()) if text}


def manifests(values, **where):
    """Every rendered resource, in the order of the templates' names. A key that is there twice is an error."""
    texts = render(values, **where)
    return [
        resource
        for name, text in texts.items()
        if name != "NOTES.txt"
        for resource in yaml.load_all(text, Loader=Strict)
        if resource
    ]


def variants():
    """The values that the chart is checked with, by name: the defaults, and the files in ci/."""
    found = {"default": {}}
    for path in sorted((CHART / "ci").glob("*-values.yaml")):
        found[path.stem.removesuffix("-values")] = yaml.load(path.read_text(), Loader=Strict)
    return found
