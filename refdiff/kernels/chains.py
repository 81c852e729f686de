r"""The loops of the forward chain: a step after the other for a block of values that stays in the cache.

Coefficients, points and a numpy Generator go in; all noise is the Generator's own, to the bit. No fast arithmetic:
these are the numbers of the NumPy lines in :mod:`refdiff.forward`, which are the specification.
"""

import numpy as np

from refdiff.kernels.build import compiled

__all__ = ["blend", "moments", "walk"]


def walk(x, start, stop, signal, noise, rng):
    """Fill the columns start..stop of x from its row 0: each row is the one before times signal, plus noise times z.

    Parameters
    ----------
    x : ndarray, shape (T + 1, values)
        float32 or float64; a step is computed in float64 either way, and rounded once.
    start, stop : int
        The block of values that is walked.
    signal, noise : ndarray, shape (T + 1,)
    rng : numpy.random.Generator
        Of this block.
    """
    for t in range(1, len(x)):
        before, now = x[t - 1, start:stop], x[t, start:stop]
        z = rng.standard_normal(stop - start)
        for i in range(stop - start):
            now[i] = signal[t] * before[i] + noise[t] * z[i]


def moments(x, first, total, square, signal, noise, rng):
    """Walk chains without keeping the walk: only sums over the chains, at all t.

    The sums are taken around the first chain. That is a sample like the others, so however far from zero the mean
    lies, next to no digits cancel. Several chains are added up side by side, each column in the order that is written.

    Parameters
    ----------
    x : ndarray, shape (chains * values,)
        Where they start, one after the other; it ends as x_T.
    first : ndarray, shape (T + 1, values)
        Filled from t = 1 on with x_t of the first chain.
    total, square : ndarray, shape (T + 1, columns)
        Filled likewise with the sums of the differences to it, and of their squares. The columns hold a few whole
        chains, the next few are added to the same columns, and so on.
    signal, noise : ndarray, shape (T + 1,)
    rng : numpy.random.Generator
    """
    values, columns = first.shape[1], total.shape[1]
    around = np.empty(columns)
    for t in range(1, len(first)):
        z = rng.standard_normal(len(x))
        for i in range(len(x)):
            x[i] = signal[t] * x[i] + noise[t] * z[i]
        first[t] = x[:values]
        total_t, square_t = total[t], square[t]
        for j in range(columns):
            around[j] = x[j % values]
            total_t[j] = 0.0
            square_t[j] = 0.0
        for k in range(0, len(x), columns):
            some = x[k : k + columns]
            for j in range(len(some)):
                away = some[j] - around[j]
                total_t[j] += away
                square_t[j] += away * away


def blend(out, a, b, weights, t):
    """Fill out with weights[t, 0] a + weights[t, 1] b, a row of weights for each point; stop at a t that has none.

    Parameters
    ----------
    out, a, b : ndarray, shape (n, d)
    weights : ndarray, shape (T + 1, 2)
        Row 0 is nobody's.
    t : ndarray of uint64, shape (n,)
        Unsigned, so that what was negative is too large.

    Returns
    -------
    bool
        Whether all t are in 1..T; if not, `out` is of no use.
    """
    n, d = a.shape
    if d == 2:
        return blend_pairs(out, a, b, weights, t)
    end = np.uint64(len(weights))
    for i in range(n):
        step = t[i]
        if step == 0 or step >= end:
            return False
        for j in range(d):
            out[i, j] = weights[step, 0] * a[i, j] + weights[step, 1] * b[i, j]
    return True


def blend_pairs(out, a, b, weights, t):
    """Do what :func:`blend` does where d = 2: a loop of two turns would cost more than what it does."""
    end = np.uint64(len(weights))
    for i in range(len(a)):
        step = t[i]
        if step == 0 or step >= end:
            return False
        out[i, 0] = weights[step, 0] * a[i, 0] + weights[step, 1] * b[i, 0]
        out[i, 1] = weights[step, 0] * a[i, 1] + weights[step, 1] * b[i, 1]
    return True


walk = compiled(walk)
moments = compiled(moments)
blend_pairs = compiled(blend_pairs)
blend = compiled(blend)
