"""What counts as one address."""

from __future__ import annotations

import pytest

from serving.access.callers import neighbourhood


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1%eth0", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::"),
        ("testclient", "testclient"),
        ("a" * 100, "a" * 64),
    ],
)
def test_what_counts_as_one_address(host: str, counted: str) -> None:
    assert neighbourhood(host) == counted
