r"""What moves the parameters: AdamW, the average of its path, the learning rate and the clipping.

Each acts on one flat vector theta in place, and its body is the equation.
"""

import math

import numpy as np

from refdiff.checks import count

__all__ = ["EMA", "AdamW", "clip_by_global_norm", "cosine_learning_rate"]


class AdamW:
    r"""Adam with decoupled weight decay.

    .. math::
        m_k &= \beta_1 m_{k-1} + (1 - \beta_1)\, g_k, & \hat m_k &= m_k / (1 - \beta_1^k) \\
        v_k &= \beta_2 v_{k-1} + (1 - \beta_2)\, g_k^2, & \hat v_k &= v_k / (1 - \beta_2^k) \\
        \theta_k &= \theta_{k-1} - \eta_k \left(\frac{\hat m_k}{\sqrt{\hat v_k} + \varepsilon}
            + \lambda\, \theta_{k-1}\right)

    The decay is not part of the gradient g, so it is not divided by sqrt(v): a parameter whose gradient is 0
    shrinks by the factor 1 - eta lambda. The betas here are Adam's, not those of a noise schedule.

    Parameters
    ----------
    theta : ndarray, shape (P,)
        Parameters of the shape and dtype that :meth:`update` will get.
    weight_decay : float
        lambda.
    beta_1, beta_2, epsilon : float

    Attributes
    ----------
    first_moment, second_moment : ndarray, shape (P,)
        m and v.
    step : int
        k, the number of updates made.

    Notes
    -----
    Source: Kingma & Ba (2015), Algorithm 1; Loshchilov & Hutter (2019), Algorithm 2, with eta_k for both factors.
    Identity: :eq:`eq-network.adam`.

    Examples
    --------
    The first step has length eta whatever the gradient's size:

    >>> theta = np.array([1.0, 1.0])
    >>> AdamW(theta).update(theta, np.array([1e-3, -1e3]), learning_rate=0.1)
    >>> theta.round(4)
    array([0.9, 1.1])
    """

    def __init__(self, theta, *, weight_decay=0.0, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.weight_decay, self.beta_1, self.beta_2, self.epsilon = weight_decay, beta_1, beta_2, epsilon
        self.first_moment, self.second_moment, self.step = np.zeros_like(theta), np.zeros_like(theta), 0

    def update(self, theta, gradient, learning_rate):
        """Take one step: change `theta` in place.

        Parameters
        ----------
        theta, gradient : ndarray, shape (P,)
        learning_rate : float
            eta_k.
        """
        self.step += 1
        self.first_moment += (1 - self.beta_1) * (gradient - self.first_moment)
        self.second_moment += (1 - self.beta_2) * (gradient**2 - self.second_moment)
        m_hat = self.first_moment / (1 - self.beta_1**self.step)
        v_hat = self.second_moment / (1 - self.beta_2**self.step)
        theta -= learning_rate * (m_hat / (np.sqrt(v_hat) + self.epsilon) + self.weight_decay * theta)


class EMA:
    r"""The exponential moving average of the parameters: what one samples with.

    .. math:: \bar\theta_k = d_k\, \bar\theta_{k-1} + (1 - d_k)\, \theta_k, \qquad
        d_k = \min\left(d, \frac{1 + k}{10 + k}\right)

    The decay d_k grows with k so that the average forgets where training began, also when it is short.

    Parameters
    ----------
    theta : ndarray, shape (P,)
        The parameters at the start; copied.
    decay : float
        d, in [0, 1). The average looks back over about 1 / (1 - d) steps.

    Attributes
    ----------
    average : ndarray, shape (P,)
    step : int
        k, the number of updates made.

    Notes
    -----
    Source: Polyak & Juditsky (1992) for averaging; the growing decay is that of TensorFlow's
    ``ExponentialMovingAverage``. Ho, Jain & Abbeel (2020), appendix B, use d = 0.9999. Identity: :eq:`eq-network.ema`.

    Examples
    --------
    >>> ema = EMA(np.zeros(1), decay=0.5)
    >>> ema.update(np.ones(1))
    >>> ema.average  # d_1 = 2/11
    array([0.81818182])
    """

    def __init__(self, theta, decay=0.999):
        self.average, self.decay, self.step = theta.copy(), decay, 0

    def update(self, theta):
        """Take `theta`, shape (P,), into the average."""
        self.step += 1
        self.average += (1 - float(ema_decays(self.step, self.decay))) * (theta - self.average)


def ema_decays(step, decay):
    """Return the d_k of :class:`EMA` for one step k or an array of them."""
    return np.minimum(decay, (1 + step) / (10 + step))


def cosine_learning_rate(step, steps, peak, warmup=0):
    r"""Return the learning rate of a step: up along a line, down along half a cosine.

    .. math:: \eta_k = \begin{cases}
        \eta\, \dfrac{k}{w + 1} & k \le w \\[1ex]
        \dfrac\eta2 \left(1 + \cos \pi\, \dfrac{k - 1 - w}{n - w}\right) & k > w
        \end{cases} \qquad k = 1, \ldots, n

    Step w + 1 has the peak rate, and the zero at the end is where step n + 1 would be: none is wasted.

    Parameters
    ----------
    step : int
        k, in 1..steps.
    steps : int
        n.
    peak : float
        eta, the highest rate.
    warmup : int
        w, in 0..steps - 1: the number of steps before the peak.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If a number of steps is not an integer.
    ValueError
        If one is out of range.

    Notes
    -----
    Source: Loshchilov & Hutter (2017), eq. 5, one cycle; the warm-up is that of Goyal et al. (2017), section 2.2.
    Identity: :eq:`eq-network.cosine_learning_rate`.

    Examples
    --------
    >>> [round(cosine_learning_rate(k, 6, 1.0, warmup=2), 3) for k in range(1, 7)]
    [0.333, 0.667, 1.0, 0.854, 0.5, 0.146]
    """
    step, steps, warmup = count(step, "step"), count(steps, "steps"), count(warmup, "warmup", least=0)
    if step > steps or warmup >= steps:
        raise ValueError(f"step runs over 1..steps and warmup over 0..steps - 1; got {step}, {steps} and {warmup}.")
    return float(cosine_learning_rates(step, steps, peak, warmup))


def cosine_learning_rates(step, steps, peak, warmup):
    """Return :func:`cosine_learning_rate` for one step or an array of them, unchecked."""
    rise = peak * step / (warmup + 1)
    fall = peak / 2 * (1 + np.cos(np.pi * (step - 1 - warmup) / (steps - warmup)))
    return np.where(step <= warmup, rise, fall)


def clip_by_global_norm(gradient, limit):
    r"""Scale `gradient` in place so that its norm is at most `limit`; return the norm it had.

    .. math:: g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)

    Parameters
    ----------
    gradient : ndarray, shape (P,)
        Of all parameters together.
    limit : float
        c; ``math.inf`` only measures.

    Returns
    -------
    float

    Notes
    -----
    Source: Pascanu, Mikolov & Bengio (2013), Algorithm 1. Identity: :eq:`eq-network.clip_by_global_norm`.

    Examples
    --------
    >>> gradient = np.array([3.0, 4.0])
    >>> clip_by_global_norm(gradient, 1.0), gradient
    (5.0, array([0.6, 0.8]))
    """
    norm = math.sqrt(gradient @ gradient)
    if norm > limit:
        gradient *= limit / norm
    return norm
