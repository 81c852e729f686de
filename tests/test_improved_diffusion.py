"""The bound beside published code: the terms that OpenAI's improved-diffusion computes from the same network output.

The reference below is written from the formulas of that code (gaussian_diffusion.py and losses.py, which
guided-diffusion shares), with all that makes it differ from ours: steps counted from 0, a plain running product,
1 - alpha_bar by subtraction, x_0 estimated first and put into the posterior, log-variances with beta_tilde_2 in the
place of beta_tilde_1, bits per coordinate. It runs in float64; the original casts its tables to float32.
"""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from scipy.special import ndtr

from refdiff import bayes, elbo, reverse
from refdiff.gaussian import bits
from refdiff.schedule import Schedule

LINEAR = Schedule.linear()
STEPS = [1, 2, 3, 10, 50, 200, 500, 900, 1000]
LEVELS = np.linspace(-1, 1, 256)

# The published tables, indexed by i = t - 1.
BETA = np.linspace(1e-4, 0.02, 1000)
SIGNAL = np.cumprod(1 - BETA)
SIGNAL_BEFORE = np.concatenate([[1.0], SIGNAL[:-1]])
SMALL = BETA * (1 - SIGNAL_BEFORE) / (1 - SIGNAL)  # its entry 0 is 0, and nobody takes its logarithm:
FIRST = SMALL[1]  # ... beta_tilde_2 stands there, for the small variances and the large ones
LOG_VAR = {
    "posterior": np.log(np.concatenate([[FIRST], SMALL[1:]])),
    "beta": np.log(np.concatenate([[FIRST], BETA[1:]])),
}
FLOOR = 1e-12  # of each probability in the published decoder


def published_posterior_mean(i, x_0, x_t):
    of_x_0 = np.sqrt(SIGNAL_BEFORE[i]) * BETA[i] / (1 - SIGNAL[i])
    of_x_t = np.sqrt(1 - BETA[i]) * (1 - SIGNAL_BEFORE[i]) / (1 - SIGNAL[i])
    return of_x_0 * x_0 + of_x_t * x_t


def published_model_mean(i, eps_hat, x_t):
    guess = np.sqrt(1 / SIGNAL[i]) * x_t - np.sqrt(1 / SIGNAL[i] - 1) * eps_hat
    return published_posterior_mean(i, guess, x_t)


def published_divergence(mean, log_var, other_mean, other_log_var):
    """KL of two Gaussians, coordinate by coordinate, from their log-variances."""
    ratio = np.exp(log_var - other_log_var)
    square = (mean - other_mean) ** 2
    return (-1 + other_log_var - log_var + ratio + square * np.exp(-other_log_var)) / 2  # in the published order


