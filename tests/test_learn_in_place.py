"""The classroom with functions that change what they are given and return nothing: written or not is seen otherwise."""

import pytest

from refdiff import learn, network


def right(self, theta, gradient, learning_rate):
    network.AdamW.update(self, theta, gradient, learning_rate)


def wrong(self, theta, gradient, learning_rate):
    theta -= learning_rate * gradient


def empty(self, theta, gradient, learning_rate): ...


def described(self, theta, gradient, learning_rate):
    """Say what it will do."""


def raising(self, theta, gradient, learning_rate):
    raise NotImplementedError


def test_what_returns_nothing_can_be_right():
    assert learn.check("network.adam", AdamW__update=right).solved


def test_what_returns_nothing_can_be_refuted():
    answer = learn.check("network.adam", AdamW__update=wrong)
    assert not answer
    assert "is refuted" in answer.says


@pytest.mark.parametrize("function", [empty, described, raising])
def test_what_does_nothing_is_not_written_yet(function):
    answer = learn.check("network.adam", AdamW__update=function)
    assert answer.verdict is None
    assert "not written yet" in answer.says


def test_the_average_of_parameters_too():
    def update(self, theta):
        network.EMA.update(self, theta)

    assert learn.check("network.ema", EMA__update=update).solved
