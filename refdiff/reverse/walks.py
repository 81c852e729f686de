r"""What all samplers share: where they begin, how they go down a sub-sequence of the steps, and where they end."""

import numpy as np

from refdiff.checks import check_rng, count
from refdiff.gaussian import Gaussian
from refdiff.kernels.streams import Streams, engine_of
from refdiff.schedule import kept_of

__all__ = ["check_below", "descend", "downwards", "drawn", "end", "kept_steps", "last", "linear", "prior", "start"]


def prior(n, d):
    r"""Return p(x_T), where sampling starts.

    .. math:: p(x_T) = \mathcal{N}(0, I)

    Parameters
    ----------
    n, d : int

    Returns
    -------
    Gaussian
        Of shape (n, d).

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 1. Identity: :eq:`eq-reverse.prior`.

    Examples
    --------
    >>> prior(2, 1).var
    array([[1.],
           [1.]])
    """
    return Gaussian(np.zeros((count(n, "n"), count(d, "d"))), 1.0)


def start(n, d, rng):
    """Return x_T of n points and the noise of their steps: each block of points has a stream of its own."""
    start = prior(n, d)
    noise = Streams(check_rng(rng), len(start.mean))
    return drawn(start, noise.standard_normal), noise


def drawn(law, draw):
    """Return one draw from a law, its noise from ``draw(shape)``."""
    return law.mean + law.std * draw(law.mean.shape)


def kept_steps(schedule, steps):
    """Return 0 and the steps that :meth:`Schedule.respace` keeps, increasing."""
    return np.concatenate([[0], kept_of(schedule.T, steps)])


def downwards(steps):
    """Yield the pairs s, t of a walk down `steps`, from the last to 0, as integers."""
    for s, t in zip(steps[-2::-1], steps[:0:-1]):
        yield int(s), int(t)


def check_below(**steps):
    """Raise ValueError unless the first of two named steps is below the second, for each point."""
    (low, s), (high, t) = steps.items()
    if not np.all(np.less(s, t)):
        raise ValueError(
            f"{low} must be below {high}; got {low} = {np.max(s)} and {high} = {np.min(t)}. Sampling runs down from"
            f" {high} to {low}."
        )


def descend(step, steps, x_t, draw):
    """Walk down `steps`, from the last to 0, by x_s = mean + std z; where nothing is added, nothing is drawn."""
    for s, t in downwards(steps):
        law = step(x_t, s, t)
        x_t = drawn(law, draw) if s > 0 and law.var.any() else law.mean
        yield s, x_t


def linear(step, t, s):
    """Return t, a, b, c of the steps x_s = a x_t + b eps_hat + c z, one entry for each step, in the order given.

    ``step(denoiser, x_t)`` is the law of x_s for one point a step. Its mean is linear in x_t and eps_hat, so that two
    pairs of them tell the coefficients; no formula is written down twice. c is 0 for the step that ends at 0.
    """
    zero, one = np.zeros((t.size, 1)), np.ones((t.size, 1))
    of_x_t, of_eps = step(lambda x_t, t: zero, one), step(lambda x_t, t: one, zero)
    return t, of_x_t.mean[:, 0], of_eps.mean[:, 0], np.where(s > 0, of_x_t.std[:, 0], 0.0)


def end(path, coefficients, denoiser, start, threads, progress):
    """Return where a path from x_T to 0 ends, walked by the denoiser itself if it brings compiled walks."""
    x_t, noise = start
    engine = engine_of(denoiser, len(coefficients[0]), len(x_t))
    if engine is not None:
        return engine.reverse_walk(x_t, *coefficients, noise, threads, progress)
    return last(path(x_T=x_t, draw=noise.standard_normal), progress)


def last(path, progress=None):
    """Return where a path ends; tell `progress` how many of its steps have been taken."""
    for taken, (_, x_s) in enumerate(path, start=1):
        x_t = x_s
        if progress is not None:
            progress(taken)
    return x_t
