r"""Gaussians: the only distribution of the forward process, and the currency of the bound.

A diagonal :class:`Gaussian` serves every step of the chain; :class:`FullGaussian` carries a whole
covariance for joints over time. Log-densities, entropies and divergences sum over the last axis, in nats.
"""

import math

import numpy as np

from refdiff.checks import check_rng, points, real, same_shape

__all__ = [
    "FullGaussian",
    "Gaussian",
    "bits",
    "cross_entropy",
    "from_natural",
    "full_kl",
    "kl",
    "kl_equal_var",
    "linear_combination",
    "product",
]

LOG_2_PI = math.log(2 * math.pi)


class Gaussian:
    r"""A Gaussian with independent coordinates.

    .. math:: \mathcal{N}(x; \mu, \operatorname{diag}(\sigma^2))
        = \prod_i \frac{1}{\sqrt{2\pi\sigma_i^2}} \exp\left(-\frac{(x_i - \mu_i)^2}{2\sigma_i^2}\right)

    Parameters
    ----------
    mean : array_like, shape (..., d)
    var : array_like
        The variance, not the standard deviation: one number, (..., 1) for one per point, or (..., d).
    point_mass : bool
        Allow variance 0, the limit that q(x_{t-1} | x_t, x_0) reaches at t = 1. A point mass can be
        sampled; it has no density, entropy or divergence, and asking for one raises.

    Raises
    ------
    TypeError
        If an argument is not made of real numbers.
    ValueError
        If a variance is negative, zero (without `point_mass`) or NaN, or does not fit the mean's shape.

    Notes
    -----
    Identities: :eq:`eq-gaussian.log_density`, :eq:`eq-gaussian.entropy`, :eq:`eq-gaussian.sample`.

    Examples
    --------
    >>> Gaussian([0.0, 0.0], 4.0).std
    array([2., 2.])
    """

    __slots__ = ("_mean", "_var")

    def __init__(self, mean, var, *, point_mass=False):
        mean, var = points(mean, "mean"), real(var, "var")
        allowed = var >= 0 if point_mass else var > 0
        if not allowed.all():
            worst = var[~allowed].flat[0]
            cause = (
                "A variance of 0 is a point mass: pass point_mass=True if that is meant."
                if worst == 0
                else "Usual cause: a log-variance, or a difference that lost its digits."
            )
            raise ValueError(f"var must be > 0; got {worst}. {cause}")
        try:
            var = np.broadcast_to(var, mean.shape)
        except ValueError:
            raise ValueError(
                f"var must be one number, (..., 1) or (..., d) beside a mean of shape {mean.shape}; got {var.shape}."
                " One variance per point? Add an axis: var[..., None]."
            ) from None
        self._mean, self._var = mean, var

    @property
    def mean(self):
        """The mean, shape (..., d)."""
        return self._mean

    @property
    def var(self):
        """The variance of each coordinate, shape (..., d)."""
        return self._var

    @property
    def std(self):
        """The standard deviation of each coordinate, shape (..., d)."""
        return np.sqrt(self._var)

    def __repr__(self):
        return f"Gaussian(mean={self.mean!r}, var={self.var!r})"

    def _require_density(self, what):
        if not (self.var > 0).all():
            raise ValueError(
                f"{what} needs var > 0; got 0. A point mass has none: at t = 1 the posterior is exactly x_0"
                " (beta_tilde_1 = 0), and the decoder takes its place."
            )

    def log_density(self, x):
        r"""Return log N(x; mean, var), summed over the last axis, in nats.

        .. math:: \log \mathcal{N}(x; \mu, \sigma^2) = -\tfrac12 \sum_i
            \left[\log 2\pi\sigma_i^2 + \frac{(x_i - \mu_i)^2}{\sigma_i^2}\right]

        Parameters
        ----------
        x : array_like, shape (..., d)
            Points; leading axes broadcast with those of the mean.

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            For a point mass, or if the last axes differ.

        Notes
        -----
        Source: Ho, Jain & Abbeel (2020), eq. 2. Identity: :eq:`eq-gaussian.log_density`.

        Examples
        --------
        >>> float(Gaussian([0.0], 1.0).log_density([0.0]))
        -0.9189385332046727
        """
        self._require_density("log_density")
        x = points(x, "x")
        if x.shape[-1] != self.mean.shape[-1]:
            raise ValueError(f"x must have d = {self.mean.shape[-1]} on its last axis; got shape {x.shape}.")
        return -0.5 * np.sum(LOG_2_PI + np.log(self.var) + (x - self.mean) ** 2 / self.var, axis=-1)

    def entropy(self):
        r"""Return the differential entropy, summed over the last axis, in nats.

        .. math:: H = \tfrac12 \sum_i \log 2\pi e \sigma_i^2

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            For a point mass.

        Notes
        -----
        Source: Cover & Thomas (2006), eq. 8.9. Identity: :eq:`eq-gaussian.entropy`.

        Examples
        --------
        >>> float(Gaussian([0.0], 1.0).entropy())
        1.4189385332046727
        """
        self._require_density("entropy")
        return 0.5 * np.sum(1 + LOG_2_PI + np.log(self.var), axis=-1)

    def sample(self, rng):
        r"""Draw one sample for each point: the reparameterisation of a standard normal.

        .. math:: x = \mu + \sigma z, \qquad z \sim \mathcal{N}(0, I)

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
        Source: Ho, Jain & Abbeel (2020), Algorithm 2. Identity: :eq:`eq-gaussian.sample`.

        Examples
        --------
        >>> Gaussian(np.zeros((3, 2)), 1.0).sample(np.random.default_rng(0)).shape
        (3, 2)
        """
        return self.mean + self.std * check_rng(rng).standard_normal(self.mean.shape)


