r"""The forward process q: a fixed Markov chain that turns data into noise.

Its definition is one line, q(x_t | x_{t-1}), and :func:`walk` is that line run T times. All other laws
here follow from it, and the catalogue judges each of them against the walk.
"""

import numpy as np

from refdiff.checks import check_rng, count, points, same_shape, table
from refdiff.gaussian import Gaussian
from refdiff.kernels.streams import Streams, blocks, each, spawn, threads_to_use

__all__ = ["covariance", "diffuse", "jump", "marginal", "transition", "walk", "walk_moments"]

# These numbers are measured, and change no law; but who draws from which stream depends on the first three.
SIDE_BY_SIDE = 8192  # values that are walked together: they and their noise stay in the cache
AT_A_TIME = 16  # blocks whose moments wait to be merged, each of a stream of its own
WORTH_LOADING = 2**20  # values from which on a walk is cut into blocks, and compiled loops are worth loading
COLUMNS = 64  # values whose sums are taken side by side


def transition(schedule, x_prev, t):
    r"""Return q(x_t | x_{t-1}), the definition of the forward process.

    .. math:: q(x_t \mid x_{t-1}) = \mathcal{N}\left(\sqrt{\alpha_t}\,x_{t-1},\; \beta_t I\right)

    Parameters
    ----------
    schedule : Schedule
    x_prev : array_like, shape (..., d)
        x_{t-1}.
    t : int or array_like of int
        In 1..T; one step, or one per point.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If x is not made of points or t is not a step for each of them.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 2. Identities: :eq:`eq-forward.transition`, :eq:`eq-forward.step_size`,
    :eq:`eq-bayes.markov`, :eq:`eq-bayes.rule`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> transition(Schedule.constant(3, 0.75), [2.0], 1).mean
    array([1.])
    """
    x_prev = points(x_prev, "x_prev")
    t = schedule.index(t, x_prev)
    return Gaussian(np.sqrt(schedule.alpha[t]) * x_prev, schedule.beta[t])


def jump(schedule, x_s, s, t):
    r"""Return q(x_t | x_s) for s < t: several steps at once.

    .. math:: q(x_t \mid x_s) = \mathcal{N}\left(\sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,x_s,\;
        \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right) I\right)

    Parameters
    ----------
    schedule : Schedule
    x_s : array_like, shape (..., d)
    s : int or array_like of int
        In 0..T - 1, below t. With s = 0 this is the marginal q(x_t | x_0).
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        As for :func:`transition`, and if s >= t.

    Notes
    -----
    Source: Kingma et al. (2021), appendix A. Identity: :eq:`eq-forward.jump`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> jump(Schedule.constant(3, 0.75), [4.0], 1, 3).mean
    array([1.])
    """
    x_s = points(x_s, "x_s")
    s, t = schedule.index(s, x_s, name="s", least=0), schedule.index(t, x_s)
    if not np.all(np.less(s, t)):
        raise ValueError(f"s must be below t; got s = {np.max(s)} and t = {np.min(t)}. The chain runs forward in t.")
    log_ratio = schedule.log_alpha_bar[t] - schedule.log_alpha_bar[s]
    return Gaussian(np.exp(log_ratio / 2) * x_s, -np.expm1(log_ratio))


def marginal(schedule, x_0, t):
    r"""Return q(x_t | x_0), the closed form of t steps.

    .. math:: q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; (1 - \bar\alpha_t) I\right)

    Parameters
    ----------
    schedule : Schedule
    x_0 : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        As for :func:`transition`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 4. Identities: :eq:`eq-forward.marginal`, :eq:`eq-forward.variance`,
    :eq:`eq-bayes.rule`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> marginal(Schedule.from_betas([0.1, 0.2]), [1.0], 2).var
    array([0.28])
    """
    x_0 = points(x_0, "x_0")
    t = schedule.index(t, x_0)
    return Gaussian(schedule.signal_rate[t] * x_0, schedule.one_minus_alpha_bar[t])


