"""docs/RUNBOOK.md as a list of what can be checked.

    runbook.py check                what is missing: a section, a part of it, a look, a panel
    runbook.py commands [kubectl]   its commands, one a line: those of a cluster, or all others
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILE = ROOT / "docs/RUNBOOK.md"
PARTS = ["Means", "Users", "Look", "Do", "Over"]
LOOKS = 3
PROGRAMS = re.compile(r"(psql|curl|rabbitmq\w*(-\w+)*|tagfleet-\w+|kubectl|SELECT) ")
# In emphasis: a panel by its dashboard and title.
PANEL = re.compile(r"(?<!\*)\*(\w+): ([^*]+)\*(?!\*)")
# A question in emphasis without a dashboard: a panel that nobody finds.
HOMELESS = re.compile(r"(?<!\*)\*([^*:]+\?)\*(?!\*)")


def text():
    return FILE.read_text()


def commands(text):
    """Every command, in code between the words or in a block, without what a shell would not run."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
    lines = [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```sh\n.*?^```", "", text, flags=re.S | re.M))
    found = [each.strip() for each in lines + inline if PROGRAMS.match(each)]
    return list(dict.fromkeys(found))


def panels():
    """The titles of each dashboard, by the name that people know it by."""
    titles = {}
    for file in (ROOT / "charts/tagfleet/dashboards").glob("*.json"):
        board = json.loads(file.read_text())
        titles[board["title"].removeprefix("Tagfleet / ")] = {each["title"] for each in board["panels"]}
    return titles


def sections(text):
    """Each section of an alert or a reason: its name and what it says."""
    for part in re.split(r"^## ", text, flags=re.M):
        if part.startswith(("Alerts\n", "Dead letters\n")):
            for section in re.split(r"^### ", part, flags=re.M)[1:]:
                name, _, said = section.partition("\n")
                if name != "What a redrive does":
                    yield name, said


def alerts():
    return re.findall(r"alert: (Tagfleet\w+)", (ROOT / "charts/tagfleet/templates/_rules.tpl").read_text())


def reasons():
    """Words of a parked job, of a refused event, of a job that nobody can read, and the broker's own."""
    parked = re.search(r"pub const PARKED[^=]*=\s*\[(.*?)\]", (ROOT / "shared/src/outcome.rs").read_text(), re.S)[1]
    refused = re.findall(r'reason: "(\w+)"', (ROOT / "scheduler/src/halt.rs").read_text())
    worker = "".join(file.read_text() for file in (ROOT / "workers/src/worker").glob("*.rs"))
    return [*re.findall(r'"(\w+)"', parked), *refused, *re.findall(r'dead_letter\(received, "(\w+)"', worker), "delivery_limit"]


def problems(text):
    told = dict(sections(text))
    needed = {*alerts(), *reasons()}
    if len(alerts()) < 20 or len(set(reasons())) < 10:
        yield "runbook.py finds too few alerts or reasons: has their file moved?"
    for name in sorted(needed - told.keys()):
        yield f"no section {name}"
    for name in sorted(told.keys() - needed):
        yield f"{name} is neither an alert nor a reason of a dead letter"
    for name, said in told.items():
        parts = re.findall(r"^\*\*(\w+?):?\*\* ?", said, re.M)
        if parts != PARTS:
            yield f"{name}: has the parts {', '.join(parts)}, and needs {', '.join(PARTS)}"
        looks = re.split(r"^\d\. ", said.partition("**Look:**")[2].partition("**Do")[0], flags=re.M)[1:]
        if len(looks) != LOOKS:
            yield f"{name}: {len(looks)} things to look at, and needs {LOOKS}"
        for look in looks:
            if not commands(look) and not PANEL.search(look):
                yield f"{name}: neither a command nor a panel: {look.strip()}"
    titles = panels()
    for board, title in PANEL.findall(text):
        title = " ".join(title.split())
        if title not in titles.get(board, ()):
            yield f"the dashboard {board} has no panel {title!r}"
    for title in HOMELESS.findall(text):
        yield f"{' '.join(title.split())!r}: a panel of which dashboard?"


def main():
    match sys.argv[1:]:
        case ["check"]:
            found = list(problems(text()))
            for problem in found:
                print(f"{FILE.relative_to(ROOT)}: {problem}", file=sys.stderr)
            sys.exit(bool(found))
        case ["commands", *of]:
            for command in commands(text()):
                if command.startswith("kubectl ") == (of == ["kubectl"]):
                    print(command)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
