from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_operator_folder_never_shadows_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
