"""What is aimed at, and what its names are made from."""

from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.planning.service.roles import needs_new_cluster
from rayserve_operator.render import labels

from ..builders import APP, OTHER_APP, aim_at, cluster, cluster_config, group, service_meta, service_spec

META = service_meta()
GOAL = Goal.parse(META, service_spec())


def problems(spec: Any) -> list[str]:
    with pytest.raises(InvalidSpec) as refused:
        Goal.parse(META, spec)
    return [problem.path for problem in refused.value.problems]


def test_names_stay_what_they_are_when_the_operator_is_updated() -> None:
    assert (GOAL.part_digest, GOAL.revision) == ("89546daf2bea401d", "demo-hcfcn5jm4k")


def test_what_a_rollout_was_given_up_with_is_known_again_when_the_operator_is_updated() -> None:
    config = cluster_config(group(replicas=2, minReplicas=1, maxReplicas=4))
    means = {"groups": {"cpu": [2, 1, 4]}, "progressDeadline": 1800, "warmUpTimeout": 300, "needsParity": False}
    assert Goal.parse(META, service_spec(config)).means == means
    recreating = service_spec(config, upgradeStrategy={"type": "Recreate"})
    assert Goal.parse(META, recreating).means == {**means, "recreates": True}


def test_a_revision_is_named_after_the_service_and_all_that_is_aimed_at() -> None:
    other_uid = replace(META, uid="another")
    goals = [
        GOAL,
        Goal.parse(other_uid, service_spec()),
        Goal.parse(META, service_spec(app=OTHER_APP)),
        Goal.parse(META, service_spec(cluster_config(image="ray:2"))),
    ]
    assert len({goal.revision for goal in goals}) == 4


def test_the_cluster_part_is_what_only_a_new_cluster_can_change() -> None:
    serve = "{proxy_location: HeadOnly, applications: []}"
    same = [service_spec(app=OTHER_APP), service_spec(cluster_config(group(maxReplicas=9)))]
    others = [service_spec(cluster_config(image="ray:2")), service_spec(app=serve)]
    assert {Goal.parse(META, spec).part_digest for spec in same} == {GOAL.part_digest}
    assert len({Goal.parse(META, spec).part_digest for spec in (service_spec(), *others)}) == 3


def test_the_order_of_keys_makes_no_other_goal() -> None:
    template = {"spec": {"containers": [{"name": "ray", "image": "ray:1"}], "hostNetwork": True}}
    turned = {"spec": {"hostNetwork": True, "containers": [{"image": "ray:1", "name": "ray"}]}}
    goals = [Goal.parse(META, service_spec({"headGroupSpec": {"template": written}})) for written in (template, turned)]
    assert goals[0].part_digest == goals[1].part_digest


def test_what_a_revision_holds_is_the_goal() -> None:
    assert Goal.parse(META, GOAL.data["spec"]) == GOAL


def test_a_valid_spec_has_no_problems() -> None:
    assert aim_at(service_spec()).problems == ()


def test_a_spec_that_cannot_be_read_is_refused_with_the_path() -> None:
    assert problems({"serveConfigV2": ""}) == ["spec.rayClusterConfig"]


def test_a_spec_that_contradicts_itself_is_refused_with_the_path() -> None:
    elsewhere = {"metadata": {"namespace": "elsewhere"}}
    here = {"metadata": {"namespace": "default"}}
    assert problems(service_spec(serveService=elsewhere)) == ["spec.serveService.metadata.namespace"]
    assert Goal.parse(META, service_spec(serveService=here)).spec.serve_service is not None


# While the spec is not valid. -------------------------------------------------------------------------------------

STORED = service_spec(rayClusterDeletionDelaySeconds=10, excludeHeadPodFromServeSvc=True)
BROKEN = {"rayClusterConfig": {}, "serveConfigV2": "applications: ["}


def last_valid(**spec: Any) -> Goal:
    return Goal.last_valid(service_meta(), STORED, {**BROKEN, **spec})


def test_a_suspended_service_stays_so_through_an_edit_that_is_not_valid() -> None:
    goal = last_valid(suspend=True, upgradeStrategy={"drainTimeoutSeconds": 3600})
    assert goal.revision == Goal.parse(service_meta(), STORED).revision
    assert (goal.spec.suspend, goal.spec.drain_timeout) == (True, 3600)
    assert goal.means is None


def test_what_is_left_out_now_is_left_out() -> None:
    assert (last_valid().spec.deletion_delay, last_valid().spec.exclude_head_pod_from_serve_svc) == (60, None)


def test_only_what_is_not_valid_itself_is_as_it_was() -> None:
    goal = last_valid(rayClusterDeletionDelaySeconds=-1, suspend=True)
    assert (goal.spec.deletion_delay, goal.spec.suspend) == (10, True)


def test_a_revision_stands_for_both_of_its_parts() -> None:
    half = Goal.last_valid(service_meta(), STORED, {"rayClusterConfig": {}, "serveConfigV2": OTHER_APP})
    assert half.revision == Goal.parse(service_meta(), STORED).revision


def test_a_revision_that_is_not_valid_any_more_is_no_goal() -> None:
    with pytest.raises(InvalidSpec):
        Goal.last_valid(service_meta(), BROKEN, {"suspend": True})


def test_options_that_a_cluster_was_made_for_are_compared_without_rays_defaults() -> None:
    said = Goal.parse(META, service_spec(app=f"{APP}\nhttp_options: {{port: 8000}}"))
    made = cluster(notes={labels.SERVE_OPTIONS: '{"http_options": {"port": 8000}, "proxy_location": "EveryNode"}'})
    assert needs_new_cluster(made, GOAL) == needs_new_cluster(cluster(), said) == ()
    elsewhere = cluster(notes={labels.SERVE_OPTIONS: '{"http_options": {"port": 8001}}'})
    assert needs_new_cluster(elsewhere, said) == ("serveConfigV2:http_options",)
