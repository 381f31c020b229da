"""Ray's autoscaler where the spec leaves it open."""

from typing import Any

import pytest

from rayserve_operator.render import labels

from ..builders import announced, cluster_config, cluster_plan, group, head, in_words, pod

TOLD = "; autoscalerOptions turn Ray's autoscaler on (enableInTreeAutoscaling: false would keep it off)"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"autoscalerOptions": {}}, TOLD),
        ({"autoscalerOptions": {}, "enableInTreeAutoscaling": True}, ""),
        ({"autoscalerOptions": {}, "enableInTreeAutoscaling": False}, ""),
        ({}, ""),
    ],
    ids=["options alone", "on", "off", "nothing"],
)
def test_it_is_told_when_options_alone_turn_it_on(said: dict[str, Any], expected: str) -> None:
    [told] = announced(cluster_plan(cluster_config(group(replicas=0), **said)))
    assert (told.reason, told.message) == ("CreatedHeadPod", f"Created the head pod{expected}")


def test_a_head_on_its_way_out_says_nothing_of_the_cluster() -> None:
    living = pod("living", role=labels.HEAD, beside="autoscaler")
    found = cluster_plan(cluster_config(group(replicas=0), autoscalerOptions={}), head(leaving=True), living)
    assert "make Role demo-a" in in_words(found)
