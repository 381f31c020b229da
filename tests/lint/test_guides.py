"""The cases of the guides to Ray Serve on Kubernetes, with their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from rayserve_operator.advice.inspection import SILENCE, inspect

from .guides import (
    actor,
    fourteen_above_ten,
    group,
    pipeline,
    pod,
    quarters,
    service,
    ten_replicas,
    two_hundred_replicas,
)

Found = list[tuple[str, str, str]]

FRONT = "applications[0].deployments[0]"


def found(manifest: dict[str, Any]) -> Found:
    return [
        (f.problem.code, f.problem.path.removeprefix("spec.").removeprefix("serveConfigV2:"), str(f.problem))
        for f in inspect(manifest)
    ]


def only(manifest: dict[str, Any]) -> tuple[str, str, str]:
    [one] = found(manifest)
    return one


def test_ten_replicas_of_a_cpu_do_not_fit_eight_cores() -> None:
    code, path, words = only(ten_replicas())
    assert (code, path) == ("RS203", f"{FRONT}.num_replicas")
    assert "asks for 10 replicas of 1 CPU, and there is room for 8 of them (group workers: 2 of 4 CPUs" in words
    assert words.endswith("raise replicas of group workers to 3, or ask for 8 replicas at most")


def test_two_hundred_replicas_against_the_maxima_and_the_start_from_none() -> None:
    room, cold = found(two_hundred_replicas())
    assert room[:2] == ("RS204", f"{FRONT}.autoscaling_config.max_replicas")
    assert "is 200, and there is room for 80 replicas of 1 CPU (group workers: 10 of 8 CPUs, 64 GiB)" in room[2]
    assert room[2].endswith("write 80, or raise maxReplicas of group workers to 25")
    assert cold[:2] == ("RS302", f"{FRONT}.autoscaling_config.min_replicas")
    assert "the first request waits up to 10 s until Serve hears of it, up to 5 s more until Ray asks for a" in cold[2]
    assert cold[2].endswith("write 1 if that is too long, and minReplicas: 1 for group workers")


def test_two_hundred_replicas_of_a_guide_and_its_five_requests() -> None:
    scaling = {"min_replicas": 1, "max_replicas": 200, "target_ongoing_requests": 1}
    model = {"name": "Model", "max_ongoing_requests": 5, "autoscaling_config": scaling, **actor(num_cpus=1)}
    code, _, words = only(service([model], group(pod(8, "64Gi"), 1, 30)))
    assert code == "RS301"
    assert "is 5, 400% above the target of 1; write 2," in words


@pytest.mark.parametrize(("ray", "level"), [("2.60.0", "error"), ("2.40.0", "warning")])
def test_fourteen_above_ten_in_retired_names(ray: str, level: str) -> None:
    manifest = fourteen_above_ten(ray)
    retired = [one for one in found(manifest) if one[0] == "RS105"]
    assert [words.rpartition("; ")[2] for _, _, words in retired] == [
        "write target_ongoing_requests",
        "write max_ongoing_requests",
    ]
    assert {str(f.level) for f in inspect(manifest) if f.problem.code == "RS105"} == {level}
    # 14 is 40% above 10: what was meant is right, and only its names are not.
    assert {code for code, _, _ in found(manifest)} == {"RS105", "RS302"}


def test_three_embedders_and_a_ranker_fit_one_pod() -> None:
    assert found(pipeline()) == []


def test_a_fourth_embedder_does_not() -> None:
    code, path, words = only(pipeline(4))
    assert (code, path) == ("RS203", f"{FRONT}.num_replicas")
    assert "there is room for 3 of them" in words


def test_what_fits_in_sum_need_not_fit_any_pod() -> None:
    model = {"name": "Model", "num_replicas": 2, **actor(num_cpus=3)}
    code, _, words = only(service([model], group(pod(2, "8Gi"), 4, 4)))
    assert code == "RS202"
    assert (
        "ask for 3 CPUs on one node, and no pod has that: the head has 8 GiB, group workers has 2 CPUs, 8 GiB" in words
    )


@pytest.mark.parametrize(("replicas", "codes"), [(4, []), (5, ["RS203"])])
def test_four_quarters_of_a_gpu_fit_and_five_do_not(replicas: int, codes: list[str]) -> None:
    assert [code for code, _, _ in found(quarters(replicas))] == codes


def test_advice_is_silenced_by_its_code() -> None:
    manifest = ten_replicas()
    manifest["metadata"]["annotations"] = {SILENCE: "RS203"}
    assert found(manifest) == []


def test_an_error_is_not_silenced() -> None:
    manifest = service([{"name": "Model", "num_replicas": 0}], group(pod(4, "16Gi"), 1, 2))
    manifest["metadata"]["annotations"] = {SILENCE: "RS108"}
    assert {code for code, _, _ in found(manifest)} == {"RS108", "RS012"}


@pytest.mark.parametrize(
    ("ray", "mend"), [("2.54.0", "; have 2 replicas"), ("2.60.0", "write 100 (an update then takes 1 CPU more")]
)
def test_a_mend_is_one_that_this_ray_knows(ray: str, mend: str) -> None:
    model = {"name": "Model", "num_replicas": 1}
    code, _, words = only(service([model], group(pod(4, "16Gi"), 1, 2), ray=ray))
    assert code == "RS304"
    assert mend in words
