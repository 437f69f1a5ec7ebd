"""Runs a program as a container runtime would, where there is none: for the checks.

An empty directory in memory becomes its root. Into it go the program, the libraries that it is linked to, and the mounts
that a manifest asks for; user, capabilities and read-only root are the manifest's too. What a program needs beside
these, it misses. This must run as root in namespaces of its own for mounts, control groups and network (`enter`).
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

# Of linux/capability.h, prctl.h and sockios.h.
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "DAC_READ_SEARCH": 2, "SYS_PTRACE": 19}
HIGHEST_CAPABILITY = 40
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
SIOCSIFFLAGS, IFF_UP_AND_RUNNING = 0x8914, 0x41

NOBODY = 65534
ENTERED = "MEMLEAK_CHECK_ENTERED"


def enter():
    """Runs this program anew in namespaces of its own, which take all mounts with them when it ends."""
    if ENTERED in os.environ:
        # The directory itself is covered, so that it is empty outside of here.
        mount("-t", "tmpfs", "memleak-check", os.environ[ENTERED])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP_AND_RUNNING))
        return
    command = ["unshare", "--mount", "--cgroup", "--net", sys.executable, *sys.argv]
    with tempfile.TemporaryDirectory(prefix="memleak-check-") as directory:
        sys.exit(subprocess.run(command, env={**os.environ, ENTERED: directory}, check=False).returncode)


class Container:
    """A program with a root of its own."""

    def __init__(self, name, program, user=NOBODY, group=NOBODY, capabilities=()):
        """`user` and `group` are numbers; `capabilities` are those that are kept, without CAP_."""
        self.name, self.user, self.group = name, user, group
        self.kept = {CAPABILITIES[capability] for capability in capabilities}
        self.root = pathlib.Path(os.environ[ENTERED]) / name
        self.root.mkdir()
        mount("-t", "tmpfs", "-o", "mode=755", "memleak-check", self.root)
        self.program = "/bin/" + pathlib.Path(program).name
        self._copy(program, self.program)
        for library in libraries(program):
            self._copy(library, library)
        self.process = None

    def _copy(self, source, target):
        target = self.inside(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def inside(self, path):
        """Where an absolute path of the container lies on this machine."""
        return self.root / str(path).lstrip("/")

    def bind(self, source, path):
        """Shows a file or directory of this machine in the container, with all that is mounted below it."""
        target, source = self.inside(path), pathlib.Path(source)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        mount("--rbind", source, target)

    def write(self, path, text):
        """A file of the container."""
        target = self.inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def writable(self, path):
        """A directory that the program may write to, even where its root is read-only."""
        target = self.inside(path)
        target.mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=700", "memleak-check", target)
        os.chown(target, self.user, self.group)

    def start(self, arguments, environment=()):
        """Starts the program with a read-only root. Its log is kept in memory."""
        mount("-o", "remount,ro", self.root)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [self.program, *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            preexec_fn=self._confine,
        )

    def _confine(self):
        """Runs in the new process, before the program."""
        os.chroot(self.root)
        os.chdir("/")
        libc = ctypes.CDLL(None)
        for capability in range(HIGHEST_CAPABILITY + 1):
            if capability not in self.kept:
                libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.setgroups([])
        os.setresgid(self.group, self.group, self.group)
        os.setresuid(self.user, self.user, self.user)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

    def lines(self):
        """The log so far."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace").splitlines()

    def stop(self):
        """Asks it to end, and returns its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=20)

    def close(self):
        """Ends what is left; the mounts go with the namespace."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def mount(*arguments):
    """mount(8)."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


def libraries(program):
    """What the loader would load, itself included; nothing for a static program."""
    printed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(?:^|=> )\s*(/\S+)", printed, re.MULTILINE)


def get(url):
    """The body of a page, or nothing while it is not there."""
    with contextlib.suppress(OSError, urllib.error.URLError):
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    return None


def wait_for(what, ready, containers, seconds=40):
    """What `ready` returns once it is something. Where that takes too long, or a container ends: the logs, and the end."""
    for _ in range(seconds * 5):
        if found := ready():
            return found
        if any(container.process.poll() is not None for container in containers):
            break
        time.sleep(0.2)
    print(f"{what}: not there", file=sys.stderr)
    for container in containers:
        code = container.process.poll()
        state = "runs" if code is None else f"ended with {code}"
        print(f"--- {container.name}: {state}", *container.lines()[-15:], sep="\n", file=sys.stderr)
    sys.exit(1)
