"""What each part of a release is for: roll-outs, budgets, hooks, networks, replay runs."""

import json
from typing import Any

import pytest
import yaml

from tests.chart.rendering import SETS, Helm, Rendered, environment
from tests.chart.values import CHART

LEAST = SETS / "least.yaml"
ON = {"enabled": True}


def test_a_new_standby_is_warm_before_the_owner_ends(helm: Helm) -> None:
    spec = helm.render(LEAST).one("Deployment", "line-consumer")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    affinity = spec["template"]["spec"]["affinity"]["podAntiAffinity"]
    assert ["preferredDuringSchedulingIgnoredDuringExecution"] == list(affinity)


def test_the_probes_let_a_fix_for_a_hold_roll_out(helm: Helm) -> None:
    (container,) = helm.render(LEAST).pods()["consumer"]["spec"]["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")}
    assert probes == {name: {"path": "/livez", "port": "health"} for name in probes}
    ready = container["readinessProbe"]["httpGet"]["path"]
    assert ready == "/readyz?exclude=not_holding,not_halted"


def test_a_gateway_answers_while_s3_is_away(helm: Helm) -> None:
    """It begins to when its view has all, and then says how jobs are."""
    (container,) = helm.render(LEAST, {"gateway": ON}).pods()["gateway"]["spec"]["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz?exclude=storage"


@pytest.mark.parametrize("offset", [None, 0, 26214400])
def test_a_line_begins_where_it_is_told(offset: int | None, helm: Helm) -> None:
    """It is the consumer's alone: a run has an offset of its own."""
    replay = {"id": "r", "fromOffset": 1, "toOffset": 2}
    pods = helm.render(LEAST, {"fromOffset": offset, "replay": replay}).pods()
    (container,) = pods["consumer"]["spec"]["containers"]
    begin = [] if offset is None else ["--from-offset", str(offset)]
    assert ["consume", *begin] == container["args"]
    assert "26214400" not in pods["replay"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(("seconds", "grace"), [(25, 45), (90.5, 111), (0, 20)])
def test_the_pod_waits_longer_than_the_process(seconds: float, grace: int, helm: Helm) -> None:
    config = {"SHUTDOWN_GRACE_SECONDS": seconds}
    pods = helm.render(LEAST, {"config": config, "gateway": ON}).pods()
    for component in ("consumer", "gateway"):
        assert pods[component]["spec"]["terminationGracePeriodSeconds"] == grace


@pytest.mark.parametrize(("replicas", "names"), [(0, []), (1, []), (2, ["line-consumer"])])
def test_a_budget_needs_two_replicas(replicas: int, names: list[str], helm: Helm) -> None:
    """At one, it would keep the node from ever being drained."""
    budgets = helm.render(LEAST, {"replicaCount": replicas}).all("PodDisruptionBudget")
    assert names == list(budgets)
    for budget in budgets.values():
        assert budget["spec"]["minAvailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_what_a_hook_needs_is_a_hook_that_comes_first(helm: Helm) -> None:
    rendered = helm.render(LEAST, {"existingSecret": "", "secrets": {"kafka_username": "u"}})
    weights = {
        part["kind"]: int(part["metadata"]["annotations"]["helm.sh/hook-weight"])
        for part in rendered.parts
        if part["metadata"]["name"] == "line-topics"
    }
    assert weights["Job"] == 0
    assert {"Job", "NetworkPolicy", "Secret"} == set(weights)
    assert all(weight < 0 for kind, weight in weights.items() if kind != "Job")
    volumes = rendered.pods()["topics"]["spec"]["volumes"]
    assert "line-topics" in [volume.get("secret", {}).get("secretName") for volume in volumes]


def test_a_changed_setting_rolls_the_pods(helm: Helm) -> None:
    before, after = (helm.render(LEAST, {"config": {"WORKER_COUNT": n}}).pods() for n in (2, 3))
    assert before["consumer"]["spec"] != after["consumer"]["spec"]


def test_secrets_are_files_that_can_change(helm: Helm) -> None:
    """A `subPath` would never be renewed."""
    pods = helm.render(SETS / "mutual-tls.yaml", {"gateway": ON}).pods()
    for pod in pods.values():
        (container,) = pod["spec"]["containers"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["secrets"]["mountPath"] == environment(pod)["SECRETS_DIR"]
        assert mounts["kafka-tls"]["mountPath"] == "/run/secrets/kafka-tls"
        assert not [mount for mount in mounts.values() if "subPath" in mount]
        assert "envFrom" not in container


def test_kafkas_certificates_are_found(helm: Helm) -> None:
    names = ("KAFKA_CA_FILE", "KAFKA_CERT_FILE", "KAFKA_KEY_FILE")
    both, ca = (
        environment(helm.render(SETS / f"{name}.yaml").pods()["consumer"])
        for name in ("mutual-tls", "sasl")
    )
    files = [f"/run/secrets/kafka-tls/{file}" for file in ("ca.crt", "tls.crt", "tls.key")]
    assert files == [both[name] for name in names]
    assert [files[0], None, None] == [ca.get(name) for name in names]


def test_an_image_is_chosen_by_its_digest_first(helm: Helm) -> None:
    digest = "sha256:" + "0" * 64
    for given, image in (
        ({}, "maskline:0.1.0"),
        ({"repository": "r/m", "tag": "1"}, "r/m:1"),
        ({"tag": "1", "digest": digest}, f"maskline@{digest}"),
    ):
        (container,) = helm.render(LEAST, {"image": given}).pods()["consumer"]["spec"]["containers"]
        assert image == container["image"]


def test_the_gateways_view_has_a_volume_and_its_time(helm: Helm) -> None:
    pod = helm.render(LEAST, {"gateway": ON}).pods()["gateway"]
    (container,) = pod["spec"]["containers"]
    assert environment(pod)["VIEW_FILE"] == "/view/maskline/view.db"
    assert {"name": "view", "mountPath": "/view"} in container["volumeMounts"]
    assert {"name": "view", "emptyDir": {"sizeLimit": "4Gi"}} in pod["spec"]["volumes"]
    probe = container["startupProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["periodSeconds"] * probe["failureThreshold"] == 15 * 60


def test_a_view_beside_the_temporary_files_shares_their_volume(helm: Helm) -> None:
    values = {"gateway": ON, "config": {"VIEW_FILE": "/tmp/line/view.db"}}  # noqa: S108  # in a pod
    names = [v["name"] for v in helm.render(LEAST, values).pods()["gateway"]["spec"]["volumes"]]
    assert ["temp", "secrets"] == names


def test_an_autoscaler_alone_counts_the_gateways(helm: Helm) -> None:
    rendered = helm.render(LEAST, {"gateway": {**ON, "autoscaling": ON}})
    assert "replicas" not in rendered.one("Deployment", "line-gateway")["spec"]
    scaler = rendered.one("HorizontalPodAutoscaler", "line-gateway")["spec"]
    assert (2, 6) == (scaler["minReplicas"], scaler["maxReplicas"])


def test_models_are_mounted_read_only(helm: Helm) -> None:
    for component in ("consumer", "gateway"):
        pod = helm.render(SETS / "models.yaml").pods()[component]
        assert environment(pod)["MODEL_FOLDER"] == "/models"
        mount = {"name": "models", "mountPath": "/models", "readOnly": True}
        assert mount in pod["spec"]["containers"][0]["volumeMounts"]


def test_the_network_lets_out_what_is_set_and_nothing_else(helm: Helm) -> None:
    assert [53, 53, 443, 9092] == _ports_out(helm.render(LEAST))
    config = {
        "S3_ENDPOINT_URL": "http://s3:9000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318",
        "CALLBACK_ALLOWED_ORIGINS": "http://a.example, https://b.example:8443",
        "KAFKA_BOOTSTRAP_SERVERS": "k1:9093, k2",
    }
    rendered = helm.render(LEAST, {"kafka": {"bootstrapServers": ""}, "config": config})
    assert {53, 80, 443, 4318, 8443, 9000, 9092, 9093} == set(_ports_out(rendered))
    narrow = helm.render(SETS / "narrow-network.yaml")
    assert {53, 80, 443, 8080, 8443, 9092, 9192, 9292, 3128} == set(_ports_out(narrow))


def test_the_network_lets_in_probes_scraping_and_the_gateway(helm: Helm) -> None:
    replay = {"id": "r", "fromOffset": 0, "toOffset": 1}
    policies = helm.render(LEAST, {"gateway": ON, "replay": replay}).all("NetworkPolicy")
    ports = {
        name: [rule["ports"][0]["port"] for rule in policy["spec"].get("ingress", [])]
        for name, policy in policies.items()
    }
    assert ports == {
        "line": [],
        "line-topics": [],
        "line-consumer": [8004],
        "line-replay": [8004],
        "line-gateway": [8003],
    }


def test_a_replay_runs_name_is_of_its_values(helm: Helm) -> None:
    """The same values, the same Job; any other, another one: a Job can't be changed."""
    replay = {"id": "r", "fromOffset": 0, "toOffset": 26214400}
    (first,) = helm.render(LEAST, {"replay": replay}).all("Job").keys() - {"line-topics"}
    assert [first] == _runs(helm.render(LEAST, {"replay": replay, "replicaCount": 3}))
    for other in (
        {"replay": {**replay, "id": "s"}},
        {"replay": {**replay, "fromOffset": 1}},
        {"replay": replay, "config": {"WORKER_COUNT": 4}},
        {"replay": replay, "image": {"tag": "2"}},
    ):
        assert [first] != _runs(helm.render(LEAST, other))
    (container,) = helm.render(LEAST, {"replay": replay}).pods()["replay"]["spec"]["containers"]
    arguments = ["consume", "--replay-id", "r", "--from-offset", "0", "--to-offset", "26214400"]
    assert arguments == container["args"]


def test_monitoring_finds_the_pods(helm: Helm) -> None:
    rendered = helm.render(SETS / "watched.yaml")
    monitor = rendered.one("PodMonitor", "line")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    ports = [endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]]
    named = {
        port["name"]
        for pod in rendered.pods().values()
        for port in pod["spec"]["containers"][0].get("ports", [])
    }
    assert named == set(ports)
    dashboard = rendered.one("ConfigMap", "line-dashboard")["data"]["line.json"]
    ours = (CHART / "files/dashboard.json").read_text()
    assert dashboard.strip() == ours.replace(r"job=\"maskline\"", r"job=\"masks/line\"").strip()
    json.loads(dashboard)


@pytest.mark.parametrize(("replicas", "standby"), [(1, False), (2, True)])
def test_alerts_are_of_the_release(replicas: int, standby: bool, helm: Helm) -> None:
    """By the name that Prometheus gives a PodMonitor's targets."""
    rendered = helm.render(SETS / "watched.yaml", {"replicaCount": replicas})
    (group,) = rendered.one("PrometheusRule", "line")["spec"]["groups"]
    ours = yaml.safe_load((CHART / "files/alerts.yaml").read_text().replace('maskline"', 'x"'))
    alerts = {rule["alert"]: rule for rule in ours["groups"][0]["rules"]}
    if not standby:
        del alerts["MasklineNoStandby"]
    assert list(alerts) == [rule["alert"] for rule in group["rules"]]
    for rule in group["rules"]:
        expected = alerts[rule["alert"]]
        assert expected == {**rule, "expr": rule["expr"].replace('"masks/line"', '"x"')}


def test_labels_are_the_recommended_ones(helm: Helm) -> None:
    rendered = helm.render(
        SETS / "watched.yaml", {"replay": {"id": "r", "fromOffset": 0, "toOffset": 1}}
    )
    for part in rendered.parts:
        labels: dict[str, Any] = part["metadata"]["labels"]
        for name in ("name", "instance", "version", "part-of", "managed-by"):
            assert f"app.kubernetes.io/{name}" in labels
    assert {"consumer", "gateway", "topics", "replay", "test"} == set(rendered.pods())


def test_the_notes_say_what_to_do_next(helm: Helm) -> None:
    ran = helm.run(
        "install", "line", str(CHART), "--dry-run=client", "--namespace=masks",
        f"--values={SETS / 'trial.yaml'}", "--set=gateway.enabled=true",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    notes = ran.stdout.partition("NOTES:")[2]
    for words in (
        "It has no standby: replicaCount is 1.",
        "That is for a trial",
        "the gateway is open to all",
        "rollout status deployment/line-consumer",
        "helm --namespace masks test line --logs",
        "maskline doctor",
        "port-forward service/line-gateway 8003:80",
    ):
        assert words in notes


def _runs(rendered: Rendered) -> list[str]:
    return [name for name in rendered.all("Job") if name != "line-topics"]


def _ports_out(rendered: Rendered) -> list[int]:
    egress = rendered.one("NetworkPolicy", "line")["spec"]["egress"]
    return [port["port"] for rule in egress for port in rule["ports"]]
