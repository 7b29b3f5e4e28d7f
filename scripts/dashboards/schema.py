"""Reads each dashboard with Grafana's own types and writes it again: what is lost on the way, or is refused, Grafana would not understand.

    schema.py FOLDER...   with the packages of grafana-foundation-sdk of one version in each folder
"""

import json
import pathlib
import subprocess
import sys

# Of an annotation from Prometheus: what a data source takes besides, the schema leaves to it.
OF_THE_SOURCE = {"titleFormat", "step", "useValueForTime"}
DASHBOARDS = pathlib.Path(__file__).resolve().parents[2] / "charts/tagfleet/dashboards"


def lost(ours, theirs, at=""):
    """Places of `ours` that are missing or different in `theirs`."""
    if isinstance(ours, dict):
        if not isinstance(theirs, dict):
            yield at
            return
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{at}.{key}")
            # What is empty may be left out.
            elif key not in OF_THE_SOURCE and value not in (None, "", [], {}, False, 0):
                yield f"{at}.{key}"
    elif isinstance(ours, list):
        if not isinstance(theirs, list) or len(ours) != len(theirs):
            yield at
            return
        for number, (one, other) in enumerate(zip(ours, theirs)):
            yield from lost(one, other, f"{at}[{number}]")
    elif ours != theirs:
        yield f"{at}: {ours!r} becomes {theirs!r}"


def check():
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard

    plugins.register_default_plugins()
    failed = False
    for file in sorted(DASHBOARDS.glob("*.json")):
        ours = json.loads(file.read_text())
        theirs = json.loads(json.dumps(Dashboard.from_json(json.loads(file.read_text())), cls=JSONEncoder))
        for place in lost(ours, theirs):
            print(f"{file.name}{place}: not of Grafana's schema", file=sys.stderr)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        check()
    failed = False
    for folder in sys.argv[1:]:
        # Each version in a process of its own.
        done = subprocess.run([sys.executable, __file__], env={"PYTHONPATH": folder, "PATH": ""}, check=False)
        failed |= done.returncode != 0
    sys.exit(failed)
