"""The processes of the trial: the programs and the exporter. Each is started here, and ended here by its own id."""

import os
import re
import subprocess
import threading
import time

# Seconds for a process to end by itself once it was asked.
PATIENCE = 10


class Program:
    """A program that runs, with what an independent reader sees of it: anonymous memory by the kernel's own account."""

    def __init__(self, plan, directory, began):
        words, environment = plan.command(directory)
        self.plan = plan
        self.ready = None
        self.looks = []
        self.began = began
        # The programs end when their input does, so nothing stays behind even if the trial is killed.
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | environment, text=True
        )
        threading.Thread(target=self._wait_until_ready, daemon=True).start()

    def _wait_until_ready(self):
        line = self.process.stdout.readline()
        if line.startswith("ready "):
            self.ready = time.monotonic() - self.began

    @property
    def onset(self):
        """Seconds after the trial's beginning at which the leak begins, or None before it is known."""
        return None if self.ready is None else self.ready + self.plan.onset

    def look(self):
        """Reads the process once; a process that has ended has no more looks."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as status:
                found = re.search(r"^RssAnon:\s+(\d+) kB$", status.read(), re.MULTILINE)
        except OSError:
            return
        if found:
            self.looks.append((time.monotonic() - self.began, int(found[1]) * 1024))

    def processor_seconds(self):
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ended(self):
        return self.process.poll() is not None


class Exporter:
    """The exporter with its default configuration; rules do no more than name the programs."""

    def __init__(self, binary, plans, out):
        configuration = os.path.join(out, "memleak.yml")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write("processes:\n  rules:\n")
            for plan in plans:
                file.write(f"  - name: '{plan.name}'\n    command_line: '--seed {plan.seed}$'\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        self.log = open(os.path.join(out, "exporter.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [binary, f"--config.file={configuration}", "--web.listen-address=127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, env=environment,
        )

    def wait_until_listening(self):
        """The address of its metrics. Raises RuntimeError with its last words if it ends instead."""
        for _ in range(300):
            with open(self.log.name, encoding="utf-8") as log:
                text = log.read()
            found = re.search(r"metrics=\"?(http://[^\s\"]+)", text)
            if found:
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the exporter does not listen, see {self.log.name}: {text[-500:]}")


def end(processes):
    """Ends processes that were started here and waits for them."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
