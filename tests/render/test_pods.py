"""What is added to a pod template, and when."""

# ruff: noqa: S105, S108 (what stands inside containers)

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import labels, pods
from rayserve_operator.render.options import RenderOptions

MakeCluster = Callable[..., RayCluster]
MakePod = Callable[..., dict[str, Any]]

SERVES = {labels.FROM_CRD: "RayService"}
AUTOSCALED = {"enableInTreeAutoscaling": True}


def ray(pod: Mapping[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod["spec"]["containers"][0]
    return container


def env(pod: Mapping[str, Any]) -> dict[str, Any]:
    entries = ray(pod)["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry.get("value") for entry in entries}


def volumes(pod: Mapping[str, Any]) -> dict[str, Any]:
    return {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}


def mounts(container: Mapping[str, Any]) -> dict[str, str]:
    return {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", ())}


class TestLabels:
    def test_the_users_win_over_the_applications_but_not_over_what_ray_goes_by(self, make_head: MakePod) -> None:
        mine = {labels.APP_NAME: "a", labels.CLUSTER: "b", labels.GROUP: "c", labels.IDENTIFIER: "d", "own": "e"}
        got = make_head(metadata={"labels": mine}, group={"labels": {"own": "f"}})["metadata"]["labels"]
        assert got[labels.APP_NAME] == "a"
        assert got["own"] == "f"
        assert (got[labels.CLUSTER], got[labels.GROUP], got[labels.IDENTIFIER]) == ("rc", "headgroup", "rc-head")

    def test_a_head_joins_the_service_later(self, make_head: MakePod, make_worker: MakePod) -> None:
        assert make_head(labels=SERVES)["metadata"]["labels"][labels.SERVE] == "false"
        assert make_worker(labels=SERVES)["metadata"]["labels"][labels.SERVE] == "true"
        assert labels.SERVE not in make_worker()["metadata"]["labels"]

    def test_a_worker_without_a_proxy_never_joins_it(self, make_worker: MakePod) -> None:
        only_head = {labels.SERVE_OPTIONS: '{"proxy_location": "HeadOnly"}'}
        assert make_worker(labels=SERVES, annotations=only_head)["metadata"]["labels"][labels.SERVE] == "false"

    def test_the_operators_defaults_come_last(self, make_worker: MakePod) -> None:
        options = RenderOptions(pod_labels={"a": "1", "b": "1"}, pod_annotations={"c": "1"})
        metadata = make_worker(options, metadata={"labels": {"b": "2"}})["metadata"]
        assert (metadata["labels"]["a"], metadata["labels"]["b"]) == ("1", "2")
        assert metadata["annotations"] == {"c": "1"}

    def test_the_place_of_a_host(self, make_cluster: MakeCluster) -> None:
        cluster = make_cluster()
        group = cluster.spec.worker_group_specs[0]
        single = pods.worker_pod(cluster, group, RenderOptions(), pods.Host(3))
        assert single["metadata"]["labels"][labels.REPLICA_INDEX] == "3"
        assert labels.HOST_INDEX not in single["metadata"]["labels"]
        multi = pods.worker_pod(cluster, group, RenderOptions(), pods.Host(3, "g-xyz", 1))["metadata"]["labels"]
        assert (multi[labels.REPLICA_NAME], multi[labels.HOST_INDEX]) == ("g-xyz", "1")


class TestEnvironment:
    def test_identity_is_not_the_users(self, make_worker: MakePod) -> None:
        mine = [{"name": "RAY_CLOUD_INSTANCE_ID", "value": "x"}, {"name": "RAY_ADDRESS", "value": "y"}]
        got = env(make_worker(container={"env": mine}))
        assert got["RAY_CLOUD_INSTANCE_ID"] is None
        assert got["RAY_ADDRESS"] == "y"

    def test_the_head_is_at_home(self, make_head: MakePod, make_worker: MakePod) -> None:
        assert env(make_head())["RAY_ADDRESS"] == "127.0.0.1:6379"
        assert "FQ_RAY_IP" not in env(make_head())
        assert env(make_worker())["RAY_ADDRESS"] == "rc-head-svc.ns.svc.cluster.local:6379"
        assert env(make_worker())["RAY_IP"] == "rc-head-svc"

    def test_the_operators_defaults_reach_ray_and_the_autoscaler(self, make_head: MakePod) -> None:
        options = RenderOptions(container_env=({"name": "PROXY", "value": "p"},))
        pod = make_head(options, autoscalerOptions={"env": [{"name": "PROXY", "value": "mine"}]})
        assert env(pod)["PROXY"] == "p"
        assert {"name": "PROXY", "value": "mine"} in pod["spec"]["containers"][1]["env"]

    @pytest.mark.parametrize(("mode", "told"), [("token", "token"), ("disabled", "disabled"), (None, None)])
    def test_authentication_is_said_openly(self, make_worker: MakePod, mode: str | None, told: str | None) -> None:
        pod = make_worker(authOptions={"mode": mode})
        assert env(pod).get("RAY_AUTH_MODE") == told
        assert ("RAY_AUTH_TOKEN" in env(pod)) == (mode == "token")

    @pytest.mark.parametrize(("version", "flag"), [("v1", "false"), ("v2", "true"), (None, None)])
    def test_the_autoscalers_version_is_the_heads_to_say(
        self, make_head: MakePod, make_worker: MakePod, version: str | None, flag: str | None
    ) -> None:
        options = {"autoscalerOptions": {"version": version}}
        assert env(make_head(**options)).get("RAY_enable_autoscaler_v2") == flag
        assert "RAY_enable_autoscaler_v2" not in env(make_worker(**options))


class TestFaultTolerance:
    def test_redis(self, make_head: MakePod, make_worker: MakePod) -> None:
        parts = {"gcsFaultToleranceOptions": {"redisAddress": "r:1", "redisPassword": {"value": "p"}}}
        head = make_head(**parts)
        assert env(head)["RAY_REDIS_ADDRESS"] == "r:1"
        assert env(head)["REDIS_PASSWORD"] == "p"
        assert env(head)["RAY_external_storage_namespace"] == "u-1"
        assert head["metadata"]["annotations"][labels.FT_ENABLED] == "true"
        assert head["metadata"]["annotations"][labels.EXTERNAL_STORAGE_NAMESPACE] == "u-1"
        assert env(make_worker(**parts))["RAY_gcs_rpc_server_reconnect_timeout_s"] == "600"

    def test_by_annotation(self, make_head: MakePod) -> None:
        noted = {labels.FT_ENABLED: "true", labels.EXTERNAL_STORAGE_NAMESPACE: "space"}
        head = make_head(annotations=noted, group={"rayStartParams": {"redis-password": "p"}})
        assert env(head)["REDIS_PASSWORD"] == "p"
        assert env(head)["RAY_external_storage_namespace"] == "space"
        assert "RAY_REDIS_ADDRESS" not in env(head)

    @pytest.mark.parametrize(("storage", "claim"), [(None, "rc-gcs-pvc"), ({"claimName": "mine"}, "mine")])
    def test_rocksdb(self, make_head: MakePod, make_worker: MakePod, storage: Any, claim: str) -> None:
        parts = {"gcsFaultToleranceOptions": {"backend": "rocksdb", "storage": storage}}
        head = make_head(**parts)
        assert env(head)["RAY_gcs_storage"] == "rocksdb"
        assert mounts(ray(head))[env(head)["RAY_gcs_storage_path"]] == "gcs-storage"
        assert volumes(head)["gcs-storage"]["persistentVolumeClaim"] == {"claimName": claim}
        assert labels.EXTERNAL_STORAGE_NAMESPACE not in head["metadata"]["annotations"]
        assert "gcs-storage" not in volumes(make_worker(**parts))

    def test_none(self, make_head: MakePod, make_worker: MakePod) -> None:
        assert make_head()["metadata"]["annotations"] == {labels.FT_ENABLED: "false"}
        assert "RAY_gcs_rpc_server_reconnect_timeout_s" not in env(make_worker())


class TestSharedMemory:
    @pytest.mark.parametrize(
        ("resources", "size"),
        [
            ({}, {}),
            ({"requests": {"memory": "1Gi"}}, {}),
            ({"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}, {"sizeLimit": "2Gi"}),
        ],
    )
    def test_only_a_limit_limits_it(self, make_worker: MakePod, resources: Any, size: dict[str, str]) -> None:
        pod = make_worker(container={"resources": resources})
        assert volumes(pod)["shared-mem"]["emptyDir"] == {"medium": "Memory", **size}
        assert mounts(ray(pod))["/dev/shm"] == "shared-mem"

    def test_the_user_may_place_it(self, make_worker: MakePod) -> None:
        mounted = make_worker(container={"volumeMounts": [{"name": "mine", "mountPath": "/dev/shm"}]})
        moved = make_worker(group={"rayStartParams": {"plasma-directory": "/fast"}})
        assert mounts(ray(mounted)) == {"/dev/shm": "mine"}
        assert volumes(mounted) == volumes(moved) == {}
        assert mounts(ray(moved)) == {}


class TestShutdown:
    @pytest.mark.parametrize(
        ("grace", "drain", "expected"),
        [
            (None, None, (65, "50")),
            (None, "10", (65, "10")),
            (None, "120", (135, "120")),
            (30, None, (30, "15")),
            (10, None, (10, "0")),
            (600, None, (600, "585")),
            (20, "50", (20, "50")),
        ],
    )
    def test_ray_drains_within_the_grace(
        self, make_worker: MakePod, grace: int | None, drain: str | None, expected: tuple[int, str]
    ) -> None:
        pod = make_worker(
            pod={} if grace is None else {"terminationGracePeriodSeconds": grace},
            container={"env": [{"name": "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "value": drain}] if drain else []},
        )
        told = env(pod)["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]
        assert (pod["spec"]["terminationGracePeriodSeconds"], told) == expected


class TestRestartPolicy:
    @pytest.mark.parametrize(
        ("spec", "given", "expected"),
        [
            ({}, None, None),
            ({}, "OnFailure", "OnFailure"),
            (AUTOSCALED, None, "Never"),
            (AUTOSCALED, "Always", "Never"),
            ({"autoscalerOptions": {"version": "v2"}}, None, "Never"),
            ({"autoscalerOptions": {"version": "v1"}}, None, None),
            ({"autoscalerOptions": {"version": "v1"}}, "Always", "Always"),
        ],
    )
    def test_workers_that_ray_scales_end_for_good(
        self, make_worker: MakePod, make_head: MakePod, spec: Any, given: str | None, expected: str | None
    ) -> None:
        pod = {"restartPolicy": given} if given else {}
        assert make_worker(pod=pod, **spec)["spec"].get("restartPolicy") == expected
        assert make_head(pod=pod, **spec)["spec"].get("restartPolicy") == given


class TestPorts:
    @pytest.mark.parametrize(
        ("declared", "added"),
        [
            ([], [{"name": "metrics", "containerPort": 8080}]),
            ([{"containerPort": 1}], [{"name": "metrics", "containerPort": 8080}]),
            ([{"name": "metrics", "containerPort": 9}], []),
            ([{"name": "mine", "containerPort": 8080}], []),
        ],
    )
    def test_metrics(self, make_worker: MakePod, declared: list[Any], added: list[Any]) -> None:
        assert ray(make_worker(container={"ports": declared}))["ports"] == [*declared, *added]


class TestAutoscaler:
    def test_only_beside_an_autoscaled_head(self, make_head: MakePod, make_worker: MakePod) -> None:
        assert [c["name"] for c in make_head(**AUTOSCALED)["spec"]["containers"]] == ["ray", "autoscaler"]
        assert make_head(**AUTOSCALED)["spec"]["serviceAccountName"] == "rc"
        assert len(make_worker(**AUTOSCALED)["spec"]["containers"]) == 1
        assert len(make_head()["spec"]["containers"]) == 1
        assert "serviceAccountName" not in make_head()["spec"]

    def test_its_options(self, make_head: MakePod) -> None:
        options = {
            "image": "other",
            "imagePullPolicy": "Never",
            "command": ["c"],
            "args": ["a"],
            "resources": {"limits": {"cpu": "1"}},
            "securityContext": {"runAsUser": 1},
            "env": [{"name": "KUBERAY_CRD_VER", "value": "v9"}],
            "envFrom": [{"secretRef": {"name": "s"}}],
            "volumeMounts": [{"name": "x", "mountPath": "/x"}],
        }
        beside = make_head(autoscalerOptions=options)["spec"]["containers"][1]
        assert {key: beside[key] for key in options if key not in ("env", "volumeMounts")} == {
            key: value for key, value in options.items() if key not in ("env", "volumeMounts")
        }
        assert {"name": "KUBERAY_CRD_VER", "value": "v9"} in beside["env"]
        assert mounts(beside) == {"/tmp/ray": "ray-logs", "/x": "x"}

    def test_it_shares_the_users_log_volume(self, make_head: MakePod) -> None:
        mine = {"name": "mine", "mountPath": "/tmp/ray", "subPath": "s"}
        head = make_head(container={"volumeMounts": [mine]}, **AUTOSCALED)
        assert head["spec"]["containers"][1]["volumeMounts"] == [mine]
        assert "ray-logs" not in volumes(head)


class TestInitContainers:
    def test_a_worker_waits_after_the_users_own(self, make_worker: MakePod) -> None:
        first, last = make_worker(pod={"initContainers": [{"name": "own"}]})["spec"]["initContainers"]
        assert [entry["name"] for entry in first["env"]] == ["FQ_RAY_IP", "RAY_IP"]
        assert last["name"] == "wait-gcs-ready"
        assert last["command"][-2:] == ["rc-head-svc.ns.svc.cluster.local", "6379"]

    def test_a_head_waits_for_nobody(self, make_head: MakePod) -> None:
        assert "initContainers" not in make_head()["spec"]

    def test_waiting_can_be_left_out(self, make_worker: MakePod) -> None:
        assert "initContainers" not in make_worker(RenderOptions(wait_for_head=False))["spec"]

    def test_waiting_adds_nothing_to_what_the_pod_needs(self, make_worker: MakePod) -> None:
        container = {
            "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"}},
            "securityContext": {"runAsUser": 7},
            "imagePullPolicy": "Never",
        }
        waiting = make_worker(container=container)["spec"]["initContainers"][0]
        assert waiting["resources"] == {"requests": {"cpu": "2"}, "limits": {"cpu": "2", "memory": "1Gi"}}
        assert waiting["securityContext"] == {"runAsUser": 7}
        assert (waiting["image"], waiting["imagePullPolicy"]) == ("ray:2", "Never")

    async def test_the_script_ends_when_the_port_opens(self, make_worker: MakePod) -> None:
        shell, flag, script, *_ = make_worker()["spec"]["initContainers"][0]["command"]
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        waiting = await asyncio.create_subprocess_exec(
            shell, flag, script, "127.0.0.1", str(port), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.wait(), 0.7)
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port):
            said, complained = await asyncio.wait_for(waiting.communicate(), 10)
        assert waiting.returncode == 0
        assert f"127.0.0.1:{port} answers after" in said.decode()
        assert not complained


class TestDevices:
    def test_a_device_requested_gets_its_limit_in_every_container(self, make_worker: MakePod) -> None:
        wants = {"resources": {"requests": {"nvidia.com/gpu": "1"}}}
        pod = make_worker(
            container=wants,
            pod={"initContainers": [{"name": "i", **wants}]},
        )["spec"]
        for container in (pod["containers"][0], pod["initContainers"][0]):
            assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}
        assert "--num-gpus=1" in pod["containers"][0]["args"][0]


def test_owner_and_place(make_head: MakePod) -> None:
    metadata = make_head()["metadata"]
    assert "name" not in metadata
    assert metadata["namespace"] == "ns"
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == ["u-1"]


@pytest.mark.parametrize(
    ("params", "ports", "expected"),
    [
        ({}, [], 8265),
        ({"dashboard-port": "1"}, [{"name": "dashboard", "containerPort": 2}], 1),
        ({"dashboard-port": "$PORT"}, [{"name": "dashboard", "containerPort": 2}], 2),
    ],
)
def test_dashboard_port(make_cluster: MakeCluster, params: Any, ports: Any, expected: int) -> None:
    cluster = make_cluster(group={"rayStartParams": params}, container={"ports": ports})
    assert pods.dashboard_port(cluster) == expected
