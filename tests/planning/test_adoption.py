"""What is written to take a RayService over from KubeRay, and to give it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.actions import Annotate, Announcement, Create, Delete, Kind, Patch
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.observed import (
    ObservedCluster,
    ObservedRayCluster,
    ObservedService,
    PodView,
    ServiceView,
)
from rayserve_operator.planning.service import adoption
from rayserve_operator.planning.service.goal import Aim, Goal
from rayserve_operator.planning.service.planner import plan_service, plan_without_goal
from rayserve_operator.planning.service.roles import stamped_cluster
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions
from scenarios.harness import kuberay
from scenarios.harness.kube import Manifest

from ..builders import NOW, actions_of, announced, answer, cluster_config, group, in_words, service_spec, steps_of

OURS, KUBERAYS = "ray.io/rayserve-operator", "ray.io/kuberay-operator"
CLUSTER = "demo-k2b4c"
PORTS = [{"containerPort": 8265, "name": "dashboard"}, {"containerPort": 8000, "name": "serve"}]


def template(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "ray", "image": "ray:1", **container}]}}


CONFIGS = {
    "plain": cluster_config(),
    "autoscaled": cluster_config(enableInTreeAutoscaling=True, autoscalerOptions={"idleTimeoutSeconds": 60}),
    "with options alone": cluster_config(autoscalerOptions={"idleTimeoutSeconds": 60}),
    "with ports": {**cluster_config(), "headGroupSpec": {"template": template(ports=PORTS), "rayStartParams": {}}},
    "of a group without numbers": cluster_config({"groupName": "cpu", "template": template()}),
    "of two groups": cluster_config(group("cpu"), group("gpu", replicas=2)),
    "without workers": cluster_config(group(replicas=0)),
    "multi-host": cluster_config(group(numOfHosts=2)),
}


class Found:
    """What is found of a RayService that KubeRay made."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.service = kuberay.ray_service(service_spec(config))
        self.service["metadata"]["uid"] = "service"
        self.cluster = kuberay.ray_cluster(self.service, CLUSTER)
        self.cluster["metadata"]["uid"] = f"uid-{CLUSTER}"
        self.services = [self._stored(manifest) for manifest in kuberay.services(self.service, self.cluster)]
        made = (kuberay.head_pod(self.cluster), *kuberay.workers(self.cluster))
        self.pods = tuple(PodView.parse(self._running(manifest)) for manifest in made)

    @staticmethod
    def _stored(manifest: Mapping[str, Any]) -> ServiceView:
        metadata = {**manifest["metadata"], "uid": f"uid-{manifest['metadata']['name']}", "resourceVersion": "3"}
        return ServiceView.parse({**manifest, "metadata": metadata})

    @staticmethod
    def _running(manifest: Manifest) -> Manifest:
        metadata = {**manifest["metadata"], "uid": f"uid-{manifest['metadata']['name']}"}
        ray, *beside = (container["name"] for container in manifest["spec"]["containers"])
        since = {"running": {"startedAt": "2029-12-31T00:00:00Z"}}
        told = [{"name": name, "state": since, "started": True, "ready": True} for name in (ray, *beside)]
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": "10.0.0.7", "conditions": ready, "containerStatuses": told}
        return {**manifest, "metadata": metadata, "status": status}

    @property
    def read(self) -> RayCluster:
        status = RayClusterStatus.model_validate(self.cluster["status"])
        return RayCluster(Meta.parse(self.cluster), RayClusterSpec.model_validate(self.cluster["spec"]), status)

    @property
    def aim(self) -> Aim:
        return Aim(Goal.parse(Meta.parse(self.service), self.service["spec"]))

    @property
    def observed(self) -> ObservedService:
        status = RayServiceStatus.model_validate(kuberay.service_status(CLUSTER))
        _, head, serve = self.services
        return ObservedService(
            service=RayService(Meta.parse(self.service), self.aim.goal.spec, status),
            clusters=(ObservedCluster(self.read, self.pods, answer()),),
            revisions=(),
            serve_service=serve,
            head_service=head,
        )

    def stamped(self) -> ObservedService:
        """The same once it is written down on the Service which cluster takes traffic."""
        observed = self.observed
        assert observed.serve_service is not None
        noted = replace(observed.serve_service.meta, annotations={"rayserve.ray.io/active-cluster": CLUSTER})
        return replace(observed, serve_service=replace(observed.serve_service, meta=noted))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_first_thing_written_is_which_cluster_takes_traffic(config: Mapping[str, Any]) -> None:
    found = Found(config)
    plan = plan_service(found.observed, found.aim, NOW)
    assert in_words(plan) == [
        f"note routed-at on {CLUSTER}",
        f"point demo-serve-svc at {CLUSTER}",
        f"point demo-head-svc at {CLUSTER}",
    ]
    assert [told.type for told in announced(plan)] == ["Normal"]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_no_cluster_is_made_or_changed_for_what_kuberay_filled_in(config: Mapping[str, Any]) -> None:
    found = Found(config)
    done = in_words(plan_service(found.stamped(), found.aim, NOW))
    assert done[:2] == ["patch demo: /metadata/finalizers/0", f"note kuberay-version, serve-options on {CLUSTER}"]
    assert not [
        words for words in done if words.startswith(("make RayCluster", "delete", "patch demo-k2b4c", "submit"))
    ]


