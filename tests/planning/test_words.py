import pytest

from rayserve_operator.planning.words import few


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], ""),
        (["a", "b", "c"], "a, b, c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_of_many_paths_the_first_three_are_told(paths: list[str], expected: str) -> None:
    assert few(paths) == expected
