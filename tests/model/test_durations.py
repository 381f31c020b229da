import pytest

from rayserve_operator.model.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("30m", 1800), ("1h30m", 5400), ("1.5m", 90), (".5h", 1800), ("1500ms", 1.5), ("2s3us", 2.000003)],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "-5m", "5 m", "m", "5d", "soon", "٣", "9" * 40])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is"):
        parse_duration(text)
