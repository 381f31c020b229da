from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.cli.forecast import Consequence, Forecast, forecast
from rayserve_operator.cli.imagined import settled
from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.cli.scene import Scene
from rayserve_operator.render import labels
from tests.builders import NOW, OTHER_APP, cluster_config, group, service_spec

SCALED = "applications: [{name: app, import_path: 'app:x', deployments: [{name: D, num_replicas: 2}]}]"


def manifest(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    known = {"name": "demo", "namespace": "default", **metadata}
    return {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": known, "spec": spec or service_spec()}


def after(spec: dict[str, Any], before: dict[str, Any] | None = None) -> Forecast:
    return forecast(settled(manifest(before), NOW), manifest(spec), NOW)


def told(found: Forecast) -> list[tuple[str, str]]:
    return [(change.path, str(change.consequence)) for change in found.changes]


def test_what_means_the_same_changes_nothing() -> None:
    spelled = {**group(), "numOfHosts": 1}
    found = after(service_spec(cluster_config(spelled), app=SCALED.replace("'", '"')), service_spec(app=SCALED))
    assert found.consequence is Consequence.NONE
    assert found.message == "Nothing that runs changes."
    assert told(found) == [("rayClusterConfig.workerGroupSpecs[cpu].numOfHosts", "none"), ("serveConfigV2", "none")]


def test_another_image_is_blue_green_and_takes_the_rest_along() -> None:
    spec = service_spec(cluster_config(group(image="ray:2", maxReplicas=7)), app=OTHER_APP)
    found = after(spec)
    assert found.consequence is Consequence.BLUE_GREEN
    assert told(found) == [
        ("rayClusterConfig.workerGroupSpecs[cpu].template.spec.containers[0].image", "blue-green"),
        ("rayClusterConfig.workerGroupSpecs[cpu].maxReplicas", "blue-green"),
        ("serveConfigV2:applications.app.import_path", "blue-green"),
    ]
    assert found.message.startswith("A new cluster is made, and takes over the traffic once it is fit; then demo-")
    assert found.ray == ()


def test_where_one_cluster_is_to_leave_first_the_downtime_is_told() -> None:
    strategy = {"type": "Recreate"}
    found = after(service_spec(cluster_config(group(image="ray:2")), upgradeStrategy=strategy))
    assert found.consequence is Consequence.RECREATE
    assert told(found)[0] == (
        "rayClusterConfig.workerGroupSpecs[cpu].template.spec.containers[0].image",
        "recreate",
    )
    assert found.message.endswith("and is deleted; then a new cluster is made. Nothing serves meanwhile.")
    in_place = after(service_spec(app=OTHER_APP, upgradeStrategy=strategy))
    assert in_place.consequence is Consequence.IN_PLACE


def test_an_option_of_serve_itself_is_blue_green_though_ray_would_take_it() -> None:
    found = after(service_spec(app="http_options: {port: 9000}\n" + SCALED), service_spec(app=SCALED))
    assert told(found) == [("serveConfigV2:http_options", "blue-green")]


def test_replicas_are_patched_and_applications_sent() -> None:
    found = after(service_spec(cluster_config(group(replicas=3)), app=SCALED))
    assert found.consequence is Consequence.IN_PLACE
    assert told(found) == [
        ("rayClusterConfig.workerGroupSpecs[cpu].replicas", "in-place"),
        ("serveConfigV2:applications.app.deployments", "in-place"),
    ]
    assert [(one.deployment, str(one.effect)) for one in found.ray] == [("D", "scaled")]


def test_what_ray_scales_is_left_to_it() -> None:
    before, spec = (
        service_spec(cluster_config(group(replicas=n, maxReplicas=5), enableInTreeAutoscaling=True)) for n in (1, 3)
    )
    [change] = after(spec, before).changes
    assert (change.consequence, change.why) == (Consequence.NONE, "Ray's autoscaler decides it")


def test_the_autoscaler_is_turned_on_by_another_cluster() -> None:
    found = after(service_spec(cluster_config(enableInTreeAutoscaling=True)))
    assert told(found) == [("rayClusterConfig.autoscalerOptions", "blue-green")]


def test_what_is_held_is_told() -> None:
    held_back = {"type": "None"}
    scaled_and_more = cluster_config(group(replicas=3), image="ray:2")
    found = after(service_spec(scaled_and_more, upgradeStrategy=held_back), service_spec(upgradeStrategy=held_back))
    held, scaled = found.changes
    assert (held.path, held.consequence) == ("rayClusterConfig.headGroupSpec.template.spec.containers[0].image", "none")
    assert "holds it back" in held.why
    assert (scaled.path, scaled.consequence) == ("rayClusterConfig.workerGroupSpecs[cpu].replicas", "in-place")


def test_an_invalid_spec_is_refused_in_the_operators_words() -> None:
    found = after(service_spec(cluster_config(group(minReplicas=4, maxReplicas=2))))
    [change] = found.changes
    assert (found.consequence, change.path) == (
        Consequence.REFUSED,
        "spec.rayClusterConfig.workerGroupSpecs[0].maxReplicas",
    )
    assert change.why.endswith("(RS008)")


def test_what_only_the_webhook_refuses_is_told_as_such() -> None:
    retired = SCALED.replace("num_replicas: 2", "max_concurrent_queries: 2")
    spec = service_spec(cluster_config(rayVersion="2.60.0"), app=retired)
    found = after(spec, service_spec(cluster_config(rayVersion="2.60.0")))
    assert found.consequence is Consequence.REFUSED
    assert found.changes[0].why.startswith("the admission webhook refuses it")


def test_what_was_wrong_before_is_not_refused_again() -> None:
    retired = SCALED.replace("num_replicas: 2", "max_concurrent_queries: 2")
    before = service_spec(cluster_config(rayVersion="2.60.0"), app=retired)
    after_it = service_spec(cluster_config(group(replicas=2), rayVersion="2.60.0"), app=retired)
    assert after(after_it, before).consequence is Consequence.IN_PLACE


@pytest.mark.parametrize(
    ("field", "consequence"),
    [
        ({"rayClusterDeletionDelaySeconds": 5}, "in-place"),
        ({"serveService": {"spec": {"type": "NodePort"}}}, "in-place"),
        ({"serviceUnhealthySecondThreshold": 5}, "none"),
    ],
)
def test_fields_beside_the_revision_make_no_cluster(field: dict[str, Any], consequence: str) -> None:
    assert [c for _, c in told(after(service_spec(**field)))] == [consequence]


def test_a_suspension_is_told_for_what_it_is() -> None:
    found = after(service_spec(suspend=True))
    assert found.consequence is Consequence.IN_PLACE
    assert found.message.startswith("It is suspended")


def test_what_is_not_there_yet_gets_its_first_cluster() -> None:
    nothing = Scene(manifest({}, uid="u", generation=1))
    nothing = replace(nothing, service={**nothing.service, "spec": {}})
    found = forecast(nothing, manifest(), NOW)
    assert (found.consequence, found.changes) == (Consequence.FIRST, ())


def test_a_shift_in_steps_is_told_with_its_numbers() -> None:
    options = {"steps": [20, 50], "intervalSeconds": 300}
    strategy = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": options, "autoPromotion": False}
    before = service_spec(upgradeStrategy=strategy)
    message = after(service_spec(cluster_config(image="ray:2"), upgradeStrategy=strategy), before).message
    assert "takes 20%, 50%, 100% of the traffic once it is fit, 300 s between; at 0% it waits" in message


def test_notes_are_told_where_they_do_something() -> None:
    notes = {
        labels.DISRUPTION_BUDGET: "false",
        "team": "blue",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    found = forecast(settled(manifest(), NOW), manifest(annotations=notes), NOW)
    assert told(found) == [
        (f"metadata.annotations.{labels.DISRUPTION_BUDGET}", "in-place"),
        ("metadata.annotations.team", "none"),
    ]


def test_a_cluster_on_its_way_is_overtaken_by_a_way_back() -> None:
    first, second = settled(manifest(), NOW), settled(manifest(service_spec(cluster_config(image="ray:2"))), NOW)
    coming = second.clusters[0]
    coming["metadata"]["annotations"].pop(labels.ROUTED_AT)
    under_way = replace(first, service=second.service, clusters=[*first.clusters, coming])
    back = forecast(under_way, manifest(), NOW)
    assert back.consequence is Consequence.NONE
    assert back.message.endswith(f"{coming['metadata']['name']}, which was to take over, is deleted.")
    on = forecast(under_way, manifest(service_spec(cluster_config(image="ray:2"), app=OTHER_APP)), NOW)
    assert on.consequence is Consequence.BLUE_GREEN
    assert on.message.startswith(f"{coming['metadata']['name']}, which is there already, takes over")


def test_nothing_is_held_against_what_was_never_valid() -> None:
    with pytest.raises(CannotDo, match="is not valid as it was"):
        settled(manifest(service_spec(app="applications: [")), NOW)
