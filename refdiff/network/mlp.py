r"""A small network eps_hat(x_t, t), each operation with its derivative beside it.

An operation returns its value and its *pullback*: the function that takes dy = dL/dy to the gradients of what
went in. :class:`MLP` chains them: forward keeps the pullbacks on a tape, backward plays the tape in reverse.
All parameters are views into one flat vector, so that a step of the optimizer is vector arithmetic.
"""

import functools
import itertools
import math
from contextlib import nullcontext

import numpy as np

from refdiff.checks import check_rng, count, points
from refdiff.kernels.streams import one_blas_thread

__all__ = [
    "MLP",
    "Given",
    "as_labels",
    "clock_frequencies",
    "dense",
    "gelu",
    "linear",
    "one_hot",
    "point_embedding",
    "point_frequencies",
    "residual",
    "silu",
    "time_embedding",
]

BLOCK = 1024  # points that go through the network together when no gradient is wanted: they stay in the cache

# How many multiplications of a matrix product BLAS is to do in one thread. Fewer it does so by itself; for these its
# threads wait for each other longer than they work; for more the second one helps.
FEW, MANY = 2**18, 10**8


def linear(x, weight, bias):
    r"""An affine map, y = x W + b.

    .. math:: \partial x = \partial y\, W^\top, \qquad \partial W = x^\top \partial y, \qquad
        \partial b = \textstyle\sum_{\text{rows}} \partial y

    Parameters
    ----------
    x : ndarray, shape (n, a)
    weight : ndarray, shape (a, b)
    bias : ndarray, shape (b,)

    Returns
    -------
    y : ndarray, shape (n, b)
    pullback : callable
        dy of shape (n, b) -> (dx, dW, db).

    Examples
    --------
    >>> y, pullback = linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    >>> y, pullback(np.array([[1.0]]))[0]
    (array([[11.5]]), array([[3., 4.]]))
    """
    y = x @ weight
    y += bias

    def pullback(dy):
        return dy @ weight.T, x.T @ dy, dy.sum(axis=0)

    return y, pullback


def silu(x):
    r"""The sigmoid-weighted linear unit, y = x σ(x).

    .. math:: \partial x = \partial y \left(\sigma(x) + y\,(1 - \sigma(x))\right)

    The sigmoid is taken as σ(x) = (1 + tanh(x/2)) / 2, which no x overflows.

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    y : ndarray, the shape of x
    pullback : callable
        dy -> dx, both of the shape of x.

    Notes
    -----
    Source: Elfwing, Uchibe & Doya (2018), section 2.

    Examples
    --------
    >>> y, pullback = silu(np.array([0.0, 50.0]))
    >>> y, pullback(np.ones(2))
    (array([ 0., 50.]), array([0.5, 1. ]))
    """
    sigma = (1 + np.tanh(x / 2)) / 2
    y = x * sigma

    def pullback(dy):
        return dy * (sigma + y * (1 - sigma))

    return y, pullback


def gelu(x):
    r"""The Gaussian error linear unit, y = x Φ(x), with the standard normal distribution function Φ itself.

    .. math:: \partial x = \partial y \left(\Phi(x) + x\,\varphi(x)\right), \qquad
        \varphi(x) = \Phi'(x) = \frac{1}{\sqrt{2\pi}}\,e^{-x^2/2}

    Parameters
    ----------
    x : ndarray, any shape

    Returns
    -------
    y : ndarray, the shape of x
    pullback : callable
        dy -> dx, both of the shape of x.

    Notes
    -----
    Source: Hendrycks & Gimpel (2016), section 2.

    Examples
    --------
    >>> y, pullback = gelu(np.array([0.0, 50.0]))
    >>> y, pullback(np.ones(2))
    (array([ 0., 50.]), array([0.5, 1. ]))
    """
    from scipy.special import ndtr

    below = ndtr(x)

    def pullback(dy):
        return dy * (below + x * (np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)))

    return x * below, pullback


