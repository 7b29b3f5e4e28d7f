"""Holds rendered manifests against the schemas of the last four minors of Kubernetes, those of the operators' kinds, and rules of our own.

    manifests.py [--crds DIR] FILE...

DIR has the operators' CustomResourceDefinitions. Says what is wrong, and what could not be checked.
"""

import argparse
import functools
import pathlib
import re
import sys
import tomllib

import jsonschema
import kubernetes_validate
import yaml

import commented

MINORS = 4
# The folder of each component that has settings and series.
CRATES = {"scheduler": "scheduler", "worker": "workers", "console": "console"}
# Named like Kubernetes' own groups, and not of them.
OUTSIDE = {"gateway.networking.k8s.io"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--crds", type=pathlib.Path)
    arguments.add_argument("files", nargs="+", type=pathlib.Path)
    options = arguments.parse_args()
    crds = custom_kinds(options.crds) if options.crds else {}
    versions = [f"{major}.{minor}" for major, minor in last_minors()]

    problems, unchecked = [], set()
    for file in options.files:
        manifests = commented.manifests(file.read_text())
        for manifest in manifests:
            group, kind = manifest["apiVersion"].rpartition("/")[0], manifest["kind"]
            if group in OUTSIDE or ("." in group and not group.endswith(".k8s.io")):
                found, checked = custom_problems(manifest, crds)
                unchecked |= set() if checked else {f"{kind} ({group})"}
            else:
                found = [each for version in versions for each in schema_problems(manifest, version)]
            found += [problem for rule in RULES for problem in rule(manifest, manifests)]
            problems += [f"{file.name}: {kind} {manifest['metadata']['name']}: {problem}" for problem in found]
    for problem in sorted(set(problems)):
        print(problem, file=sys.stderr)
    for kind in sorted(unchecked):
        print(f"skipped: the schema of {kind}: its definition is not there")
    print(f"{len(options.files)} files hold against Kubernetes {versions[0]} to {versions[-1]}" if not problems else f"{len(problems)} problems")
    sys.exit(bool(problems))


# --- schemas


def last_minors():
    folder = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    found = {tuple(map(int, match.groups())) for name in folder.iterdir() if (match := re.match(r"v(\d+)\.(\d+)\.", name.name))}
    return sorted(found)[-MINORS:]


def schema_problems(manifest, version):
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message[:200]}"
    except kubernetes_validate.SchemaNotFoundError:
        yield f"Kubernetes {version} does not know {manifest['apiVersion']} {manifest['kind']}"


def custom_kinds(folder):
    """The schema of each kind by its apiVersion, closed against unknown fields as the API server closes it."""
    schemas = {}
    for file in folder.glob("*.yaml"):
        for crd in commented.manifests(file.read_text()):
            for version in crd["spec"]["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"]["metadata"] = {"type": "object"}
                close(schema)
                schemas[f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]] = schema
    return schemas


def close(schema):
    if not isinstance(schema, dict):
        return
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for inner in schema.get("properties", {}).values():
        close(inner)
    for key in ("items", "additionalProperties"):
        close(schema.get(key))


def custom_problems(manifest, crds):
    schema = crds.get((manifest["apiVersion"], manifest["kind"]))
    if schema is None:
        return [], False
    errors = jsonschema.Draft7Validator(schema).iter_errors(manifest)
    return [f"{'.'.join(map(str, error.path))}: {error.message[:200]}" for error in errors], True


# --- rules of our own: each gives the problems of one manifest


def pod_of(manifest):
    if manifest["kind"] == "Pod":
        return manifest["spec"]
    if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
        return manifest["spec"]["template"]["spec"]
    return None


def containers(manifest):
    pod = pod_of(manifest)
    return [] if pod is None else pod.get("initContainers", []) + pod["containers"]


def restricted(manifest, _):
    """The restricted Pod Security Standard, and a read-only root."""
    pod = pod_of(manifest)
    if pod is None:
        return
    security = pod.get("securityContext", {})
    if not (security.get("runAsNonRoot") and security.get("runAsUser", 0) > 0):
        yield "runs as root, or as a user that has no number"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    for container in containers(manifest):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{container['name']}: may gain rights"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']}: may write to its root"
    for volume in pod.get("volumes", []):
        if not {"configMap", "emptyDir", "persistentVolumeClaim", "secret"} & volume.keys():
            yield f"volume {volume['name']}: of a kind that `restricted` forbids"


def tokenless(manifest, _):
    pod = pod_of(manifest)
    if pod is not None and pod.get("automountServiceAccountToken") is not False:
        yield "gets a token of Kubernetes, which it has no use for"


def bounded(manifest, _):
    for container in containers(manifest):
        resources = container.get("resources", {})
        for of in ("requests", "limits"):
            for what in ("cpu", "memory"):
                if what not in resources.get(of, {}):
                    yield f"{container['name']}: no {what} in {of}"


