"""Writes the alerts of rendered manifests as promtool reads them.

    alerts.py FILE
"""

import pathlib
import sys

import yaml

import commented

rules = [each["spec"] for each in commented.manifests(pathlib.Path(sys.argv[1]).read_text()) if each["kind"] == "PrometheusRule"]
yaml.safe_dump(rules[0], sys.stdout)
