"""Writes the rules of rendered manifests as Prometheus and promtool read them: JSON is YAML, and easier for others to read.

    alerts.py FILE
"""

import json
import pathlib
import sys

import commented

rules = [each["spec"] for each in commented.manifests(pathlib.Path(sys.argv[1]).read_text()) if each["kind"] == "PrometheusRule"]
json.dump(rules[0], sys.stdout, indent=1)
