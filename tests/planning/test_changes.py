"""What an edit of rayClusterConfig means."""

from typing import Any

import pytest

from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.planning.changes import compare


def container(**fields: Any) -> dict[str, Any]:
    return {"name": "ray", "image": "ray:1", **fields}


def template(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [container(**fields)]}}


def group(name: str = "cpu", **fields: Any) -> dict[str, Any]:
    return {"groupName": name, "template": template(), "replicas": 1, "minReplicas": 1, "maxReplicas": 3, **fields}


def pods(**spec: Any) -> dict[str, Any]:
    return {"spec": {**template()["spec"], **spec}}


def cluster(*groups: dict[str, Any], **fields: Any) -> RayClusterSpec:
    spec = {"headGroupSpec": {"template": template()}, "workerGroupSpecs": list(groups or [group()]), **fields}
    return RayClusterSpec.model_validate(spec)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (cluster(), cluster()),
        (cluster(group("a"), group("b")), cluster(group("b"), group("a"))),
        (
            cluster(group(template=template(ports=[{"containerPort": 8000}]))),
            cluster(group(template=template(ports=[{"containerPort": 8000, "protocol": "TCP"}]))),
        ),
        (
            cluster(group(template=template(resources={"limits": {"cpu": "1000m", "memory": "1Gi"}}))),
            cluster(group(template=template(resources={"limits": {"cpu": 1, "memory": "1024Mi"}}))),
        ),
        (
            cluster(group(template=template(livenessProbe={"httpGet": {"port": 1}}))),
            cluster(
                group(template=template(livenessProbe={"httpGet": {"port": 1, "scheme": "HTTP"}, "timeoutSeconds": 1}))
            ),
        ),
        (cluster(), cluster(group(rayStartParams={}, labels={}, scaleStrategy={"workersToDelete": ["x"]}))),
        (cluster(), cluster(headServiceAnnotations={}, suspend=False, managedBy="ray.io/kuberay-operator")),
        (cluster(), cluster(upgradeStrategy={"type": "Recreate"})),
        (
            cluster(enableInTreeAutoscaling=False),
            cluster(enableInTreeAutoscaling=False, autoscalerOptions={"image": "autoscaler:1"}),
        ),
        (cluster(), cluster(headGroupSpec={"template": template(), "ingressOptions": {}})),
        (cluster(group(resources={"CPU": "1000m"})), cluster(group(resources={"CPU": "1"}))),
        (
            cluster(),
            cluster(group(template={"metadata": {"creationTimestamp": None}, **pods(volumes=[])})),
        ),
        (
            cluster(),
            cluster(group(template=pods(tolerations=[{"key": "gpu"}], schedulingGates=[{"name": "queue"}]))),
        ),
    ],
    ids=[
        "the same",
        "order of groups",
        "protocol",
        "quantities",
        "probe",
        "empty fields",
        "of the cluster",
        "how a cluster of its own is upgraded",
        "an autoscaler that is off",
        "an empty part",
        "logical resources",
        "nulls",
        "tolerations",
    ],
)
def test_another_spelling_is_no_change(before: RayClusterSpec, after: RayClusterSpec) -> None:
    for one, other in ((before, after), (after, before)):
        diff = compare(one, other)
        assert (diff.rebuild, diff.operations, diff.edited) == ((), (), ())


