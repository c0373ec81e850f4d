"""Limits and timeouts refuse what is none."""

import pytest

from flowstorm_channel import Limits, Timeouts


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "1"])
def test_a_limit_is_a_positive_whole_number(value):
    with pytest.raises(ValueError, match="items must be a positive whole number"):
        Limits(items=value)


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_a_timeout_is_a_positive_number_of_seconds(value):
    with pytest.raises(ValueError, match="idle must be a positive number of seconds or None"):
        Timeouts(idle=value)


def test_a_timeout_can_be_switched_off():
    assert Timeouts(init=None).init is None
