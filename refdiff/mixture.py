r"""Gaussian-mixture data: the case in which everything that a network only learns is known exactly.

A mixture stays a mixture when it diffuses, so the density of x_t, its score, the ideal denoiser and the true
reverse kernel q(x_{t-1} | x_t) are closed forms, and a trained model can be measured against the truth.
"""

import numpy as np

from refdiff.checks import check_rng, count, points, real
from refdiff.gaussian import LOG_2_PI

__all__ = ["GaussianMixture", "PointwiseMixture"]

GRID_LIMIT = 16_000_000  # points of a quadrature: a few seconds' work


def log_sum_exp(x):
    """Return log sum exp over the last axis without overflow."""
    top = x.max(axis=-1, keepdims=True)
    with np.errstate(under="ignore"):
        return top[..., 0] + np.log(np.exp(x - top).sum(axis=-1))


def log_components(x, weights, means, variances):
    """Return log(w_k N(x; m_k, v_k)) for each component, shape (..., K)."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    quadratic = LOG_2_PI + np.log(variances) + (x[..., None, :] - means) ** 2 / variances
    return log_weights - 0.5 * quadratic.sum(axis=-1)


def responsibilities(log_joint):
    """Return the probability of each component, shape (..., K), from log(w_k N(x; m_k, v_k))."""
    with np.errstate(under="ignore"):
        return np.exp(log_joint - log_sum_exp(log_joint)[..., None])


class GaussianMixture:
    r"""A mixture of K Gaussians with independent coordinates.

    .. math:: q(x) = \sum_k w_k\,\mathcal{N}\left(x; m_k, \operatorname{diag}(v_k)\right)

    Parameters
    ----------
    weights : array_like, shape (K,)
        Not negative, and they sum to 1 within 1e-9.
    means : array_like, shape (K, d)
    variances : array_like
        One number, (K,) for one per component, or (K, d).

    Raises
    ------
    TypeError
        If an argument is not made of real numbers.
    ValueError
        If the shapes do not fit, a weight is negative, the weights do not sum to 1, or a variance is not > 0.

    Notes
    -----
    Source: Bishop (2006), section 2.3.9. Identities: ``mixture.*``.

    Examples
    --------
    >>> data = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25])
    >>> data.mean, data.var.round(4)
    (array([0.1]), array([2.092]))
    """

    def __init__(self, weights, means, variances):
        weights, means, variances = real(weights, "weights"), real(means, "means"), real(variances, "variances")
        if weights.ndim != 1 or means.ndim != 2 or weights.size != len(means) or weights.size == 0:
            raise ValueError(f"weights must be (K,) and means (K, d); got {weights.shape} and {means.shape}.")
        if not (weights >= 0).all() or not abs(weights.sum() - 1) <= 1e-9:
            raise ValueError(f"weights must be >= 0 and sum to 1; got {weights} with sum {weights.sum()}.")
        if not (variances > 0).all() or not np.isfinite(variances).all():
            raise ValueError(f"variances must be > 0 and finite; got {variances.min()}. A standard deviation squared?")
        if not np.isfinite(means).all():
            raise ValueError("means must be finite; got NaN or inf.")
        if variances.shape not in ((), (len(means),), means.shape):
            raise ValueError(f"variances must be one number, (K,) or (K, d) = {means.shape}; got {variances.shape}.")
        if variances.ndim == 1:
            variances = variances[:, None]
        self.weights, self.means = weights / weights.sum(), means.copy()
        self.variances = np.broadcast_to(variances, means.shape).copy()
        for array in (self.weights, self.means, self.variances):
            array.flags.writeable = False

    def __repr__(self):
        return f"GaussianMixture(K={len(self.weights)}, d={self.means.shape[1]})"

    @property
    def mean(self):
        r"""The mean of the mixture, shape (d,).

        .. math:: \mathbb{E}[x] = \sum_k w_k m_k

        Identity: :eq:`eq-mixture.moments`.
        """
        return self.weights @ self.means

    @property
    def var(self):
        r"""The variance of each coordinate, shape (d,).

        .. math:: \operatorname{Var}[x] = \sum_k w_k \left(v_k + m_k^2\right) - \mathbb{E}[x]^2

        Identity: :eq:`eq-mixture.moments`.
        """
        return self.weights @ (self.variances + (self.means - self.mean) ** 2)

    def sample(self, n, rng):
        r"""Draw n points: first the component, then the point.

        .. math:: k \sim w, \qquad x = m_k + \sqrt{v_k}\,z, \qquad z \sim \mathcal{N}(0, I)

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n, d)

        Raises
        ------
        TypeError, ValueError
            If n is not a positive integer or `rng` not a Generator.

        Notes
        -----
        Source: Bishop (2006), section 8.1.2. Identity: :eq:`eq-mixture.sample`.
        """
        n = count(n, "n")
        k = check_rng(rng).choice(len(self.weights), size=n, p=self.weights)
        return self.means[k] + np.sqrt(self.variances[k]) * rng.standard_normal((n, self.means.shape[1]))

    def _points(self, x, name):
        x = points(x, name)
        if x.shape[-1] != self.means.shape[1]:
            raise ValueError(f"{name} must have d = {self.means.shape[1]} on its last axis; got shape {x.shape}.")
        return x

    def log_density(self, x):
        r"""Return log q(x) in nats.

        .. math:: \log q(x) = \log \sum_k w_k\,\mathcal{N}(x; m_k, v_k)

        Parameters
        ----------
        x : array_like, shape (..., d)

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            If the last axis of x is not d.

        Notes
        -----
        Source: Bishop (2006), eq. 2.188. Identity: :eq:`eq-mixture.log_density`.

        Examples
        --------
        >>> data = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 1.0)
        >>> float(data.log_density([0.0]))
        -1.4189385332046727
        """
        return log_sum_exp(log_components(self._points(x, "x"), self.weights, self.means, self.variances))

    def score(self, x):
        r"""Return the gradient of log q at x.

        .. math:: \nabla_x \log q(x) = -\sum_k r_k(x)\,\frac{x - m_k}{v_k}, \qquad
            r_k(x) = \frac{w_k\,\mathcal{N}(x; m_k, v_k)}{q(x)}

        Parameters
        ----------
        x : array_like, shape (..., d)

        Returns
        -------
        ndarray, shape (..., d)

        Raises
        ------
        ValueError
            If the last axis of x is not d.

        Notes
        -----
        Source: differentiating the density. Identity: :eq:`eq-mixture.score`.

        Examples
        --------
        >>> GaussianMixture([1.0], [[0.0, 0.0]], 2.0).score([1.0, 2.0])
        array([-0.5, -1. ])
        """
        x = self._points(x, "x")
        r = responsibilities(log_components(x, self.weights, self.means, self.variances))
        return np.sum(r[..., None] * (self.means - x[..., None, :]) / self.variances, axis=-2)

    def expectation(self, f, tolerance=1e-10):
        r"""Return E f(x) under the mixture by quadrature: the trapezoid rule, refined until it settles.

        .. math:: \mathbb{E}[f(x)] = \int f(x)\,q(x)\,dx

        For a smooth f that grows no faster than a polynomial the error falls faster than any power of the step: a grid
        twice as fine about squares it. Two such grids have to agree. An f that varies far faster than the density may
        deceive both.

        Parameters
        ----------
        f : callable
            Maps points (n, d) to values (n, ...).
        tolerance : float
            What two grids may differ by, relative to the larger of 1 and the value.

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            If d > 2, where a grid is too large: use the mean over a sample.
        RuntimeError
            If it does not settle on 16 million points: components too narrow for their distance, or an f that is not
            smooth.

        Notes
        -----
        Source: Trefethen & Weideman (2014), section 5. Identity: :eq:`eq-mixture.expectation`.

        Examples
        --------
        >>> GaussianMixture([1.0], [[2.0]], 3.0).expectation(lambda x: x[:, 0] ** 2).round(9)
        np.float64(7.0)
        """
        d, std = self.means.shape[1], np.sqrt(self.variances)
        if d > 2:
            raise ValueError(f"expectation needs d <= 2; got d = {d}. Use the mean of f over a sample.")
        low, high = (self.means - 10 * std).min(axis=0), (self.means + 10 * std).max(axis=0)
        # half the least std resolves the density itself; what f adds, such as the log of the density, asks for more
        cells = np.ceil((high - low) / (std.min(axis=0) / 2))
        before = None
        while cells.prod() <= GRID_LIMIT:
            value = self._trapezoid(f, low, high, cells.astype(int))
            if before is not None and np.all(np.abs(value - before) <= tolerance * np.maximum(1, np.abs(value))):
                return value
            # twice as fine squares the error; the odd point keeps what oscillates from fitting both grids
            before, cells = value, 2 * cells + 1
        raise RuntimeError(
            f"the quadrature did not settle to {tolerance} on {GRID_LIMIT:,} points: components too narrow for their"
            " distance, or f not smooth. Use the mean of f over a sample."
        )

    def _trapezoid(self, f, low, high, cells):
        """Return the integral of f q over a box: a sum over grid points, in blocks."""
        axes = [np.linspace(a, b, n + 1) for a, b, n in zip(low, high, cells)]
        total = 0.0
        for block in np.array_split(axes[0], max(1, int(np.prod(cells + 1)) // 100_000)):
            x = np.stack(np.meshgrid(block, *axes[1:], indexing="ij"), axis=-1).reshape(-1, len(axes))
            values = np.asarray(f(x), dtype=float)
            if values.shape[:1] != (len(x),):
                raise ValueError(f"f must map (n, d) to (n, ...); got {values.shape} for points {x.shape}.")
            with np.errstate(under="ignore"):
                density = np.exp(self.log_density(x)).reshape(-1, *[1] * (values.ndim - 1))
                total = total + np.sum(density * values, axis=0)  # not by BLAS, whose digits depend on its threads
        return total * np.prod((high - low) / cells)

    def entropy(self):
        r"""Return the differential entropy of the mixture, by quadrature, in nats.

        .. math:: H[q] = -\mathbb{E}[\log q(x)]

        It is the least value that the mean of any bound on -log p(x_0) over these data can have.

        Returns
        -------
        float

        Raises
        ------
        ValueError, RuntimeError
            As for :meth:`expectation`.

        Notes
        -----
        Source: Cover & Thomas (2006), eq. 8.1. Identity: :eq:`eq-mixture.entropy`.

        Examples
        --------
        >>> round(GaussianMixture([1.0], [[0.0]], 1.0).entropy(), 9)
        1.418938533
        """
        return float(self.expectation(lambda x: -self.log_density(x)))

    def diffused(self, schedule, t):
        r"""Return the law of x_t, which is a mixture again.

        .. math:: q(x_t) = \sum_k w_k\,\mathcal{N}\left(x_t; \sqrt{\bar\alpha_t}\,m_k,\;
            \bar\alpha_t v_k + 1 - \bar\alpha_t\right)

        Parameters
        ----------
        schedule : Schedule
        t : int
            In 0..T; 0 is the data.

        Returns
        -------
        GaussianMixture

        Raises
        ------
        TypeError, ValueError
            If t is not one integer in 0..T.

        Notes
        -----
        Source: the marginal of Ho, Jain & Abbeel (2020), eq. 4, integrated over x_0.
        Identity: :eq:`eq-mixture.diffused`.
        """
        t = schedule.index(t, least=0)
        if np.ndim(t):
            raise ValueError(f"diffused takes one step t; got shape {np.shape(t)}.")
        return GaussianMixture(self.weights, *self._at(schedule, t))

    def _at(self, schedule, t):
        """Return the means and variances of x_t's components: (K, d), or (..., K, d) for t of shape (..., 1)."""
        if np.ndim(t):
            t = t[..., None]
        means = schedule.signal_rate[t] * self.means
        return means, schedule.alpha_bar[t] * self.variances + schedule.one_minus_alpha_bar[t]

    def denoiser(self, schedule):
        r"""Return the ideal denoiser, the best that any network can predict.

        .. math:: \epsilon^*(x_t, t) = \mathbb{E}[\epsilon \mid x_t]
            = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t)

        Parameters
        ----------
        schedule : Schedule

        Returns
        -------
        callable
            ``denoiser(x_t, t) -> eps_hat``, with x_t of shape (..., d) and t one step or one per point.

        Notes
        -----
        Source: Vincent (2011); Ho, Jain & Abbeel (2020), section 3.2. Identities: :eq:`eq-mixture.denoiser`,
        :eq:`eq-mixture.loss_floor`.
        """

        def denoiser(x_t, t):
            x_t = self._points(x_t, "x_t")
            t = schedule.index(t, x_t)
            means, variances = self._at(schedule, t)
            r = responsibilities(log_components(x_t, self.weights, means, variances))
            score = np.sum(r[..., None] * (means - x_t[..., None, :]) / variances, axis=-2)
            return -schedule.noise_rate[t] * score

        return denoiser

    def eps_loss(self, schedule, *, progress=None):
        r"""Return the mean squared error of the ideal denoiser, per coordinate, at each t: by quadrature.

        .. math:: \frac1d\,\mathbb{E}\Vert\epsilon - \epsilon^*(x_t, t)\Vert^2
            = \frac{\bar\alpha_t}{1 - \bar\alpha_t}\,
            \frac1d\,\mathbb{E}_{q(x_t)} \operatorname{tr}\operatorname{Cov}[x_0 \mid x_t]
            = 1 - \frac1d\,\mathbb{E}\Vert\epsilon^*(x_t, t)\Vert^2

        The loss that no network can go below. :func:`refdiff.reverse.optimal_var` and
        :func:`refdiff.likelihood.mixture_bound` are made of it.

        Parameters
        ----------
        schedule : Schedule
        progress : callable, optional
            Called as ``progress(t)`` after each t: with many components in 2-D each takes a tenth of a second.

        Returns
        -------
        ndarray, shape (T + 1,)
            In [0, 1]; entry 0 is 0.

        Raises
        ------
        ValueError, RuntimeError
            As for :meth:`expectation`.

        Notes
        -----
        Source: the law of total variance; the last form is that of Bao et al. (2022), theorem 1.
        Identity: :eq:`eq-mixture.eps_loss`.

        Examples
        --------
        >>> from refdiff import Schedule
        >>> GaussianMixture([1.0], [[0.0]], 1.0).eps_loss(Schedule.from_betas([0.5, 0.5])).round(9)
        array([0.  , 0.5 , 0.25])
        """
        losses = np.zeros(schedule.T + 1)
        for t in range(1, schedule.T + 1):
            left_open = self.diffused(schedule, t).expectation(
                lambda x, t=t: self.posterior_x_0(schedule, x, t).var.mean(axis=-1)
            )
            losses[t] = schedule.snr[t] * left_open
            if progress is not None:
                progress(t)
        return losses

    def posterior_x_0(self, schedule, x_t, t):
        r"""Return q(x_0 | x_t), all that x_t says about where it came from.

        .. math:: q(x_0 \mid x_t) = \sum_k r_k(x_t)\,
            \mathcal{N}\left(x_0;\; m_k + g_k\,(x_t - \sqrt{\bar\alpha_t}\,m_k),\;
            \frac{(1 - \bar\alpha_t)\,v_k}{\bar\alpha_t v_k + 1 - \bar\alpha_t}\right), \qquad
            g_k = \frac{\sqrt{\bar\alpha_t}\,v_k}{\bar\alpha_t v_k + 1 - \bar\alpha_t}

        Parameters
        ----------
        schedule : Schedule
        x_t : array_like, shape (..., d)
        t : int or array_like of int
            In 1..T.

        Returns
        -------
        PointwiseMixture

        Notes
        -----
        Source: Bayes' rule within each component, Bishop (2006), eq. 2.116. Identities: :eq:`eq-mixture.posterior_x_0`,
        :eq:`eq-mixture.loss_floor`.
        """
        x_t = self._points(x_t, "x_t")
        t = schedule.index(t, x_t)
        means, variances = self._at(schedule, t)
        r = responsibilities(log_components(x_t, self.weights, means, variances))
        t = t if np.ndim(t) == 0 else t[..., None]
        gain = schedule.signal_rate[t] * self.variances / variances
        left = schedule.one_minus_alpha_bar[t] * self.variances / variances
        return PointwiseMixture(r, self.means + gain * (x_t[..., None, :] - means), left)

    def reverse_kernel(self, schedule, x_t, t):
        r"""Return the true q(x_{t-1} | x_t): the posterior, averaged over the x_0 that x_t may have come from.

        .. math:: q(x_{t-1} \mid x_t) = \int q(x_{t-1} \mid x_t, x_0)\,q(x_0 \mid x_t)\,dx_0
            = \sum_k r_k(x_t)\,
            \mathcal{N}\left(x_{t-1};\; A_t x_t + B_t\,m_{k|t},\; \tilde\beta_t + B_t^2\,v_{k|t}\right)

        with A_t, B_t the coefficients of x_t and x_0 in the posterior's mean and m_{k|t}, v_{k|t} the moments of
        q(x_0 | x_t, k). It is a mixture, wider than q(x_{t-1} | x_t, x_0), and not Gaussian; it becomes so as
        beta_t goes to 0.

        Parameters
        ----------
        schedule : Schedule
        x_t : array_like, shape (..., d)
        t : int or array_like of int
            In 1..T.

        Returns
        -------
        PointwiseMixture

        Notes
        -----
        Source: Sohl-Dickstein et al. (2015), section 2.2; Ho, Jain & Abbeel (2020), eq. 6, integrated over x_0.
        Identities: :eq:`eq-mixture.reverse_kernel`, :eq:`eq-mixture.gaussian_limit`.
        """
        x_t = self._points(x_t, "x_t")
        origin = self.posterior_x_0(schedule, x_t, t)
        t = schedule.index(t, x_t)
        t = t if np.ndim(t) == 0 else t[..., None]
        one_minus_alpha_bar = schedule.one_minus_alpha_bar
        a = np.sqrt(schedule.alpha[t]) * one_minus_alpha_bar[t - 1] / one_minus_alpha_bar[t]
        b = schedule.signal_rate[t - 1] * schedule.beta[t] / one_minus_alpha_bar[t]
        means = a * x_t[..., None, :] + b * origin.means
        return PointwiseMixture(origin.weights, means, schedule.beta_tilde[t] + b**2 * origin.variances)