@pytest.mark.parametrize(
    ("after", "paths"),
    [
        (
            cluster(group(template=template(image="ray:2"))),
            ("workerGroupSpecs[cpu].template.spec.containers[0].image",),
        ),
        (
            cluster(headGroupSpec={"template": template(env=[{"name": "A", "value": "1"}])}),
            ("headGroupSpec.template.spec.containers[0].env",),
        ),
        (cluster(rayVersion="2.60.0"), ("rayVersion",)),
        (cluster(group(rayStartParams={"num-cpus": "1"})), ("workerGroupSpecs[cpu].rayStartParams",)),
        (cluster(enableInTreeAutoscaling=True), ("autoscalerOptions",)),
        (
            cluster(group(template={"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, **template()})),
            ("workerGroupSpecs[cpu].template.metadata",),
        ),
        (cluster(group(resources={"CPU": "1"})), ("workerGroupSpecs[cpu].resources",)),
        (
            cluster(group(template=pods(terminationGracePeriodSeconds=30))),
            ("workerGroupSpecs[cpu].template.spec.terminationGracePeriodSeconds",),
        ),
    ],
)
def test_what_pods_are_made_of_needs_a_new_cluster(after: RayClusterSpec, paths: tuple[str, ...]) -> None:
    assert compare(cluster(), after).rebuild == paths


RICH = template(
    env=[{"name": "A", "value": "1"}],
    securityContext={"privileged": True},
    resources={"requests": {"cpu": 1}, "limits": {"cpu": 2}},
)
AT = "workerGroupSpecs[cpu].template.spec.containers[0]"


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"env": None}, (f"{AT}.env",)),
        ({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}, (f"{AT}.env",)),
        ({"env": [{"name": "A", "value": "2"}]}, (f"{AT}.env[0].value",)),
        ({"securityContext": None}, (f"{AT}.securityContext",)),
        ({"securityContext": {"privileged": False}}, (f"{AT}.securityContext.privileged",)),
        ({"resources": {"requests": {"cpu": 2}, "limits": {"cpu": 2}}}, (f"{AT}.resources.requests.cpu",)),
        ({"resources": {"requests": {"cpu": 1}, "limits": {"cpu": "x"}}}, (f"{AT}.resources.limits.cpu",)),
    ],
)
def test_the_deepest_paths_that_differ_are_told(fields: dict[str, Any], paths: tuple[str, ...]) -> None:
    kept = {key: value for key, value in {**RICH["spec"]["containers"][0], **fields}.items() if value is not None}
    changed = {"spec": {"containers": [kept]}}
    for one, other in ((RICH, changed), (changed, RICH)):
        assert compare(cluster(group(template=one)), cluster(group(template=other))).rebuild == paths


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"image": "a:1"}, {"image": "a:2"}),
        ({"image": "a:1", "idleTimeoutSeconds": 1}, {"image": "a:2", "upscalingMode": "Default"}),
    ],
)
def test_the_autoscaler_itself_needs_a_new_cluster(before: dict[str, Any], after: dict[str, Any]) -> None:
    one, other = (cluster(enableInTreeAutoscaling=True, autoscalerOptions=options) for options in (before, after))
    assert compare(one, other).rebuild == ("autoscalerOptions.image",)


def test_scaling_is_patched_behind_a_test_of_the_groups_name() -> None:
    diff = compare(cluster(group("a"), group("b")), cluster(group("b", maxReplicas=9), group("a")))
    assert diff.rebuild == ()
    assert diff.edited == ("workerGroupSpecs[b].maxReplicas",)
    assert diff.operations == (
        {"op": "test", "path": "/spec/workerGroupSpecs/1/groupName", "value": "b"},
        {"op": "add", "path": "/spec/workerGroupSpecs/1/maxReplicas", "value": 9},
    )


ADD, REMOVE = "add", "remove"
ON: dict[str, Any] = {"enableInTreeAutoscaling": True}


