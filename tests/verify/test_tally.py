"""Chunks of samples say together what all samples say at once, whatever law the statistic has."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdiff.verify.evidence import Trial, stream
from refdiff.verify.tally import Moments, QuadraticForm, SubGamma


def merged(tallies):
    return functools.reduce(lambda one, other: one.merge(other), tallies)


G, H = np.array([0.5, -1.0, 0.3]), np.array([0.7, -0.4, 0.0])


def test_moments_of_37_chunks_far_from_zero_merge_to_those_of_all_samples():
    x = 1e6 + np.random.default_rng(0).standard_normal((37 * 100, 2))
    both = merged([Moments.of(chunk) for chunk in np.split(x, 37)])
    centred = x - x.mean(axis=0)
    assert both.n == len(x)
    np.testing.assert_allclose(both.mean, x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(both.var, (centred**2).mean(axis=0), rtol=1e-9)
    naive = (x**2).mean(axis=0) - x.mean(axis=0) ** 2
    assert (abs(naive / both.var - 1) > 1e-6).all(), "here a sum of raw squares has lost its digits"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.data())
def test_moments_merge_in_any_place(samples, data):
    cut = data.draw(st.integers(1, len(samples) - 1))
    whole, halves = Moments.of(samples), Moments.of(samples[:cut]).merge(Moments.of(samples[cut:]))
    scale = max(1.0, *map(abs, samples))
    for power, name in ((1, "mean"), (2, "M2")):
        size = 1e-11 * len(samples) * scale**power
        assert math.isclose(getattr(whole, name), getattr(halves, name), rel_tol=1e-9, abs_tol=size), name


def test_no_samples_have_no_moments():
    with pytest.raises(ValueError, match="at least one sample"):
        Moments.of([])


def z_test(trial, x):
    known = np.cos(np.arange(len(x)))[:, None]
    trial.mean("mean", known + 2 * x[:, :2], known, 4.0, weight=known)


def chi_square_test(trial, x):
    trial.var("var", 3 + 2 * x[:, :2], 3.0, 4.0)


def chernoff_test(trial, x):
    trial.quadratic("W", x @ G + (x**2 - 1) @ H, 0.0, G, H)


def bernstein_test(trial, x):
    trial.bounded("coin", x[:, 0] < 0, 0.5, 0.25, span=1.0)


@pytest.mark.parametrize("record", [z_test, chi_square_test, chernoff_test, bernstein_test])
def test_the_statistic_of_merged_chunks_is_that_of_all_samples(record):
    x = stream("chunks", record.__name__).standard_normal((4_000, 3))
    whole = Trial(None, len(x), 1e-3)
    record(whole, x)
    tallies = []
    for chunk in np.split(x, [100, 1_000, 2_500]):
        trial = Trial(None, len(chunk), 1e-3)
        record(trial, chunk)
        tallies.append(trial.tallies[0])
    if record is z_test:  # its weights run with the sample's number
        whole = Trial(None, len(x), 1e-3)
        known = np.concatenate([np.cos(np.arange(len(chunk))) for chunk in np.split(x, [100, 1_000, 2_500])])[:, None]
        whole.mean("mean", known + 2 * x[:, :2], known, 4.0, weight=known)
    together, truth = merged(tallies).statistic(1e-3), whole.found[0]
    assert together.n == truth.n == len(x)
    for name in ("claimed", "measured", "p_value", "accepts", "typical", "margin", "detects"):
        np.testing.assert_allclose(getattr(together, name), getattr(truth, name), rtol=1e-9, err_msg=name)


def test_a_law_that_differs_from_chunk_to_chunk_is_bounded_by_one_that_covers_all():
    """Two hundred little terms a chunk, other ones in each: merged, Chernoff's bound must not become sharper."""
    rng, laws = stream("laws"), []
    for _ in range(5):
        laws.append(QuadraticForm(rng.standard_normal(200) / 200, rng.standard_normal(200) / 400))
    common = SubGamma.average(*((1, law) for law in laws))
    exact = QuadraticForm(np.concatenate([law.g for law in laws]) / 5, np.concatenate([law.h for law in laws]) / 5)
    for sign in (-1, 1):
        for rate in (1.0, 5.0, 20.0):
            # a mean of five, each with rate r, against one form of all terms with rate 5 r
            wide, sharp = abs(common.deviation(rate / 5, sign)), abs(exact.deviation(rate, sign))
            assert sharp <= wide <= 1.25 * sharp


@pytest.mark.parametrize("sign", [-1, 1])
def test_rate_and_deviation_of_a_bound_are_inverse(sign):
    law = SubGamma(2.0, 0.3, 0.5)
    for rate in (1e-9, 0.1, 3.0, 50.0):
        assert law.rate(law.deviation(rate, sign)) == pytest.approx(rate, rel=1e-12)
    assert SubGamma(0.0, 0.0, 0.0).rate(1.0) == math.inf
    assert SubGamma(0.0, 0.0, 0.0).rate(0.0) == 0.0


def test_the_bound_never_promises_more_than_the_form_that_it_bounds():
    form = QuadraticForm(G, H)
    bound = SubGamma.average((1, form))
    for deviation in (-5.0, -1.0, -0.1, 0.1, 1.0, 5.0):
        assert bound.rate(deviation) <= form.rate(deviation) * (1 + 1e-12)


def test_a_variance_claimed_anew_for_each_chunk_is_judged_chunk_by_chunk():
    rng, tallies = stream("own scale"), []
    for std in (0.1, 1.0, 10.0):
        trial = Trial(rng, 2_000, 1e-9)
        trial.var("var", std * rng.standard_normal(trial.n), 0.0, std**2)
        tallies.append(trial.tallies[0])
    assert merged(tallies).statistic(1e-9).holds
    trial = Trial(rng, 2_000, 1e-9)
    trial.var("var", rng.standard_normal(trial.n), 0.0, 4.0)  # one chunk that is wrong refutes all
    assert not merged([*tallies, trial.tallies[0]]).statistic(1e-9).holds
