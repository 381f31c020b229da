"""No field is passed over in silence: it changes something, is refused, or stands in a list that says why not."""

import pytest

from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec

from .effects import DEAD, FOR_TOOLS, NOT_YET, READ_BY_RAY, Field, cluster_effects, fields, service_effects

OF_CLUSTER = list(fields(RayClusterSpec))
OF_SERVICE = list(fields(RayServiceSpec))


@pytest.mark.parametrize("field", OF_CLUSTER, ids=lambda field: field.path)
def test_every_field_of_a_ray_cluster_has_an_effect(field: Field) -> None:
    listed = field.path in READ_BY_RAY or field.path in FOR_TOOLS
    assert bool(cluster_effects(field)) is not listed


@pytest.mark.parametrize("field", OF_SERVICE, ids=lambda field: field.path)
def test_every_field_of_a_ray_service_has_an_effect(field: Field) -> None:
    listed = field.path in DEAD or field.path.startswith(NOT_YET)
    assert bool(service_effects(field)) is not listed


def test_what_is_refused_is_refused_by_name() -> None:
    refused = {field.path: cluster_effects(field) for field in OF_CLUSTER}
    told = {path: effects[0] for path, effects in refused.items() if effects and effects[0].startswith("refused: ")}
    assert set(told) == {"historyServerOptions", "authOptions.enableK8sTokenAuth"}
    for path, words in told.items():
        assert words.startswith(f"refused: spec.{path} is not supported")
