"""Whose an object is."""

from __future__ import annotations

from typing import Any

import pytest

from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.custody import Custody, conflict
from rayserve_operator.render import labels

OURS, KUBERAYS, QUEUED = "ray.io/rayserve-operator", "ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"
CLAIMS = [
    (Custody(), {None, KUBERAYS, OURS}),
    (Custody(stands_by=True), {OURS}),
    (Custody("marked"), {OURS}),
    (Custody("marked", stands_by=True), {OURS}),
]


@pytest.mark.parametrize(("custody", "covered"), CLAIMS, ids=lambda one: str(one) if isinstance(one, Custody) else "")
def test_what_is_looked_after(custody: Custody, covered: set[str | None]) -> None:
    every = {None, OURS, KUBERAYS, QUEUED, ""}
    assert {managed_by for managed_by in every if custody.covers(managed_by)} == covered
    assert {managed_by for managed_by in every if custody.covers_cluster(managed_by, {})} == covered


@pytest.mark.parametrize("managed_by", [None, OURS])
def test_the_clusters_of_jobs_are_not_but_those_of_services_are(managed_by: str | None) -> None:
    assert not Custody().covers_cluster(managed_by, {labels.FROM_CRD: "RayJob"})
    assert Custody().covers_cluster(managed_by, {labels.FROM_CRD: "RayService"})


# Namesakes. ---------------------------------------------------------------------------------------------------------

OWN = {labels.CLUSTER: "demo"}
MADE_HERE = {labels.APPLIED: "x"}


def meta(owner: str | None, **metadata: Any) -> Meta:
    references = [{"uid": owner, "controller": True}] if owner else []
    return Meta.parse({"metadata": {"name": "demo", "ownerReferences": references, **metadata}})


WANTED = meta("cluster", labels=OWN, annotations=MADE_HERE)


@pytest.mark.parametrize(
    "namesake",
    [meta("cluster"), meta(None, labels=OWN, annotations=MADE_HERE)],
    ids=["made by KubeRay for it", "left behind"],
)
def test_what_was_made_for_the_cluster_is_taken_over(namesake: Meta) -> None:
    assert conflict(Kind.ROLE, namesake, WANTED) is None


@pytest.mark.parametrize(
    "namesake",
    [
        meta(None),
        meta(None, labels=OWN),
        meta(None, annotations=MADE_HERE),
        meta(None, labels={labels.CLUSTER: "other"}, annotations=MADE_HERE),
        meta("other"),
        meta("other", labels=OWN, annotations=MADE_HERE),
        meta(None, ownerReferences=[{"uid": "cluster"}]),
    ],
    ids=["a user's", "labelled", "annotated", "another's", "owned", "an earlier cluster's", "owned, not controlled"],
)
def test_what_is_somebody_elses_is_left_alone_with_a_mend(namesake: Meta) -> None:
    words = (
        "Role demo is there already and not this RayCluster's, so it is left alone; delete it, or choose another name"
    )
    assert conflict(Kind.ROLE, namesake, WANTED) == words
