"""What the container that fetches a model set does, as the chart renders it: run here, with folders in place of its volumes."""

import functools
import hashlib
import http.server
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import unittest

import commented

GOLDEN = commented.manifests((commented.CHART / "ci/golden/air-gapped.yaml").read_text())
EVERYTHING = commented.manifests((commented.CHART / "ci/golden/everything.yaml").read_text())


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def script():
    pods = [each["spec"]["template"]["spec"] for each in GOLDEN if each["kind"] == "Deployment"]
    found = [container["args"][0] for pod in pods for container in pod.get("initContainers", []) if container["name"] == "models" and "args" in container]
    return found[0]


@unittest.skipUnless(shutil.which("curl") and shutil.which("sha256sum"), "no curl or sha256sum")
class Models(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("site", "models", "tmp"):
            (self.folder / name).mkdir()
        (self.folder / "manifest.toml").write_text('name = "a set"\n')
        with tarfile.open(self.folder / "site/set.tar.gz", "w:gz") as archive:
            archive.add(self.folder / "manifest.toml", "mine/manifest.toml")
        self.sha256 = hashlib.sha256((self.folder / "site/set.tar.gz").read_bytes()).hexdigest()
        handler = functools.partial(Quiet, directory=self.folder / "site")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.address = f"http://127.0.0.1:{server.server_port}/set.tar.gz"

    def fetched(self, address, sha256):
        """The exit code, and what is left where Kubernetes looks for a container's last words."""
        places = {"/dev/termination-log": f"{self.folder}/words", "/models": f"{self.folder}/models", "/tmp/": f"{self.folder}/tmp/"}
        text = re.sub("|".join(places), lambda place: places[place[0]], script())
        # Not five times, each after a longer pause.
        text = text.replace("--retry 5 --retry-all-errors", "")
        done = subprocess.run(["sh", "-ec", text], env={"PATH": "/usr/bin:/bin", "ADDRESS": address, "SHA256": sha256}, capture_output=True)
        return done.returncode, (self.folder / "words").read_text()

    def test_a_set_with_its_checksum_is_unpacked(self):
        self.assertEqual(self.fetched(self.address, self.sha256), (0, f"model set {self.address}: unpacked\n"))
        self.assertTrue((self.folder / "models/mine/manifest.toml").exists())

    def test_a_set_with_another_checksum_is_one_line_and_nothing_else(self):
        said = f"model set {self.address}: its SHA-256 is {self.sha256}, not {'0' * 64}\n"
        self.assertEqual(self.fetched(self.address, "0" * 64), (1, said))
        self.assertEqual(list((self.folder / "models").iterdir()), [])

    def test_a_set_that_cannot_be_had_is_one_line(self):
        code, said = self.fetched(self.address + ".gone", self.sha256)
        self.assertEqual((code, said.count("\n")), (1, 1), said)
        self.assertIn("404", said)


class Copied(unittest.TestCase):
    def test_a_set_is_copied_out_of_an_image_that_has_it_where_the_set_goes(self):
        pods = [each["spec"]["template"]["spec"] for each in EVERYTHING if each["kind"] == "Deployment"]
        found = [container for pod in pods for container in pod.get("initContainers", []) if container["name"] == "models" and container["command"][0] == "cp"]
        *_, source, target = found[0]["command"]
        mounted = {mount["mountPath"] for mount in found[0]["volumeMounts"]}
        self.assertIn(target, mounted)
        self.assertFalse(any(source.startswith(path) for path in mounted), f"{source} is hidden by {mounted}")
        self.assertEqual(source, "/models/.", "the default, which is the likeliest folder of all")

    def test_a_set_is_fetched_with_the_certificates_of_the_company(self):
        pods = [each["spec"]["template"]["spec"] for each in GOLDEN if each["kind"] == "Deployment"]
        found = [container for pod in pods for container in pod.get("initContainers", []) if container["name"] == "models"]
        bundle = next(one["value"] for one in found[0]["env"] if one["name"] == "CURL_CA_BUNDLE")
        self.assertIn(bundle.rsplit("/", 1)[0], {mount["mountPath"] for mount in found[0]["volumeMounts"]})


if __name__ == "__main__":
    unittest.main()
