"""Programs that only look whether an app is well. They wake nothing, and what they ask is no use of an app.

They are known by the `User-Agent` that their own sources set. Homepage's `siteMonitor` sends none and so cannot be told
from other programs.
"""

from __future__ import annotations

MONITORS = (
    "Uptime-Kuma",  # louislam/uptime-kuma, server/model/monitor.js: "Uptime-Kuma/" + version
    "Blackbox Exporter",  # prometheus/blackbox_exporter, prober/http.go: "Blackbox Exporter/%s"
    "Prometheus",  # prometheus/common, version.PrometheusUserAgent: "Prometheus/" + Version
    "Gatus",  # TwiN/gatus, config/endpoint: "Gatus/1.0"
    "kube-probe",  # kubernetes/kubernetes, pkg/probe/http: "kube-probe/1.32"
)

PATTERN = f"^({'|'.join(MONITORS)})/"
"""The beginning of their `User-Agent`, as a regular expression of Go's: one for all, as every request is held to it."""