def _pair(q, p):
    """Check that `q` and `p` are Gaussians with densities over the same d."""
    for name, one in (("q", q), ("p", p)):
        if not isinstance(one, Gaussian):
            raise TypeError(f"{name} must be a Gaussian; got {type(one).__name__}.")
        one._require_density("kl")
    if q.mean.shape[-1] != p.mean.shape[-1]:
        raise ValueError(f"q and p must have the same d; got {q.mean.shape[-1]} and {p.mean.shape[-1]}.")


def kl(q, p):
    r"""Return KL(q || p) of two diagonal Gaussians, summed over the last axis, in nats.

    .. math:: \mathrm{KL}(q \Vert p) = \tfrac12 \sum_i \left[
        \frac{(\mu_{q,i} - \mu_{p,i})^2}{\sigma_{p,i}^2} + r_i - \log(1 + r_i) \right],
        \qquad 1 + r_i = \frac{\sigma_{q,i}^2}{\sigma_{p,i}^2}

    Written in the relative difference r of the variances, the part that does not depend on the means keeps
    its digits where the two nearly agree, as beta_t and beta_tilde_t do for large t.

    Parameters
    ----------
    q, p : Gaussian
        Over points of the same d; leading axes broadcast.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    TypeError
        If an argument is not a Gaussian.
    ValueError
        For point masses, or if d differs.

    Notes
    -----
    Source: Kullback (1959), ch. 9; Ho, Jain & Abbeel (2020), eq. 5 and 8. Identity: :eq:`eq-gaussian.kl`.

    Examples
    --------
    >>> float(kl(Gaussian([0.0], 1.0), Gaussian([1.0], 1.0)))
    0.5
    """
    _pair(q, p)
    r = (q.var - p.var) / p.var
    log_ratio = np.where(np.abs(r) < 0.5, np.log1p(r), np.log(q.var / p.var))  # each where it keeps its digits
    return 0.5 * np.sum((q.mean - p.mean) ** 2 / p.var + r - log_ratio, axis=-1)


def kl_equal_var(q, p):
    r"""Return KL(q || p) where the two variances are equal: a scaled squared distance, in nats.

    .. math:: \mathrm{KL}(q \Vert p) = \frac{\Vert \mu_q - \mu_p \Vert^2}{2\sigma^2}

    Parameters
    ----------
    q, p : Gaussian
        With the same variances.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If the variances differ: the formula then lacks a constant, see :func:`kl`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 8, whose C vanishes here. Identity: :eq:`eq-gaussian.kl_equal_var`.

    Examples
    --------
    >>> float(kl_equal_var(Gaussian([0.0], 2.0), Gaussian([1.0], 2.0)))
    0.25
    """
    _pair(q, p)
    if not np.array_equal(*np.broadcast_arrays(q.var, p.var)):
        raise ValueError(
            f"kl_equal_var needs equal variances; got {q.var.flat[0]} and {p.var.flat[0]}. Use kl, which keeps the"
            " constant 1/2 sum(var_q / var_p - 1 - log(var_q / var_p))."
        )
    return np.sum((q.mean - p.mean) ** 2 / (2 * p.var), axis=-1)


