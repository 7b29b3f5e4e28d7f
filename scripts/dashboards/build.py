"""Writes the Grafana dashboards of the chart, or says which are out of date. Nothing but Python is needed.

    build.py write | check
"""

import importlib
import json
import pathlib
import re
import sys

BOARDS = ["fleet", "workers", "scrapes", "tags", "sources", "servers", "cost"]
# Every expression selects by the namespace.
OF_ALL = {"datasource", "namespace"}
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "charts/tagfleet/dashboards"


def problems(board):
    """What a reader would miss."""
    variables = [each["name"] for each in board["templating"]["list"] if each["name"] not in OF_ALL]
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        at = f"{board['uid']}: {panel['title']}"
        if len(panel["description"]) < 20:
            yield f"{at}: no description"
        if panel["type"] == "text":
            continue
        if not panel["fieldConfig"]["defaults"]["unit"]:
            yield f"{at}: no unit"
        for target in panel["targets"]:
            if 'namespace=~"$namespace"' not in target["expr"]:
                yield f"{at}: {target['refId']} does not select the namespace"
            if panel["fieldConfig"]["defaults"]["unit"] == "percentunit" and "_sum{" in target["expr"] and not target["expr"].startswith("clamp_max("):
                yield f"{at}: {target['refId']} may be above 1 after a restart: mean_share"
        for name in variables:
            obeys = all(f'{name}=~"${name}"' in target["expr"] for target in panel["targets"])
            if not obeys and not re.search(f"all {name}s|whatever {name}", panel["description"]):
                yield f"{at}: ignores ${name}, and does not say so"


def main():
    failed = False
    for name in BOARDS:
        board = importlib.import_module(name).BOARD
        for problem in problems(board):
            print(problem, file=sys.stderr)
            failed = True
        text = json.dumps(board, indent=1, ensure_ascii=False) + "\n"
        file = FOLDER / f"{name}.json"
        if sys.argv[1:] == ["write"]:
            file.write_text(text)
        elif not file.is_file() or file.read_text() != text:
            print(f"{file}: out of date: python3 scripts/dashboards/build.py write", file=sys.stderr)
            failed = True
    strange = {each.name for each in FOLDER.glob("*.json")} - {f"{name}.json" for name in BOARDS}
    if strange:
        print(f"{FOLDER}: nothing makes {', '.join(sorted(strange))}", file=sys.stderr)
        failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
