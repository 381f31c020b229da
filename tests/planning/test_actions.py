from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Annotate, Announcement, Confirm, Create, Delete, Kind, Plan, SubmitServe

from ..builders import APP, steps_of


def test_kinds_are_called_as_users_know_them() -> None:
    assert {str(kind) for kind in Kind} == {
        "RayService", "RayCluster", "Pod", "Service", "ControllerRevision", "ServiceAccount", "Role", "RoleBinding",
        "PersistentVolumeClaim", "NetworkPolicy", "Ingress", "PodDisruptionBudget", "Job", "Issuer", "Certificate",
        "PodGroup of Volcano", "PodGroup", "Gateway", "HTTPRoute", "Secret", "Node", "Namespace", "Event", "Lease",
        "ValidatingWebhookConfiguration", "ResourceQuota",
    }  # fmt: skip


def test_an_action_asks_for_nothing_that_is_not_said() -> None:
    created = Create(kind=Kind.POD, manifest={})
    noted = Annotate(kind=Kind.POD, name="a", uid="u")
    deleted = Delete(kind=Kind.POD, name="a", uid="u")
    confirmed = Confirm(kind=Kind.POD, name="a", uid="u")
    assert (created.name_prefix, created.drawn_key, created.announce) == (None, None, None)
    assert (noted.annotations, noted.labels) == (None, None)
    config = parse_serve_config(APP)
    submitted = SubmitServe(cluster="a", cluster_uid="u", address="a:1", secret=None, config=config)
    assert submitted.failed_before == 0
    assert (deleted.grace, confirmed.version) == (None, None)


def test_a_plan_that_says_nothing_does_nothing() -> None:
    plan = Plan(status=RayClusterStatus())
    assert (steps_of(plan), plan.announcements, plan.recheck_after) == ((), (), None)


def test_what_is_told_is_no_warning_unless_it_is_said() -> None:
    assert Announcement("Created", "Created a pod").type == "Normal"