def cross_entropy(q, p):
    r"""Return H[q, p] = -E_q log p of two diagonal Gaussians, summed over the last axis, in nats.

    .. math:: H[q, p] = \tfrac12 \sum_i \left[\log 2\pi\sigma_{p,i}^2
        + \frac{\sigma_{q,i}^2 + (\mu_{q,i} - \mu_{p,i})^2}{\sigma_{p,i}^2}\right] = H[q] + \mathrm{KL}(q \Vert p)

    Parameters
    ----------
    q, p : Gaussian

    Returns
    -------
    ndarray, shape (...)

    Notes
    -----
    Source: Cover & Thomas (2006), section 8.6. Identity: :eq:`eq-gaussian.cross_entropy`.

    Examples
    --------
    >>> standard = Gaussian([0.0], 1.0)
    >>> float(cross_entropy(standard, standard))
    1.4189385332046727
    """
    _pair(q, p)
    return 0.5 * np.sum(LOG_2_PI + np.log(p.var) + (q.var + (q.mean - p.mean) ** 2) / p.var, axis=-1)


def bits(nats):
    r"""Convert an information measure from nats to bits.

    .. math:: \text{bits} = \text{nats} / \ln 2

    Parameters
    ----------
    nats : array_like

    Returns
    -------
    ndarray

    Notes
    -----
    Source: Cover & Thomas (2006), section 2.1. Identity: :eq:`eq-gaussian.bits`.

    Examples
    --------
    >>> float(bits(np.log(8.0)))
    3.0
    """
    return real(nats, "nats") / math.log(2)


def linear_combination(a, p, b, q, cov=0.0):
    r"""Return the law of a X + b Y for X ~ p and Y ~ q that are jointly Gaussian.

    .. math:: aX + bY \sim \mathcal{N}\left(a\mu_p + b\mu_q,\;
        a^2\sigma_p^2 + b^2\sigma_q^2 + 2ab\operatorname{Cov}(X, Y)\right)

    With the default `cov` of 0 the two are independent. That is an assumption, not a formality: x_t and
    x_{t-1} of one chain are not.

    Parameters
    ----------
    a, b : float
    p, q : Gaussian
        Of the same shape.
    cov : array_like
        The covariance of X_i and Y_i, coordinate by coordinate.

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        If `cov` is larger than the two variances allow.

    Notes
    -----
    Source: Sohl-Dickstein et al. (2015), appendix B, uses it at each step.
    Identity: :eq:`eq-gaussian.linear_combination`.

    Examples
    --------
    >>> linear_combination(2.0, Gaussian([1.0], 1.0), 0.5, Gaussian([0.0], 4.0)).var
    array([5.])
    """
    same_shape(**{"p.mean": p.mean, "q.mean": q.mean})
    a, b, cov = float(real(a, "a")), float(real(b, "b")), real(cov, "cov")
    if not (cov**2 <= p.var * q.var * (1 + 1e-12)).all():
        raise ValueError(f"cov must satisfy cov^2 <= var_p var_q; got cov = {cov.flat[0]}.")
    var = a**2 * p.var + b**2 * q.var + 2 * a * b * cov
    return Gaussian(a * p.mean + b * q.mean, np.maximum(var, 0.0), point_mass=True)


def from_natural(precision, precision_mean):
    r"""Return the Gaussian whose exponent is -1/2 (P x^2 - 2 h x): completing the square.

    .. math:: P = \frac{1}{\sigma^2},\quad h = \frac{\mu}{\sigma^2}
        \quad\Longrightarrow\quad \mathcal{N}\left(\frac{h}{P}, \frac1P\right)

    Parameters
    ----------
    precision : array_like
        P: one number, (..., 1) or (..., d), positive.
    precision_mean : array_like, shape (..., d)
        h.

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        If a precision is not positive.

    Notes
    -----
    Source: Bishop (2006), eq. 2.70 and 2.71. Identity: :eq:`eq-gaussian.from_natural`.

    Examples
    --------
    >>> from_natural(4.0, [2.0]).mean
    array([0.5])
    """
    precision, precision_mean = real(precision, "precision"), points(precision_mean, "precision_mean")
    if not (precision > 0).all():
        raise ValueError(f"precision must be > 0; got {precision.min()}. Usual cause: a variance of the wrong sign.")
    return Gaussian(precision_mean / precision, 1 / precision)


