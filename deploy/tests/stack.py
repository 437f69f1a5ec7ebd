"""stack.py BINARY MANIFESTS: runs the stack of compose/compose.yaml, as far as its programs are here, and asks it.

Each service has a root of its own with the mounts and the command that the file gives it; they share one network, in
which their names are loopback addresses. A second exporter is a machine that pushes. Grafana is not here: its
provisioning is read by provisioning.py.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.parse

from common import DEPLOY, fail
from container import Container, enter, get, wait_for

# Where the images keep their program, by service; what is not here is left out.
PROGRAMS = {"prometheus": "prometheus", "alertmanager": "alertmanager", "otel-collector": "otelcol"}
# Debian's programs have some of their files here, which others have inside of them.
DEBIAN_FILES = "/usr/share/prometheus"
PUSHER_PORT = 10100


def main():
    """Starts everything, and waits until Prometheus has all that it should have."""
    binary, checker = sys.argv[1:]
    path = DEPLOY / "compose" / "compose.yaml"
    printed = subprocess.run([checker, "compose", path], check=True, capture_output=True, text=True).stdout
    services = json.loads(printed)["services"]
    hosts = "".join(f"127.0.0.1 {name}\n" for name in ["localhost", *services])

    containers = []
    for name, service in services.items():
        program = binary if name == "memleak-exporter" else shutil.which(PROGRAMS.get(name, "-"))
        if program:
            containers.append(started(name, program, service, hosts))
    pusher = Container("pusher", binary)
    pusher.bind("/proc", "/proc")
    pusher.bind("/sys", "/sys")
    pusher.write("/etc/hosts", hosts)
    pusher.start([f"--web.listen-address=127.0.0.1:{PUSHER_PORT}"], {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4318",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pusher",
    })  # fmt: skip
    containers.append(pusher)
    try:
        judge(containers)
    finally:
        for container in containers:
            container.close()


def started(name, program, service, hosts):
    """A service of the file as a container."""
    container = Container(name, os.path.realpath(program))
    container.write("/etc/hosts", hosts)
    if os.path.isdir(DEBIAN_FILES):
        container.bind(DEBIAN_FILES, DEBIAN_FILES)
    for volume in service["volumes"]:
        if volume["type"] == "bind":
            container.bind(volume["source"], volume["target"])
        else:
            container.writable(volume["target"])
    container.start(service["command"], service.get("environment") or {})
    return container


def judge(containers):
    """What a person would look at in Prometheus: targets, rules, Alertmanager, and both machines."""

    def has(what, path, count):
        found = wait_for(what, lambda: count(answer(path)), containers)
        print(f"{what}: {found}")

    has("targets up", "query?query=up", lambda data: data and all_of(data["result"], 2))
    has("alerting rules", "rules?type=alert", lambda data: data and sum(len(group["rules"]) for group in data["groups"]))
    has("alertmanagers", "alertmanagers", lambda data: data and len(data["activeAlertmanagers"]))
    scraped = urllib.parse.quote('count(memleak_area_size_bytes{job="memleak_exporter",instance="memleak-exporter:10099"})')
    has("sizes that were scraped", f"query?query={scraped}", first)
    pushed = urllib.parse.quote('count(memleak_area_size_bytes{job="memleak_exporter",instance="pusher"})')
    has("sizes that were pushed", f"query?query={pushed}", first)
    for container in containers:
        if code := container.stop():
            fail(f"{container.name}: exit code {code}", *container.lines()[-10:])


def answer(path):
    """The data of an answer of Prometheus."""
    page = get(f"http://127.0.0.1:9090/api/v1/{path}")
    return page and json.loads(page).get("data")


def all_of(result, expected):
    """How many there are, once it is as many as expected and all are 1."""
    return len(result) if len(result) == expected and all(row["value"][1] == "1" for row in result) else None


def first(data):
    """The value of the only series."""
    return data and data["result"] and data["result"][0]["value"][1]


if __name__ == "__main__":
    enter()
    main()
