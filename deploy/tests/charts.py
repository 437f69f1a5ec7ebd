"""charts.py BINARY CHECKER: the chart and the manifests rendered from it, against those who will read them.

Helm's linter; the schemas of Kubernetes, several versions, strictly; the types of the Prometheus operator; the exporter's
own flags and configuration; the alert rules; and what must fit together inside of a manifest. CHECKER is the program of
deploy/tests/manifests.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import helm_python as helm
import kubernetes_validate
import yaml

from chart import CHART, manifests, render, variants
from common import DEPLOY, ROOT, Strict, fail

# The oldest that the chart names, one in between, and the newest there are schemas for.
KUBERNETES = ["1.30", "1.34", "1.37"]
# `kubectl apply` keeps a copy as JSON in an annotation, of at most 262144 bytes.
MOST_BYTES_APPLIED = 250_000
OPERATOR = "monitoring.coreos.com/v1"

# Values that must be refused, and what the refusal must name.
REFUSED = [
    ({"imge": {}}, "imge"),
    ({"port": "10099"}, "port"),
    ({"storage": {"type": "pvc"}}, "type"),
    ({"storage": {"hostPath": "relative"}}, "hostPath"),
    ({"config": {"sampling": {}}}, "config"),
    ({"log": {"level": "trace"}}, "level"),
    ({"image": {"digest": "sha256:1"}}, "digest"),
    ({"extraArgs": ["web.max-requests=8"]}, "extraArgs"),
    ({"otlp": {"headersSecret": {"name": "otlp"}}}, "key"),
    ({"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}, "alarmed twice"),
    ({"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}, "service.enabled"),
]


def main():
    """Every check; the first that fails ends it."""
    binary, checker = sys.argv[1:]
    metadata_fits()
    values_are_described()
    refused_values()
    rules_are_the_shipped_ones()
    dashboards_are_the_shipped_ones()
    count = 0
    for name, values in variants().items():
        linted(name, values)
        resources = manifests(values, name="watch", namespace="monitoring")
        validated(f"variant {name}", resources, checker)
        fits_together(name, resources)
        accepted(name, resources, binary)
        count += len(resources)
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        resources = list(yaml.load_all(path.read_text(), Loader=Strict))
        validated(str(path.relative_to(ROOT)), resources, checker)
        count += len(resources)
    print(f"{count} manifests, {len(variants())} variants of values, Kubernetes {', '.join(KUBERNETES)}")


def metadata_fits():
    """The chart is of the exporter's version."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    chart = yaml.load((CHART / "Chart.yaml").read_text(), Loader=Strict)
    if chart["appVersion"] != version or not chart["kubeVersion"].startswith(f">={KUBERNETES[0]}."):
        fail(f"Chart.yaml: appVersion should be {version}, and kubeVersion that of {KUBERNETES[0]}")


def values_are_described():
    """Whatever the schema allows stands in values.yaml with its default, so that one file shows all."""

    def missing(schema, values, path):
        for key, below in schema.get("properties", {}).items():
            # What Helm itself adds, and lists of free form.
            if not isinstance(values, dict) or key not in values:
                yield ".".join([*path, key])
            elif isinstance(values[key], dict) and values[key]:
                yield from missing(below, values[key], [*path, key])

    with helm.Chart.load(CHART) as chart:
        schema, values = chart.schema, chart.values
    unmentioned = set(missing(schema, values, [])) - {"global", "resources.claims"}
    if unmentioned:
        fail("values.schema.json allows what values.yaml does not show:", *sorted(unmentioned))


def refused_values():
    """Mistakes end the rendering with a word about them."""
    for values, word in REFUSED:
        try:
            render(values)
            with helm.Chart.load(CHART) as chart:
                chart.validate_schema(values)
        except helm.HelmError as error:
            if word not in str(error):
                fail(f"{values}: refused, but not for {word}: {error}")
        else:
            fail(f"{values}: not refused")


def linted(name, values):
    """Helm's linter has nothing to say."""
    for version in KUBERNETES:
        report = helm.lint(CHART, values, strict=True, kube_version=f"v{version}.0")
        said = [message for message in report["messages"] if message["severity"] > 1]
        if said or report["errors"]:
            fail(f"variant {name}, Kubernetes {version}: helm lint", *map(str, said), *report["errors"])


