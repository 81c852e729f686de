"""Mixture data whose components have class labels: everything that guidance only learns is known exactly."""

import numpy as np

from refdiff.checks import check_rng, count, real
from refdiff.mixture import GaussianMixture, log_components, log_sum_exp, responsibilities

__all__ = ["LabelledMixture"]


def check_labelled(labelled):
    """Raise TypeError unless `labelled` is a LabelledMixture."""
    if not isinstance(labelled, LabelledMixture):
        raise TypeError(f"labelled must be a LabelledMixture; got {type(labelled).__name__}.")


def weight(w):
    """Return the weight of guidance as a float."""
    number = real(w, "w")
    if number.ndim or not np.isfinite(number):
        raise ValueError(f"w must be one finite number; got {w!r}. It is 0 without guidance: w = guidance_scale - 1.")
    return float(number)


def log_classes(log_joint, labels):
    """Return log p(y | x) for each class, (..., C), from log(w_k N(x; m_k, v_k)) and the label of each component.

    From the odds, so that it keeps its digits where a class is certain as well as where it is impossible.
    """
    classes = range(labels.max() + 1)
    joint = np.stack([log_sum_exp(log_joint[..., labels == y]) for y in classes], axis=-1)
    if len(classes) == 1:
        return np.zeros_like(joint)
    others = np.stack([log_sum_exp(np.delete(joint, y, axis=-1)) for y in classes], axis=-1)
    with np.errstate(under="ignore"):
        return -np.logaddexp(0.0, others - joint)