def diffuse(schedule, x_0, eps, t, *, dtype=np.float64):
    r"""Return x_t for a given noise: the reparameterised marginal.

    .. math:: x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon

    This eps is the merged noise of t steps. It is not the noise of step t, with which it correlates by
    sqrt(beta_t / (1 - alpha_bar_t)).

    Parameters
    ----------
    schedule : Schedule
    x_0, eps : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.
    dtype : {float64, float32}
        Of the result and of the arithmetic.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`transition`, and if the shapes of x_0 and eps differ, or `dtype` is neither of the two.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.2. Identity: :eq:`eq-forward.diffuse`.
    """
    dtype = _precision(dtype)
    x_0, eps = _points_of(x_0, "x_0", dtype), _points_of(eps, "eps", dtype)
    same_shape(x_0=x_0, eps=eps)
    signal, noise = (rate.astype(dtype, copy=False) for rate in (schedule.signal_rate, schedule.noise_rate))
    loops = _compiled_loops(x_0.size)
    if loops is not None and (x_t := _diffused(loops, x_0, eps, t, signal, noise)) is not None:
        return x_t
    t = schedule.index(t, x_0)
    return signal[t] * x_0 + noise[t] * eps


def _diffused(loops, x_0, eps, t, signal, noise):
    """Return x_t in one pass over the points; None where there is not a right t for each of them."""
    t = np.asarray(t)
    if t.dtype.kind not in "iu" or t.shape != x_0.shape[:-1]:
        return None
    flat = -1, x_0.shape[-1]
    t = np.ascontiguousarray(t.ravel().astype(np.int64, copy=False)).view(np.uint64)
    x_0, eps = np.ascontiguousarray(x_0), np.ascontiguousarray(eps)
    x_t = np.empty_like(x_0)
    weights = np.stack([signal, noise], axis=1)
    return x_t if loops.blend(x_t.reshape(flat), x_0.reshape(flat), eps.reshape(flat), weights, t) else None


def covariance(schedule, s, t):
    r"""Return Cov(x_s, x_t | x_0) of one coordinate of the chain.

    .. math:: \operatorname{Cov}(x_s, x_t \mid x_0) = \sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,(1 - \bar\alpha_s),
        \qquad s \le t

    Parameters
    ----------
    schedule : Schedule
    s, t : int or array_like of int
        In 1..T; symmetric in the two, and they broadcast.

    Returns
    -------
    ndarray

    Notes
    -----
    Source: from q(x_t | x_s), Kingma et al. (2021), appendix A. Identity: :eq:`eq-forward.covariance`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(covariance(Schedule.constant(3, 0.75), 1, 2))
    0.375
    """
    s, t = schedule.index(s, name="s"), schedule.index(t)
    s, t = np.minimum(s, t), np.maximum(s, t)
    log_alpha_bar = schedule.log_alpha_bar
    return np.exp((log_alpha_bar[t] - log_alpha_bar[s]) / 2) * schedule.one_minus_alpha_bar[s]


