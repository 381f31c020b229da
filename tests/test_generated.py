from pathlib import Path

from .generated import keep


def test_the_check_tells_what_is_stale_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    assert keep("old", ["--check", str(path)]) == 1
    assert not path.exists()
    assert keep("old", [str(path)]) == 0
    assert keep("old", ["--check", str(path)]) == 0
    assert keep("new", ["--check", str(path)]) == 1
    assert path.read_text() == "old"