def product(p, q):
    r"""Return the normalised product of two Gaussian densities in x, and the log of its normaliser.

    .. math:: \mathcal{N}(x; \mu_p, \sigma_p^2)\,\mathcal{N}(x; \mu_q, \sigma_q^2)
        = Z\,\mathcal{N}\left(x; \frac{\mu_p/\sigma_p^2 + \mu_q/\sigma_q^2}{1/\sigma_p^2 + 1/\sigma_q^2},
        \frac{1}{1/\sigma_p^2 + 1/\sigma_q^2}\right),
        \qquad Z = \mathcal{N}(\mu_p; \mu_q, \sigma_p^2 + \sigma_q^2)

    Parameters
    ----------
    p, q : Gaussian
        Over points of the same d.

    Returns
    -------
    Gaussian
        The product, normalised.
    ndarray, shape (...)
        log Z, in nats.

    Notes
    -----
    Source: Petersen & Pedersen (2012), section 8.1.8. Identity: :eq:`eq-gaussian.product`.

    Examples
    --------
    >>> both, log_z = product(Gaussian([0.0], 1.0), Gaussian([2.0], 1.0))
    >>> both.mean, both.var
    (array([1.]), array([0.5]))
    """
    _pair(p, q)
    both = from_natural(1 / p.var + 1 / q.var, p.mean / p.var + q.mean / q.var)
    return both, Gaussian(q.mean, p.var + q.var).log_density(p.mean)


