"""Makes the chart's values.schema.json and README.md of values.yaml and of the manuals of the settings.

    documents.py write | check
"""

import json
import sys

import commented

# What a default does not say: by the path, a pool's as `pool.…`.
RULES = {
    "imageRegistry": {"pattern": "^[^/ ][^ ]*[^/ ]$|^$"},
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    "externalSecrets.store.kind": {"enum": ["ClusterSecretStore", "SecretStore"]},
    "replicas": {"minimum": 0},
    "maxUnavailable": {"type": ["integer", "string"], "pattern": "^[0-9]+%$", "minimum": 0},
    "maxSurge": {"type": ["integer", "string"], "pattern": "^[0-9]+%$", "minimum": 0},
    "gpu.count": {"minimum": 0},
    "gpu.resource": {"pattern": "^[a-z0-9.-]+/[A-Za-z0-9._-]+$"},
    "models.source": {"enum": ["image", "copy", "claim", "url"]},
    "models.url.address": {"pattern": "^(https?://.+)?$"},
    "models.url.sha256": {"pattern": "^([0-9a-f]{64})?$"},
    "scaling.type": {"enum": ["none", "keda", "hpa"]},
    "scaling.min": {"minimum": 0},
    "scaling.max": {"minimum": 1},
    "scaling.imagesPerSecond": {"type": "number", "exclusiveMinimum": 0},
    "rules.runbookUrl": {"pattern": "^(https?://[^#]+)?$"},
    "rules.objective": {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "defaultsShare": {"minimum": 0, "maximum": 1},
    "skipsShare": {"minimum": 0, "maximum": 1},
    "oldestExpress": {"pattern": "^([0-9]+(ms|s|sec|m|min|h|d) ?)+$"},
    "oldestStandard": {"pattern": "^([0-9]+(ms|s|sec|m|min|h|d) ?)+$"},
    "oldestBulk": {"pattern": "^([0-9]+(ms|s|sec|m|min|h|d) ?)+$"},
    "stuckAfter": {"pattern": "^([0-9]+(ms|s|sec|m|min|h|d) ?)+$"},
    "eventsWaiting": {"minimum": 0},
    "scaling.share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "drainMinutes.express": {"type": "number", "exclusiveMinimum": 0},
    "drainMinutes.standard": {"type": "number", "exclusiveMinimum": 0},
    "drainMinutes.bulk": {"type": "number", "exclusiveMinimum": 0},
    "scaleDown.percent": {"minimum": 1, "maximum": 100},
    "keda.prometheus": {"pattern": "^(https?://.+)?$"},
    "hpa.metricType": {"enum": ["Pods", "External"]},
    "spread.whenUnsatisfiable": {"enum": ["ScheduleAnyway", "DoNotSchedule"]},
    "console.host": {"pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"},
    "preStopSeconds": {"minimum": 0},
    "startSeconds": {"minimum": 1},
    "timeoutSeconds": {"minimum": 1},
}
# Maps whose keys are the user's, and lists: what they hold.
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
QUANTITIES = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
OPEN = {
    "commonLabels": TEXTS, "podAnnotations": TEXTS, "podLabels": TEXTS, "nodeSelector": TEXTS, "labels": TEXTS, "annotations": TEXTS,
    "alertLabels": TEXTS, "selector": TEXTS,
    "resources": {
        "type": "object", "additionalProperties": False,
        "properties": {"requests": QUANTITIES, "limits": QUANTITIES, "claims": {"type": "array"}},
    },
    "affinity": {
        "type": "object", "additionalProperties": False,
        "properties": {name: {"type": "object"} for name in ("nodeAffinity", "podAffinity", "podAntiAffinity")},
    },
    "tolerations": {"type": "array", "items": {
        "type": "object", "additionalProperties": False,
        "properties": {
            "key": {"type": "string"}, "operator": {"enum": ["Exists", "Equal", "Lt", "Gt"]}, "value": {"type": "string"},
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]}, "tolerationSeconds": {"type": "integer"},
        },
    }},
    "extraEnv": {"type": "array", "items": {
        "type": "object", "additionalProperties": False, "required": ["name"],
        "properties": {
            "name": {"type": "string"}, "value": {"type": "string"},
            "valueFrom": {"type": "object"},
        },
    }},
    "ports": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}},
    "to": {"type": "array", "items": {"type": "object"}},
    "dns": {"type": "array", "items": {"type": "object"}},
    "metricsFrom": {"type": "array", "items": {"type": "object"}},
    "workerEgress": {"type": "array", "items": {"type": "object"}},
    "schedulerEgress": {"type": "array", "items": {"type": "object"}},
    "consoleEgress": {"type": "array", "items": {"type": "object"}},
    "consoleFrom": {"type": "array", "items": {"type": "object"}},
    "parentRefs": {"type": "array", "items": {
        "type": "object", "additionalProperties": False, "required": ["name"],
        "properties": {
            **{name: {"type": "string"} for name in ("group", "kind", "namespace", "name", "sectionName")}, "port": {"type": "integer"},
        },
    }},
}
STRINGS = {"type": "array", "items": {"type": "string"}}
DURATION = "^([0-9]+(ms|s|sec|m|min|h|d) ?)+$"
# Settings that the chart or the image decides, and secrets.
NOT_OURS = {
    "admin.listen", "http.listen", "report.pool", "broker.url", "database.url", "login.client_secret", "models.dir", "runtime.library",
}