class LabelledMixture:
    r"""A mixture of Gaussians, each component of which belongs to a class.

    .. math:: p(y) = \sum_{k:\,y_k = y} w_k, \qquad
        p(x \mid y) = \frac{1}{p(y)} \sum_{k:\,y_k = y} w_k\,\mathcal{N}\left(x; m_k, \operatorname{diag}(v_k)\right)

    Parameters
    ----------
    mixture : GaussianMixture
        The law of x, whatever its class.
    labels : array_like of int, shape (K,)
        The class of each component, counted 0..C-1; several components may share one.

    Raises
    ------
    TypeError
        If `mixture` is none, or the labels are not integers.
    ValueError
        If there is not one label for each component, a class has no component or no probability.

    Notes
    -----
    Source: Bishop (2006), section 4.2. Identities: :eq:`eq-guidance.given`, :eq:`eq-guidance.probabilities`,
    :eq:`eq-guidance.labelled_sample`, :eq:`eq-guidance.log_probability`, :eq:`eq-guidance.denoiser`,
    :eq:`eq-guidance.classifier_score`.

    Examples
    --------
    >>> data = GaussianMixture([0.2, 0.3, 0.5], [[-2.0], [0.0], [1.0]], 0.25)
    >>> labelled = LabelledMixture(data, [0, 1, 0])
    >>> labelled
    LabelledMixture(K=3, d=1, C=2)
    >>> labelled.probabilities, labelled.given(0).mean.round(4)
    (array([0.7, 0.3]), array([0.1429]))
    """

    def __init__(self, mixture, labels):
        if not isinstance(mixture, GaussianMixture):
            raise TypeError(f"mixture must be a GaussianMixture; got {type(mixture).__name__}.")
        numbers, K = real(labels, "labels"), len(mixture.weights)
        if np.asarray(labels).dtype.kind not in "iu":
            raise TypeError(f"labels must be integers; got dtype {np.asarray(labels).dtype}.")
        if numbers.shape != (K,):
            raise ValueError(f"labels must have one entry for each of the {K} components; got shape {numbers.shape}.")
        labels = numbers.astype(int)
        if not np.array_equal(np.unique(labels), np.arange(labels.max() + 1)):
            raise ValueError(f"labels must count the classes 0..C-1 and leave none out; got {np.unique(labels)}.")
        self.mixture, self.labels = mixture, labels
        self.labels.flags.writeable = False
        if not (self.probabilities > 0).all():
            raise ValueError(f"labels must leave each class some probability; got {self.probabilities}.")

    def __repr__(self):
        K, d = self.mixture.means.shape
        return f"LabelledMixture(K={K}, d={d}, C={len(self.classes)})"

    @property
    def classes(self):
        r"""The classes, range(C).

        .. math:: y \in \{0, \ldots, C - 1\}

        Identity: :eq:`eq-guidance.probabilities`.
        """
        return range(int(self.labels.max()) + 1)

    @property
    def probabilities(self):
        r"""The probability of each class, shape (C,).

        .. math:: p(y) = \sum_{k:\,y_k = y} w_k

        Identity: :eq:`eq-guidance.probabilities`.
        """
        return np.array([self.mixture.weights[self.labels == y].sum() for y in self.classes])

    def _class(self, y):
        y = count(y, "y", least=0)
        if y not in self.classes:
            raise ValueError(f"y must be one of the classes 0..{len(self.classes) - 1}; got {y}.")
        return y

    def _part(self, chosen):
        """Return the law of x given that its component is one of those chosen."""
        weights = self.mixture.weights[chosen]
        return GaussianMixture(weights / weights.sum(), self.mixture.means[chosen], self.mixture.variances[chosen])

    def given(self, y):
        r"""Return the law of one class, a mixture of its components.

        .. math:: p(x \mid y) = \sum_{k:\,y_k = y} \frac{w_k}{p(y)}\,\mathcal{N}(x; m_k, v_k)

        Parameters
        ----------
        y : int
            In 0..C-1.

        Returns
        -------
        GaussianMixture

        Raises
        ------
        TypeError, ValueError
            If there is no such class.

        Notes
        -----
        Source: Bayes' rule. Identity: :eq:`eq-guidance.given`.
        """
        return self._part(self.labels == self._class(y))

    def sample(self, n, rng):
        r"""Draw n points with their labels: first the component, then the point.

        .. math:: k \sim w, \qquad y = y_k, \qquad x = m_k + \sqrt{v_k}\,z, \qquad z \sim \mathcal{N}(0, I)

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        x : ndarray, shape (n, d)
            The points that :eq:`eq-mixture.sample` draws from the same stream.
        y : ndarray of int, shape (n,)

        Raises
        ------
        TypeError, ValueError
            If n is not a positive integer or `rng` not a Generator.

        Notes
        -----
        Source: Bishop (2006), section 8.1.2. Identity: :eq:`eq-guidance.labelled_sample`.
        """
        n, mixture = count(n, "n"), self.mixture
        k = check_rng(rng).choice(len(mixture.weights), size=n, p=mixture.weights)
        z = rng.standard_normal((n, mixture.means.shape[1]))
        return mixture.means[k] + np.sqrt(mixture.variances[k]) * z, self.labels[k]

    def log_probability(self, schedule, x_t, t):
        r"""Return the logarithm of the probability of each class given a noisy point: what a classifier learns.

        .. math:: p(y \mid x_t) = \frac{p(y)\,p(x_t \mid y)}{\sum_{y'} p(y')\,p(x_t \mid y')}

        A class that is impossible far out has a finite logarithm, and so has the chance to miss where one is certain.

        Parameters
        ----------
        schedule : Schedule
        x_t : array_like, shape (..., d)
        t : int or array_like of int
            In 0..T; 0 is the data.

        Returns
        -------
        ndarray, shape (..., C)
            In nats.

        Raises
        ------
        TypeError, ValueError
            If the last axis of x_t is not d, or t is not in 0..T.

        Notes
        -----
        Source: Bishop (2006), eq. 4.62. Identity: :eq:`eq-guidance.log_probability`.

        Examples
        --------
        >>> from refdiff import Schedule
        >>> labelled = LabelledMixture(GaussianMixture([0.25, 0.75], [[0.0], [0.0]], 1.0), [0, 1])
        >>> np.exp(labelled.log_probability(Schedule.vp(10), [3.0], 5)).round(4)
        array([0.25, 0.75])
        """
        log_joint, _ = self._components(schedule, x_t, t)
        return log_classes(log_joint, self.labels)

    def _components(self, schedule, x_t, t):
        """Return log(w_k q(x_t | k)) of each component, (..., K), and its score, (..., K, d)."""
        x_t = self.mixture._points(x_t, "x_t")
        means, variances = self.mixture._at(schedule, schedule.index(t, x_t, least=0))
        log_joint = log_components(x_t, self.mixture.weights, means, variances)
        return log_joint, (means - x_t[..., None, :]) / variances

    def denoiser(self, schedule, y=None):
        r"""Return the ideal denoiser of one class, or without `y` that of all data.

        .. math:: \epsilon^*(x_t, t, y) = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log p(x_t \mid y), \qquad
            \epsilon^*(x_t, t) = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log p(x_t)

        They are what one network learns that is shown the label, and at times a null label in its place.

        Parameters
        ----------
        schedule : Schedule
        y : int, optional
            In 0..C-1.

        Returns
        -------
        callable
            ``denoiser(x_t, t) -> eps_hat``, with x_t of shape (..., d) and t one step or one per point.

        Raises
        ------
        TypeError, ValueError
            If there is no such class.

        Notes
        -----
        Source: Ho & Salimans (2022), section 3.2. Identity: :eq:`eq-guidance.denoiser`.
        """
        law = self.mixture if y is None else self.given(y)
        return law.denoiser(schedule)

    def classifier_score(self, schedule, y):
        r"""Return the gradient of the log-probability of a class at noisy points: what classifier guidance follows.

        .. math:: \nabla_{x_t} \log p(y \mid x_t) = \nabla_{x_t} \log p(x_t \mid y) - \nabla_{x_t} \log p(x_t)
            = p(\text{not } y \mid x_t)\,
            \left[\nabla_{x_t} \log p(x_t \mid y) - \nabla_{x_t} \log p(x_t \mid \text{not } y)\right]

        Computed by the last form, which keeps its digits where the class is certain and the gradient vanishes.

        Parameters
        ----------
        schedule : Schedule
        y : int
            In 0..C-1.

        Returns
        -------
        callable
            ``classifier_score(x_t, t)``, with x_t of shape (..., d) and t in 0..T, one step or one per point.

        Raises
        ------
        TypeError, ValueError
            If there is no such class.

        Notes
        -----
        Source: Bayes' rule; Dhariwal & Nichol (2021), section 4.2, for its use.
        Identity: :eq:`eq-guidance.classifier_score`.

        Examples
        --------
        >>> from refdiff import Schedule
        >>> labelled = LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 1.0), [0, 1])
        >>> labelled.classifier_score(Schedule.vp(10), 1)([0.0], 0)  # p(y = 1 | x) = 1 / (1 + exp(-2 x))
        array([1.])
        """
        own = self.labels == self._class(y)

        def score_of(part, log_joint, scores):
            """Return the score of the components chosen, averaged by their chances."""
            return np.sum(responsibilities(log_joint[..., part])[..., None] * scores[..., part, :], axis=-2)

        def classifier_score(x_t, t):
            log_joint, scores = self._components(schedule, x_t, t)
            if own.all():
                return np.zeros_like(scores[..., 0, :])
            with np.errstate(under="ignore"):
                not_y = np.exp(log_classes(log_joint, own.astype(int))[..., :1])
            return not_y * (score_of(own, log_joint, scores) - score_of(~own, log_joint, scores))

        return classifier_score
