r"""What a scheduler should compute, in float64 and by routes of its own, and how far float32 may stray from it.

Steps are counted here as in diffusers, t = 0..T - 1: ``alpha_bar[t]`` belongs to the step that the paper calls t + 1.
The posterior comes from adding precisions, a stride from the list of steps, velocity from a derivative by angle.

Nothing is compared under one tolerance for all. Each result is computed again with every input shaken by a few
roundings of float32, and may differ by the sum of what that changes: its condition number, measured at each t.
"""

import math
from fractions import Fraction

import numpy as np

__all__ = [
    "ROUNDING",
    "Chain",
    "ddim_law",
    "ddpm_law",
    "named_betas",
    "noise",
    "original",
    "posterior",
    "shaken",
    "spaced",
    "threshold",
    "variance",
    "velocity",
    "whole_step",
    "zero_snr",
]

ROUNDING = 2.0**-24  # the relative error of one float32 operation
FEW = 6  # operations between one array and the next result: 1 - x, a quotient, a root, a product, a sum


def named_betas(name, T, start, end):
    """Return beta_1..beta_T of a published schedule."""
    ramp = np.arange(T) / max(T - 1, 1)
    if name == "linear":
        return start + ramp * (end - start)
    if name == "scaled_linear":
        return (math.sqrt(start) + ramp * (math.sqrt(end) - math.sqrt(start))) ** 2
    if name == "sigmoid":
        return start + (end - start) / (1 + np.exp(6 - 12 * ramp))
    if name == "squaredcos_cap_v2":
        with np.errstate(divide="ignore"):
            log_rate = np.log(np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * math.pi / 2).clip(0))
        return np.minimum(-np.expm1(2 * np.diff(log_rate)), 0.999)
    raise KeyError(name)


def zero_snr(beta):
    """Return the betas whose sqrt(alpha_bar) is shifted and scaled to keep its first value and to end at 0."""
    rate = np.exp(np.cumsum(np.log1p(-beta)) / 2)
    rate = (rate - rate[-1]) * rate[0] / (rate[0] - rate[-1])
    return 1 - (rate / np.append(1.0, rate[:-1])) ** 2


class Chain:
    """A chain of T steps: its betas, alpha_bar, and by what share float32 may be off in each.

    A running product in float32 walks away from the truth at random, by one rounding each step: `drift`.
    `blur` is the relative uncertainty of alpha_t, which has no part in that walk.
    """

    def __init__(self, beta, rescaled=False):
        self.plain = np.asarray(beta, dtype=float)
        self.T, self.rescaled = len(self.plain), rescaled
        self.beta = zero_snr(self.plain) if rescaled else self.plain
        with np.errstate(divide="ignore"):
            self.alpha_bar = np.exp(np.cumsum(np.log1p(-self.beta)))
        self.drift = ROUNDING * (FEW + 2 * np.sqrt(np.arange(1, self.T + 1)))
        with np.errstate(divide="ignore"):
            rounded = np.where(self.beta < 1, ROUNDING * self.beta / (1 - self.beta), 0.0)  # of beta itself: 1 - .999
        self.drift, self.blur = self.drift + np.cumsum(rounded), FEW * ROUNDING + 2 * rounded
        if rescaled:  # sqrt(alpha_bar) minus its last value: what remains of it near the end has lost its digits
            rate = np.exp(np.cumsum(np.log1p(-self.plain)) / 2)
            with np.errstate(divide="ignore"):
                lost = (FEW * ROUNDING * rate + 2 * self.drift[-1] * rate[-1]) / (rate - rate[-1])
            lost[-1] = 0.0  # the last value is 0 exactly, whatever was lost on the way
            self.drift = self.drift + 2 * lost
            self.blur = self.blur + 2 * (lost + np.append(0.0, lost[:-1]))

    @classmethod
    def of(cls, config):
        """Return the chain that a scheduler's configuration describes; KeyError if its schedule has no known name."""
        if config["trained_betas"] is not None:
            beta = np.asarray(config["trained_betas"], dtype=np.float32).astype(float)
        else:
            T, start, end = config["num_train_timesteps"], config["beta_start"], config["beta_end"]
            beta = named_betas(config["beta_schedule"], T, start, end)
        return cls(beta, bool(config["rescale_betas_zero_snr"]))

    def step(self, t, prev, final=1.0):
        """Return inputs alpha_bar_t, alpha_bar_prev and their quotient for steps t -> prev, and how they may shake.

        Where prev < 0 the step leads to `final`: to clean data, alpha_bar = 1, unless told otherwise.
        """
        t, prev = np.asarray(t), np.asarray(prev)
        inside = prev >= 0
        before = np.where(inside, self.alpha_bar[np.where(inside, prev, 0)], final)
        unsure = np.where(inside, self.drift[np.where(inside, prev, 0)], 0.0 if final == 1.0 else self.drift[0])
        inputs = self.alpha_bar[t], before, self.alpha_bar[t] / before
        # over a stride alpha is a quotient of two running products, which walked on their own for t - prev steps
        walked = 2 * ROUNDING * np.sqrt(np.where(inside, t - prev, t + 1))
        return inputs, (self.drift[t], unsure, self.blur[t] + walked)