def tanh_cdf(z):
    """The approximation of the normal CDF that the published decoder uses."""
    return (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2


def published_decoder(x_0, mean, log_std, cdf):
    """-log of the probability of the bins of x_0, coordinate by coordinate."""
    to_right, to_left = (x_0 - mean + 1 / 255) * np.exp(-log_std), (x_0 - mean - 1 / 255) * np.exp(-log_std)
    inside = np.where(x_0 > 0.999, 1 - cdf(to_left), cdf(to_right) - cdf(to_left))
    return -np.log(np.maximum(np.where(x_0 < -0.999, cdf(to_right), inside), FLOOR))


def published_term(t, x_0, x_t, eps_hat, log_var, cdf=ndtr):
    """The term of step t in bits per dimension, shape (n,): a divergence, at t = 1 the decoder's."""
    i = t - 1
    mean = published_model_mean(i, eps_hat, x_t)
    if i == 0:
        each = published_decoder(x_0, mean, log_var[i] / 2, cdf)
    else:
        true_mean = published_posterior_mean(i, x_0, x_t)
        each = published_divergence(true_mean, LOG_VAR["posterior"][i], mean, log_var[i])
    return each.mean(axis=-1) / np.log(2)


def published_prior(x_0):
    mean, log_var = np.sqrt(SIGNAL[-1]) * x_0, np.log(1 - SIGNAL[-1])
    return published_divergence(mean, log_var, 0.0, 0.0).mean(axis=-1) / np.log(2)


def our_term(t, x_0, x_t, eps_hat, variance):
    """The same, by refdiff."""

    def output(x, t):
        return eps_hat

    if t > 1:
        nats = elbo.denoising_term(LINEAR, output, x_0, x_t, t, variance)
    else:
        nats = elbo.reconstruction_term(LINEAR, output, x_0, x_t, "discretized", "beta_tilde_2", 256)
    return bits(nats) / x_0.shape[-1]


def exact_term(t, x_0, x_t, eps_hat, variance):
    """The divergence of step t > 1 for one point, in bits per dimension, with 50 digits."""
    kept = [mpf(1)]
    for beta in BETA[:t]:
        kept.append(kept[-1] * (1 - mpf(float(beta))))
    beta, before, now = mpf(float(BETA[t - 1])), kept[t - 1], kept[t]
    beta_tilde = beta * (1 - before) / (1 - now)
    sigma_2 = {"posterior": beta_tilde, "beta": beta}[variance]
    total = mpf(0)
    for x, y, e in zip(x_0, x_t, eps_hat):
        x, y, e = mpf(float(x)), mpf(float(y)), mpf(float(e))
        mean = (y - beta / mpmath.sqrt(1 - now) * e) / mpmath.sqrt(1 - beta)
        true_mean = (mpmath.sqrt(before) * beta * x + mpmath.sqrt(1 - beta) * (1 - before) * y) / (1 - now)
        ratio = beta_tilde / sigma_2
        total += ((true_mean - mean) ** 2 / sigma_2 + ratio - 1 - mpmath.log(ratio)) / 2
    return total / len(x_0) / mpmath.log(2)


def noised(t, rng, n=20, d=12):
    """x_0 on the 256 values, x_t, and the noise between them."""
    x_0, eps = rng.choice(LEVELS, (n, d)), np.clip(rng.standard_normal((n, d)), -3, 3)
    x_0[:, :2] = -1.0, 1.0  # the open bins too
    return x_0, np.sqrt(SIGNAL[t - 1]) * x_0 + np.sqrt(1 - SIGNAL[t - 1]) * eps, eps


def case(kind, t):
    """x_0, x_t and a network output, each (n, d)."""
    rng = np.random.default_rng(t)
    x_0, x_t, eps = noised(t, rng)
    another = rng.standard_normal(eps.shape)
    if kind == "as trained":
        return x_0, x_t, eps + 0.3 * np.clip(another, -3, 3)
    if kind == "output 0":
        return x_0, x_t, np.zeros_like(eps)
    if kind == "another x_t":
        return x_0, 5 * rng.standard_normal(eps.shape), another
    return x_0, x_t, 1e3 * another  # "far out"


KINDS = ["as trained", "output 0", "another x_t", "far out"]


def test_the_betas_are_the_same_numbers():
    np.testing.assert_array_equal(LINEAR.beta[1:], BETA)


@pytest.mark.parametrize("kind", KINDS)
def test_posterior_and_reverse_step_are_the_published_ones(kind):
    for t in STEPS:
        x_0, x_t, eps_hat = case(kind, t)
        q = bayes.posterior(LINEAR, x_0, x_t, t)
        np.testing.assert_allclose(q.mean, published_posterior_mean(t - 1, x_0, x_t), rtol=1e-9, atol=1e-13)
        for variance in ("posterior", "beta"):
            p = reverse.transition(LINEAR, lambda x, t, out=eps_hat: out, x_t, t, variance)
            np.testing.assert_allclose(p.mean, published_model_mean(t - 1, eps_hat, x_t), rtol=1e-9, atol=1e-13)
            if t > 1:  # at t = 1 the two differ on purpose: ours are beta_tilde_1 = 0 and beta_1
                np.testing.assert_allclose(p.var, np.exp(LOG_VAR[variance][t - 1]), rtol=1e-9)
        if t > 1:
            np.testing.assert_allclose(q.var, np.exp(LOG_VAR["posterior"][t - 1]), rtol=1e-9)
    assert reverse.decoder_var(LINEAR, "beta_tilde_2") == pytest.approx(FIRST, rel=1e-9)


@pytest.mark.parametrize("variance", ["posterior", "beta"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_divergence_is_the_published_one(kind, variance):
    for t in STEPS[1:]:
        x_0, x_t, eps_hat = case(kind, t)
        ours = our_term(t, x_0, x_t, eps_hat, variance)
        np.testing.assert_allclose(ours, published_term(t, x_0, x_t, eps_hat, LOG_VAR[variance]), rtol=1e-9)


@pytest.mark.parametrize("variance", ["posterior", "beta"])  # one decoder for both
@pytest.mark.parametrize("kind", ["as trained", "output 0"])
def test_the_decoder_s_term_is_the_published_one_with_the_exact_cdf(kind, variance):
    x_0, x_t, eps_hat = case(kind, 1)
    ours = our_term(1, x_0, x_t, eps_hat, variance)
    np.testing.assert_allclose(ours, published_term(1, x_0, x_t, eps_hat, LOG_VAR[variance]), rtol=1e-9)


@pytest.mark.parametrize("kind", ["another x_t", "far out"])
def test_far_out_the_published_decoder_charges_its_floor_and_ours_what_a_bin_costs(kind):
    x_0, x_t, eps_hat = (array[..., None] for array in case(kind, 1))  # each coordinate a point of its own
    ours, theirs = our_term(1, x_0, x_t, eps_hat, "beta"), published_term(1, x_0, x_t, eps_hat, LOG_VAR["beta"])
    floor = -math.log2(FLOOR)  # 39.9 bits
    beyond = ours > floor + 1e-3
    assert beyond.mean() > 0.9
    np.testing.assert_allclose(theirs[beyond], floor)

    distance = np.abs(x_0 - published_model_mean(0, eps_hat, x_t))[..., 0] - 1 / 255  # to the near edge of the bin
    at_least = distance**2 / (2 * FIRST * math.log(2))  # since a bin is narrower than the std times sqrt(2 pi)
    assert (ours[beyond] > at_least[beyond]).all()


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_where_a_network_is_nearly_right_the_digits_that_are_lost_are_the_published_ones(variance):
    """-1 + log - log + exp is summed up as it stands there: a term is off by some 1e-16 however small it is."""
    worst = {"ours": 0.0, "theirs": 0.0}
    with mpmath.workdps(50):
        for t in STEPS[1:]:
            rng = np.random.default_rng(t)
            x_0, x_t, eps = noised(t, rng, n=3)
            eps_hat = eps + 1e-3 * np.clip(rng.standard_normal(eps.shape), -3, 3)
            ours = our_term(t, x_0, x_t, eps_hat, variance)
            theirs = published_term(t, x_0, x_t, eps_hat, LOG_VAR[variance])
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)
            for i in range(len(x_0)):
                truth = exact_term(t, x_0[i], x_t[i], eps_hat[i], variance)
                for name, found in {"ours": ours[i], "theirs": theirs[i]}.items():
                    worst[name] = max(worst[name], float(abs(mpf(float(found)) / truth - 1)))
    assert worst["ours"] < 1e-9 < worst["theirs"]


def test_the_prior_s_term_is_the_published_one():
    x_0 = np.random.default_rng(0).choice(LEVELS, (20, 12))
    ours = bits(elbo.prior_term(LINEAR, x_0)) / x_0.shape[-1]
    np.testing.assert_allclose(ours, published_prior(x_0), rtol=1e-9)


def test_of_the_prior_s_term_at_a_point_near_0_the_published_one_has_seven_digits_and_ours_eleven():
    x_0 = np.full((1, 1), 1 / 255)
    with mpmath.workdps(50):
        kept = mpf(1)
        for beta in BETA:
            kept *= 1 - mpf(float(beta))
        truth = (kept / mpf(255) ** 2 - kept - mpmath.log(1 - kept)) / 2 / mpmath.log(2)
        ours, theirs = (
            float(abs(mpf(float(v[0])) / truth - 1)) for v in (bits(elbo.prior_term(LINEAR, x_0)), published_prior(x_0))
        )
    assert ours < 1e-11
    assert 1e-9 < theirs < 1e-6


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_all_terms_of_one_run_and_its_bits_per_dimension_are_the_published_ones(variance):
    seen = {}

    def network(x_t, t):
        out = 0.9 * np.tanh(x_t + 0.1 * np.roll(x_t, 1, axis=-1)) + 0.1 * math.cos(t)
        seen[int(t)] = x_t, out
        return out

    x_0 = np.random.default_rng(1).choice(LEVELS, (4, 6))
    rng = np.random.default_rng(2)
    found = elbo.denoising_form(LINEAR, network, x_0, rng, variance, "discretized", "beta_tilde_2", 256)
    assert sorted(seen) == list(range(1, 1001))

    theirs = {t: published_term(t, x_0, *seen[t], LOG_VAR[variance]) for t in seen}
    ours = {t: bits(found.terms[t]) / found.d for t in range(2, 1001)} | {1: bits(found.reconstruction) / found.d}
    for t in seen:
        np.testing.assert_allclose(ours[t], theirs[t], rtol=1e-9, err_msg=f"t = {t}")
    total = sum(theirs.values()) + published_prior(x_0)
    np.testing.assert_allclose(found.bits_per_dim(), total, rtol=1e-9)


def test_a_learnt_range_of_variances_is_the_published_one():
    rng = np.random.default_rng(0)
    out = rng.uniform(-1, 1, 1001)  # a network that puts out one number for each step
    share = (out[1:] + 1) / 2
    log_var = share * np.log(BETA) + (1 - share) * LOG_VAR["posterior"]
    variance = reverse.interpolated_var(LINEAR, (out + 1) / 2)
    for t in STEPS[1:]:
        x_0, x_t, eps_hat = case("as trained", t)
        ours = our_term(t, x_0, x_t, eps_hat, variance)
        np.testing.assert_allclose(ours, published_term(t, x_0, x_t, eps_hat, log_var), rtol=1e-9)
    x_0, x_1, eps_hat = case("as trained", 1)
    sigma_2 = BETA[0] ** share[0] * FIRST ** (1 - share[0])
    cost = elbo.reconstruction_term(LINEAR, lambda x, t: eps_hat, x_0, x_1, "discretized", sigma_2)
    np.testing.assert_allclose(bits(cost) / x_0.shape[-1], published_term(1, x_0, x_1, eps_hat, log_var), rtol=1e-9)


class TestTheTanhInPlaceOfTheNormalCdf:
    """What the approximation in the published decoder costs, measured at its std, sqrt(beta_tilde_2) of linear-1000."""

    STD = math.sqrt(FIRST)
    Z = np.linspace(-9, 9, 18_001)  # where the bin's middle lies, in standard deviations from the mean

    def bits_of_bin(self, x, cdf=None, std=STD):
        """-log2 of the probability of the bin of x, seen from means z standard deviations away."""
        x, mean = np.full((len(self.Z), 1), x), x - std * self.Z[:, None]
        if cdf is None:
            return -bits(elbo.discretized_log_likelihood(x, mean, std))
        return published_decoder(x, mean, math.log(std), cdf)[:, 0] / math.log(2)

    def test_the_cdf_is_off_by_1_8e_4(self):
        assert 1.785e-4 < np.abs(tanh_cdf(self.Z) - ndtr(self.Z)).max() < 1.795e-4

    def test_the_probability_of_a_bin_is_off_by_3_4e_4_and_with_no_other_std_by_more_than_3_6e_4(self):
        def worst(std):
            exact, theirs = self.bits_of_bin(LEVELS[128], std=std), self.bits_of_bin(LEVELS[128], tanh_cdf, std)
            return np.abs(2.0**-theirs - 2.0**-exact).max()

        assert 3.39e-4 < worst(self.STD) < 3.42e-4
        anywhere = max(worst(1 / 255 / half) for half in np.linspace(0.05, 6, 120))
        assert 3.55e-4 < anywhere < 3.6e-4  # a bin of 2.6 standard deviations to both sides

    @pytest.mark.parametrize(
        ("std_of_z", "mean", "size"),
        [(1.0, -3.7e-5, 1.4e-3), (math.sqrt(BETA[0] / FIRST), 4.2e-3, 6.8e-3)],
        ids=["errors of variance beta_tilde_2", "errors of variance beta_1"],  # the latter: the ideal denoiser's
    )
    def test_a_typical_coordinate_is_off_by_thousandths_of_a_bit(self, std_of_z, mean, size):
        more = self.bits_of_bin(LEVELS[128], tanh_cdf) - self.bits_of_bin(LEVELS[128])
        density = np.exp(-((self.Z / std_of_z) ** 2) / 2)
        density /= density.sum()
        assert density @ more == pytest.approx(mean, rel=0.03)
        assert density @ np.abs(more) == pytest.approx(size, rel=0.05)

    @pytest.mark.parametrize("x", [LEVELS[128], -1.0, 1.0], ids=["inner", "left end", "right end"])
    def test_a_single_value_in_the_tail_is_off_by_up_to_7_5_bits_until_the_floor(self, x):
        exact, theirs = self.bits_of_bin(x), self.bits_of_bin(x, tanh_cdf)
        above = theirs < -math.log2(FLOOR) - 1e-9
        more = theirs - exact
        assert 7.4 < more[above].max() < 7.5
        assert -0.01 < more[above].min() < 0
        assert more.min() < -10  # beyond the floor it charges too little, by any amount
        within = np.abs(self.Z) < 3 if x == LEVELS[128] else np.abs(self.Z) < 2
        assert np.abs(more[within]).max() < 0.03