def rule(path):
    """The rule for the longest end of the path that has one."""
    parts = path.split(".")
    return next((RULES[end] for start in range(len(parts)) if (end := ".".join(parts[start:])) in RULES), {})


def schema_of(value, path, comments):
    """The schema of a value by its default."""
    name = path.split(".")[-1]
    said = {"description": comments[path]} if path in comments else {}
    if name == "config":
        return said | {"$ref": f"#/definitions/{config_name(path)}"}
    if name in OPEN:
        return said | OPEN[name]
    if isinstance(value, dict):
        properties = {key: schema_of(inner, f"{path}.{key}" if path else key, comments) for key, inner in value.items()}
        return said | {"type": "object", "additionalProperties": False, "properties": properties}
    if isinstance(value, list):
        return said | STRINGS
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return said | {"type": kinds[type(value)]} | rule(path)


def config_name(path):
    return {"config": "common", "scheduler.config": "scheduler", "console.config": "console"}.get(path, "worker")


def setting(value, comment):
    """The schema of one setting."""
    said = {"description": comment} if comment else {}
    if isinstance(value, list):
        return said | STRINGS
    if isinstance(value, str) and value[:1].isdigit() and value[-1:] in "smhd":
        return said | {"type": "string", "pattern": DURATION}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    bounds = {"minimum": 0} if type(value) in (int, float) else {}
    return said | {"type": kinds[type(value)]} | bounds


def settings_schema(crate, without=(), only=None):
    """The schema of a crate's settings that are the user's to change."""
    defaults, comments = commented.settings(crate)

    def table(values, path):
        properties = {}
        for key, value in values.items():
            at = f"{path}.{key}" if path else key
            if at in NOT_OURS or at in without or (only and at.split(".")[0] not in only):
                continue
            properties[key] = table(value, at) if isinstance(value, dict) else setting(value, comments.get(at))
        return {"type": "object", "additionalProperties": False, "properties": {k: v for k, v in properties.items() if v.get("properties") != {}}}

    return table(defaults, "")


def schema():
    values, comments = commented.values()
    top = schema_of(values, "", comments)
    pool = top["properties"]["poolDefaults"]
    top["properties"]["poolDefaults"] = {"description": pool.pop("description"), "$ref": "#/definitions/pool"}
    top["properties"]["pools"] = {
        "description": comments["pools"], "type": "object",
        "additionalProperties": {"$ref": "#/definitions/pool"},
    }
    top["properties"]["global"] = {"description": "Helm's own: nothing here reads it.", "type": "object"}
    top["definitions"] = {
        "pool": pool,
        "common": settings_schema("workers", only={"log", "broker", "database", "traces"}),
        "scheduler": settings_schema("scheduler", without={"broker", "alerts"}),
        "worker": settings_schema("workers", without={"broker"}),
        "console": settings_schema("console", without={"broker"}),
    }
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "tagfleet"} | top


def rows(value, path, comments):
    """A line of the table for each value that a comment speaks of."""
    inner = [(key, f"{path}.{key}") for key in value] if isinstance(value, dict) else []
    if any(at in comments for _, at in inner):
        if "." in path:
            yield f"| `{path}` | | {comments[path]} |"
        for key, at in inner:
            yield from rows(value[key], at, comments)
    else:
        default = json.dumps(value, ensure_ascii=False)
        yield f"| `{path}` | `{default}` | {comments[path]} |"


def readme():
    values, comments = commented.values()
    parts = [(commented.CHART / "README.head.md").read_text().rstrip()]
    plain = [key for key, value in values.items() if not (isinstance(value, dict) and any(f"{key}.{inner}" in comments for inner in value))]
    for title, keys in [("", plain)] + [(key, [key]) for key in values if key not in plain]:
        parts.append(f"### {title}\n\n{comments[title]}" if title else "### Of all")
        table = ["| value | default | what |", "| --- | --- | --- |"]
        for key in keys:
            table += rows(values[key], key, comments)
        parts.append("\n".join(table))
    return "\n\n".join(parts) + "\n"


def undescribed():
    """Values without a comment, their own or that of the map that they are in."""
    values, comments = commented.values()

    def walk(value, path):
        known = isinstance(value, dict) and any(f"{path}.{key}" in comments for key in value)
        if path and path not in comments:
            yield path
        if known:
            for key, inner in value.items():
                yield from walk(inner, f"{path}.{key}")

    for key, value in values.items():
        yield from walk(value, key)


def main():
    made = {"values.schema.json": json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", "README.md": readme()}
    problems = [f"values.yaml: {path} has no comment" for path in undescribed()]
    for name, text in made.items():
        file = commented.CHART / name
        if sys.argv[1] == "write":
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            problems.append(f"{name} is not what values.yaml and the settings make: make chart UPDATE=1")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
