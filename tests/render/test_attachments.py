"""What else belongs to a RayCluster: a disruption budget, storage, a token, and the end of what is kept in Redis."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rayserve_operator.model.objects import RayCluster, owner_reference
from rayserve_operator.render import labels, names, pods
from rayserve_operator.render.auth import token_secret
from rayserve_operator.render.disruption import worker_budget
from rayserve_operator.render.ingress import head_ingress
from rayserve_operator.render.network_policies import network_policies
from rayserve_operator.render.options import RenderOptions
from rayserve_operator.render.redis_cleanup import cleanup_job
from rayserve_operator.render.storage import gcs_claim

MakeCluster = Callable[..., RayCluster]
Manifest = dict[str, Any]

OPTIONS = RenderOptions()
ROCKSDB = {"backend": "rocksdb"}
REDIS = {"redisAddress": "redis:6379"}
SERVES = {labels.FROM_CRD: "RayService", labels.FROM_CR_NAME: "rs"}


def job_of(cluster: RayCluster, options: RenderOptions = OPTIONS) -> Manifest:
    job = cleanup_job(cluster, options)
    assert job is not None
    return job


def pod_of(cluster: RayCluster, options: RenderOptions = OPTIONS) -> Manifest:
    pod: Manifest = job_of(cluster, options)["spec"]["template"]
    return pod


def test_all_belong_to_the_cluster(make_cluster: MakeCluster) -> None:
    secured = {"authOptions": {"mode": "token"}, "networkPolicy": {}, "group": {"enableIngress": True}}
    cluster = make_cluster(gcsFaultToleranceOptions=REDIS, labels=SERVES, **secured)
    made = [
        worker_budget(cluster, 1),
        gcs_claim(make_cluster(gcsFaultToleranceOptions=ROCKSDB)),
        token_secret(cluster),
        head_ingress(cluster),
        cleanup_job(cluster, OPTIONS),
        *network_policies(cluster),
    ]
    for manifest in made:
        assert manifest is not None
        metadata = manifest["metadata"]
        assert metadata["namespace"] == "ns"
        assert metadata["labels"] == {
            **labels.APP,
            labels.FROM_CRD: "RayCluster",
            labels.FROM_CR_NAME: "rc",
            labels.CLUSTER: "rc",
        }
        assert metadata["ownerReferences"] == [owner_reference("RayCluster", cluster.meta)]


def test_the_budget_counts_workers_that_serve(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(labels=SERVES)
    budget = worker_budget(cluster, 3)
    assert budget["metadata"]["name"] == "rc-workers"
    assert budget["spec"]["minAvailable"] == 3
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    selected = budget["spec"]["selector"]["matchLabels"].items()
    worker = pods.worker_pod(cluster, cluster.spec.worker_group_specs[0], OPTIONS)["metadata"]["labels"]
    serving_head = {**pods.head_pod(cluster, OPTIONS)["metadata"]["labels"], labels.SERVE: "true"}
    assert selected <= worker.items()
    assert not selected <= serving_head.items()
    assert not selected <= {**worker, labels.SERVE: "false"}.items()


@pytest.mark.parametrize(
    "options", [None, {}, REDIS, {"backend": "redis"}, {**ROCKSDB, "storage": {"claimName": "mine", "size": "2Gi"}}]
)
def test_no_claim(make_cluster: MakeCluster, options: dict[str, Any] | None) -> None:
    assert gcs_claim(make_cluster(gcsFaultToleranceOptions=options)) is None


@pytest.mark.parametrize(
    ("storage", "differs"),
    [
        (None, {}),
        ({}, {}),
        ({"size": "5Gi"}, {"resources": {"requests": {"storage": "5Gi"}}}),
        ({"size": 1024, "accessModes": None}, {"resources": {"requests": {"storage": "1024"}}}),
        ({"storageClassName": "fast", "subPath": "gcs"}, {"storageClassName": "fast"}),
        ({"storageClassName": ""}, {"storageClassName": ""}),
        ({"accessModes": ["ReadWriteOncePod"]}, {"accessModes": ["ReadWriteOncePod"]}),
        ({"accessModes": []}, {}),
    ],
)
def test_claim(make_cluster: MakeCluster, storage: dict[str, Any] | None, differs: dict[str, Any]) -> None:
    cluster = make_cluster(gcsFaultToleranceOptions={**ROCKSDB, "storage": storage})
    claim = gcs_claim(cluster)
    assert claim is not None
    default = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert claim["spec"] == {**default, **differs}
    mounted = {volume["name"]: volume for volume in pods.head_pod(cluster, OPTIONS)["spec"]["volumes"]}
    assert mounted["gcs-storage"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


@pytest.mark.parametrize("auth", [None, {}, {"mode": "disabled"}, {"mode": "token", "secretName": "mine"}])
def test_no_token(make_cluster: MakeCluster, auth: dict[str, Any] | None) -> None:
    assert token_secret(make_cluster(authOptions=auth)) is None


def test_the_token_is_where_the_pods_look(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(authOptions={"mode": "token"})
    secret = token_secret(cluster)
    assert secret is not None
    assert not secret.keys() & {"data", "stringData"}
    for pod in (
        pods.head_pod(cluster, OPTIONS),
        pods.worker_pod(cluster, cluster.spec.worker_group_specs[0], OPTIONS),
    ):
        env = {entry["name"]: entry for entry in pod["spec"]["containers"][0]["env"]}
        source = env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
        assert source == {"name": secret["metadata"]["name"], "key": "auth_token"}


@pytest.mark.parametrize(
    "parts",
    [{}, {"gcsFaultToleranceOptions": ROCKSDB}, {"annotations": {labels.FT_ENABLED: "false"}}],
)
def test_nothing_to_clean_up(make_cluster: MakeCluster, parts: dict[str, Any]) -> None:
    assert cleanup_job(make_cluster(**parts), OPTIONS) is None


def test_the_clean_up_ends_by_itself(make_cluster: MakeCluster) -> None:
    job = job_of(make_cluster(gcsFaultToleranceOptions=REDIS))["spec"]
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (0, 300)
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_the_clean_up_is_no_node_of_the_cluster(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(
        gcsFaultToleranceOptions=REDIS,
        labels={**SERVES, labels.GANG_SCHEDULING: "true"},
        metadata={"labels": {"mesh": "off"}},
    )
    marked = pod_of(cluster, RenderOptions(batch_scheduler="scheduler-plugins"))["metadata"]["labels"]
    assert marked == {
        labels.CLUSTER: "rc",
        labels.NODE_TYPE: "redis-cleanup",
        labels.APP_NAME: "kuberay",
        labels.CREATED_BY: "kuberay-operator",
        "mesh": "off",
    }


def test_the_clean_up_runs_without_what_is_for_ray(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(
        gcsFaultToleranceOptions=REDIS,
        enableInTreeAutoscaling=True,
        authOptions={"mode": "token"},
        tlsOptions={"enabled": True},
        container={
            "resources": {"limits": {"nvidia.com/gpu": 1}, "claims": [{"name": "gpu"}]},
            "ports": [{"containerPort": 1}],
            "readinessProbe": {"exec": {"command": ["true"]}},
            "lifecycle": {"postStart": {"exec": {"command": ["ray", "status"]}}},
            "command": ["prepare"],
            "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
            "envFrom": [{"secretRef": {"name": "redis"}}],
        },
        pod={
            "initContainers": [{"name": "slow", "image": "i"}],
            "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
            "schedulerName": "gangs",
            "volumes": [{"name": "ca", "secret": {"secretName": "ca"}}],
            "nodeSelector": {"zone": "a"},
        },
    )
    spec = pod_of(cluster)["spec"]
    (container,) = spec["containers"]
    amounts = {"cpu": "200m", "memory": "256Mi"}
    assert spec.keys() == {"containers", "restartPolicy", "volumes", "nodeSelector"}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    assert container["volumeMounts"] == [{"name": "ca", "mountPath": "/ca"}]
    assert container["envFrom"] == [{"secretRef": {"name": "redis"}}]
    assert container["image"] == "ray:2"
    assert "prepare" not in container["command"]
    assert not container.keys() & {"ports", "lifecycle", "args", "startupProbe", "livenessProbe", "readinessProbe"}
    assert not [entry for entry in container["env"] if entry["name"].startswith("RAY_AUTH")]


def test_the_clean_up_has_patience_whatever_the_user_says(make_cluster: MakeCluster) -> None:
    hasty = {"env": [{"name": "RAY_redis_db_connect_retries", "value": "1"}, {"name": "MINE", "value": "x"}]}
    cluster = make_cluster(gcsFaultToleranceOptions=REDIS, container=hasty)
    listed = [(entry["name"], entry.get("value")) for entry in pod_of(cluster)["spec"]["containers"][0]["env"]]
    env = dict(listed)
    assert len(env) == len(listed)
    assert env["RAY_redis_db_connect_retries"] == "120"
    assert env["RAY_redis_db_connect_wait_milliseconds"] == "500"
    assert env["MINE"] == "x"
    assert env["RAY_external_storage_namespace"] == "u-1"


STAND_IN = """\
import json

