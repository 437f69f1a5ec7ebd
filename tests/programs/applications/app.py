"""An application in Python with the default metrics of prometheus_client, and its own account beside them."""

import gc
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import Gauge, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client import REGISTRY

HELD = [bytearray(1024) for _ in range(50_000)]
Gauge("pool_connections", "Open connections.", ["pool"]).labels("db").set(12)


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def account():
    return json.dumps(
        {
            "rss": resident_bytes(),
            "fds": len(os.listdir("/proc/self/fd")),
            "old_collections": gc.get_stats()[2]["collections"],
        }
    ).encode()


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics" and "openmetrics" in self.headers.get("accept", ""):
            self.answer(openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest(REGISTRY))
        elif self.path == "/metrics":
            self.answer("text/plain; version=0.0.4", generate_latest(REGISTRY))
        elif self.path == "/account":
            self.answer("application/json", account())
        elif self.path == "/collect":
            gc.collect()
            self.answer("text/plain", b"")
        else:
            self.send_error(404)

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Pages)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"ready port={server.server_port}", flush=True)
sys.stdin.read()
