"""Each rule finds what it is there for: a manifest that holds is spoiled in one place."""

import copy
import unittest

import commented
import manifests

GOLDEN = commented.manifests((commented.CHART / "ci/golden/everything.yaml").read_text())


class Rules(unittest.TestCase):
    def setUp(self):
        self.all = copy.deepcopy(GOLDEN)

    def one(self, kind, end):
        return next(each for each in self.all if each["kind"] == kind and each["metadata"]["name"].endswith(end))

    def found(self):
        return [problem for each in self.all for rule in manifests.RULES for problem in rule(each, self.all)]

    def assert_found(self, words):
        self.assertTrue(any(words in problem for problem in self.found()), self.found())

    def worker(self):
        return self.one("Deployment", "worker-cpu")["spec"]["template"]["spec"]

    def test_what_is_committed_breaks_no_rule(self):
        self.assertEqual(self.found(), [])

    def test_a_pod_that_runs_as_root_is_found(self):
        self.worker()["securityContext"]["runAsUser"] = 0
        self.assert_found("runs as root")

    def test_a_container_that_may_write_to_its_root_is_found(self):
        self.worker()["initContainers"][0]["securityContext"]["readOnlyRootFilesystem"] = False
        self.assert_found("models: may write to its root")

    def test_a_volume_of_the_host_is_found(self):
        self.worker()["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
        self.assert_found("volume host")

    def test_a_token_is_found(self):
        del self.worker()["automountServiceAccountToken"]
        self.assert_found("token")

    def test_a_missing_limit_is_found(self):
        del self.worker()["containers"][0]["resources"]["limits"]["memory"]
        self.assert_found("worker: no memory in limits")

    def test_an_image_without_a_tag_is_found(self):
        self.worker()["containers"][0]["image"] = "registry.example.com:5000/tagfleet"
        self.assert_found("neither a tag nor a digest")

    def test_liveness_that_asks_for_servers_is_found(self):
        self.worker()["containers"][0]["livenessProbe"]["httpGet"]["path"] = "/readyz"
        self.assert_found("livenessProbe does not ask /healthz")

    def test_a_password_is_found(self):
        self.worker()["containers"][0]["env"].append({"name": "URL", "value": "amqp://user:password@host/%2f"})
        self.assert_found("a password in plain text")

    def test_a_grace_period_shorter_than_the_drain_is_found(self):
        self.one("ConfigMap", "worker-cpu")["data"]["config.toml"] += '\n[work]\ngrace = "1m 30s"\n'
        self.assert_found("may drain for 90 s")

    def test_a_setting_that_does_not_exist_is_found(self):
        self.one("ConfigMap", "worker-cpu")["data"]["config.toml"] += "\n[work]\nprefech = 8\n"
        self.assert_found("work.prefech: no such setting")

    def test_a_number_that_became_a_fraction_is_found(self):
        self.one("ConfigMap", "worker-cpu")["data"]["config.toml"] += "\n[work]\nprefetch = 8.0\n"
        self.assert_found("work.prefetch: 8.0 is of another kind")

    def test_a_series_that_nobody_exports_is_found(self):
        self.one("PrometheusRule", "")["spec"]["groups"][0]["rules"][0]["expr"] = "tagfleet_worker_jobs_lost_total > 0"
        self.assert_found("tagfleet_worker_jobs_lost_total: no program exports it")

    def test_a_budget_for_nobody_is_found(self):
        self.one("PodDisruptionBudget", "worker-cpu")["spec"]["selector"]["matchLabels"]["pool"] = "other"
        self.assert_found("selects no pod")

    def test_a_setting_of_another_program_is_found(self):
        self.one("ConfigMap", "-console")["data"]["config.toml"] += "\n[work]\nprefetch = 8\n"
        self.assert_found("work: no such setting")

    def test_a_service_for_nobody_is_found(self):
        self.one("Service", "-console")["spec"]["selector"]["app.kubernetes.io/component"] = "other"
        self.assert_found("selects no pod")

    def test_a_way_that_leads_nowhere_is_found(self):
        for kind in ("Ingress", "HTTPRoute"):
            with self.subTest(kind):
                self.setUp()
                self.one("Service", "-console")["spec"]["ports"][0].update(name="web", port=8080)
                self.assert_found("which no Service has")

    def test_an_unknown_field_is_found_in_every_minor(self):
        self.worker()["replica"] = 3
        for major, minor in manifests.last_minors():
            problems = list(manifests.schema_problems(self.one("Deployment", "worker-cpu"), f"{major}.{minor}"))
            self.assertIn("replica", "".join(problems))


if __name__ == "__main__":
    unittest.main()