def pinned(manifest, _):
    for container in containers(manifest):
        image = container["image"]
        if "@sha256:" not in image and not re.search(r":(?!latest$)[\w][\w.-]*$", image):
            yield f"{container['name']}: {image} has neither a tag nor a digest"


def probed(manifest, _):
    if manifest["kind"] != "Deployment":
        return
    for container in manifest["spec"]["template"]["spec"]["containers"]:
        for probe, path in (("startupProbe", "/healthz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
            if container.get(probe, {}).get("httpGet", {}).get("path") != path:
                yield f"{container['name']}: {probe} does not ask {path}"


def no_secrets(manifest, _):
    """A URL with a password is in Secrets that the chart draws for a try-out, and nowhere else."""
    if manifest["kind"] != "Secret" and (match := re.search(r"\w+://[^\s/:@]+:[^\s/@]+@\S+", yaml.safe_dump(manifest))):
        yield f"a password in plain text: {match[0]}"


def drained(manifest, manifests):
    """The grace period must outlive the drain."""
    if manifest["kind"] != "Deployment":
        return
    config = next(each for each in manifests if each["kind"] == "ConfigMap" and each["metadata"]["name"] == manifest["metadata"]["name"])
    settings = tomllib.loads(config["data"]["config.toml"])
    grace = settings.get("work", {}).get("grace") or settings.get("shutdown", {}).get("grace") or "25s"
    units = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
    seconds = sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)\s*([a-z]+)", grace))
    pod = pod_of(manifest)
    sleep = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if pod["terminationGracePeriodSeconds"] < seconds + sleep + 10:
        yield f"is killed after {pod['terminationGracePeriodSeconds']} s, and may drain for {seconds} s"


def settings_known(manifest, _):
    """Every setting of a ConfigMap is one of the program's."""
    if manifest["kind"] != "ConfigMap" or "config.toml" not in manifest["data"]:
        return
    component = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
    known, _ = commented.settings(CRATES[component])

    def unknown(values, defaults, path):
        for key, value in values.items():
            if key not in defaults:
                yield f"{path}{key}: no such setting"
            elif isinstance(value, dict):
                yield from unknown(value, defaults[key], f"{path}{key}.")
            elif type(value) is not type(defaults[key]):
                yield f"{path}{key}: {value!r} is of another kind than the default {defaults[key]!r}"

    yield from unknown(tomllib.loads(manifest["data"]["config.toml"]), known, "")


def series_known(manifest, _):
    """Every series of an alert or a trigger is one that the programs export."""
    if manifest["kind"] not in ("PrometheusRule", "ScaledObject"):
        return
    for name in sorted(set(re.findall(rf"tagfleet_(?:{'|'.join(CRATES)})_\w+", yaml.safe_dump(manifest["spec"])))):
        if re.sub("_(bucket|sum|count)$", "", name) not in exported():
            yield f"{name}: no program exports it"


@functools.cache
def exported():
    names = {f"tagfleet_{process}_build_info" for process in CRATES}
    for process, crate in CRATES.items():
        text = (commented.ROOT / crate / "src/metrics.rs").read_text()
        names |= {f"tagfleet_{process}_{name}" for name in re.findall(r'\.\w+\(\s*"([a-z_]+)"', text)}
    return names


def labelled(manifest, manifests):
    """What selects pods selects some of this release."""
    selector = manifest["spec"].get("selector") if manifest["kind"] == "PodDisruptionBudget" else None
    if manifest["kind"] == "NetworkPolicy":
        selector = manifest["spec"]["podSelector"]
    if manifest["kind"] == "Service":
        selector = {"matchLabels": manifest["spec"]["selector"]}
    if selector is None:
        return
    templates = [each["spec"]["template"] if each["kind"] != "Pod" else each for each in manifests if pod_of(each) is not None]
    if not any(selector["matchLabels"].items() <= template["metadata"]["labels"].items() for template in templates):
        yield "selects no pod"


def routed(manifest, manifests):
    """A way from outside leads to a Service of this release, and to a port of it."""
    if manifest["kind"] == "Ingress":
        paths = [path["backend"]["service"] for rule in manifest["spec"]["rules"] for path in rule["http"]["paths"]]
        ends = [(service["name"], service["port"]["name"]) for service in paths]
    elif manifest["kind"] == "HTTPRoute":
        ends = [(end["name"], end["port"]) for rule in manifest["spec"]["rules"] for end in rule["backendRefs"]]
    else:
        return
    services = [each for each in manifests if each["kind"] == "Service"]
    ports = {(each["metadata"]["name"], port[by]) for each in services for port in each["spec"]["ports"] for by in ("name", "port")}
    for end in ends:
        if end not in ports:
            yield f"leads to {end[0]}:{end[1]}, which no Service has"


RULES = [restricted, tokenless, bounded, pinned, probed, no_secrets, drained, settings_known, series_known, labelled, routed]


if __name__ == "__main__":
    main()
