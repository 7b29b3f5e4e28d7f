"""Reads YAML and TOML together with the comment above each key."""

import pathlib
import re
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/tagfleet"


def manifests(text):
    """The objects of a stream of YAML."""
    # libyaml's loader, where PyYAML has it, is ten times as fast.
    return [each for each in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if each]


def values():
    """values.yaml, and the comment of each key by its path: `broker.secret.name`."""
    text = (CHART / "values.yaml").read_text()
    comments, above, path = {}, [], []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.lstrip().startswith("#"):
            above.append(line.strip().lstrip("#").strip())
        elif match := re.match(r"([A-Za-z0-9]+):", line.strip()):
            path = path[: indent // 2] + [match[1]]
            if above:
                comments[".".join(path)] = " ".join(above)
            above = []
        else:
            above = []  # a blank line: what is above speaks of the file
    return yaml.safe_load(text), comments


def settings(crate):
    """config.toml of a crate, and the comment above each key (or the keys that share one) by its path."""
    text = (ROOT / crate / "config.toml").read_text()
    comments, above, section, last = {}, [], "", ""
    for line in text.splitlines():
        if line.startswith("#"):
            above.append(line.lstrip("#").strip())
        elif line.startswith("["):
            section, above, last = line.strip("[]"), [], ""
        elif match := re.match(r"([a-z_]+) =", line):
            last = " ".join(above).strip() or last
            comments[f"{section}.{match[1]}"] = last
            above = []
        elif not line:
            above = []
    return tomllib.loads(text), comments
