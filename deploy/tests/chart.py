"""The chart as Helm's own engine sees it: for deploy/generate and the checks."""

import pathlib
import sys

import helm_python as helm
import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
ROOT = DEPLOY.parent
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


class Strict(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    """YAML in which a key may be there only once: the last would win in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def fail(*lines):
    """Ends the check, and says why."""
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(1)
