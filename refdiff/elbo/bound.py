r"""A bound on -log p(x_0), taken apart: the record that every form of it comes in."""

from dataclasses import dataclass

import numpy as np

from refdiff.checks import real
from refdiff.gaussian import bits


@dataclass(frozen=True, repr=False)
class Bound:
    r"""A bound on -log p(x_0) for n points, in nats, in its parts.

    .. math:: -\log p(x_0) \le \underbrace{L_0}_{\text{reconstruction}}
        + \sum_{t=2}^T \underbrace{L_{t-1}}_{\text{terms}} + \underbrace{L_T}_{\text{prior}}

    The letters are those of the denoising form; the other forms divide the same total in other ways, and their
    functions say how.

    Attributes
    ----------
    reconstruction : ndarray, shape (n,)
        L_0.
    terms : ndarray, shape (T + 1, n), or None
        Entry t is what step t pays: L_{t-1} in the denoising form, C_t in the consistency form, 0 where a form has no
        such term. None where they were not kept, or the form has none.
    prior : ndarray, shape (n,)
        L_T.
    d : int
        The number of coordinates of a point.
    between : ndarray, shape (n,)
        The sum of the terms; needed where `terms` is None.
    bins : int or None
        Of the discretized decoder: the total is then a code length. With None it is that of a density.

    Raises
    ------
    ValueError
        If neither `terms` nor `between` is given.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identity: :eq:`eq-elbo.bits_per_dim`.
    """

    reconstruction: np.ndarray
    terms: np.ndarray | None
    prior: np.ndarray
    d: int
    between: np.ndarray | None = None
    bins: int | None = None

    def __post_init__(self):
        if self.between is None:
            if self.terms is None:
                raise ValueError("a Bound needs its terms, or their sum as `between`; got None for both.")
            object.__setattr__(self, "between", self.terms.sum(axis=0))

    def __repr__(self):
        means = " + ".join(f"{part.mean():.4g}" for part in (self.reconstruction, self.between, self.prior))
        what = "density of x_0" if self.bins is None else f"{self.bins} bins"
        return f"Bound(n={len(self.prior)}, d={self.d}, mean {self.total.mean():.4g} = {means} nats, {what})"

    @property
    def total(self):
        """The whole bound, shape (n,), in nats. Identity: :eq:`eq-elbo.bits_per_dim`."""
        return self.reconstruction + self.between + self.prior

    def bits_per_dim(self, std=None):
        r"""Return the whole bound in bits per coordinate, shape (n,).

        .. math:: \frac{1}{d \ln 2}\left(L + \sum_{i=1}^d \ln s_i\right)

        With the Gaussian decoder this codes a density, whose value depends on the units: without `std` it is that of
        x_0 as it was given, with `std` that of the data x = m + s x_0 from which x_0 was standardised. Twice as large
        units make it one bit less; it may be negative. With the discretized decoder it is a code length, the same in
        any units, for data that are already rounded to the bins.

        Parameters
        ----------
        std : array_like, shape (d,), optional
            The s of the standardisation, as :func:`refdiff.points.standardize` returns it.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        ValueError
            If a std is not > 0, is not one number or one per coordinate, or the bound is a code length.

        Notes
        -----
        Source: Ho, Jain & Abbeel (2020), Table 1, which reports it; the change of units is that of a density,
        Cover & Thomas (2006), eq. 8.71. Identity: :eq:`eq-elbo.bits_per_dim`.

        Examples
        --------
        >>> bound = Bound(np.array([np.log(2.0)]), np.zeros((3, 1)), np.array([0.0]), d=1)
        >>> bound.bits_per_dim(), bound.bits_per_dim(std=127.5).round(3)  # x_0 in [-1, 1], data in 0..255
        (array([1.]), array([7.994]))
        """
        if std is None:
            return bits(self.total) / self.d
        if self.bins is not None:
            raise ValueError(
                f"std is for densities; got one beside a code length of {self.bins} bins, which has no unit."
            )
        std = real(std, "std")
        if std.shape not in ((), (self.d,)) or not ((std > 0) & np.isfinite(std)).all():
            raise ValueError(f"std must be one finite number > 0, or one per coordinate, d = {self.d}; got {std}.")
        return bits(self.total + np.broadcast_to(np.log(std), (self.d,)).sum()) / self.d