def dense(x, weight, bias, activation=silu):
    r"""A hidden layer, y = activation(x W + b).

    .. math:: \partial y \xrightarrow{\text{activation}} \partial (x W + b) \xrightarrow{\text{linear}}
        (\partial x, \partial W, \partial b)

    Parameters
    ----------
    x, weight, bias : ndarray
        As in :func:`linear`.
    activation : callable
        :func:`silu` or :func:`gelu`.

    Returns
    -------
    y : ndarray, shape (n, b)
    pullback : callable
        dy -> (dx, dW, db).
    """
    a, through_linear = linear(x, weight, bias)
    y, through_activation = activation(a)

    def pullback(dy):
        return through_linear(through_activation(dy))

    return y, pullback


def residual(x, weight, bias, activation=silu):
    r"""A hidden layer that adds to what it receives, y = x + activation(x W + b).

    .. math:: \partial x = \partial y + \partial x_{\text{dense}}

    Parameters
    ----------
    x, weight, bias : ndarray
        As in :func:`linear`, with a = b.
    activation : callable

    Returns
    -------
    y : ndarray, shape (n, a)
    pullback : callable
        dy -> (dx, dW, db).

    Notes
    -----
    Source: He et al. (2016), eq. 1.
    """
    branch, through_branch = dense(x, weight, bias, activation)

    def pullback(dy):
        dx, dweight, dbias = through_branch(dy)
        return dy + dx, dweight, dbias

    return x + branch, pullback


def time_embedding(t, frequencies):
    r"""The angles at which t stands on clocks of different speed, as sines and cosines.

    .. math:: \left(\sin \omega_1 t, \ldots, \sin \omega_k t, \cos \omega_1 t, \ldots, \cos \omega_k t\right)

    Parameters
    ----------
    t : ndarray of int, any shape
    frequencies : ndarray, shape (k,)
        Radians per step; their dtype is that of the result. See :func:`clock_frequencies`.

    Returns
    -------
    ndarray, shape (*t.shape, 2 k)

    Notes
    -----
    Source: Vaswani et al. (2017), section 3.5.
    """
    angle = t[..., None].astype(frequencies.dtype) * frequencies
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)


def clock_frequencies(k):
    r"""Return k frequencies in geometric progression, in radians per step.

    .. math:: \omega_i = \frac{2\pi}{4 \cdot 1000^{(i - 1)/(k - 1)}}, \qquad i = 1, \ldots, k

    The fastest clock goes round in 4 steps, so that neighbours t and t + 1 stand a right angle apart; the
    slowest needs 4000 steps, so that over 1..1000 it moves through one right angle and no two t look alike.

    Parameters
    ----------
    k : int

    Returns
    -------
    ndarray, shape (k,)

    Examples
    --------
    >>> 2 * np.pi / clock_frequencies(4)
    array([   4.,   40.,  400., 4000.])
    """
    return 2 * np.pi / np.geomspace(4000 if k == 1 else 4, 4000, k)


def point_embedding(x, frequencies):
    r"""Each coordinate as waves of different length: what lets a small network tell places apart that are close.

    Waves are bounded and come round: far out the network cannot tell how far, where eps_hat should grow with x. The
    bound of data near the origin gains by them, but a sampler whose x_T lies some 4 units out may run away.

    .. math:: \left(\sin \omega_1 x_1, \ldots, \sin \omega_k x_1, \cos \omega_1 x_1, \ldots, \cos \omega_k x_1,\;
        \sin \omega_1 x_2, \ldots\right), \qquad
        \partial x_j = \sum_i \omega_i \left(\partial s_{ij} \cos \omega_i x_j
        - \partial c_{ij} \sin \omega_i x_j\right)

    Parameters
    ----------
    x : ndarray, shape (n, d)
    frequencies : ndarray, shape (k,)
        Radians per unit of x; without any, the points enter as they are. See :func:`point_frequencies`.

    Returns
    -------
    y : ndarray, shape (n, 2 k d), or x itself
    pullback : callable
        dy -> dx.

    Notes
    -----
    Source: Tancik et al. (2020), section 4, with frequencies along the axes.

    Examples
    --------
    >>> y, pullback = point_embedding(np.array([[0.5]]), np.array([np.pi]))
    >>> y.round(3), pullback(np.array([[0.0, 1.0]])).round(3)  # the sine and the cosine of a right angle
    (array([[1., 0.]]), array([[-3.142]]))
    """
    if frequencies.size == 0:
        return x, lambda dy: dy
    angle = x[..., None] * frequencies
    sine, cosine = np.sin(angle), np.cos(angle)

    def pullback(dy):
        ds, dc = np.split(dy.reshape(len(x), x.shape[1], -1), 2, axis=-1)
        return ((ds * cosine - dc * sine) * frequencies).sum(axis=-1)

    return np.concatenate([sine, cosine], axis=-1).reshape(len(x), -1), pullback


