"""What the chart asks a cluster that answers: a stand-in for the API server knows one namespace, with or without the Secrets."""

import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import unittest

import commented

HELM = os.environ.get("HELM") or str(commented.ROOT / ".tagfleet/bin/helm")
RESOURCES = [
    {"name": "secrets", "singularName": "secret", "namespaced": True, "kind": "Secret", "verbs": ["get"]},
    {"name": "configmaps", "singularName": "configmap", "namespaced": True, "kind": "ConfigMap", "verbs": ["get"]},
    {"name": "persistentvolumeclaims", "singularName": "persistentvolumeclaim", "namespaced": True, "kind": "PersistentVolumeClaim", "verbs": ["get"]},
    {"name": "serviceaccounts", "singularName": "serviceaccount", "namespaced": True, "kind": "ServiceAccount", "verbs": ["get"]},
]
URLS = {"broker-url": "YQ==", "database-url": "YQ=="}


def secret(name, data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "fleet"}, "data": data}


class Api(http.server.BaseHTTPRequestHandler):
    """As much of the API server as Helm's `lookup` asks."""

    objects = {}

    def do_GET(self):
        path = self.path.split("?")[0]
        known = {
            "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": RESOURCES},
        } | self.objects
        found = known.get(path)
        body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@unittest.skipUnless(pathlib.Path(HELM).exists(), "no Helm")
class Lookup(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def rendered(self, secrets, *options):
        """Helm's exit code and output, by a cluster that has these Secrets in the namespace."""
        there = {"/api/v1/namespaces/fleet/serviceaccounts/default": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}}
        Api.objects = there | {f"/api/v1/namespaces/fleet/secrets/{name}": secret(name, data) for name, data in secrets.items()}
        with tempfile.TemporaryDirectory() as home:
            command = [
                HELM, "template", "tagfleet", str(commented.CHART), "--namespace", "fleet", "--kube-version", "1.34.0", "--dry-run=server",
                "--kube-apiserver", f"http://127.0.0.1:{self.server.server_port}", "--values", str(commented.CHART / "ci/minimal.yaml"), *options,
            ]
            done = subprocess.run(command, capture_output=True, text=True, env={"HOME": home, "PATH": os.environ["PATH"], "KUBECONFIG": "/dev/null"})
        return done.returncode, done.stdout + done.stderr

    def refused(self, words, secrets, *options):
        code, said = self.rendered(secrets, *options)
        self.assertNotEqual(code, 0)
        self.assertIn(words, said)

    def test_what_is_there_is_taken(self):
        code, said = self.rendered({"tagfleet-servers": URLS})
        self.assertEqual(code, 0, said)

    def test_a_secret_that_is_not_there_is_named(self):
        self.refused('broker.secret.name: there is no Secret "tagfleet-servers" in the namespace "fleet"', {})
        self.refused('database.secret.name: there is no Secret "slip" in the namespace "fleet"', {"tagfleet-servers": URLS}, "--set", "database.secret.name=slip")

    def test_a_key_that_is_not_there_is_named(self):
        only_the_broker = {"tagfleet-servers": {"broker-url": "YQ=="}}
        self.refused('database.secret.name: the Secret "tagfleet-servers" in the namespace "fleet" has no key database-url', only_the_broker)

    def test_the_login_provider_s_secret_is_asked_for_too(self):
        options = ["--set", "console.enabled=true,console.loginSecret.name=login"]
        self.refused('console.loginSecret.name: there is no Secret "login"', {"tagfleet-servers": URLS}, *options)

    def test_whatever_else_a_pod_would_wait_for_is_asked_for_too(self):
        servers = {"tagfleet-servers": URLS}
        self.refused('caBundle.configMap: there is no ConfigMap "ca" in the namespace "fleet"', servers, "--set", "caBundle.configMap=ca")
        claim = ["--set", "poolDefaults.models.source=claim,poolDefaults.models.claim.name=sets"]
        self.refused('models.claim.name: there is no PersistentVolumeClaim "sets" in the namespace "fleet"', servers, *claim)
        store = f"source=url,poolDefaults.models.url.address=https://a.example/b.tar.gz,poolDefaults.models.url.sha256={'0' * 64}"
        options = ["--set", f"poolDefaults.models.{store},poolDefaults.models.url.authorizationSecret.name=store"]
        self.refused('models.url.authorizationSecret.name: there is no Secret "store" in the namespace "fleet"', servers, *options)


if __name__ == "__main__":
    unittest.main()
