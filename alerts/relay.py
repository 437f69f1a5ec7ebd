#!/usr/bin/env python3
"""Passes on what Alertmanager says to Sentry and to Datadog, in the form that each of them takes.

Alertmanager's webhook has one form, which neither of them reads. This listens beside Alertmanager, on loopback alone
unless told otherwise:

    relay.py --sentry.dsn-file=/etc/alertmanager/secrets/sentry_dsn --datadog.api-key-file=/etc/alertmanager/secrets/datadog_key

and takes Alertmanager's webhook (version 4) at /sentry and /datadog. Each alert becomes one event. Who sends again what
was taken already does no harm: the event's id, and Datadog's key of aggregation, follow from the alert.

Secrets are read from their files at each sending, so that they can be changed, and appear in no log. The answer is 200
once all were taken; 503 if some should be tried again, which Alertmanager does; 422 if trying again would not help.
"""

import argparse
import hashlib
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 4 << 20  # of one notification; Alertmanager's own default bound of alerts makes less than this
MOST_ALERTS = 500
PATIENCE_SECS = 10


class Refused(Exception):
    """The other side, or this one, will not take it, however often it is tried."""


class Later(Exception):
    """It may be taken when it is tried again."""


def main():
    options = parse_options()
    address, _, port = options.listen.rpartition(":")
    server = ThreadingHTTPServer((address.strip("[]"), int(port)), Handler)
    server.daemon_threads = True
    server.routes = {}
    if options.sentry:
        server.routes["/sentry"] = lambda alert: send_to_sentry(alert, options.sentry)
    if options.datadog:
        server.routes["/datadog"] = lambda alert: send_to_datadog(alert, options.datadog_url, options.datadog)
    say(f"listening on {server.server_address[0]}:{server.server_address[1]} for {', '.join(server.routes)}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--listen", default="127.0.0.1:9095", help="address and port (%(default)s)")
    parser.add_argument("--sentry.dsn-file", dest="sentry", help="file with the DSN of a Sentry project")
    parser.add_argument("--datadog.api-key-file", dest="datadog", help="file with an API key of Datadog")
    parser.add_argument("--datadog.url", dest="datadog_url", default="https://api.datadoghq.com",
                        help="the API of your Datadog site (%(default)s)")
    options = parser.parse_args()
    if not (options.sentry or options.datadog):
        parser.error("name a file with a secret: --sentry.dsn-file, --datadog.api-key-file, or both")
    return options


