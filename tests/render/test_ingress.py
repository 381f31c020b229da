"""The Ingress of the dashboard: where it leads, and what its controller is told."""

from collections.abc import Callable
from typing import Any

import pytest

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import labels
from rayserve_operator.render.ingress import head_ingress

MakeCluster = Callable[..., RayCluster]
MakeIngress = Callable[..., dict[str, Any]]


@pytest.fixture
def make_ingress(make_cluster: MakeCluster) -> MakeIngress:
    def make(options: dict[str, Any] | None = None, head: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
        group = {"enableIngress": True, **({"ingressOptions": options} if options else {}), **(head or {})}
        made = head_ingress(make_cluster(group=group, **parts))
        assert made is not None
        return made

    return make


@pytest.mark.parametrize("enabled", [None, False])
def test_none_unasked(make_cluster: MakeCluster, enabled: bool | None) -> None:
    assert head_ingress(make_cluster(group={"enableIngress": enabled, "ingressOptions": {"host": "h"}})) is None


@pytest.mark.parametrize(
    ("options", "host", "path", "kind"),
    [
        (None, None, "/rc/(.*)", "ImplementationSpecific"),
        ({"host": "", "path": ""}, None, "/rc/(.*)", "ImplementationSpecific"),
        ({"host": "ray.example.com", "path": "/", "pathType": "Prefix"}, "ray.example.com", "/", "Prefix"),
    ],
)
def test_where_it_is_reached(
    make_ingress: MakeIngress, options: dict[str, Any] | None, host: str | None, path: str, kind: str
) -> None:
    (rule,) = make_ingress(options)["spec"]["rules"]
    assert rule.get("host") == host
    assert (rule["http"]["paths"][0]["path"], rule["http"]["paths"][0]["pathType"]) == (path, kind)
    assert "" not in rule.values()


@pytest.mark.parametrize(
    ("head", "name", "port"),
    [
        ({}, "rc-head-svc", 8265),
        ({"rayStartParams": {"dashboard-port": "9"}}, "rc-head-svc", 9),
        ({"headService": {"metadata": {"name": "mine"}, "spec": {}}}, "mine", 8265),
        (
            {"headService": {"spec": {"ports": [{"name": "dashboard", "port": 80, "targetPort": 8265}]}}},
            "rc-head-svc",
            80,
        ),
    ],
)
def test_where_it_leads(make_ingress: MakeIngress, head: dict[str, Any], name: str, port: int) -> None:
    (rule,) = make_ingress(head=head)["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": name, "port": {"number": port}}


@pytest.mark.parametrize(
    "noted",
    [
        {},
        {"nginx.ingress.kubernetes.io/rewrite-target": "/$1"},
        {"cert-manager.io/issuer": "mine", "kubernetes.io/tls-acme": "true"},
    ],
)
def test_controllers_are_told_what_the_user_says(make_ingress: MakeIngress, noted: dict[str, str]) -> None:
    about_the_cluster = {
        labels.ROUTED_AT: "now",
        labels.DISRUPTION_BUDGET: "false",
        labels.FT_ENABLED: "true",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "argocd.argoproj.io/tracking-id": "x",
    }
    made = make_ingress(annotations={**about_the_cluster, **noted})
    assert made["metadata"].get("annotations", {}) == noted
    assert "ingressClassName" not in made["spec"]


def test_the_class_is_said_once(make_ingress: MakeIngress) -> None:
    made = make_ingress(annotations={"kubernetes.io/ingress.class": "nginx"})
    assert made["spec"]["ingressClassName"] == "nginx"
    assert "annotations" not in made["metadata"]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ([], None),
        ([{"hosts": ["h"], "secretName": "s"}], [{"hosts": ["h"], "secretName": "s"}]),
        ([{"hosts": [], "secretName": "s"}, {"hosts": ["h"]}], [{"secretName": "s"}, {"hosts": ["h"]}]),
    ],
)
def test_tls(make_ingress: MakeIngress, given: list[Any], made: list[Any] | None) -> None:
    assert make_ingress({"tls": given})["spec"].get("tls") == made