def autoscaled(**options: Any) -> RayClusterSpec:
    return cluster(**ON, autoscalerOptions=options)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (autoscaled(idleTimeoutSeconds=60), autoscaled(idleTimeoutSeconds=0), [(ADD, "/idleTimeoutSeconds", 0)]),
        (autoscaled(), autoscaled(upscalingMode="Default"), [(ADD, "/upscalingMode", "Default")]),
        (autoscaled(upscalingMode="Default"), autoscaled(), [(REMOVE, "/upscalingMode", None)]),
        (autoscaled(idleTimeoutSeconds=60), cluster(**ON), [(REMOVE, "/idleTimeoutSeconds", None)]),
        (cluster(**ON), autoscaled(idleTimeoutSeconds=60), [(ADD, "", {}), (ADD, "/idleTimeoutSeconds", 60)]),
        (
            cluster(**ON),
            autoscaled(idleTimeoutSeconds=60, upscalingMode="Default"),
            [(ADD, "", {}), (ADD, "/idleTimeoutSeconds", 60), (ADD, "/upscalingMode", "Default")],
        ),
        (cluster(**ON), autoscaled(), []),
        (autoscaled(idleTimeoutSeconds=60), autoscaled(idleTimeoutSeconds=60), []),
    ],
    ids=["changed", "set", "unset", "all unset", "first", "first two", "empty", "the same"],
)
def test_how_eagerly_ray_scales_is_patched(
    before: RayClusterSpec, after: RayClusterSpec, expected: list[tuple[str, str, Any]]
) -> None:
    diff = compare(before, after)
    at = "/spec/autoscalerOptions"
    assert diff.rebuild == ()
    assert [(op["op"], op["path"], op.get("value")) for op in diff.operations] == [
        (done, f"{at}{path}", value) for done, path, value in expected
    ]
    assert diff.edited == tuple(f"autoscalerOptions.{path[1:]}" for _, path, _ in expected if path)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"idleTimeoutSeconds": None}, {"idleTimeoutSeconds": 0}, (ADD, 0)),
        ({"idleTimeoutSeconds": 0}, {"idleTimeoutSeconds": None}, (REMOVE, None)),
        ({"idleTimeoutSeconds": 60}, {"idleTimeoutSeconds": 30}, (ADD, 30)),
        ({"maxReplicas": 0}, {"maxReplicas": None}, (REMOVE, None)),
        ({"maxReplicas": None}, {"maxReplicas": 0}, (ADD, 0)),
        ({"maxReplicas": None}, {"maxReplicas": INT32_MAX}, None),
        ({"minReplicas": None}, {"minReplicas": 0}, None),
        ({"replicas": 0}, {"replicas": None}, None),
        ({"suspend": None}, {"suspend": False}, None),
        ({"suspend": True}, {"suspend": None}, (REMOVE, None)),
    ],
)
def test_null_is_patched_only_where_it_means_something_else(
    before: dict[str, Any], after: dict[str, Any], expected: tuple[str, Any] | None
) -> None:
    [field] = before
    base = {"minReplicas": 0}
    diff = compare(cluster(group(**{**base, **before})), cluster(group(**{**base, **after})))
    found = [(op["op"], op.get("value")) for op in diff.operations if op["op"] != "test"]
    assert found == ([] if expected is None else [expected])
    assert diff.edited == (() if expected is None else (f"workerGroupSpecs[cpu].{field}",))


def test_rays_autoscaler_keeps_its_replicas() -> None:
    before = cluster(group(replicas=3), enableInTreeAutoscaling=True)
    after = cluster(group(replicas=1, minReplicas=0), enableInTreeAutoscaling=True)
    assert compare(before, after).edited == ("workerGroupSpecs[cpu].minReplicas",)


def test_a_new_group_is_appended_and_a_removed_one_stays_empty() -> None:
    less = compare(cluster(group("old"), group("kept")), cluster(group("kept")))
    assert less.rebuild == ()
    assert [operation for operation in less.operations if operation["op"] != "test"] == [
        {"op": "add", "path": f"/spec/workerGroupSpecs/0/{field}", "value": 0}
        for field in ("replicas", "minReplicas", "maxReplicas")
    ]
    more = compare(cluster(group("kept")), cluster(group("new"), group("kept")))
    assert more.rebuild == ()
    [added] = more.operations
    assert (added["op"], added["path"], added["value"]["groupName"]) == ("add", "/spec/workerGroupSpecs/-", "new")


def test_groups_that_go_as_others_come_take_a_new_cluster() -> None:
    kept, empty = group("kept"), group("emptied", replicas=0, minReplicas=0, maxReplicas=0)
    assert compare(cluster(group("cpu"), kept), cluster(group("cpu2"), kept)).rebuild == ("workerGroupSpecs[cpu]",)
    assert compare(cluster(empty, kept), cluster(group("new"), kept)).rebuild == ()


@pytest.mark.parametrize("replicas", [0, 2])
def test_a_group_that_was_removed_is_removed_once(replicas: int) -> None:
    left = cluster(group("old", replicas=replicas, minReplicas=0, maxReplicas=0), group("kept"))
    assert compare(left, cluster(group("kept"))).operations == ()


def test_a_group_without_a_lower_bound_is_removed_too() -> None:
    left = cluster(group("old", replicas=0, minReplicas=0), group("kept"))
    assert compare(left, cluster(group("kept"))).edited == ("workerGroupSpecs[old].maxReplicas",)


def test_ray_itself_scales_down_a_group_that_was_removed() -> None:
    left = cluster(group("old"), group("kept"), enableInTreeAutoscaling=True)
    found = compare(left, cluster(group("kept"), enableInTreeAutoscaling=True)).edited
    assert found == ("workerGroupSpecs[old].minReplicas", "workerGroupSpecs[old].maxReplicas")


def test_a_group_is_suspended_in_place() -> None:
    diff = compare(cluster(), cluster(group(suspend=True)))
    assert (diff.rebuild, diff.edited) == ((), ("workerGroupSpecs[cpu].suspend",))
    assert compare(cluster(), cluster(group(suspend=False))).edited == ()
