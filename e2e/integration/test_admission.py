"""The admission webhook on a real API server: its verdicts, and its certificate."""

import copy
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from tests.lint.cases import CASES, GOOD, TRIED
from tests.lint.generated import MANIFEST
from tests.lint.guides import TOLD as GUIDES

from scenarios.harness import manifests, reviews
from scenarios.harness.kube import ApiError, Kube, Manifest
from scenarios.harness.process import OperatorProcess
from scenarios.harness.waiting import until

WEBHOOK = "validate.rayserve.ray.io"
TOLD = {case.code for case in CASES if case.code == "RS012" or case.code >= "RS2"}
"""Rules that only warn."""
GENERATED = 40
"""Good manifests that are made up."""


@pytest.fixture
def reviewed(kube: Kube, namespace: str, tmp_path: Path) -> Iterator[str]:
    """A namespace in which everything is reviewed, by an operator that runs."""
    process = _operator(namespace, tmp_path / "operator.log")
    with reviews.reviewed(kube, namespace, process):
        yield namespace
    print(process.log)


def _operator(namespace: str, log: Path) -> OperatorProcess:
    """An operator that reviews."""
    kubeconfig = Path(os.environ["KUBECONFIG"])
    return OperatorProcess(namespace, kubeconfig, log, reviews.settings(namespace))


def _applied(manifest: Manifest) -> subprocess.CompletedProcess[str]:
    """What `kubectl apply` says to a manifest, on the server alone."""
    return subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "-f", "-"],
        input=yaml.safe_dump(manifest),
        capture_output=True,
        text=True,
        check=True,
    )


def _named(manifest: Manifest, namespace: str) -> Manifest:
    metadata = {**manifest.get("metadata", {}), "namespace": namespace}
    return {**manifest, "metadata": metadata}


def test_bad_manifests_are_refused_with_the_place(kube: Kube, reviewed: str) -> None:
    """Each of the corpus, by the CRD or by the webhook, which names the place as the rule does."""
    wrong = []
    for case in CASES:
        words = reviews.refusal(kube, _named(case.manifest, reviewed))
        by = "nobody" if words is None else "webhook" if WEBHOOK in words else "API server"
        print(f"{case.code}  {by:10}  {case.place}")
        is_right = by == "nobody" if case.code in TOLD else by != "nobody"
        if by == "webhook":
            is_right = f"{case.code} {case.place}" in (words or "")
        if not is_right:
            wrong.append((case.code, case.place, words))
    assert wrong == []


def test_pods_that_cannot_be_made_are_refused_with_the_place(kube: Kube, reviewed: str) -> None:
    """The API server says of each what is written in the corpus; other doubts only warn."""
    wrong = []
    for case in TRIED:
        words = reviews.refusal(kube, _named(case.manifest, reviewed))
        print(f"{case.code}  {'refused' if words else 'let in':8}  {case.place}")
        told = f"{case.code} {case.place}" in (words or "") if case.code == "RS404" else not words
        if not told:
            wrong.append((case.place, words))
    assert wrong == []


def test_an_edit_is_refused_only_for_the_pods_that_it_spoils(kube: Kube, namespace: str) -> None:
    """A template that was bad before the webhook came may stay, and be mended."""
    typo = next(case for case in TRIED if case.path == "imagePullPolice")
    bad = _named(typo.manifest, namespace)
    name = kube.create("rayservices", bad)["metadata"]["name"]
    process = _operator(namespace, Path(os.devnull))
    with reviews.reviewed(kube, namespace, process):
        kube.merge("rayservices", namespace, name, {"spec": {"rayClusterDeletionDelaySeconds": 7}})
        config = bad["spec"]["rayClusterConfig"]
        head = {**config["headGroupSpec"], "template": config["workerGroupSpecs"][0]["template"]}
        worse = {"spec": {"rayClusterConfig": {**config, "headGroupSpec": head}}}
        place = r"headGroupSpec\.template\.spec\.containers\[0\]\.imagePullPolice"
        with pytest.raises(ApiError, match=place):
            kube.merge("rayservices", namespace, name, worse)
        kube.merge("rayservices", namespace, name, {"spec": GOOD["spec"]})


