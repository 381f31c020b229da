"""Quantities, what is mirrored into limits, and what Ray is told."""

from decimal import Decimal
from typing import Any

import pytest

from rayserve_operator.model.resources import (
    LogicalResources,
    mirrored_resources,
    parse_custom,
    parse_quantity,
    with_mirrored_limits,
    without_extended,
)


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("0", "0"),
        ("1", "1"),
        ("-1.5", "-1.5"),
        (".5", "0.5"),
        ("500m", "0.5"),
        ("100n", "1e-7"),
        ("3u", "3e-6"),
        ("2k", "2000"),
        ("1.5Gi", "1610612736"),
        ("8Gi", "8589934592"),
        ("1E", "1e18"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("12e-1", "1.2"),
        ("1Ei", str(2**60)),
    ],
)
def test_parse_quantity(quantity: str, number: str) -> None:
    assert parse_quantity(quantity) == Decimal(number)


@pytest.mark.parametrize("quantity", ["", "m", "1 Gi", "1GiB", "1K", "0x1", "1e", "NaN", "1.2.3", "$CPUS"])
def test_parse_quantity_refuses(quantity: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(quantity)


@pytest.mark.parametrize(
    ("resources", "flags", "custom"),
    [
        ({}, {}, {}),
        ({"limits": {"cpu": "1500m"}}, {"num-cpus": "2"}, {}),
        ({"limits": {"cpu": 2}, "requests": {"cpu": 1}}, {"num-cpus": "2"}, {}),
        ({"requests": {"cpu": "500m", "memory": "1Gi"}}, {"num-cpus": "1"}, {}),
        ({"limits": {"memory": "1Gi"}}, {"memory": "1073741824"}, {}),
        ({"limits": {"memory": "100m"}}, {"memory": "1"}, {}),
        ({"limits": {"cpu": "0"}}, {}, {}),
        ({"limits": {"nvidia.com/gpu": "2"}}, {"num-gpus": "2"}, {}),
        ({"limits": {"nvidia.com/gpu": "0"}}, {}, {}),
        ({"limits": {"nvidia.com/gpu": "2", "amd.com/gpu": "1"}}, {"num-gpus": "1"}, {}),
        ({"limits": {"nvidia.com/mig-1g.5gb": "3"}}, {"num-gpus": "3"}, {}),
        ({"limits": {"google.com/tpu": "4"}}, {}, {"TPU": 4}),
        ({"limits": {"google.com/tpu": "4", "aws.amazon.com/neuroncore": "8"}}, {}, {"neuron_cores": 8}),
        ({"limits": {"hugepages-2Mi": "4Mi", "ephemeral-storage": "1Gi"}}, {}, {}),
    ],
)
def test_what_ray_is_told_of_a_container(
    resources: dict[str, Any], flags: dict[str, str], custom: dict[str, int]
) -> None:
    told = LogicalResources.of_container({"resources": resources})
    assert (told.flags, told.custom) == (flags, custom)


def test_what_ray_is_told_of_a_group() -> None:
    told = LogicalResources.of_group({"cpu": "0", "memory": "2Gi", "nvidia.com/gpu": "500m", "b": "1500m", "a": "2"})
    assert told.flags == {"num-cpus": "0", "memory": "2147483648", "num-gpus": "1"}
    assert told.custom == {"a": 2, "b": 1.5}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ('{"A": 1}', {"A": 1}),
        ('"{\\"A\\": 1}"', {"A": 1}),
        ("'{\"A\": 1}'", {"A": 1}),
        ("$RESOURCES", None),
        ("[1]", None),
    ],
)
def test_custom_resources_in_a_flag(text: str, parsed: dict[str, int] | None) -> None:
    assert parse_custom(text) == parsed


def test_only_devices_without_a_limit_are_mirrored() -> None:
    container = {
        "resources": {
            "requests": {"cpu": "1", "x.io/a": "1", "x.io/b": "2", "kubernetes.io/c": "1"},
            "limits": {"memory": "1Gi", "x.io/b": "2"},
        }
    }
    assert with_mirrored_limits(container)["resources"]["limits"] == {"memory": "1Gi", "x.io/b": "2", "x.io/a": "1"}
    assert with_mirrored_limits({"name": "n"}) == {"name": "n"}
    assert without_extended(container) == {
        "requests": {"cpu": "1", "kubernetes.io/c": "1"},
        "limits": {"memory": "1Gi"},
    }


def test_mirrored_resources_of_all_containers() -> None:
    wants = [{"resources": {"requests": {name: "1"}}} for name in ("x.io/b", "x.io/a", "cpu", "x.io/a")]
    assert mirrored_resources({"spec": {"containers": wants[:3], "initContainers": wants[3:]}}) == ("x.io/a", "x.io/b")
    assert mirrored_resources({}) == ()
