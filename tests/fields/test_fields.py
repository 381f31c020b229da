from pathlib import Path

import pytest

from rayserve_operator.model.raycluster import RayClusterSpec

from ..builders import service_spec
from .effects import Verdict, made_config, of_cluster_field, of_service_field
from .fields import Field
from .known import DEAD, READ_BY_RAY
from .statuses import CLUSTER_STATUS, SERVICE_STATUS, is_filled_in
from .table import CLUSTER_SPEC, SERVICE_SPEC, document, gap
from .values import TELLING, find, trials

DOCUMENT = Path(__file__).parents[2] / "docs/fields.md"
SPEC, STATUS = (*CLUSTER_SPEC, *SERVICE_SPEC), (*CLUSTER_STATUS, *SERVICE_STATUS)


def named(fields: tuple[Field, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("field", fields, ids=lambda field: field.path)


@named(CLUSTER_SPEC)
def test_every_field_of_a_cluster_does_something_or_it_is_said_why_not(field: Field) -> None:
    assert gap(field, of_cluster_field(field)) is None


@named(SERVICE_SPEC)
def test_every_field_of_a_service_does_something_or_it_is_said_why_not(field: Field) -> None:
    assert gap(field, of_service_field(field)) is None


@named(CLUSTER_SPEC)
def test_every_field_of_a_cluster_is_handed_on_by_a_service(field: Field) -> None:
    for trial in trials(field, of_service=False):
        if not of_cluster_field(field).refused:
            made = RayClusterSpec.model_validate(made_config(service_spec(trial.with_it))).model_dump(by_alias=True)
            wanted = RayClusterSpec.model_validate(trial.with_it).model_dump(by_alias=True)
            assert find(made, field.path) == find(wanted, field.path)


@named(STATUS)
def test_every_field_of_a_status_is_filled_in(field: Field) -> None:
    assert is_filled_in(field)


def test_a_field_that_does_nothing_is_named() -> None:
    field = Field("suspend", {"type": "boolean"}, required=False, rules=())
    nothing = Verdict(effects=(), only_alone=False, refused=(), unsupported=(), edits=(), at_once=frozenset())
    assert gap(field, nothing) == "suspend has no effect; give it one, refuse it, or say in known.py why not"


def test_whatever_is_said_of_a_field_is_said_of_one_that_there_is() -> None:
    paths = {field.path for field in SPEC}
    assert not (TELLING.keys() | READ_BY_RAY.keys() | DEAD.keys()) - paths


def test_the_document_is_what_is_found() -> None:
    assert DOCUMENT.read_text() == document(), "run `make generate`"