def point_frequencies(k):
    r"""Return k frequencies in geometric progression, in radians per unit of standardised data.

    .. math:: \omega_i = \frac{2\pi}{16}\, 32^{(i - 1)/(k - 1)}, \qquad i = 1, \ldots, k

    The longest wave, of 16 units, tells all of x_t apart; the shortest is half a unit long.

    Parameters
    ----------
    k : int

    Returns
    -------
    ndarray, shape (k,)

    Examples
    --------
    >>> 2 * np.pi / point_frequencies(6)
    array([16. ,  8. ,  4. ,  2. ,  1. ,  0.5])
    """
    return 2 * np.pi / np.geomspace(16, 16 if k == 1 else 0.5, k)


def one_hot(y, classes, dtype=np.float64):
    r"""Return each label as a vector: 1 in its own place, 0 elsewhere; all 0 where there is no label.

    .. math:: \left(1_{y = 0}, \ldots, 1_{y = C - 1}\right)

    Its product with a matrix is a row of it, the label's own; what has no label gets none.

    Parameters
    ----------
    y : ndarray of int, any shape
        In 0..C - 1, or -1 for no label.
    classes : int
        C.
    dtype : dtype

    Returns
    -------
    ndarray, shape (*y.shape, C)

    Examples
    --------
    >>> one_hot(np.array([1, -1]), 3)
    array([[0., 1., 0.],
           [0., 0., 0.]])
    """
    return (y[..., None] == np.arange(classes)).astype(dtype)


def as_labels(value, classes, name="y"):
    """Return labels as an array of int, -1 where there is none.

    Parameters
    ----------
    value : int, array_like of int, or None
        In 0..classes - 1, or -1 for no label; None is no label for all.
    classes : int
        How many the network knows.
    name : str
        What the caller calls them.

    Returns
    -------
    ndarray of int

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If one is out of range, or the network knows no classes.
    """
    if value is None:
        return np.array(-1)
    y = np.asarray(value)
    if y.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a label or labels, integers; got dtype {y.dtype}. No label is -1, or None.")
    if y.size and (y.min() < -1 or y.max() >= classes):
        wrong = y.min() if y.min() < -1 else y.max()
        if not classes:
            raise ValueError(f"{name} must be None for a network without classes; got {wrong}. Build it with classes=.")
        raise ValueError(f"{name} runs over 0..{classes - 1}, and -1 is no label; got {wrong}.")
    return y.astype(np.int64)


