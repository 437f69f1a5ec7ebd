"""pod.py BINARY VARIANT: runs the chart's pod with the values of a variant, and looks at what it sees of this machine.

The exporter must be ready within seconds, see another user's process under the name that its rights show, and control
groups, keep its state where the manifest says, log nothing but what its rights explain, and end as asked.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from chart import manifests, variants
from common import fail
from container import Container, enter, get, wait_for

# A user that exists nowhere, and is not the pod's.
STRANGER = 54321


def main():
    """The whole life of a pod."""
    binary, variant = sys.argv[1:]
    values = variants()[variant]
    resources = manifests(values)
    (daemon_set,) = [resource for resource in resources if resource["kind"] == "DaemonSet"]
    maps = {resource["metadata"]["name"]: resource for resource in resources if resource["kind"] == "ConfigMap"}
    spec = daemon_set["spec"]["template"]["spec"]
    (container,) = spec["containers"]

    pod = laid_out(binary, spec, container, maps)
    with tempfile.TemporaryDirectory() as directory, stranger(directory):
        # OTLP has nobody to talk to here; the stack's check does that.
        pod.start(container["args"])
        port = container["ports"][0]["containerPort"]
        wait_for("pod", lambda: get(f"http://127.0.0.1:{port}{container['readinessProbe']['httpGet']['path']}"), [pod])
        page = wait_for("metrics", lambda: sampled(get(f"http://127.0.0.1:{port}/metrics")), [pod])
    try:
        judge(page, container, pod, values.get("ptrace", False))
    finally:
        pod.close()


def laid_out(binary, spec, container, maps):
    """The container before it starts."""
    user, context = spec["securityContext"], container["securityContext"]
    if not (spec["hostPID"] and context["readOnlyRootFilesystem"] and context["capabilities"]["drop"] == ["ALL"]):
        fail("the pod has other rights than those that are looked at here")
    added = context["capabilities"].get("add", [])
    pod = Container("memleak_exporter", binary, user["runAsUser"], user["runAsGroup"], added)
    for mounted in container["volumeMounts"]:
        (volume,) = [volume for volume in spec["volumes"] if volume["name"] == mounted["name"]]
        path = mounted["mountPath"]
        if "configMap" in volume:
            for name, text in maps.get(volume["configMap"]["name"], {"data": {}})["data"].items():
                pod.write(f"{path}/{name}", text)
        elif volume.get("hostPath", {}).get("type") == "DirectoryOrCreate" and mounted.get("readOnly"):
            # A node has it; this machine has no kubelet.
            pod.inside(path).mkdir(parents=True)
        elif mounted.get("readOnly"):
            pod.bind(volume["hostPath"]["path"], path)
        else:
            pod.writable(path)
    return pod


class stranger:
    """Another user's process, which the kernel calls `short` and whose executable is `stranger-in-full`."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        directory.chmod(0o755)
        program = directory / "stranger-in-full"
        shutil.copy(shutil.which("sleep"), program)
        (directory / "short").symlink_to(program)
        self.command = [directory / "short", "600"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, user=STRANGER, group=STRANGER, extra_groups=[])

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def sampled(page):
    """The page once it shows sizes."""
    return page if page and "\nmemleak_area_size_bytes{" in page else None


def judge(page, container, pod, with_ptrace):
    """Whether it saw what it should with these values."""
    targets = set(re.findall(r'^memleak_area_size_bytes\{target="([^"]*)",kind="process"', page, re.MULTILINE))
    expected = "stranger-in-full" if with_ptrace else "short"
    if expected not in targets:
        fail(f"no target {expected!r} among", *sorted(targets))
    groups = set(re.findall(r'^memleak_area_size_bytes\{target="([^"]*)",kind="cgroup"', page, re.MULTILINE))
    if not groups:
        fail("no control group, though the machine's are mounted")
    failed = re.findall(r'^memleak_exporter_collector_success\{collector="(\w+)"\} 0', page, re.MULTILINE)
    if failed:
        fail("collectors that failed:", *failed)
    storage = [argument.partition("=")[2] for argument in container["args"] if argument.startswith("--storage.path=")]
    code = pod.stop()
    odd = [line for line in pod.lines() if re.search(r"\blevel=(error|warn)\b|\"level\":\"(ERROR|WARN)", line)]
    odd = [line for line in odd if "the kernel refused some reads" not in line]
    if code or odd:
        fail(f"exit code {code}", *odd)
    for directory in storage:
        if not any(pod.inside(directory).iterdir()):
            fail(f"nothing was saved in {directory}")
    rights = "root with SYS_PTRACE" if with_ptrace else f"user {pod.user}, no capability"
    print(f"{len(targets)} targets of processes, {len(groups)} of control groups; {rights}")


if __name__ == "__main__":
    enter()
    main()