def shaken(law, inputs, shakes):
    """Return law(*inputs) and how far float32 may be from it: the sum of what each input's uncertainty changes."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        centre = np.asarray(law(*inputs))
        allowed = FEW * ROUNDING * np.abs(centre)
        for k, shake in enumerate(shakes):
            moved = [
                np.abs(
                    np.asarray(law(*(a * (1 + sign * shake) if j == k else a for j, a in enumerate(inputs)))) - centre
                )
                for sign in (-1, 1)
            ]
            allowed = allowed + np.fmax(*moved)
    return centre, allowed


def posterior(alpha_bar, before, alpha):
    """Return the weights of x_0 and x_t in the mean of x_prev given both, and its variance: precisions add.

    The precision of the prior, 1 / (1 - alpha_bar_prev), is infinite on the way to clean data: multiplied out.
    """
    odds = alpha / (1 - alpha)
    ratio = 1 + (1 - before) * odds  # the precision of the posterior over that of the prior
    # 1 in exact arithmetic. The usual forms divide by 1 - alpha_bar, which rounding leaves at odds with the rest:
    # written out, so that shaking the inputs shows what that costs.
    one = (1 - alpha + alpha * (1 - before)) / (1 - alpha_bar) / ratio
    return np.sqrt(before) * one, np.sqrt(alpha) / (1 - alpha) * (1 - before) * one, (1 - before) * one


def original(prediction, alpha_bar):
    """Return the weights of the sample and of the model's output in the predicted x_0.

    x_t = c x_0 + s eps and v = c eps - s x_0: two equations, solved for x_0 by Cramer's rule.
    """
    c, s = np.sqrt(alpha_bar), np.sqrt(np.maximum(1 - alpha_bar, 0.0))
    if prediction == "epsilon":
        return 1 / c, -s / c
    if prediction == "v_prediction":
        return c / (c * c + s * s), -s / (c * c + s * s)
    return np.zeros_like(c), np.ones_like(c)


def noise(prediction, alpha_bar):
    """Return the weights of the sample and of the model's output in the predicted noise."""
    c, s = np.sqrt(alpha_bar), np.sqrt(np.maximum(1 - alpha_bar, 0.0))
    if prediction == "epsilon":
        return np.zeros_like(c), np.ones_like(c)
    of_sample, of_output = original(prediction, alpha_bar)
    return (1 - c * of_sample) / s, -c * of_output / s


def variance(kind, alpha_bar, before, alpha, share=None):
    """Return the variance of a DDPM step by the name of its choice; `share` is the model's second output."""
    small, large = posterior(alpha_bar, before, alpha)[2], 1 - alpha
    if kind in ("fixed_small", "fixed_small_log"):
        return small
    if kind in ("fixed_large", "fixed_large_log"):
        return large
    if kind == "learned":
        return share
    return np.exp((share + 1) / 2 * np.log(large) + (1 - share) / 2 * np.log(small))


def ddpm_law(prediction, kind, share=None):
    """Return the law of a DDPM step: weights of sample and output in its mean, its variance, theirs in x_0."""

    def law(alpha_bar, before, alpha):
        of_original, of_sample, _ = posterior(alpha_bar, before, alpha)
        x, m = original(prediction, alpha_bar)
        std = np.sqrt(variance(kind, alpha_bar, before, alpha, share))
        return [of_sample + of_original * x, of_original * m, std + 0 * x, x, m]

    return law


