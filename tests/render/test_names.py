"""Names are valid, fit, are always the same for the same thing, and differ for different things."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import labels, names

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
POD_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

service_names = st.from_regex(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", fullmatch=True)
cluster_names = st.from_regex(r"[a-z]([-a-z0-9]{0,51}[a-z0-9])?", fullmatch=True)
group_names = st.from_regex(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,60}[a-zA-Z0-9])?", fullmatch=True)


@given(service=service_names, uid=st.uuids().map(str), digest=st.text(), attempt=st.integers(1, 1000))
def test_a_ray_cluster_name_is_kuberays(service: str, uid: str, digest: str, attempt: int) -> None:
    name = names.ray_cluster_name(service, uid, digest, attempt)
    stem, _, end = name.rpartition("-")
    assert stem == service
    assert len(end) == 5
    assert set(end) <= set(names.NAME_ALPHABET)
    assert len(name) <= 53
    assert DNS_1035.fullmatch(name)
    assert name == names.ray_cluster_name(service, uid, digest, attempt)


@given(cluster=cluster_names, group=group_names, end=st.text(names.NAME_ALPHABET, min_size=5, max_size=5))
def test_pod_names_fit(cluster: str, group: str, end: str) -> None:
    for prefix in (names.head_pod_prefix(cluster), names.worker_pod_prefix(cluster, group)):
        assert len(prefix + end) <= 63
        assert POD_NAME.fullmatch(prefix + end)


@given(cluster=cluster_names, service=service_names)
def test_service_names_fit(cluster: str, service: str) -> None:
    made = [
        names.cluster_serve_service_name(cluster),
        names.headless_worker_service_name(cluster),
        names.stable_head_service_name(service),
        names.gateway_name(service),
        names.permissions_name(cluster),
    ]
    for name in made:
        assert len(name) <= 63
        assert DNS_1035.fullmatch(name)


def test_every_part_of_the_seed_matters() -> None:
    drawn = {
        names.ray_cluster_name("a", *seed)
        for seed in (("u", "d", 1), ("v", "d", 1), ("u", "e", 1), ("u", "d", 2), ("ud", "", 1), ("", "ud", 1))
    }
    assert len(drawn) == 6


def test_attempts_seldom_collide() -> None:
    assert len({names.ray_cluster_name("a", "u", "d", attempt) for attempt in range(1000)}) >= 998
    assert len({names.revision_name("a", "u", str(digest)) for digest in range(10_000)}) == 10_000


def test_a_name_never_changes_between_releases() -> None:
    """A killed operator's successor, of whatever version, has to find what was made."""
    assert names.ray_cluster_name("my-app", "uid", "digest", 1) == "my-app-wxhhs"
    assert names.revision_name("my-app", "uid", "digest") == "my-app-dlshr7x9s8"


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("short", "short"),
        ("x" * 3 + "a" * 50, "a" * 50),
        ("x" * 3 + "7" + "a" * 49, "r" + "a" * 49),
        ("x" * 3 + "-" + "a" * 49, "r" + "a" * 49),
    ],
)
def test_check_name(given_name: str, kept: str) -> None:
    assert labels.check_name(given_name) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [("short", "short"), ("x" * 9 + "1" * 63, "1" * 63), ("x" * 9 + "-" + "a" * 62, "r" + "a" * 62)],
)
def test_check_label(value: str, kept: str) -> None:
    assert labels.check_label(value) == kept


def test_users_names_win(make_cluster: Callable[..., RayCluster]) -> None:
    custom = {"headService": {"metadata": {"name": "mine"}, "spec": {}}}
    cluster = make_cluster(pod={"serviceAccountName": "robot"}, authOptions={"mode": "token", "secretName": "s"})
    named = make_cluster(group=custom)
    assert names.head_service_name(named) == "mine"
    assert names.service_account_name(cluster) == "robot"
    assert names.auth_secret_name(cluster) == "s"
    assert names.head_service_name(cluster) == "rc-head-svc"
