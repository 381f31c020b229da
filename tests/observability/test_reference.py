from pathlib import Path

from rayserve_operator.engine.milestones import Phase
from rayserve_operator.planning.service.giving_up import Reason

from .reference import document

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_what_is_defined() -> None:
    assert (DOCS / "metrics.md").read_text() == document(), "run `make generate`"


def test_every_part_of_a_rollout_is_explained() -> None:
    text = (DOCS / "observability.md").read_text()
    assert [phase for phase in Phase if f"| `{phase}` |" not in text] == []


def test_the_runbook_of_a_stalled_service_names_every_reason() -> None:
    text = (DOCS / "runbooks" / "RayServiceStalled.md").read_text()
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
