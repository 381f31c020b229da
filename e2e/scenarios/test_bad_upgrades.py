"""Bad upgrades lose no request: they end by themselves, say why, and leave what serves alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from scenarios.harness import manifests, ray
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.mix import Mix
from scenarios.harness.rayservice import RayService
from scenarios.harness.rollout import rolled, under_load
from scenarios.harness.sampler import sampling
from scenarios.harness.table import Tables
from scenarios.harness.waiting import OFTEN, Stopwatch, until

STALLED = "Stalled"
GIVEN_UP = 300.0
"""Seconds that any bad upgrade may take to be given up."""
POD_STOPS = 120.0
CLEARED = 120.0
PUT_BACK = 60.0
"""Seconds that something changed by hand may stay so."""
DEADLINE = 60
"""`progressDeadlineSeconds` where nothing but time tells a failure."""

SAMPLE = manifests.sample("minimal")
GREETING = manifests.serve_config(SAMPLE)["applications"][0]["deployments"][0]["user_config"][
    "greeting"
]


@dataclass(frozen=True)
class Mistake:
    """An edit that needs a new cluster, which never comes up."""

    edited: Callable[[Manifest], Manifest]
    reason: str
    """Why it is given up, as the condition says in one word."""
    words: str
    """What the message of the condition must name."""


def _with_image(manifest: Manifest) -> Manifest:
    changed = rolled(manifest)
    for template in manifests.pod_templates(changed):
        template["spec"]["containers"][0]["image"] = "localhost/ray:no-such-version"
    return changed


def _without_room(manifest: Manifest) -> Manifest:
    changed = manifests.with_strategy(rolled(manifest), progressDeadlineSeconds=DEADLINE)
    return manifests.with_cpu_request(changed, "1000")


def _with_bad_flag(manifest: Manifest) -> Manifest:
    return manifests.with_head(rolled(manifest), rayStartParams={"no-such-flag": "1"})


def _with_bad_import(manifest: Manifest) -> Manifest:
    return manifests.with_import_path(rolled(manifest), "no_such_module:app")


def _with_bad_constructor(manifest: Manifest) -> Manifest:
    return manifests.with_import_path(rolled(manifest), "broken:app")


MISTAKES: Mapping[str, Mistake] = {
    "image": Mistake(_with_image, "ImageError", "localhost/ray:no-such-version"),
    "import path": Mistake(_with_bad_import, "DeployFailed", "no_such_module"),
    "constructor": Mistake(_with_bad_constructor, "DeployFailed", "the model cannot be loaded"),
    "no room": Mistake(_without_room, "ProgressDeadlineExceeded", "Insufficient cpu"),
    "head crashes": Mistake(_with_bad_flag, "CrashLoop", "no-such-flag"),
}


OF_CI = ("import path",)


@pytest.fixture(scope="module")
def echo(kube: Kube, namespace: str) -> RayService:
    """The minimal sample, serving."""
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


@pytest.fixture
def steady(echo: RayService) -> RayService:
    """The service with its good config, at rest."""
    echo.patch(SAMPLE)
    echo.wait_ready()
    echo.wait_alone()
    assert not echo.holds(STALLED)
    return echo


@pytest.mark.parametrize(
    "mistake",
    [pytest.param(name, marks=pytest.mark.ci if name in OF_CI else ()) for name in MISTAKES],
)
def test_bad_upgrade_ends_by_itself(steady: RayService, tables: Tables, mistake: str) -> None:
    """The new cluster goes, the old one never notices, and the condition says why."""
    bad = MISTAKES[mistake]
    cluster, pods = steady.active_cluster, steady.uids
    with under_load(tables, f"bad upgrade: {mistake}", Mix(steady.url)) as run:
        watch = Stopwatch()
        steady.patch(bad.edited(SAMPLE))
        condition = _wait_stalled(steady, GIVEN_UP)
        run.steps["edit → Stalled"].append(watch.seconds)
        until(lambda: steady.clusters == [cluster], "the new cluster is gone", 60)
        steady.wait_alone(POD_STOPS)
        run.steps["edit → new pods gone"].append(watch.seconds)
        assert (condition["reason"], bad.words in condition["message"]) == (bad.reason, True)
        assert steady.holds("Ready")
        assert not steady.holds("UpgradeInProgress")
        assert steady.active_cluster == cluster
        steady.patch(SAMPLE)
        until(lambda: not _is_stalled(steady), "a good spec is not Stalled", CLEARED)
        steady.wait_ready()
    assert steady.uids == pods
    assert run.mix.by_cluster.keys() == {cluster}


@pytest.mark.ci
def test_bad_config_in_place_is_rolled_back(steady: RayService, tables: Tables) -> None:
    """The last good config runs again, on the same pods, and the condition says why."""
    pods = steady.uids
    good = manifests.with_user_config(SAMPLE, "Echo", greeting="last good")
    steady.patch(good)
    steady.wait_answer(GREET, 30, greeting="last good")
    steady.wait_ready()
    with under_load(tables, "bad config in place, rolled back", Mix(steady.url)) as run:
        watch = Stopwatch()
        steady.patch(manifests.with_import_path(good, "no_such_module:app"))
        condition = _wait_stalled(steady, GIVEN_UP)
        run.steps["edit → Stalled"].append(watch.seconds)
        until(lambda: _import_path(steady) == "echo:app", "the last good config is back", 60)
        until(lambda: _application(steady)["status"] == "RUNNING", "it runs", 60)
        run.steps["edit → last good config runs"].append(watch.seconds)
    assert condition["reason"] == "DeployFailed"
    assert "no_such_module" in condition["message"]
    assert steady.ask(GREET)["greeting"] == "last good"
    assert steady.holds("Ready")
    assert steady.uids == pods


def test_bad_config_in_place_stays_where_that_is_asked_for(
    steady: RayService, tables: Tables
) -> None:
    """With `rollback: Manual` Ray keeps the bad config, what served serves on, and it is told."""
    pods = steady.uids
    bad = manifests.with_import_path(SAMPLE, "no_such_module:app")
    with under_load(tables, "bad config in place, left", Mix(steady.url)) as run:
        watch = Stopwatch()
        steady.patch(manifests.with_strategy(bad, rollback="Manual"))
        condition = _wait_stalled(steady, GIVEN_UP)
        run.steps["edit → Stalled"].append(watch.seconds)
        assert _import_path(steady) == "no_such_module:app"
        assert _application(steady)["status"] == "DEPLOY_FAILED"
    assert condition["reason"] == "DeployFailed"
    assert "no_such_module" in condition["message"]
    assert steady.uids == pods


def test_revert_in_mid_upgrade_cancels_it(steady: RayService, tables: Tables) -> None:
    """Going back to what serves ends the rollout; no third cluster is ever made."""
    cluster, pods = steady.active_cluster, steady.uids
    with (
        under_load(tables, "reverted in mid-rollout", Mix(steady.url)) as run,
        sampling(lambda: steady.clusters) as samples,
    ):
        steady.patch(rolled(SAMPLE))
        until(lambda: _other_configured(steady, cluster), "its applications are deployed", 180)
        watch = Stopwatch()
        steady.patch(SAMPLE)
        until(lambda: steady.clusters == [cluster], "the new cluster is gone", 60)
        run.steps["revert → new cluster gone"].append(watch.seconds)
        steady.wait_alone()
        steady.wait_ready()
    assert len({name for seen in samples for name in seen}) == 2, samples
    assert steady.uids == pods
    assert run.mix.by_cluster.keys() == {cluster}


def test_config_changed_by_hand_is_put_back(steady: RayService) -> None:
    """What somebody PUT to Ray's REST API is replaced by what the RayService says."""
    config = manifests.with_user_config(SAMPLE, "Echo", greeting="by hand")
    assert ray.takes(steady.head_address(), manifests.serve_config(config))
    steady.wait_answer(GREET, PUT_BACK, every=OFTEN, greeting="by hand")
    watch = Stopwatch()
    steady.wait_answer(GREET, PUT_BACK, greeting=GREETING)
    print(f"a config changed by hand was put back after {watch.seconds:.1f} s")


