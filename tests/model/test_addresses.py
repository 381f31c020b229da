import pytest

from rayserve_operator.model.addresses import authority


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.7", "10.0.0.7:8265"),
        ("fd00:10:244::7", "[fd00:10:244::7]:8265"),
        ("::1", "[::1]:8265"),
        ("demo.default.svc", "demo.default.svc:8265"),
    ],
)
def test_an_ipv6_address_stands_in_brackets(host: str, expected: str) -> None:
    assert authority(host, 8265) == expected