def test_a_quota_only_warns(kube: Kube, reviewed: str) -> None:
    """There may be room by the time that pods are made."""
    quota = {"metadata": {"name": "none", "namespace": reviewed}, "spec": {"hard": {"pods": "0"}}}
    kube.create("resourcequotas", quota)

    def is_counted() -> bool:
        return bool(kube.get("resourcequotas", reviewed, "none").get("status", {}).get("hard"))

    until(is_counted, "the quota is counted", 30)
    done = _applied(_named(GOOD, reviewed))
    assert "Warning: RS405 spec.rayClusterConfig.headGroupSpec.template" in done.stderr
    assert "exceeded quota: none" in done.stderr


def test_good_manifests_are_let_through(kube: Kube, reviewed: str) -> None:
    """The one of the corpus, and all samples."""
    samples = [yaml.safe_load(path.read_text()) for path in manifests.SAMPLES.glob("*.yaml")]
    for manifest in (GOOD, *samples):
        assert reviews.refusal(kube, _named(manifest, reviewed)) is None


# The namespace and its operator are meant to be the same for all of them.
@settings(
    max_examples=GENERATED,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(manifest=MANIFEST)
def test_generated_manifests_are_let_through(
    kube: Kube, reviewed: str, manifest: dict[str, Any]
) -> None:
    """None that can be made is refused, unwise as it may be."""
    assert reviews.refusal(kube, _named(manifest, reviewed)) is None


def test_what_is_unwise_is_told_to_who_applies(reviewed: str) -> None:
    """kubectl shows it as a warning."""
    case = next(case for case in CASES if case.code == "RS201")
    done = _applied(_named(case.manifest, reviewed))
    assert f"Warning: {case.code} {case.place}" in done.stderr


def test_the_cases_of_the_guides_are_told_to_who_applies(kube: Kube, reviewed: str) -> None:
    """With the guides' numbers; of what fits nothing is said."""
    for title, case in GUIDES.items():
        manifest = _named(case.manifest, reviewed)
        words = reviews.refusal(kube, manifest)
        if case.refused:
            assert case.refused in (words or ""), title
            continue
        assert words is None, title
        told = [line for line in _applied(manifest).stderr.splitlines() if "Warning: RS" in line]
        print(title, *told or ["nothing to say"], sep="\n  ")
        assert bool(told) == bool(case.warnings), title
        assert all(any(words in line for line in told) for words in case.warnings), (title, told)


def test_an_object_that_was_bad_before_can_be_mended(kube: Kube, namespace: str) -> None:
    """Only what an update brings refuses it."""
    bad = copy.deepcopy(GOOD)
    config = yaml.safe_load(bad["spec"]["serveConfigV2"])
    config["applications"][0]["numReplicas"] = 1
    bad["spec"]["serveConfigV2"] = yaml.safe_dump(config)
    name = kube.create("rayservices", _named(bad, namespace))["metadata"]["name"]
    process = _operator(namespace, Path(os.devnull))
    with reviews.reviewed(kube, namespace, process):
        kube.merge("rayservices", namespace, name, {"spec": {"rayClusterDeletionDelaySeconds": 7}})
        config["applications"][0]["routePrefix"] = "/"
        worse = {"spec": {"serveConfigV2": yaml.safe_dump(config)}}
        with pytest.raises(ApiError, match="routePrefix"):
            kube.merge("rayservices", namespace, name, worse)
        good = {"spec": {"serveConfigV2": GOOD["spec"]["serveConfigV2"]}}
        kube.merge("rayservices", namespace, name, good)


def test_a_certificate_that_is_taken_away_is_made_anew(kube: Kube, reviewed: str) -> None:
    """The API server is told of it, and answered again."""
    before = reviews.trusted(kube, reviewed)
    kube.merge("secrets", reviewed, reviews.NAME, {"data": None})
    until(lambda: reviews.trusted(kube, reviewed) != before, "another authority is trusted", 90)
    until(lambda: reviews.is_answered(kube, reviewed), "the API server is answered", 30)