def test_selector_changed_by_hand_is_put_back(steady: RayService) -> None:
    """Traffic goes again where the operator has led it."""
    name, cluster = f"{steady.name}-serve-svc", steady.active_cluster
    selector = steady.kube.get("services", steady.namespace, name)["spec"]["selector"]
    by_hand = {"spec": {"selector": {"ray.io/cluster": "nobody"}}}
    watch = Stopwatch()
    steady.kube.merge("services", steady.namespace, name, by_hand)
    until(lambda: _selector(steady, name) == selector, "the selector is put back", PUT_BACK)
    print(f"a selector changed by hand was put back after {watch.seconds:.1f} s")
    steady.wait_answer(GREET, 30)
    assert steady.active_cluster == cluster
    assert steady.clusters == [cluster]


def _wait_stalled(service: RayService, within: float) -> Manifest:
    until(lambda: _is_stalled(service), f"condition {STALLED} is True", within)
    condition = service.conditions[STALLED]
    print(f"{STALLED}, {condition['reason']}: {condition['message']}")
    return condition


def _is_stalled(service: RayService) -> bool:
    return service.holds(STALLED)


def _application(service: RayService) -> Manifest:
    application: Manifest = service.serve_report()["applications"]["echo"]
    return application


def _import_path(service: RayService) -> str:
    path: str = _application(service)["deployed_app_config"]["import_path"]
    return path


def _other_configured(service: RayService, active: str) -> bool:
    others = {*service.clusters} - {active}
    return any(service.serve_report(other)["applications"] for other in others)


def _selector(service: RayService, name: str) -> dict[str, str]:
    found = service.kube.get("services", service.namespace, name)
    selector: dict[str, str] = found["spec"]["selector"]
    return selector
