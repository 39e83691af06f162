#!/usr/bin/env python3
"""Renders and checks the chart without a cluster: `chart.py lint`, `chart.py render [values.yaml]`.

Needs the packages helm-python-sdk (Helm itself, as a library) and, for `lint`, kubernetes-validate.
"""
import json
import os
import sys

import helm_python
import yaml

CHART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mtuprobe")
HEADER = (
    "# Rendered from the chart in deploy/helm by `cargo xtask manifests`: do not edit.\n"
    "# kubectl create namespace mtuprobe && kubectl apply -f mtuprobe.yaml\n"
)
# The values under which every template renders.
EVERYTHING = {
    "findingsTokenSecret": "mtuprobe-token",
    "extraCapabilities": ["SYS_ADMIN", "SYS_PTRACE"],
    "seccomp": {"type": "Localhost"},
    "config": {"log_level": "info", "max_pods": 300, "pod": ["shop/*"]},
    "serviceMonitor": {"enabled": True},
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
}
# Values that the schema has to refuse, with a word of the reason.
REFUSED = [
    ({"port": 0}, "port"),
    ({"imag": {}}, "imag"),
    ({"extraCapabilities": ["SYS_MODULE"]}, "extraCapabilities"),
    ({"seccomp": {"type": "Unconfined"}}, "seccomp"),
    ({"serviceMonitor": {"interval": "often"}}, "interval"),
]


def render(values):
    chart = helm_python.Chart.load(CHART)
    return chart.render(values, name="mtuprobe", namespace="mtuprobe")


def manifests(rendered):
    """The documents of the rendered templates, in the order of their files, without the notes."""
    parts = [text.strip() for name, text in sorted(rendered.items()) if not name.endswith((".txt", ".tpl"))]
    return [part for text in parts for part in text.split("\n---\n") if part.strip()]


def validate(documents):
    """Against the schemas of Kubernetes, for kinds that are its own; returns what is wrong."""
    import kubernetes_validate

    wrong = []
    for text in documents:
        document = yaml.safe_load(text)
        if document is None or document["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        try:
            kubernetes_validate.validate(document, "1.37", strict=True)
        except Exception as error:  # several kinds, all of them with a telling text
            wrong.append(f"{document['kind']}: {error}")
    return wrong


def lint():
    wrong = []
    for values in ({}, EVERYTHING):
        report = helm_python.lint(CHART, values, strict=True)
        wrong += [f"lint: {m['path']}: {m['error']}" for m in report["messages"] if m["severity"] >= 2]
        wrong += [f"lint: {error}" for error in report["errors"]]
        wrong += validate(manifests(render(values)))
    for values, word in REFUSED:
        try:
            helm_python.Chart.load(CHART).validate_schema(values)
            wrong.append(f"the schema takes {json.dumps(values)}")
        except helm_python.HelmError as error:
            if word not in str(error):
                wrong.append(f"the schema refuses {json.dumps(values)} for another reason: {error}")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


def main():
    command, *rest = sys.argv[1:] or ["?"]
    if command == "lint":
        return lint()
    if command == "render":
        values = yaml.safe_load(open(rest[0], encoding="utf-8")) if rest else {}
        print(HEADER + "---\n" + "\n---\n".join(manifests(render(values))))
        return 0
    if command == "render-everything":
        print("\n---\n".join(manifests(render(EVERYTHING))))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
