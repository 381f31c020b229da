"""Gang scheduling: what each scheduler is told of the pods of a cluster, and of the pods that it starts with."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import gang
from rayserve_operator.render.options import BatchScheduler, RenderOptions
from rayserve_operator.settings import Settings

MakeCluster = Callable[..., RayCluster]
MakePod = Callable[..., dict[str, Any]]

VOLCANO = RenderOptions(batch_scheduler="volcano")
YUNIKORN = RenderOptions(batch_scheduler="yunikorn")
PLUGINS = RenderOptions(batch_scheduler="scheduler-plugins")
GANG = {"ray.io/gang-scheduling-enabled": "true"}
SMALL = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "nvidia.com/gpu": "1"}}


def template(resources: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "ray", "resources": resources or {}}], **spec}}


def group(name: str, **fields: Any) -> dict[str, Any]:
    return {"groupName": name, "template": template(SMALL), **fields}


def task_groups(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    groups = json.loads(pod["metadata"]["annotations"]["yunikorn.apache.org/task-groups"])
    return {group["name"]: group for group in groups}


# The setting. ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "scheduler"), [("", None), ("scheduler-plugins", "scheduler-plugins")])
def test_the_scheduler_is_a_setting(text: str, scheduler: str | None) -> None:
    assert Settings.read({"RAYSERVE_BATCH_SCHEDULER": text}).batch_scheduler == scheduler


def test_an_unknown_scheduler_is_refused() -> None:
    with pytest.raises(ValueError, match=r"RAYSERVE_BATCH_SCHEDULER: slurm .* volcano"):
        Settings.read({"RAYSERVE_BATCH_SCHEDULER": "slurm"})


# Pods. -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheduler", "name"),
    [
        (None, None),
        ("volcano", "volcano"),
        ("yunikorn", "yunikorn"),
        ("scheduler-plugins", "scheduler-plugins-scheduler"),
    ],
)
def test_ray_pods_go_to_the_scheduler(
    make_head: MakePod, make_worker: MakePod, scheduler: BatchScheduler | None, name: str | None
) -> None:
    for make in (make_head, make_worker):
        assert make(RenderOptions(batch_scheduler=scheduler))["spec"].get("schedulerName") == name


def test_a_users_own_scheduler_and_priority_win(make_worker: MakePod) -> None:
    own = {"schedulerName": "mine", "priorityClassName": "high"}
    spec = make_worker(VOLCANO, pod=own, labels={"ray.io/priority-class-name": "low"})["spec"]
    assert own.items() <= spec.items()
    assert make_worker(VOLCANO, pod={"schedulerName": ""})["spec"]["schedulerName"] == "volcano"


def test_volcano_knows_a_pod_by_its_annotations(make_worker: MakePod) -> None:
    labels = {"volcano.sh/queue-name": "team", "ray.io/priority-class-name": "high"}
    pod = make_worker(VOLCANO, labels=labels)
    told = {"scheduling.k8s.io/group-name": "ray-rc-pg", "volcano.sh/task-spec": "g"}
    assert told.items() <= pod["metadata"]["annotations"].items()
    assert pod["metadata"]["labels"]["volcano.sh/queue-name"] == "team"
    assert pod["spec"]["priorityClassName"] == "high"


def test_yunikorn_is_told_of_application_and_queue(make_worker: MakePod) -> None:
    labels = {"yunikorn.apache.org/app-id": "app-1", "yunikorn.apache.org/queue": "root.team"}
    pod = make_worker(YUNIKORN, labels=labels)
    assert {"applicationId": "app-1", "queue": "root.team"}.items() <= pod["metadata"]["labels"].items()
    assert "yunikorn" not in str(pod["metadata"].get("annotations"))


def test_yunikorn_is_told_the_shape_of_the_gang(make_cluster: MakeCluster, make_head: MakePod) -> None:
    tolerations = [{"key": "gpu", "operator": "Exists"}]
    gpu = group("gpu", minReplicas=2, numOfHosts=2, template=template(SMALL, tolerations=tolerations))
    groups = [gpu, group("spare", maxReplicas=3)]
    pod = make_head(YUNIKORN, labels=GANG, workerGroupSpecs=groups)
    assert pod["metadata"]["annotations"]["yunikorn.apache.org/task-group-name"] == "headgroup"
    # YuniKorn refuses the whole gang for a group of none.
    assert set(found := task_groups(pod)) == {"headgroup", "gpu"}
    assert found["gpu"] == {
        "name": "gpu",
        "minMember": 4,
        "minResource": {"cpu": "500m", "memory": "1073741824", "nvidia.com/gpu": "1"},
        "tolerations": tolerations,
    }


def test_pods_of_a_group_that_starts_with_none_have_no_place_in_the_gang(make_worker: MakePod) -> None:
    annotations = make_worker(YUNIKORN, labels=GANG)["metadata"]["annotations"]
    assert "yunikorn.apache.org/task-groups" in annotations
    assert "yunikorn.apache.org/task-group-name" not in annotations


def test_yunikorn_reserves_for_the_autoscaler_too(make_head: MakePod) -> None:
    pod = make_head(
        YUNIKORN,
        labels=GANG,
        container={"resources": {"requests": {"cpu": "1"}}},
        autoscalerOptions={"resources": {"requests": {"cpu": "250m", "memory": "1Mi"}}},
    )
    assert task_groups(pod)["headgroup"]["minResource"] == {"cpu": "1250m", "memory": "1048576"}


@pytest.mark.parametrize(("value", "member"), [("true", "rc"), ("", "rc"), ("false", None), (None, None)])
def test_scheduler_plugins_know_a_pod_by_its_label(make_head: MakePod, value: str | None, member: str | None) -> None:
    labels = {} if value is None else {"ray.io/gang-scheduling-enabled": value}
    pod = make_head(PLUGINS, labels=labels)
    assert pod["metadata"]["labels"].get("scheduling.x-k8s.io/pod-group") == member


# PodGroups. --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [RenderOptions(), YUNIKORN, PLUGINS])
def test_no_group_where_none_is_asked_for_or_read(make_cluster: MakeCluster, options: RenderOptions) -> None:
    assert gang.pod_group(make_cluster(), options) is None


def test_volcano_is_told_in_its_own_words(make_cluster: MakeCluster) -> None:
    labels = {
        "volcano.sh/queue-name": "team",
        "ray.io/priority-class-name": "high",
        "volcano.sh/network-topology-mode": "hard",
        "volcano.sh/network-topology-highest-tier-allowed": "2",
    }
    made = gang.pod_group(make_cluster(labels=labels), VOLCANO)
    assert made is not None
    assert (made["apiVersion"], made["metadata"]["name"]) == ("scheduling.volcano.sh/v1beta1", "ray-rc-pg")
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    assert made["spec"] == {
        "minMember": 1,
        "queue": "team",
        "priorityClassName": "high",
        "networkTopology": {"mode": "hard", "highestTierAllowed": 2},
    }


def test_scheduler_plugins_have_a_group_of_the_clusters_name(make_cluster: MakeCluster) -> None:
    made = gang.pod_group(make_cluster(labels={**GANG, "volcano.sh/queue-name": "team"}), PLUGINS)
    assert made is not None
    assert (made["apiVersion"], made["metadata"]["name"]) == ("scheduling.x-k8s.io/v1alpha1", "rc")
    assert made["spec"] == {"minMember": 1}


@pytest.mark.parametrize(
    ("autoscaling", "fields", "members"),
    [
        (False, {"replicas": 3}, 4),
        (False, {"replicas": 3, "numOfHosts": 2}, 7),
        (False, {"replicas": 3, "maxReplicas": 2}, 3),
        (False, {"replicas": 0, "minReplicas": 2}, 3),
        (True, {"replicas": 3, "minReplicas": 2}, 3),
        (True, {"replicas": 3, "minReplicas": 1, "numOfHosts": 4}, 5),
        (False, {"replicas": 3, "suspend": True}, 1),
    ],
)
def test_the_gang_is_what_the_cluster_starts_with(
    make_cluster: MakeCluster, autoscaling: bool, fields: dict[str, Any], members: int
) -> None:
    cluster = make_cluster(enableInTreeAutoscaling=autoscaling, workerGroupSpecs=[group("g", **fields)])
    made = gang.pod_group(cluster, VOLCANO)
    assert made is not None
    assert made["spec"]["minMember"] == members


def test_its_resources_are_those_of_all_its_pods(make_cluster: MakeCluster) -> None:
    head = {"template": template({"limits": {"cpu": "1", "memory": "2Gi"}})}
    groups = [group("a", replicas=2), group("b", replicas=1)]
    made = gang.pod_group(make_cluster(headGroupSpec=head, workerGroupSpecs=groups), VOLCANO)
    assert made is not None
    # Requests count, and limits where there is no request.
    assert made["spec"]["minResources"] == {"cpu": "2500m", "memory": str(5 * 1024**3), "nvidia.com/gpu": "3"}


@pytest.mark.parametrize(
    ("init", "cpu"),
    [
        ([("3", "")], "3"),
        ([("1", "")], "2"),
        ([("1", "Always")], "3"),
        ([("1", "Always"), ("4", "")], "5"),
        ([("4", ""), ("1", "Always")], "4"),
    ],
)
def test_init_containers_count_as_kubernetes_counts_them(
    make_cluster: MakeCluster, init: list[tuple[str, str]], cpu: str
) -> None:
    before = [
        {"name": f"init-{index}", "resources": {"requests": {"cpu": amount}}, "restartPolicy": policy}
        for index, (amount, policy) in enumerate(init)
    ]
    head = {"template": template({"requests": {"cpu": 2}}, initContainers=before)}
    made = gang.pod_group(make_cluster(headGroupSpec=head), VOLCANO)
    assert made is not None
    assert made["spec"]["minResources"]["cpu"] == cpu


def test_a_suspended_cluster_holds_nothing_in_a_queue(make_cluster: MakeCluster) -> None:
    assert gang.pod_group(make_cluster(suspend=True), VOLCANO) is None