def ddim_law(prediction, eta):
    """Return the law of a DDIM step: that with the marginal of x_prev, whatever the share eta of fresh noise."""

    def law(alpha_bar, before, alpha, unit):  # unit: 1, shaken for the rounding of var, which all but cancels at times
        var = eta**2 * posterior(alpha_bar, before, alpha)[2]
        along = np.sqrt(np.maximum(1 - before - unit * var, 0.0))
        x, m = original(prediction, alpha_bar)
        x_eps, m_eps = noise(prediction, alpha_bar)
        return [np.sqrt(before) * x + along * x_eps, np.sqrt(before) * m + along * m_eps, np.sqrt(var), x, m]

    return law


def velocity(x_0, eps, alpha_bar):
    """Return v, how x = cos(phi) x_0 + sin(phi) eps changes with the angle phi: by a complex step, without formula."""
    phi = np.arccos(np.sqrt(alpha_bar)) + 1e-30j
    return np.imag(np.cos(phi) * x_0 + np.sin(phi) * eps) / 1e-30


def threshold(x_0, ratio, top):
    """Return x_0 (..., c, h, w) clipped to a quantile of each sample's own sizes and divided by it."""
    sizes = np.sort(np.abs(x_0).reshape(*x_0.shape[:-3], -1), axis=-1)
    place = ratio * (sizes.shape[-1] - 1)
    low = int(place)
    high = min(low + 1, sizes.shape[-1] - 1)
    bound = sizes[..., low] + (place - low) * (sizes[..., high] - sizes[..., low])
    bound = np.minimum(np.maximum(bound, 1.0), top)[..., None, None, None]
    return np.clip(x_0, -bound, bound) / bound


def whole_step(config, eta=None, share=None, use_clipped=False, noisy=1.0):
    """Return a step as a law of single entries: x_prev and the predicted x_0, clipped as a configuration says.

    With `eta` it is a DDIM step. `noisy` is 0 where no noise may be added.
    """
    prediction = config["prediction_type"]

    def law(alpha_bar, before, alpha, x, m, z, unit=1.0):
        of_x, of_m = original(prediction, alpha_bar)
        x_0 = of_x * x + of_m * m
        if config["thresholding"]:
            x_0 = threshold(x_0, config["dynamic_thresholding_ratio"], config["sample_max_value"])
        elif config["clip_sample"]:
            x_0 = np.clip(x_0, -config["clip_sample_range"], config["clip_sample_range"])
        of_original, of_sample, small = posterior(alpha_bar, before, alpha)
        if eta is None:
            std = np.sqrt(variance(config["variance_type"], alpha_bar, before, alpha, share))
            fresh = np.where(noisy == 0, 0.0, std * z)  # no variance is asked for where no noise is added
            return np.stack(np.broadcast_arrays(of_original * x_0 + of_sample * x + fresh, x_0))
        var = eta**2 * small
        if use_clipped:
            eps = (x - np.sqrt(alpha_bar) * x_0) / np.sqrt(1 - alpha_bar)
        else:
            of_x, of_m = noise(prediction, alpha_bar)
            eps = of_x * x + of_m * m
        along = np.sqrt(np.maximum(1 - before - unit * var, 0.0))
        return np.stack(np.broadcast_arrays(np.sqrt(before) * x_0 + along * eps + np.sqrt(var) * z, x_0))

    return law


def spaced(spacing, T, n, offset=0):
    """Return, for each of n steps out of T, the set of numbers allowed: two where a fraction ends in 1/2."""
    if spacing == "leading":
        exact = [Fraction((n - 1 - i) * (T // n) + offset) for i in range(n)]
    elif spacing == "linspace":
        exact = [Fraction((n - 1 - i) * (T - 1), n - 1) if n > 1 else Fraction(0) for i in range(n)]
    else:
        exact = [Fraction(T * (n - i), n) - 1 for i in range(n)]
    return [{math.ceil(f - Fraction(1, 2)), math.floor(f + Fraction(1, 2))} for f in exact]
