"""Writes docs/METRICS.md: every series of the binaries, from their sources, with the most series that each can have.

    metrics.py write | check
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILE = ROOT / "docs/METRICS.md"

KINDS = {
    "counter": "counter", "counters": "counter", "fractional_counter": "counter", "gauge": "gauge", "gauges": "gauge", "fraction": "gauge",
    "fractions": "gauge", "histogram": "histogram", "histograms": "histogram", "distribution": "histogram", "sizes": "histogram",
}
PROCESSES = {"worker": "workers", "scheduler": "scheduler", "console": "console"}


def routes():
    """Paths that a console knows: of its API, of its pages, and `none` for all others."""
    api = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    pages = re.findall(r'page\([^"]*"(/[^"]*)"', (ROOT / "console/src/pages/mod.rs").read_text())
    return len({*api, *pages, "none"})


# How many values a label can have in one process. None of them is a host, a URL, an image, a scrape or an advertiser.
BOUNDS = {
    "lane": 3, "stage": 6, "tier": 3, "outcome": 5, "format": 7, "state": 4, "event": 5, "in_time": 2, "change": 4, "size": 4, "times": 3, "result": 4,
    "provider": 2, "digest": 2, "version": 1, "server": 5, "why": 6,
    # Words of the code: those of downloads, decoding and parking.
    "reason": 40,
    # One, and two while a reload is under way.
    "set": 2,
    # Of the model set's manifest; beyond 30 values of an attribute: other, and null.
    "attribute": 10, "value": 32,
    # Seven, and one for each retry delay.
    "queue": 16,
    # What a console answers with, of which most routes have three or four.
    "route": routes(), "status": 20, "sent": 2,
}
UNITS = ["seconds", "bytes", "ratio", "timestamp"]
# Series of a worker of a usual set that has tagged an inventory: a test counts them.
USUAL = 500

HEAD = """# Metrics

Every series of the three binaries, at `/metrics` of their admin ports. Made of their sources by `scripts/metrics.py`; a test compares it with
what a fleet exports. The names follow Prometheus' conventions: `_total` is a counter, and begins at 0 with the process, as `rate` expects; `_seconds`,
`_bytes` and `_ratio` (0 to 1) are units; a name without a unit counts what it names. A counter that an alert asks for an increase is there from the
start.

- **Labels are bounded.** No host, URL, image, scrape or advertiser is a label; *most* is the most series that one process can have, buckets included. A worker of
  a usual set (two attributes, 15 values) that has tagged an inventory has fewer than {usual} in all. Who makes trouble is found in the views `advertisers_in_trouble` and
  `hosts_in_trouble`, and by `scrape.id` and `image.id`, which every line of the log about a job carries.
- **The same in every scheduler.** What schedulers read from the database and the broker, each of them exports: take `max`, never `sum`. `counted_timestamp_seconds`
  says when.
- **Shares are divided by rules**, not by the programs: the recording rules `tagfleet:…` of the chart, and the dashboards.
- `process_*` are those of the Prometheus client: of the process alone. A worker's decoders are processes of their own, so `cpu_seconds_total` and `memory_bytes`
  are what it takes in all.
"""


def series(process, crate):
    """Name, kind, labels and help of each, in the order of the source."""
    text = (ROOT / crate / "src/metrics.rs").read_text()
    constants = {"CONNECTIONS": re.search(r'CONNECTIONS: &str = "(.*?)"', (ROOT / "shared/src/metrics.rs").read_text())[1]}
    call = re.compile(r'\.(\w+)\(\s*"([a-z_]+)",\s*(?:"((?:[^"\\]|\\.)*)"|([A-Z]+))\s*(?:,\s*&\[([^\]]*)\])?', re.S)
    for method, name, said, constant, labels in call.findall(text):
        if method in KINDS:
            said = re.sub(r"\\\n\s*", "", said) if said else constants[constant]
            yield f"tagfleet_{process}_{name}", KINDS[method], re.findall(r'"(\w+)"', labels), said
    yield f"tagfleet_{process}_build_info", "gauge", ["version"], "Always 1; the label says which version runs."


def buckets(process):
    """How many buckets the histograms of a process have, by the constant that each is made with."""
    text = (ROOT / PROCESSES[process] / "src/metrics.rs").read_text() + (ROOT / "shared/src/metrics.rs").read_text()
    return {name: int(count) for name, count in re.findall(r"const (\w+): \[f64; (\d+)\]", text)}


def most(process, name, kind, labels):
    count = 1
    for label in labels:
        count *= BOUNDS[label]
    if kind != "histogram":
        return count
    sizes = {"stage_batch_images": "SIZES", "tag_confidence_ratio": "CONFIDENCE", "scrape_seconds": "SCRAPE_SECONDS"}
    short = name.removeprefix(f"tagfleet_{process}_")
    # And the one without a limit, the sum and the count.
    return count * (buckets(process)[sizes.get(short, "SECONDS")] + 3)


def page():
    parts = []
    for process, crate in PROCESSES.items():
        parts.append(f"\n## tagfleet-{process}\n\n| series | type | unit | most | what it is, and what to conclude |\n| --- | --- | --- | --- | --- |\n")
        for name, kind, labels, said in sorted(series(process, crate)):
            unit = next((unit for unit in UNITS if unit in name), "1")
            shown = f"{name}{{{','.join(labels)}}}" if labels else name
            parts.append(f"| `{shown}` | {kind} | {unit} | {most(process, name, kind, labels)} | {said} |\n")
    return HEAD.replace("{usual}", str(USUAL)) + "".join(parts)


def main():
    text = page()
    if sys.argv[1:] == ["write"]:
        FILE.write_text(text)
    elif not FILE.is_file() or FILE.read_text() != text:
        sys.exit(f"{FILE.relative_to(ROOT)}: out of date: python3 scripts/metrics.py write")


if __name__ == "__main__":
    main()