class FullGaussian:
    r"""A Gaussian with a full covariance: joints over several steps of a chain.

    .. math:: \mathcal{N}(x; m, K) = \exp\left(-\tfrac12\left[d\log 2\pi + \log\det K
        + (x - m)^\top K^{-1} (x - m)\right]\right)

    Parameters
    ----------
    mean : array_like, shape (d,)
    cov : array_like, shape (d, d)
        Symmetric and positive definite.

    Raises
    ------
    ValueError
        If the shapes do not fit or `cov` is not finite, symmetric and positive definite; nothing is added to its
        diagonal in silence.

    Notes
    -----
    Identities: :eq:`eq-gaussian.full_log_density`, :eq:`eq-gaussian.full_entropy`, :eq:`eq-gaussian.full_sample`,
    :eq:`eq-gaussian.condition`.

    Examples
    --------
    >>> joint = FullGaussian([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]])
    >>> joint.condition([1], [2.0]).mean
    array([1.])
    """

    __slots__ = ("_chol", "_cov", "_mean")

    def __init__(self, mean, cov):
        mean, cov = points(mean, "mean"), real(cov, "cov")
        if mean.ndim != 1 or cov.shape != (mean.size, mean.size):
            raise ValueError(f"mean must be (d,) and cov (d, d); got {mean.shape} and {cov.shape}.")
        if not np.isfinite(cov).all():
            raise ValueError(f"cov must be finite; got {cov.ravel()[~np.isfinite(cov.ravel())][0]}.")
        if not np.allclose(cov, cov.T, rtol=1e-12, atol=0):
            raise ValueError(f"cov must be symmetric; it differs from its transpose by {np.abs(cov - cov.T).max()}.")
        try:
            self._chol = np.linalg.cholesky(cov)
        except np.linalg.LinAlgError:
            least = np.linalg.eigvalsh(cov)[0]
            raise ValueError(f"cov must be positive definite; its smallest eigenvalue is {least}.") from None
        self._mean, self._cov = mean, cov

    @property
    def mean(self):
        """The mean, shape (d,)."""
        return self._mean

    @property
    def cov(self):
        """The covariance, shape (d, d)."""
        return self._cov

    def log_density(self, x):
        r"""Return log N(x; mean, cov) in nats.

        .. math:: \log\mathcal{N}(x; m, K) = -\tfrac12\left[d\log 2\pi + \log\det K
            + (x - m)^\top K^{-1} (x - m)\right]

        Parameters
        ----------
        x : array_like, shape (..., d)

        Returns
        -------
        ndarray, shape (...)

        Notes
        -----
        Source: Bishop (2006), eq. 2.43. Identity: :eq:`eq-gaussian.full_log_density`.
        """
        x = points(x, "x")
        if x.shape[-1] != self.mean.size:
            raise ValueError(f"x must have d = {self.mean.size} on its last axis; got shape {x.shape}.")
        z = np.linalg.solve(self._chol, (x - self.mean).reshape(-1, self.mean.size).T)
        log_det = 2 * np.log(np.diag(self._chol)).sum()
        return -0.5 * (self.mean.size * LOG_2_PI + log_det + (z**2).sum(axis=0)).reshape(x.shape[:-1])

    def entropy(self):
        r"""Return the differential entropy in nats.

        .. math:: H = \tfrac12 \log\det(2\pi e K)

        Returns
        -------
        float

        Notes
        -----
        Source: Cover & Thomas (2006), theorem 8.4.1. Identity: :eq:`eq-gaussian.full_entropy`.
        """
        return float(0.5 * self.mean.size * (1 + LOG_2_PI) + np.log(np.diag(self._chol)).sum())

    def sample(self, n, rng):
        r"""Draw n points: mean plus the Cholesky factor times standard normals.

        .. math:: x = m + L z, \qquad L L^\top = K

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n, d)

        Notes
        -----
        Identity: :eq:`eq-gaussian.full_sample`.
        """
        return self.mean + check_rng(rng).standard_normal((n, self.mean.size)) @ self._chol.T

    def condition(self, known, value):
        r"""Return the law of the other coordinates, given the values of some.

        .. math:: x_A \mid x_B = b \;\sim\; \mathcal{N}\left(m_A + K_{AB} K_{BB}^{-1} (b - m_B),\;
            K_{AA} - K_{AB} K_{BB}^{-1} K_{BA}\right)

        Parameters
        ----------
        known : sequence of int
            The coordinates B.
        value : array_like, shape (len(known),)
            Their values b.

        Returns
        -------
        FullGaussian
            Over the coordinates not in `known`, in their order.

        Raises
        ------
        ValueError
            If `known` is empty, out of range, repeated or everything, or `value` does not fit.

        Notes
        -----
        Source: Bishop (2006), eq. 2.81 and 2.82. Identity: :eq:`eq-gaussian.condition`.
        """
        known, value = np.asarray(known), points(value, "value")
        everything = np.arange(self.mean.size)
        distinct = known.ndim == 1 and known.dtype.kind in "iu" and np.isin(known, everything).all()
        if not distinct or not 0 < len(set(known.tolist())) == known.size < self.mean.size:
            raise ValueError(
                f"known must be some, not all, distinct coordinates of 0..{self.mean.size - 1}; got {known}."
            )
        if value.shape != known.shape:
            raise ValueError(f"value must have shape {known.shape}; got {value.shape}.")
        rest = np.setdiff1d(everything, known)
        gain = np.linalg.solve(self.cov[np.ix_(known, known)], self.cov[np.ix_(known, rest)]).T
        cov = self.cov[np.ix_(rest, rest)] - gain @ self.cov[np.ix_(known, rest)]
        return FullGaussian(self.mean[rest] + gain @ (value - self.mean[known]), (cov + cov.T) / 2)


def full_kl(q, p):
    r"""Return KL(q || p) of two Gaussians with full covariances, in nats.

    .. math:: \mathrm{KL}(q \Vert p) = \tfrac12\left[\operatorname{tr}(K_p^{-1} K_q) - d
        + (m_p - m_q)^\top K_p^{-1} (m_p - m_q) + \log\frac{\det K_p}{\det K_q}\right]

    Parameters
    ----------
    q, p : FullGaussian

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If d differs.

    Notes
    -----
    Source: Kullback (1959), ch. 9. Identity: :eq:`eq-gaussian.full_kl`.

    Examples
    --------
    >>> standard = FullGaussian([0.0, 0.0], np.eye(2))
    >>> full_kl(standard, standard)
    0.0
    """
    if q.mean.size != p.mean.size:
        raise ValueError(f"q and p must have the same d; got {q.mean.size} and {p.mean.size}.")
    mixed = np.linalg.solve(p._chol, q._chol)
    shift = np.linalg.solve(p._chol, q.mean - p.mean)
    log_det = np.log(np.diag(p._chol)).sum() - np.log(np.diag(q._chol)).sum()
    return float(0.5 * ((mixed**2).sum() - q.mean.size + shift @ shift) + log_det)
