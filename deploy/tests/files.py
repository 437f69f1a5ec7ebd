"""files.py CHECKER: files of deploy/ that name other files, and those that no program here can check.

The stack's mounts and images, Grafana's provisioning, and what goes into the Debian package.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import yaml

from common import DEPLOY, ROOT, Strict, fail

COMPOSE = DEPLOY / "compose"


def main():
    """Every check; the first that fails ends it."""
    services = stack(sys.argv[1])
    provisioning(services)
    package()
    print(f"{len(services)} services, Grafana's provisioning, and the assets of the Debian package")


def stack(checker):
    """The services, after a look at their images and mounts."""
    loaded = subprocess.run([checker, "compose", COMPOSE / "compose.yaml"], capture_output=True, text=True, check=False)
    if loaded.returncode:
        fail(f"compose.yaml: {loaded.stderr}")
    services = json.loads(loaded.stdout)["services"]
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    for name, service in services.items():
        tag = service["image"].partition(":")[2]
        if not re.fullmatch(r"v?\d+\.\d+\.\d+", tag):
            fail(f"compose.yaml: {name}: the image {service['image']} is of no fixed version")
        if "build" in service and tag != version:
            fail(f"compose.yaml: {name}: the image should be of version {version}")
        for volume in service.get("volumes", []):
            source = pathlib.Path(volume["source"])
            if volume["type"] == "bind" and not source.exists():
                fail(f"compose.yaml: {name} mounts {volume['source']}, which is not there")
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                fail(f"compose.yaml: {name}: port {port['target']} is open to other machines")
    return services


def provisioning(services):
    """Data sources lead to services and their ports, and the dashboards lie where their provider looks."""
    ports = {name: {port["target"] for port in service.get("ports", [])} for name, service in services.items()}
    sources = read(mounted(services, "/etc/grafana/provisioning/datasources/"), "datasources", {"name", "uid", "type", "url"})
    for source in sources:
        host, port = re.fullmatch(r"http://([a-z-]+):(\d+)", source["url"]).groups()
        if int(port) not in ports.get(host, ()):
            fail(f"datasources: {source['name']}: {source['url']} is no service of the stack")
    uids = [source["uid"] for source in sources]
    default = [source for source in sources if source.get("isDefault")]
    if len(set(uids)) != len(uids) or [source["type"] for source in default] != ["prometheus"]:
        fail("datasources: every uid once, and Prometheus the one default")
    for source in sources:
        if source.get("jsonData", {}).get("alertmanagerUid", uids[0]) not in uids:
            fail(f"datasources: {source['name']}: alertmanagerUid is nobody's")
    for provider in read(mounted(services, "/etc/grafana/provisioning/dashboards/"), "providers", {"name", "type", "options"}):
        directory = mounted(services, provider["options"]["path"])
        if not list(directory.glob("*.json")):
            fail(f"dashboards: there are none where {provider['name']} looks")


def mounted(services, beginning):
    """What Grafana sees at the one path with this beginning."""
    found = [volume for volume in services["grafana"]["volumes"] if volume["target"].startswith(beginning)]
    if len(found) != 1:
        fail(f"compose.yaml: grafana: {len(found)} mounts at {beginning}")
    return pathlib.Path(found[0]["source"])


def read(path, key, required):
    """The items of a provisioning file, which all have the required keys."""
    document = yaml.load(path.read_text(), Loader=Strict)
    if document.get("apiVersion") != 1 or set(document) != {"apiVersion", key}:
        fail(f"{path.relative_to(ROOT)}: apiVersion 1 and {key}, nothing else")
    for item in document[key]:
        if not required <= set(item):
            fail(f"{path.relative_to(ROOT)}: lacks {', '.join(sorted(required - set(item)))}")
    return document[key]


def package():
    """Every asset is there, and every file of configuration is an asset."""
    deb = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["metadata"]["deb"]
    targets = set()
    for source, target, _mode in deb["assets"]:
        if not source.startswith("target/") and not list(ROOT.glob(source)):
            fail(f"Cargo.toml: package.metadata.deb: no file matches {source}")
        targets.add("/" + (target if not target.endswith("/") else target + source.rpartition("/")[2]))
    missing = set(deb["conf-files"]) - targets
    unit = ROOT / deb["systemd-units"]["unit-scripts"] / (deb["systemd-units"]["unit-name"] + ".service")
    if missing or not unit.exists():
        fail("Cargo.toml: package.metadata.deb: not among the assets:", *sorted(missing), *([] if unit.exists() else [unit]))


main()