class PointwiseMixture:
    r"""One mixture of K Gaussians for each point x_t: a conditional law such as q(x_0 | x_t).

    .. math:: q(y \mid x) = \sum_k r_k(x)\,\mathcal{N}\left(y; m_k(x), \operatorname{diag}(v_k(x))\right)

    Parameters
    ----------
    weights : ndarray, shape (..., K)
    means : ndarray, shape (..., K, d)
    variances : ndarray
        Broadcastable to the means.
    """

    def __init__(self, weights, means, variances):
        self.weights, self.means = weights, means
        self.variances = np.broadcast_to(variances, means.shape)

    def __repr__(self):
        *points, K, d = self.means.shape
        return f"PointwiseMixture(points {tuple(points)}, K={K}, d={d})"

    @property
    def mean(self):
        r"""The conditional mean, shape (..., d).

        .. math:: \mathbb{E}[y \mid x] = \sum_k r_k m_k

        Identity: :eq:`eq-mixture.pointwise_moments`.
        """
        return np.sum(self.weights[..., None] * self.means, axis=-2)

    @property
    def var(self):
        r"""The conditional variance of each coordinate, shape (..., d).

        .. math:: \operatorname{Var}[y \mid x] = \sum_k r_k \left(v_k + (m_k - \mathbb{E}[y \mid x])^2\right)

        Identity: :eq:`eq-mixture.pointwise_moments`.
        """
        spread = self.variances + (self.means - self.mean[..., None, :]) ** 2
        return np.sum(self.weights[..., None] * spread, axis=-2)

    def log_density(self, y):
        r"""Return log q(y | x) in nats.

        .. math:: \log q(y \mid x) = \log \sum_k r_k\,\mathcal{N}(y; m_k, v_k)

        Parameters
        ----------
        y : array_like, shape (..., d)
            Leading axes broadcast with those of x.

        Returns
        -------
        ndarray, shape (...)

        Notes
        -----
        Source: Bishop (2006), section 5.6. Identity: :eq:`eq-mixture.pointwise_log_density`.
        """
        return log_sum_exp(log_components(points(y, "y"), self.weights, self.means, self.variances))

    def sample(self, rng):
        r"""Draw one y for each x: first the component, then the point.

        .. math:: k \sim r(x), \qquad y = m_k + \sqrt{v_k}\,z, \qquad z \sim \mathcal{N}(0, I)

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (..., d)

        Raises
        ------
        TypeError
            If `rng` is not a Generator.

        Notes
        -----
        Source: Bishop (2006), section 8.1.2. Identity: :eq:`eq-mixture.pointwise_sample`.
        """
        u = check_rng(rng).random(self.weights.shape[:-1])
        below = np.cumsum(self.weights, axis=-1)[..., :-1] < u[..., None]  # the last edge is 1 but for rounding
        k = below.sum(axis=-1)[..., None, None]
        mean = np.take_along_axis(self.means, k, axis=-2)[..., 0, :]
        var = np.take_along_axis(self.variances, k, axis=-2)[..., 0, :]
        return mean + np.sqrt(var) * rng.standard_normal(mean.shape)
