from pathlib import Path

from .page import document

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_says_what_the_rules_say() -> None:
    assert PAGE.read_text() == document(), "run `make generate`"