def test_what_is_taken_over_is_told_and_bears_the_options_of_serve_that_it_was_sent() -> None:
    options = "{proxy_location: HeadOnly, applications: [{name: app, import_path: 'app:x'}]}"
    found = Found(CONFIGS["plain"])
    found.service["spec"]["serveConfigV2"] = options
    plan = plan_service(found.stamped(), found.aim, NOW)
    [noted] = [action for action in actions_of(plan) if isinstance(action, Annotate)][:1]
    assert noted.annotations == {
        labels.KUBERAY_VERSION: labels.TAKEN_OVER,
        labels.SERVE_OPTIONS: '{"proxy_location": "HeadOnly"}',
    }
    words = f"{CLUSTER} was KubeRay's, and is looked after as it is"
    assert noted.announce == Announcement("AdoptedRayCluster", words)


def test_nothing_is_noted_of_the_options_where_they_are_known_or_the_goal_is_not_what_kuberay_has_sent() -> None:
    known = Found(CONFIGS["plain"])
    known.cluster["metadata"]["annotations"][labels.SERVE_OPTIONS] = "{}"
    edited = Found(CONFIGS["plain"])
    edited.service["spec"]["rayClusterConfig"] = cluster_config(image="ray:2")
    for found in (known, edited):
        assert f"note kuberay-version on {CLUSTER}" in in_words(plan_service(found.stamped(), found.aim, NOW))


@pytest.mark.parametrize(
    "marked", [{"managedBy": OURS}, {"rayClusterConfig": {**CONFIGS["plain"], "managedBy": OURS}}], ids=["it", "config"]
)
def test_what_is_taken_over_is_marked_as_the_service_is(marked: Mapping[str, Any]) -> None:
    found = Found(CONFIGS["plain"])
    found.service["spec"].update(marked)
    assert f"patch {CLUSTER}: /spec/managedBy" in in_words(plan_service(found.stamped(), found.aim, NOW))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_no_pod_of_kuberays_is_made_or_deleted(config: Mapping[str, Any]) -> None:
    found = Found(config)
    observed = ObservedRayCluster(found.read, found.pods, {})
    actions = actions_of(plan_cluster(observed, RenderOptions(), NOW))
    assert not [action for action in actions if isinstance(action, Create | Delete) and action.kind is Kind.POD]