def cleanup_redis_storage(**told):
    print(json.dumps(told))
    return told["host"] != "broken"
"""


def run(pod: Manifest, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the container's command as the kubelet would, with something in the place of Ray's own function."""
    package = directory / "ray" / "_private"
    package.mkdir(parents=True)
    (package / "gcs_utils.py").write_text(STAND_IN)
    container = pod["spec"]["containers"][0]
    env = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    return subprocess.run(  # noqa: S603 (Our own command.)
        container["command"],
        env={**env, "PATH": os.environ["PATH"], "PYTHONPATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("redis", "differs"),
    [
        ({"redisAddress": "redis:7000"}, {"port": 7000}),
        ({"redisAddress": "redis"}, {}),
        ({"redisAddress": "redis://redis:7000/0"}, {"port": 7000}),
        ({"redisAddress": "redis:7000, other:7001"}, {"port": 7000}),
        ({"redisAddress": "rediss://me:open@redis"}, {"use_ssl": True, "username": "me", "password": "open"}),
        (
            {"redisAddress": "redis://redis", "redisUsername": {"value": "me"}, "redisPassword": {"value": "a'$b"}},
            {"username": "me", "password": "a'$b"},
        ),
        ({"redisAddress": "redis", "externalStorageNamespace": "space"}, {"storage_namespace": "space"}),
    ],
)
def test_what_ray_is_asked_to_remove(
    make_cluster: MakeCluster, tmp_path: Path, redis: dict[str, Any], differs: dict[str, Any]
) -> None:
    done = run(pod_of(make_cluster(gcsFaultToleranceOptions=redis)), tmp_path)
    assert done.returncode == 0, done.stderr
    plain = {"host": "redis", "port": 6379, "password": "", "use_ssl": False, "storage_namespace": "u-1"}
    assert json.loads(done.stdout.splitlines()[0]) == {**plain, **differs}


def test_a_failed_clean_up_fails_the_job(make_cluster: MakeCluster, tmp_path: Path) -> None:
    done = run(pod_of(make_cluster(gcsFaultToleranceOptions={"redisAddress": "broken"})), tmp_path)
    assert done.returncode == 1
    assert "u-1" in done.stderr


def test_without_an_address_there_is_nothing_to_remove(make_cluster: MakeCluster, tmp_path: Path) -> None:
    done = run(pod_of(make_cluster(annotations={labels.FT_ENABLED: "true"})), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not set" in done.stdout


@pytest.mark.parametrize(
    ("name", "made"),
    [
        (names.redis_cleanup_name("a" * 53), "a" * 53 + "-redis-cle"),
        (names.head_ingress_name("x" * 3 + "a" * 37), "a" * 37 + "-head-ingress"),
        (names.workers_policy_name("rc", "GPU"), "rc-workers-gpu"),
    ],
)
def test_names_fit(name: str, made: str) -> None:
    assert name == made