def walk(schedule, x_0, rng, *, dtype=np.float64, threads=1, out=None):
    r"""Draw whole chains x_0, x_1, ..., x_T: the definition of the forward process and nothing else.

    .. math:: x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t, \qquad \epsilon_t \sim \mathcal{N}(0, I)

    Parameters
    ----------
    schedule : Schedule
    x_0 : array_like, shape (n, d)
        Where the n chains start.
    rng : numpy.random.Generator
        A short walk draws from it, one step after the other. Of a longer one, of a million draws, each block of chains
        has a generator of its own, seeded by what this one draws.
    dtype : {float64, float32}
        Of the result. A step is computed in float64 and rounded once.
    threads : int or None
        How many blocks are walked at a time; None is one for each processor. The result is the same, to the bit.
    out : ndarray, shape (T + 1, n, d), optional
        Where to write, contiguous and of that dtype: a new array of many megabytes costs time of its own.

    Returns
    -------
    ndarray, shape (T + 1, n, d)
        Entry t holds x_t; entry 0 is x_0. It is `out`, if that was given.

    Raises
    ------
    TypeError
        If `rng` is not a Generator, x_0 is not made of real numbers, or `dtype` is neither of the two.
    ValueError
        If x_0 is not of shape (n, d) and finite, `threads` is below 1, or `out` is not as it must be.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 2. Identity: :eq:`eq-forward.walk`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> walk(Schedule.linear(), np.zeros((5, 2)), np.random.default_rng(0)).shape
    (1001, 5, 2)
    """
    x_0, rng, dtype, threads = table(x_0, "x_0"), check_rng(rng), _precision(dtype), threads_to_use(threads)
    n, d = x_0.shape
    signal, noise = np.sqrt(schedule.alpha), np.sqrt(schedule.beta)
    x = _room((schedule.T + 1, n, d), dtype, out)
    x[0] = x_0

    def steps(block):
        rows, generator = block
        x_t = np.empty(x_0[rows].shape)
        for t in range(1, schedule.T + 1):  # in place, because copies would take longer than the arithmetic
            generator.standard_normal(out=x_t)
            x_t *= noise[t]
            x_t += signal[t] * x[t - 1, rows]
            x[t, rows] = x_t

    def steps_compiled(block):
        rows, generator = block
        loops.walk(x.reshape(-1, n * d), d * rows.start, d * rows.stop, signal, noise, generator)

    if n * d * schedule.T < WORTH_LOADING:
        steps((slice(n), rng))
        return x
    loops = _compiled_loops(x.size)
    streams = Streams(rng, n, _share(n, SIDE_BY_SIDE // d))
    each(steps if loops is None else steps_compiled, zip(streams.rows, streams.generators), threads)
    return x


def walk_moments(schedule, x_0, n, rng, *, threads=1):
    r"""Return mean and variance of n chains at every t, drawn as :func:`walk` does and not kept.

    .. math:: \bar x_t = \frac1n \sum_{i=1}^n x_t^{(i)}, \qquad
        v_t = \frac{1}{n - 1} \sum_{i=1}^n \left(x_t^{(i)} - \bar x_t\right)^2

    They are unbiased: on average the mean and the variance of q(x_t | x_0). What memory is needed does not depend on n.

    Parameters
    ----------
    schedule : Schedule
    x_0 : array_like, shape (..., d)
        Where the chains start: n from each point.
    n : int
        At least 2: one chain has no variance.
    rng : numpy.random.Generator
        Each block of chains has a generator of its own, seeded by what this one draws.
    threads : int or None
        How many blocks are walked at a time; None is one for each processor. The result is the same, to the bit.

    Returns
    -------
    mean, var : ndarray, shape (T + 1, ..., d)
        Entry t is about x_t; entry 0 is x_0, and 0.

    Raises
    ------
    TypeError
        If `rng` is not a Generator, x_0 is not made of real numbers, or n is not an integer.
    ValueError
        If x_0 is not of shape (..., d) and finite, n is below 2, or `threads` below 1.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 4, for what they are moments of. Blocks are merged as in Chan, Golub &
    LeVeque (1983). Identity: :eq:`eq-forward.walk_moments`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> mean, var = walk_moments(Schedule.constant(3, 0.75), [4.0], 10_000, np.random.default_rng(0))
    >>> mean.round(1).ravel()
    array([4. , 2. , 1. , 0.5])
    """
    x_0 = points(x_0, "x_0")
    table(x_0.reshape(x_0.size // max(1, x_0.shape[-1]), x_0.shape[-1]), "x_0")
    n, rng, threads = count(n, "n", least=2), check_rng(rng), threads_to_use(threads)
    signal, noise = np.sqrt(schedule.alpha), np.sqrt(schedule.beta)
    columns = x_0.size * max(1, COLUMNS // x_0.size)
    size = _share(n, max(16, SIDE_BY_SIDE // x_0.size))
    loops = _compiled_loops(n * x_0.size * schedule.T)
    sums = _sums if loops is None else loops.moments

    def of_block(block):
        rows, generator = block
        chains = rows.stop - rows.start
        x, first = np.tile(x_0.ravel(), chains), np.zeros((schedule.T + 1, x_0.size))
        total, square = np.zeros((2, schedule.T + 1, columns))
        sums(x, first, total, square, signal, noise, generator)
        total, square = (one.reshape(len(first), -1, x_0.size).sum(axis=1) for one in (total, square))
        return chains, first + total / chains, square - total**2 / chains

    found, batch = None, AT_A_TIME * size
    generators = spawn(rng, len(blocks(min(n, batch), size)))  # each goes on with the block of the next batch
    for start in range(0, n, batch):
        for one in each(of_block, zip(blocks(min(n - start, batch), size), generators), threads):
            found = one if found is None else _merged(found, one)
    _, mean, squares = found
    mean[0], squares[0] = x_0.ravel(), 0.0
    shape = schedule.T + 1, *x_0.shape
    return mean.reshape(shape), (squares / (n - 1)).reshape(shape)


def _sums(x, first, total, square, signal, noise, rng):
    """Do in NumPy what the compiled loop ``moments`` of :mod:`refdiff.kernels.chains` does."""
    values, columns = first.shape[1], total.shape[1]
    full = len(x) // columns * columns
    for t in range(1, len(signal)):
        x[:] = signal[t] * x + noise[t] * rng.standard_normal(len(x))
        first[t] = x[:values]
        away = (x.reshape(-1, values) - first[t]).ravel()
        for sums, terms in ((total[t], away), (square[t], away**2)):
            sums[:] = terms[:full].reshape(-1, columns).sum(axis=0)
            sums[: len(x) - full] += terms[full:]


def _merged(one, other):
    """Return number, mean and sum of squares around the mean of two sets of chains together."""
    (n, mean, squares), (m, mean_too, squares_too) = one, other
    apart = mean_too - mean
    return n + m, mean + apart * (m / (n + m)), squares + squares_too + apart**2 * (n * m / (n + m))


def _share(n, most):
    """Return the size of blocks of at most `most` points: a multiple of four of them if one is not enough, and alike.

    Then two, three or four threads are done together.
    """
    number = -(-n // max(1, most))
    return n if number == 1 else -(-n // (4 * -(-number // 4)))


def _room(shape, dtype, out):
    """Return an array of this shape and dtype: a new one, or `out` if it is one."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an array; got {type(out).__name__}.")
    if out.shape != shape or out.dtype != dtype or not out.flags.carray:
        raise ValueError(
            f"out must be contiguous, writeable, {np.dtype(dtype)} and of shape (T + 1, n, d) = {shape}; got"
            f" {out.dtype} of shape {out.shape}. Is dtype= given as well?"
        )
    return out


def _precision(dtype):
    """Return a dtype that is float64 or float32."""
    try:
        found = dtype if dtype is None else np.dtype(dtype)  # None would be float64
    except TypeError:
        found = dtype
    if found not in (np.float64, np.float32):
        raise TypeError(f"dtype must be float64 or float32; got {found!r}.")
    return found


def _points_of(value, name, dtype):
    """Return `value` as points of this dtype: as it is, if it is one already."""
    if type(value) is np.ndarray and value.dtype == dtype and value.ndim:
        return value
    return points(value, name).astype(dtype, copy=False)


def _compiled_loops(values):
    """Return the compiled loops if so many values make it worth loading them, and Numba is not switched off."""
    if values < WORTH_LOADING:
        return None
    from refdiff.kernels import build, chains

    return chains if build.ENABLED else None