class Handler(BaseHTTPRequestHandler):
    """Takes a notification and sends its alerts on."""

    timeout = PATIENCE_SECS

    def do_POST(self):
        send = self.server.routes.get(self.path)
        if send is None:
            return self.answer(404, f"nothing is sent on from {self.path}")
        try:
            alerts = read_alerts(self.headers.get("Content-Length"), self.rfile)
        except Refused as error:
            return self.answer(422, str(error))
        refused, later = [], []
        for alert in alerts:
            try:
                send(alert)
            except Refused as error:
                refused.append(str(error))
            except Later as error:
                later.append(str(error))
        for error in sorted(set(refused + later)):
            say(f"{self.path}: {error}")
        if later:
            return self.answer(503, later[0])
        if refused:
            return self.answer(422, refused[0])
        return self.answer(200, f"{len(alerts)} passed on")

    def answer(self, status, text):
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Only what goes wrong is said, where it does."""


def read_alerts(length, stream):
    """The alerts of a notification, each with its labels, annotations and times."""
    try:
        length = int(length)
    except (TypeError, ValueError):
        raise Refused("a notification has a Content-Length") from None
    if not 0 <= length <= MOST_BYTES:
        raise Refused(f"a notification has at most {MOST_BYTES} bytes, this one has {length}")
    try:
        alerts = json.loads(stream.read(length))["alerts"]
        wanted = ("status", "labels", "annotations", "startsAt", "fingerprint")
        if not isinstance(alerts, list) or any(key not in alert for alert in alerts for key in wanted):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise Refused("this is no notification of Alertmanager's webhook, version 4") from None
    if len(alerts) > MOST_ALERTS:
        raise Refused(f"a notification has at most {MOST_ALERTS} alerts, this one has {len(alerts)}: set max_alerts")
    return alerts


def send_to_sentry(alert, dsn_file):
    """One event in an envelope. An issue has no end that could be sent, so only what fires is passed on."""
    if alert["status"] != "firing":
        return
    dsn = urllib.parse.urlsplit(secret(dsn_file))
    prefix, _, project = dsn.path.rpartition("/")
    if not (dsn.username and dsn.hostname and project):
        raise Refused(f"{dsn_file} holds no DSN (https://KEY@HOST/PROJECT)")
    port = f":{dsn.port}" if dsn.port else ""
    lines = [{"event_id": event_id(alert)}, {"type": "event"}, sentry_event(alert)]
    post(
        f"{dsn.scheme}://{dsn.hostname}{port}{prefix}/api/{project}/envelope/",
        "".join(json.dumps(line) + "\n" for line in lines).encode(),
        {
            "Content-Type": "application/x-sentry-envelope",
            "X-Sentry-Auth": f"Sentry sentry_version=7, sentry_client=memleak-relay/1, sentry_key={dsn.username}",
        },
    )


def sentry_event(alert):
    labels, annotations = alert["labels"], alert["annotations"]
    event = {
        "event_id": event_id(alert),
        "timestamp": alert["startsAt"],
        "platform": "other",
        "logger": "alertmanager",
        "level": {"emergency": "fatal", "critical": "error"}.get(grade(labels), "warning"),
        "message": {"formatted": title(alert)},
        "server_name": labels.get("instance", ""),
        "tags": {name: value[:200] for name, value in labels.items()},
        "extra": annotations,
        # One issue for each alert, target and area, on whichever instances it is seen.
        "fingerprint": [labels.get(name, "") for name in ("alertname", "kind", "target", "area", "rule")],
    }
    if labels.get("release"):
        event["release"] = labels["release"]
    return event


def send_to_datadog(alert, url, key_file):
    """One event; the end of an alert is another one with the same key, which Datadog shows together."""
    labels, annotations = alert["labels"], alert["annotations"]
    is_over = alert["status"] != "firing"
    lines = [annotations.get(name) for name in ("description", "facts", "runbook_url")]
    # A path is no link outside of Grafana.
    lines += [url for url in [annotations.get("dashboard_url", "")] if url.startswith(("http://", "https://"))]
    text = "\n".join(line for line in lines if line)
    event = {
        "title": title(alert)[:100],
        "text": text[:4000],
        "alert_type": "success" if is_over else {"warning": "warning"}.get(grade(labels), "error"),
        "priority": "low" if grade(labels) == "warning" else "normal",
        "date_happened": int(unix_time(alert["endsAt"] if is_over else alert["startsAt"])),
        "host": labels.get("instance", ""),
        "source_type_name": "prometheus",
        "aggregation_key": alert["fingerprint"][:100],
        "tags": [f"{name}:{value}"[:200] for name, value in sorted(labels.items())],
    }
    headers = {"Content-Type": "application/json", "DD-API-KEY": secret(key_file)}
    post(url.rstrip("/") + "/api/v1/events", json.dumps(event).encode(), headers)


def title(alert):
    summary = alert["annotations"].get("summary") or alert["labels"].get("alertname", "alert")
    return summary if alert["status"] == "firing" else f"Over: {summary}"


def grade(labels):
    return labels.get("escalation") or labels.get("severity") or "warning"


def event_id(alert):
    """32 hexadecimal digits that are the same whenever the same alert is sent again."""
    return hashlib.sha256(f"{alert['fingerprint']} {alert['startsAt']}".encode()).hexdigest()[:32]


def unix_time(text):
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return datetime.now(timezone.utc).timestamp()


def secret(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(4096).strip()
    except OSError as error:
        raise Later(f"cannot read the secret: {error}") from None


def post(url, body, headers):
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            answer.read(4096)
    except urllib.error.HTTPError as error:
        # 429 asks for patience, and Alertmanager knows only 5xx as such.
        kind = Later if error.code >= 500 or error.code == 429 else Refused
        raise kind(f"{urllib.parse.urlsplit(url).hostname} answers {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise Later(f"{urllib.parse.urlsplit(url).hostname}: {error}") from None


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