def test_a_service_that_leaves_is_let_go_whatever_its_spec() -> None:
    found = Found(CONFIGS["plain"])
    leaving = replace(Meta.parse(found.service), deleted_at=NOW)
    observed = replace(found.observed, service=replace(found.observed.service, meta=leaving))
    before = observed.service.status
    for plan in (plan_service(observed, found.aim, NOW), plan_without_goal(leaving, before, (), NOW)):
        [[release]] = steps_of(plan)
        assert isinstance(release, Patch)
        assert (release.kind, release.name) == (Kind.RAY_SERVICE, "demo")
        assert release.operations == (
            {"op": "test", "path": "/metadata/finalizers/0", "value": labels.SERVICE_FINALIZER},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        )
        assert plan.status == before
    released = replace(leaving, finalizers=("somebody.else/s",))
    assert in_words(plan_without_goal(released, RayServiceStatus(), (), NOW)) == []


@pytest.mark.parametrize(
    ("wanted", "present", "done"),
    [
        (OURS, None, {"op": "add", "path": "/spec/managedBy", "value": OURS}),
        (OURS, KUBERAYS, {"op": "add", "path": "/spec/managedBy", "value": OURS}),
        (KUBERAYS, OURS, {"op": "add", "path": "/spec/managedBy", "value": KUBERAYS}),
        (None, OURS, {"op": "remove", "path": "/spec/managedBy"}),
        (OURS, OURS, None),
        (None, KUBERAYS, None),
        (KUBERAYS, None, None),
    ],
)
def test_clusters_follow_the_mark_of_their_service(wanted: str | None, present: str | None, done: Any) -> None:
    meta = Meta.parse(Found(CONFIGS["plain"]).cluster)
    patches = list(adoption.hand_on(wanted, [(meta, present)]))
    assert [patch.operations[1:] for patch in patches] == ([] if done is None else [(done,)])
    assert all(patch.operations[0] == {"op": "test", "path": "/metadata/uid", "value": meta.uid} for patch in patches)
    assert not list(adoption.hand_on(wanted, [(replace(meta, deleted_at=NOW), present)]))


@pytest.mark.parametrize(
    ("service", "config", "present", "done"),
    [
        (None, None, OURS, "remove"),
        (KUBERAYS, None, OURS, "add"),
        (None, OURS, OURS, None),
        (None, OURS, None, None),
        ("kueue.x-k8s.io/multikueue", None, OURS, None),
    ],
)
def test_marks_that_are_no_longer_true_are_taken_off(
    service: str | None, config: str | None, present: str | None, done: str | None
) -> None:
    spec = {"managedBy": service, "rayClusterConfig": {"managedBy": config}}
    patches = list(adoption.hand_back(spec, [(Meta.parse(Found(CONFIGS["plain"]).cluster), present)]))
    assert [patch.operations[1]["op"] for patch in patches] == ([] if done is None else [done])


def test_a_stamp_counts_for_nothing_where_kuberay_has_moved_the_traffic_since() -> None:
    found = Found(CONFIGS["plain"])
    moved = found.stamped()
    assert moved.serve_service is not None
    stamp = {"rayserve.ray.io/active-cluster": "demo-gone"}
    stale = replace(
        moved, serve_service=replace(moved.serve_service, meta=replace(moved.serve_service.meta, annotations=stamp))
    )
    assert stamped_cluster(moved) == CLUSTER
    assert stamped_cluster(stale) is None
    noted = replace(stale.clusters[0].cluster.meta, annotations={labels.KUBERAY_VERSION: labels.TAKEN_OVER})
    ours = replace(stale.clusters[0], cluster=replace(stale.clusters[0].cluster, meta=noted))
    assert stamped_cluster(replace(stale, clusters=(ours,))) == "demo-gone"
    other = replace(ours, cluster=replace(ours.cluster, meta=replace(noted, name="demo-other")))
    assert stamped_cluster(replace(stale, clusters=(*stale.clusters, other))) is None
    assert stale.serve_service is not None
    to_other = replace(stale.serve_service, spec={"selector": {labels.CLUSTER: "demo-other"}})
    assert stamped_cluster(replace(stale, clusters=(*stale.clusters, other), serve_service=to_other)) == "demo-gone"