def validated(name, resources, checker):
    """Every resource is one that its reader knows, in every field."""
    theirs = [resource for resource in resources if resource["apiVersion"] == OPERATOR]
    for resource in resources:
        if resource in theirs:
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(resource, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                fail(f"{name}: {resource['kind']}, Kubernetes {version}: {error.message}")
    if theirs:
        stream = yaml.safe_dump_all(theirs)
        checked = subprocess.run([checker, "operator"], input=stream, capture_output=True, text=True, check=False)
        if checked.returncode:
            fail(f"{name}: {checked.stderr}")


def rules_are_the_shipped_ones():
    """The operator's resource says what alerts/memleak.rules.yml says, but for the base of the runbooks."""
    shipped = yaml.load((ROOT / "alerts" / "memleak.rules.yml").read_text(), Loader=Strict)
    # By the parser that the loader uses for both: anchors are resolved either way.
    (rendered,) = [one for one in manifests({"prometheusRule": {"enabled": True}}) if one["kind"] == "PrometheusRule"]
    if rendered["spec"] != shipped:
        fail("the rendered PrometheusRule differs from alerts/memleak.rules.yml: run deploy/generate")
    based = {"prometheusRule": {"enabled": True, "runbookBaseUrl": "https://wiki.example.org/memleak/"}}
    (rendered,) = [one for one in manifests(based) if one["kind"] == "PrometheusRule"]
    # Through JSON, so that what an anchor shares becomes two.
    expected = json.loads(json.dumps(shipped))
    for rule in (rule for group in expected["groups"] for rule in group["rules"]):
        annotations = rule.get("annotations", {})
        if "runbook_url" in annotations:
            annotations["runbook_url"] = "https://wiki.example.org/memleak/" + annotations["runbook_url"]
    if rendered["spec"] != expected:
        fail("prometheusRule.runbookBaseUrl changes something else than the runbooks, or not all of them")
    linked = {"prometheusRule": {"enabled": True, "grafanaUrl": "https://grafana.example.org/"}}
    (rendered,) = [one for one in manifests(linked) if one["kind"] == "PrometheusRule"]
    expected = json.loads(json.dumps(shipped))
    for rule in (rule for group in expected["groups"] for rule in group["rules"]):
        annotations = rule.get("annotations", {})
        if "dashboard_url" in annotations:
            annotations["dashboard_url"] = "https://grafana.example.org" + annotations["dashboard_url"]
    if rendered["spec"] != expected:
        fail("prometheusRule.grafanaUrl changes something else than the dashboards, or not all of them")
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump(rendered["spec"], file)
        file.flush()
        checked = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
    if checked.returncode:
        fail("the rendered rules:", checked.stdout, checked.stderr)


def dashboards_are_the_shipped_ones():
    """Each dashboard is in a config map of its own, unchanged, and of a size that a config map may have."""
    resources = manifests({"dashboards": {"enabled": True}})
    rendered = {name: text for one in resources if one["kind"] == "ConfigMap" for name, text in one["data"].items()}
    shipped = {path.name: path.read_text() for path in (ROOT / "grafana").glob("*.json")}
    if {name: text.strip() for name, text in rendered.items()} != {name: text.strip() for name, text in shipped.items()}:
        fail("the rendered dashboards differ from grafana/: run deploy/generate")
    large = [name for name, text in shipped.items() if len(json.dumps(text)) > MOST_BYTES_APPLIED]
    if large:
        fail("too large for `kubectl apply`:", *large)


def fits_together(name, resources):
    """Selectors select the pods, ports have the names that are asked for, and mounts have their volumes."""

    def require(holds, what):
        if not holds:
            fail(f"variant {name}: {what}")

    one = {resource["kind"]: resource for resource in resources}
    template = one["DaemonSet"]["spec"]["template"]
    spec, labels = template["spec"], template["metadata"]["labels"]
    (container,) = spec["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    selectors = [one["DaemonSet"]["spec"]["selector"]["matchLabels"]]
    if "Service" in one:
        service = one["Service"]
        selectors.append(service["spec"]["selector"])
        require(service["spec"]["ports"][0]["targetPort"] in ports, "the service asks for a port that is not there")
        if "ServiceMonitor" in one:
            wanted = one["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
            require(wanted.items() <= service["metadata"]["labels"].items(), "the ServiceMonitor finds no service")
            port = one["ServiceMonitor"]["spec"]["endpoints"][0]["port"]
            require(port == service["spec"]["ports"][0]["name"], "the ServiceMonitor asks for a port that is not there")
    if "PodMonitor" in one:
        selectors.append(one["PodMonitor"]["spec"]["selector"]["matchLabels"])
        port = one["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["port"]
        require(port in ports, "the PodMonitor asks for a port that is not there")
    if "NetworkPolicy" in one:
        selectors.append(one["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"])
    for selector in selectors:
        require(selector.items() <= labels.items(), f"{selector} does not select the pods")

    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    for volume in volumes.values():
        path = volume.get("hostPath", {}).get("path", "")
        require(not path.startswith("/var/log/") or mounted[volume["name"]]["mountPath"] == path, f"{path} is not where it is looked for")
    require(volumes.keys() == mounted.keys(), f"volumes {sorted(volumes)} and mounts {sorted(mounted)} differ")
    writable = {mount for mount in mounted if not mounted[mount].get("readOnly")}
    require(writable <= {"storage"}, f"writable: {sorted(writable)}")
    require(spec["serviceAccountName"] == one.get("ServiceAccount", {"metadata": {"name": "default"}})["metadata"]["name"],
            "the service account is another one")  # fmt: skip
    require(spec["hostPID"] and not spec["automountServiceAccountToken"], "hostPID, and no token")


def accepted(name, resources, binary):
    """The exporter takes every flag and the configuration."""
    (arguments,) = [
        container["args"]
        for resource in resources
        if resource["kind"] == "DaemonSet"
        for container in resource["spec"]["template"]["spec"]["containers"]
    ]
    with tempfile.TemporaryDirectory() as directory:
        for resource in resources:
            for file, text in resource.get("data", {}).items() if resource["kind"] == "ConfigMap" else ():
                (pathlib.Path(directory) / file).write_text(text)
        arguments = [argument.replace("/etc/memleak_exporter", directory) for argument in arguments]
        checked = subprocess.run(
            [binary, *arguments, "--config.check"], capture_output=True, text=True, check=False, env={}
        )
    if checked.returncode:
        fail(f"variant {name}: the exporter refuses its flags or its configuration:", checked.stdout, checked.stderr)


main()