class MLP:
    r"""A multilayer perceptron as denoiser: eps_hat = model(x_t, t), or model(x_t, t, y) for points with labels.

    .. math:: h_1 = \operatorname{act}([x_t, 1_y, \text{embedding}(t)]\, W_1 + b_1), \qquad
        h_k = \operatorname{act}(h_{k-1} W_k + b_k), \qquad
        \hat\epsilon = h_{\text{depth}}\, W_{\text{depth}+1} + b_{\text{depth}+1}

    With ``residual=True`` the hidden layers from the second on are h_k = h_{k-1} + act(h_{k-1} W_k + b_k), and with a
    ``point_dim`` the waves of ``point_embedding`` take the place of x_t.
    With ``classes``, 1_y is the label as a vector (``one_hot``): each label adds its own row of W_1, and what has
    no label adds none, so that one network answers with and without. Without classes, 1_y has no entries.
    Weights start as N(0, 1/fan_in) (LeCun et al., 1998), biases as 0.

    Parameters
    ----------
    dim : int
        The dimension d of the data.
    rng : numpy.random.Generator
        Draws the weights.
    width, depth : int
        Units in a hidden layer, and hidden layers.
    time_dim : int
        The size of the time embedding: even, a sine and a cosine for each frequency.
    residual : bool
        Whether the hidden layers from the second on add to what they receive.
    activation : {"silu", "gelu"}
    point_dim : int
        The size of the embedding of each coordinate: even, a sine and a cosine for each frequency. 0 takes the
        coordinates as they are.
    classes : int
        The number C of labels 0..C - 1 that the network is to know; 0 for points without labels.
    dtype : dtype
        float32 or float64; what the parameters are kept in and the network computes in. complex128 serves to
        differentiate by complex steps: f'(x) = Im f(x + ih) / h.

    Attributes
    ----------
    theta, gradient : ndarray, shape (P,)
        All parameters, and the gradient that the last :meth:`backward` left, each as one vector.
    parameters, gradients : dict of str to ndarray
        The same memory by name and in shape: weight_1 (inputs, width), bias_1 (width,), ..., with
        inputs = d max(1, point_dim) + classes + time_dim.
    config : dict
        The arguments that say what the network looks like.
    clocks, waves : ndarray
        The frequencies of the embedding of t, and of the coordinates.

    Raises
    ------
    TypeError
        If a size is not an integer, `rng` is not a Generator, or `dtype` is none of the three.
    ValueError
        If a size is below 1, `time_dim` or `point_dim` is odd, or there is no such activation.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.2, for the prediction of eps; Ho & Salimans (2022), section 3.2, for one
    network with and without labels.
    Identities: :eq:`eq-network.forward`, :eq:`eq-network.initialization`, :eq:`eq-network.gradient`.

    Examples
    --------
    >>> model = MLP(2, rng=np.random.default_rng(0))
    >>> model
    MLP(dim=2, width=128, depth=3, time_dim=32, activation='silu', dtype='float32'): 37762 parameters
    >>> model(np.zeros((5, 2)), 1).shape, model(np.zeros((5, 2)), [1, 2, 3, 4, 5]).dtype
    ((5, 2), dtype('float64'))

    A network that knows three classes, asked for points of the second, and for those of any:

    >>> model = MLP(2, rng=np.random.default_rng(0), classes=3)
    >>> model(np.zeros((5, 2)), 1, 1).shape, model.given(None)(np.zeros((5, 2)), 1).shape
    ((5, 2), (5, 2))
    """

    def __init__(
        self,
        dim=2,
        *,
        rng,
        width=128,
        depth=3,
        time_dim=32,
        residual=False,
        activation="silu",
        point_dim=0,
        classes=0,
        dtype=np.float32,
    ):
        check_rng(rng)
        self._build(dim, width, depth, time_dim, residual, activation, point_dim, classes, dtype)
        for name, parameter in self.parameters.items():
            if name.startswith("weight"):
                parameter[...] = rng.standard_normal(parameter.shape) / math.sqrt(parameter.shape[0])

    @classmethod
    def from_theta(
        cls, theta, *, dim, width, depth, time_dim, residual, dtype, activation="silu", point_dim=0, classes=0
    ):
        """Return the network whose parameters are views into `theta`; nothing is copied.

        Parameters
        ----------
        theta : ndarray, shape (P,)
            All parameters, in the order of ``parameters``.
        dim, width, depth, time_dim, residual, dtype, activation, point_dim, classes
            As in :class:`MLP`; ``**model.config`` of a network of the same shape.

        Returns
        -------
        MLP

        Raises
        ------
        ValueError
            If `theta` is not a vector of the right length and dtype.

        Examples
        --------
        >>> model = MLP(2, rng=np.random.default_rng(0))
        >>> twin = MLP.from_theta(model.theta.copy(), **model.config)
        >>> bool(np.all(twin(np.ones((1, 2)), 7) == model(np.ones((1, 2)), 7)))
        True
        """
        model = cls.__new__(cls)
        model._build(dim, width, depth, time_dim, residual, activation, point_dim, classes, dtype, theta)
        return model

    def _build(self, dim, width, depth, time_dim, residual, activation, point_dim, classes, dtype, theta=None):
        """Check the sizes, lay all parameters out in one vector and name the views into it."""
        self.dim = count(dim, "dim")
        width, depth, time_dim = count(width, "width"), count(depth, "depth"), count(time_dim, "time_dim", least=2)
        if time_dim % 2:
            raise ValueError(f"time_dim must be even, a sine and a cosine for each frequency; got {time_dim}.")
        point_dim = count(point_dim, "point_dim", least=0)
        if point_dim % 2:
            raise ValueError(f"point_dim must be even, a sine and a cosine for each frequency; got {point_dim}.")
        classes = count(classes, "classes", least=0)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}.")
        if not isinstance(residual, bool):
            raise TypeError(f"residual must be True or False; got {residual!r}.")
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64, np.complex128):
            raise TypeError(f"dtype must be float32, float64 or complex128; got {dtype}.")
        self.config = {
            "dim": self.dim,
            "width": width,
            "depth": depth,
            "time_dim": time_dim,
            "residual": residual,
            "activation": activation,
            "point_dim": point_dim,
            "classes": classes,
            "dtype": dtype.name,
        }
        self.clocks = clock_frequencies(time_dim // 2).astype(np.finfo(dtype).dtype)  # t stays real
        waves = point_frequencies(point_dim // 2) if point_dim else np.zeros(0)
        self.waves = waves.astype(np.finfo(dtype).dtype)

        sizes = [self.dim * max(1, point_dim) + classes + time_dim, *[width] * depth, self.dim]
        shapes = {}
        for k, (before, after) in enumerate(itertools.pairwise(sizes), start=1):
            shapes |= {f"weight_{k}": (before, after), f"bias_{k}": (after,)}
        number = sum(math.prod(shape) for shape in shapes.values())
        if theta is None:
            theta = np.zeros(number, dtype)
        elif theta.shape != (number,) or theta.dtype != dtype or not theta.flags.c_contiguous:
            raise ValueError(
                f"theta must be contiguous {dtype} of shape ({number},); got {theta.dtype} of shape {theta.shape}."
            )
        self.theta, self.gradient = theta, np.zeros(number, dtype)
        self.parameters, self.gradients = views(self.theta, shapes), views(self.gradient, shapes)

    def __repr__(self):
        config = ", ".join(f"{name}={value!r}" for name, value in self.config.items() if value)
        return f"MLP({config}): {self.theta.size} parameters"

    def layers(self):
        """Return the operations from input to output: the k-th takes weight_k and bias_k."""
        activation = ACTIVATIONS[self.config["activation"]]
        first = functools.partial(dense, activation=activation)
        inner = functools.partial(residual, activation=activation) if self.config["residual"] else first
        return [first, *[inner] * (self.config["depth"] - 1), linear]

    def forward(self, x, t, y=None):
        """Return eps_hat and the tape from which :meth:`backward` finds the gradients.

        Parameters
        ----------
        x : array_like, shape (..., d)
            The points x_t; taken into the network's dtype.
        t : int or array_like of int
            The steps, counted 1..T: one for all points, or one for each, of shape x.shape[:-1].
        y : int or array_like of int, optional
            The labels, in 0..classes - 1 or -1 for no label: one for all points, or one for each. None is no label.

        Returns
        -------
        eps_hat : ndarray, shape (..., d)
            In the network's dtype.
        tape : list of callable
            The pullbacks of the embedding and of the layers. It refers to the parameters: play it before they change.

        Raises
        ------
        TypeError
            If `x` is not made of real numbers, or `t` or `y` is a float or a bool.
        ValueError
            If the last axis of `x` is not d, `t` or `y` does not have one entry for each point, t < 1, or a label is
            out of range.
        """
        x, t, y = self._lined_up(x, t, y)
        rows = x.reshape(-1, self.dim)
        places, through_places = point_embedding(rows, self.waves)
        times = time_embedding(t.reshape(-1), self.clocks)  # one row, or one for each point
        kinds = one_hot(y.reshape(-1), self.config["classes"], x.dtype)  # likewise
        beside = [np.broadcast_to(part, (len(rows), part.shape[1])) for part in (kinds, times)]
        h = np.concatenate([places, *beside], axis=1)
        tape = [lambda dh: through_places(dh[:, : places.shape[1]])]  # the columns behind belong to y and t
        for k, layer in enumerate(self.layers(), start=1):
            h, pullback = layer(h, self.parameters[f"weight_{k}"], self.parameters[f"bias_{k}"])
            tape.append(pullback)
        return h.reshape(x.shape), tape

    def backward(self, tape, grad_output):
        """Fill ``gradients`` and return dL/dx, given dL/d eps_hat.

        Parameters
        ----------
        tape : list of callable
            From :meth:`forward`.
        grad_output : array_like, shape (..., d)
            The gradient of the loss L with respect to eps_hat.

        Returns
        -------
        grad_x : ndarray, shape (..., d)
        """
        grad_output = np.asarray(grad_output).astype(self.theta.dtype, copy=False)
        dy = grad_output.reshape(-1, self.dim)
        through_places, *layers = tape
        for k, pullback in reversed(list(enumerate(layers, start=1))):
            dy, self.gradients[f"weight_{k}"][...], self.gradients[f"bias_{k}"][...] = pullback(dy)
        return through_places(dy).reshape(grad_output.shape)

    def __call__(self, x, t, y=None):
        """Return eps_hat(x_t, t, y), as :meth:`forward` does but in float64 and without a tape.

        Parameters
        ----------
        x : array_like, shape (..., d)
            The points x_t.
        t : int or array_like of int
            The steps, counted 1..T: one for all points, or one for each, of shape x.shape[:-1].
        y : int or array_like of int, optional
            The labels, as in :meth:`forward`.

        Returns
        -------
        ndarray, shape (..., d)
            In float64 as every denoiser's, whatever the network computes in.
        """
        x, *beside = self._lined_up(x, t, y)
        eps_hat = np.empty(x.shape, np.result_type(x.dtype, np.float64))
        rows_in, rows_out = x.reshape(-1, self.dim), eps_hat.reshape(-1, self.dim)
        beside = [one.reshape(-1) for one in (beside if self.config["classes"] else beside[:1])]
        most = min(len(rows_in), BLOCK) * max(weight.size for weight in self.parameters.values())
        with one_blas_thread() if FEW < most <= MANY else nullcontext():
            for start in range(0, len(rows_in), BLOCK):
                rows = slice(start, start + BLOCK)
                at = (one[rows] if one.size > 1 else one[0] for one in beside)
                rows_out[rows] = self.forward(rows_in[rows], *at)[0]
        return eps_hat

    def given(self, y):
        r"""Return the network under labels: a denoiser of points alone, for any sampler and any bound.

        .. math:: (x_t, t) \mapsto \hat\epsilon(x_t, t, y)

        Parameters
        ----------
        y : int, array_like of int, or None
            One label for all points; or one for each, and then the points have to come as they are labelled. None is
            the network without labels.

        Returns
        -------
        Given

        Raises
        ------
        TypeError
            If `y` is not made of integers.
        ValueError
            If a label is out of range, or the network knows no classes.

        Examples
        --------
        >>> model, x_t = MLP(2, rng=np.random.default_rng(0), classes=3), np.ones((5, 2))
        >>> bool(np.all(model.given(1)(x_t, 7) == model(x_t, 7, 1)))
        True
        """
        return Given(self, y)

    def compiled_walks(self, y=None):
        """Return walks of this network through many steps in compiled loops, or None where there are none.

        Samplers and bounds ask a denoiser for them. What is written into a subclass they would not see.

        Parameters
        ----------
        y : int, optional
            The label of all points.

        Returns
        -------
        refdiff.network.engine.Engine or None
            None for a complex network, for a subclass that answers in its own way, and where Numba is switched off
            (NUMBA_DISABLE_JIT=1).
        """
        from refdiff.kernels.streams import loading

        answers = (getattr(type(self), name) is getattr(MLP, name) for name in ("__call__", "forward", "layers"))
        if self.theta.dtype.kind == "c" or not all(answers):
            return None
        with loading():
            from refdiff.kernels import build
        if not build.ENABLED:
            return None
        from refdiff.network.engine import Engine

        return Engine(self, y)

    def _lined_up(self, x, t, y):
        """Return x in the network's dtype, and t and y as integers, one or one for each point."""
        dtype = self.theta.dtype
        x = np.asarray(x) if dtype.kind == "c" else points(x, "x")
        if x.ndim == 0 or x.shape[-1] != self.dim:
            raise ValueError(f"x must have shape (..., {self.dim}), this network's dim; got {x.shape}.")
        t = np.asarray(t)
        if t.dtype.kind not in "iu":
            raise TypeError(f"t must be an integer or integers; got dtype {t.dtype}. Steps are counted 1..T.")
        if t.ndim and t.shape != x.shape[:-1]:
            raise ValueError(
                f"t must be one integer or have one entry per point: shape {x.shape[:-1]} beside points of shape"
                f" {x.shape}; got {t.shape}. The last axis of the points is the event."
            )
        if t.size and t.min() < 1:
            raise ValueError(f"t runs over 1..T; got {t.min()}. Zero-based steps, as in diffusers? Add 1.")
        y = as_labels(y, self.config["classes"])
        if y.ndim and y.shape != x.shape[:-1]:
            raise ValueError(
                f"y must be one label or have one entry per point: shape {x.shape[:-1]} beside points of shape"
                f" {x.shape}; got {y.shape}."
            )
        return x.astype(dtype, copy=False), t, y


class Given:
    """A network under labels, as :meth:`MLP.given` makes it: eps_hat = given(x_t, t).

    Attributes
    ----------
    model : MLP
    y : ndarray of int
        One label or one for each point; -1 for none.
    dim : int
        That of the network.
    """

    def __init__(self, model, y):
        self.model, self.y, self.dim = model, as_labels(y, model.config["classes"]), model.dim

    def __repr__(self):
        return f"{self.model!r}, given y = {self.y}"

    def __call__(self, x, t):
        """Return eps_hat(x_t, t, y), as the network does.

        Parameters
        ----------
        x : array_like, shape (..., d)
        t : int or array_like of int

        Returns
        -------
        ndarray, shape (..., d)
        """
        return self.model(x, t, self.y) if self.model.config["classes"] else self.model(x, t)

    def compiled_walks(self):
        """Return compiled walks of the network under one label, or None, as where each point has its own.

        Returns
        -------
        refdiff.network.engine.Engine or None
        """
        return self.model.compiled_walks(int(self.y)) if self.y.ndim == 0 else None


ACTIVATIONS = {"silu": silu, "gelu": gelu}


def views(vector, shapes):
    """Return a dict of views that cut `vector` into arrays of the given `shapes`, in their order."""
    ends = itertools.accumulate(math.prod(shape) for shape in shapes.values())
    return {
        name: vector[end - math.prod(shape) : end].reshape(shape) for end, (name, shape) in zip(ends, shapes.items())
    }
