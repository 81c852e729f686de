r"""The loops of a small network: its training, and walks through all steps with a block of points.

The specification is the NumPy code of :mod:`refdiff.network`; this is the same arithmetic in another order, made for
speed. The matrix products are BLAS's. What lies between two of them is one pass over the block, which is still in the
cache: bias, activation and derivative together; gradient, derivative and sum of columns together; norm, AdamW and
moving average together. Elementary functions of float32 are polynomials here, because calls to the C library cannot be
done for 16 numbers at a time.
"""

import math
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from refdiff.kernels.build import compiled

__all__ = ["Net", "columns_product", "gradient", "product", "reverse_walk", "squared_errors", "train"]

f32 = np.float32

# What a compiler may do to fast arithmetic without changing the order of a sum: fuse a multiplication with an addition,
# divide by a reciprocal, and take it that no NaN, infinity or signed zero needs care.
FAST = frozenset({"contract", "arcp", "nnan", "ninf", "nsz"})

ROWS = 256  # of a batch that go forward and backward together, so that what they leave behind stays in the cache


class Net(NamedTuple):
    """A network as the loops see it.

    Attributes
    ----------
    theta : ndarray, shape (P,)
        All parameters: weight_1, bias_1, weight_2, ... one after the other.
    table : ndarray, shape (T + 1, time_dim)
        The embedding of each t; for walks of no rows.
    waves : ndarray, shape (point_dim / 2,)
        Coordinate x enters as sin(waves x) and cos(waves x), and as itself if there are none.
    dim, classes, width, depth : int
        Coordinates of a point, labels (0 for a network without), units in a hidden layer, hidden layers.
    residual, gelu : bool
    small : int
        Matrix products of up to so many multiplications take BLAS's quick path for small ones; 0 if it has none.
    """

    theta: np.ndarray
    table: np.ndarray
    waves: np.ndarray
    dim: int
    classes: int
    width: int
    depth: int
    residual: bool
    gelu: bool
    small: int


# Elementary functions: in Python those of the C library, compiled for float32 a polynomial.

LOG2_E, LN2_HIGH, LN2_LOW = f32(1 / math.log(2)), f32(0.693359375), f32(math.log(2) - 0.693359375)
EXP = tuple(  # of (e^r - 1 - r) / r^2; Moshier's Cephes, expf.c
    f32(c)
    for c in (5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4)
)


def exp(x):
    """Return e^x."""
    return math.exp(x) if x < 709 else math.inf


@overload(exp, jit_options={"fastmath": set(FAST)})
def _exp(x):
    if x.bitwidth == 64:
        return lambda x: math.exp(x)
    c2, c3, c4, c5, c6, c7 = EXP

    def exp32(x):
        # e^x = 2^k e^r with |r| <= log(2) / 2; 2^k is k in the bits of the exponent. It is cut at
        # -87 and 88, beyond which float32 has no normal numbers.
        x = min(max(x, f32(-87)), f32(88))
        k = np.floor(x * LOG2_E + f32(0.5))
        r = (x - k * LN2_HIGH) - k * LN2_LOW
        p = (((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + c2) * (r * r) + (r + f32(1))
        return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)

    return exp32


# Phi(-x) = e^(-x^2 / 2) P(1 / (1 + s x)) for x >= 0, the form of Hastings (1955), with the degree and the s at which a
# least-squares fit of the relative error comes to 7e-8 up to x = 10.
TAIL_S = f32(0.29313670522053714)
TAIL = tuple(
    f32(c)
    for c in (
        2.5957142904621387e-05,
        0.11637853260690695,
        0.12228237232241299,
        0.07839440083204986,
        0.18138247378319505,
        -0.14120121498898588,
        0.29435411255941385,
        -0.1921036687983329,
        0.04048705850531604,
    )
)


def tail(x, bell):
    """Return the standard normal probability beyond x >= 0, given bell = e^(-x^2 / 2)."""
    return math.erfc(x * math.sqrt(0.5)) / 2


@overload(tail, jit_options={"fastmath": set(FAST), "error_model": "numpy"})
def _tail(x, bell):
    if x.bitwidth == 64:
        return lambda x, bell: math.erfc(x * math.sqrt(0.5)) / 2
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = TAIL

    def tail32(x, bell):
        u = f32(1) / (f32(1) + TAIL_S * x)
        return bell * ((((((((c8 * u + c7) * u + c6) * u + c5) * u + c4) * u + c3) * u + c2) * u + c1) * u + c0)

    return tail32


TWO_OVER_PI, HALF_PI_HIGH, HALF_PI_LOW = f32(2 / math.pi), f32(1.5703125), f32(math.pi / 2 - 1.5703125)
QUARTER_PI = f32(0.7854)  # and a little, for rounding
SINE = tuple(f32(c) for c in (-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4))  # Moshier's Cephes, sinf.c
COSINE = tuple(f32(c) for c in (4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5))


def sine_and_cosine(angle):
    """Return sin(angle) and cos(angle)."""
    return math.sin(angle), math.cos(angle)


@overload(sine_and_cosine, jit_options={"fastmath": set(FAST)})
def _sine_and_cosine(angle):
    if angle.bitwidth == 64:
        return lambda angle: (math.sin(angle), math.cos(angle))
    s1, s2, s3 = SINE
    c2, c3, c4 = COSINE

    def both32(angle):
        # angle = k pi / 2 + r with |r| <= pi / 4: an odd k swaps the two, its second bit is their sign. Two parts of
        # pi / 2 do for angles of up to a thousand; further out it is some number in [-1, 1].
        one, high = np.int32(1), np.int32(31)
        k = np.floor(angle * TWO_OVER_PI + f32(0.5))
        r = min(max((angle - k * HALF_PI_HIGH) - k * HALF_PI_LOW, -QUARTER_PI), QUARTER_PI)
        s = r * r
        sine = ((s3 * s + s2) * s + s1) * s * r + r
        cosine = ((c4 * s + c3) * s + c2) * s * s - f32(0.5) * s + f32(1)
        q = np.int32(k)
        odd = (q & one) != 0
        sign, next_sign = np.int32(np.int32(q >> one) << high), np.int32(np.int32(np.int32(q + one) >> one) << high)
        a, b = np.float32(cosine if odd else sine), np.float32(sine if odd else cosine)
        sine = np.int32(a.view(np.int32) ^ sign).view(np.float32)
        return sine, np.int32(b.view(np.int32) ^ next_sign).view(np.float32)

    return both32


def silu(x):
    """Return x sigma(x) and its derivative."""
    one = type(x)(1)
    sigma = one / (one + exp(-x))
    y = x * sigma
    return y, sigma + y * (one - sigma)


def gelu(x):
    """Return x Phi(x) and its derivative."""
    half = type(x)(0.5)
    bell = exp(-half * x * x)
    beyond = tail(abs(x), bell)
    below = type(x)(1) - beyond if x > 0 else beyond
    return x * below, below + x * bell * type(x)(1 / math.sqrt(2 * math.pi))


# Phi(x) = 1/2 + x P(x^2) / Q(x^2) for |x| <= 5.4, beyond which it is 0 or 1: a rational fit, to 3e-8. It is
# quicker than gelu() where the slope, and with it e^(-x^2 / 2), is not wanted.
EDGE = f32(5.4)
ABOVE = tuple(f32(c) for c in (0.398942245, 0.033372282, 0.00465085475, 0.000164322275, 6.36002711e-06, 2.3386716e-08))
BELOW = tuple(f32(c) for c in (1.0, 0.250317995, 0.0283787188, 0.00185898477, 7.24003874e-05, 1.21659097e-06))


def gelu_alone(x):
    """Return x Phi(x)."""
    return gelu(x)[0]


@overload(gelu_alone, jit_options={"fastmath": set(FAST - {"nnan"}), "error_model": "numpy"})  # a NaN is to be seen
def _gelu_alone(x):
    if x.bitwidth == 64:
        return lambda x: gelu(x)[0]
    a0, a1, a2, a3, a4, a5 = ABOVE
    b0, b1, b2, b3, b4, b5 = BELOW

    def gelu32(x):
        z = min(max(x, -EDGE), EDGE)
        s = z * z
        above = ((((a5 * s + a4) * s + a3) * s + a2) * s + a1) * s + a0
        below = ((((b5 * s + b4) * s + b3) * s + b2) * s + b1) * s + b0
        y = x * (f32(0.5) + z * above / below)
        return f32(0) if x < -EDGE else y

    return gelu32


# The parameters of a layer, k = 0..depth, as views into one vector.


def inputs(net):
    """Return how many numbers of a point enter the first layer; those of its label and of t come behind them."""
    return 2 * net.dim * net.waves.size if net.waves.size else net.dim


def all_inputs(net):
    """Return how many numbers enter the first layer."""
    return inputs(net) + net.classes + net.table.shape[1]


def start(net, k):
    """Return where the weights of layer k begin."""
    first = (all_inputs(net) + 1) * net.width
    return 0 if k == 0 else first + (k - 1) * (net.width + 1) * net.width


def weight(net, vector, k):
    """Return the weights of layer k, or their gradient: the part of `vector` that belongs to them."""
    before = all_inputs(net) if k == 0 else net.width
    after = net.dim if k == net.depth else net.width
    at = start(net, k)
    return vector[at : at + before * after].reshape((before, after))


def bias(net, vector, k):
    """Return the biases of layer k, or their gradient."""
    before = all_inputs(net) if k == 0 else net.width
    after = net.dim if k == net.depth else net.width
    at = start(net, k) + before * after
    return vector[at : at + after]


# Passes over a block.


def product(x, w, out, small):
    """Write x w to `out`, in groups of rows that are small products for BLAS where it is quicker with these."""
    rows = small // w.size // 8 * 8
    if rows < 8 or rows >= len(x):
        np.dot(x, w, out)
    else:
        for low in range(0, len(x), rows):
            np.dot(x[low : low + rows], w, out[low : low + rows])


def columns_product(x, d, out, part, small):
    """Write x^T d to `out`, as a sum of small products where these are so much quicker that adding them up is paid."""
    rows = small // out.size // 8 * 8
    if rows < 32 or rows >= len(x):
        np.dot(x.T, d, out)
    else:
        np.dot(x[:rows].T, d[:rows], out)
        for low in range(rows, len(x), rows):
            np.dot(x[low : low + rows].T, d[low : low + rows], part)
            for i in range(out.shape[0]):
                for j in range(out.shape[1]):
                    out[i, j] += part[i, j]


def transpose(w, out):
    """Write w^T to `out`, in squares of 8 x 8, which stay in registers."""
    n, m = w.shape[0] // 8 * 8, w.shape[1] // 8 * 8
    for i in range(0, n, 8):
        for j in range(0, m, 8):
            for a in range(8):
                for b in range(8):
                    out[j + b, i + a] = w[i + a, j + b]
    for i in range(w.shape[0]):
        for j in range(m if i < n else 0, w.shape[1]):
            out[j, i] = w[i, j]


def sines(x, waves, h):
    """Write the sines and cosines of each coordinate to the columns of `h`."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            one, at, then = x[i, c], 2 * c * waves.size, (2 * c + 1) * waves.size
            for j in range(waves.size):
                sine, cosine = sine_and_cosine(one * waves[j])
                h[i, at + j] = sine
                h[i, then + j] = cosine


def embed(x, waves, h):
    """Write the points' part of the first layer's input, x itself or its sines and cosines, to the columns of `h`."""
    if waves.size:
        sines(x, waves, h)
    else:
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                h[i, c] = x[i, c]


def silu_layer(a, bias, y):
    """Turn the products `a` of a layer into its value `y` and, in place, into the slope of its activation."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            y[i, j], a[i, j] = silu(a[i, j] + bias[j])


def gelu_layer(a, bias, y):
    """As :func:`silu_layer`, for GELU."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            y[i, j], a[i, j] = gelu(a[i, j] + bias[j])


def silu_residual(a, bias, x, y):
    """As :func:`silu_layer`, for a layer that adds to what it receives, x."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            value, a[i, j] = silu(a[i, j] + bias[j])
            y[i, j] = x[i, j] + value


def gelu_residual(a, bias, x, y):
    """As :func:`silu_residual`, for GELU."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            value, a[i, j] = gelu(a[i, j] + bias[j])
            y[i, j] = x[i, j] + value


def silu_value(a, bias, y):
    """Turn the products `a` of a layer into its value; no slope is wanted."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            y[i, j] = silu(a[i, j] + bias[j])[0]


def gelu_value(a, bias, y):
    """As :func:`silu_value`, for GELU."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            y[i, j] = gelu_alone(a[i, j] + bias[j])


def add_silu(a, bias, y):
    """Add the value of a layer to what it received, y."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            y[i, j] += silu(a[i, j] + bias[j])[0]


def add_gelu(a, bias, y):
    """As :func:`add_silu`, for GELU."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            y[i, j] += gelu_alone(a[i, j] + bias[j])


def through_activation(dy, slope, dbias):
    """Turn the slopes into dL/da = dL/dy times slope, and add its columns to dL/dbias."""
    for i in range(slope.shape[0]):
        for j in range(slope.shape[1]):
            da = dy[i, j] * slope[i, j]
            slope[i, j] = da
            dbias[j] += da


def through_residual(dy, dx, slope, dbias):
    """As :func:`through_activation`, where dL/dy has another part, dx: it becomes the sum of both."""
    for i in range(slope.shape[0]):
        for j in range(slope.shape[1]):
            both = dy[i, j] + dx[i, j]
            dy[i, j] = both
            da = both * slope[i, j]
            slope[i, j] = da
            dbias[j] += da


def sum_of_squares(vector):
    """Return the squared length of a vector."""
    total = vector.dtype.type(0)
    for i in range(vector.size):
        total += vector[i] * vector[i]
    return total


def adamw(theta, gradient, first, second, average, numbers, new):
    """Move the parameters by one step of AdamW, and the average by the share `new` towards them, in one pass."""
    scale, rate, correct_1, correct_2, keep_1, keep_2, epsilon, weight_decay = numbers
    for i in range(theta.size):
        g = gradient[i] * scale
        m = first[i] + (g - first[i]) * keep_1
        v = second[i] + (g * g - second[i]) * keep_2
        first[i], second[i] = m, v
        moved = theta[i] - rate * (m * correct_1 / (np.sqrt(v * correct_2) + epsilon) + weight_decay * theta[i])
        theta[i] = moved
        average[i] += new * (moved - average[i])


def gradient(net, grad, x_t, t, y, eps, h_0, h, slopes, dy, dx, turned, part):
    """Fill `grad` with the gradient of the mean squared error of eps_hat, and return that error.

    `x_t` holds the points, and the scaled error afterwards; `y` their labels, -1 for none, which a network without
    classes does not look at. `h_0` (n, rows of weight_1), `h` and `slopes` (depth, n, width), `dy` and `dx` (ROWS,
    width), `turned` (depth, width, width) and `part` (like weight_1) are room to work in.
    """
    last, n, points = net.depth, len(x_t), inputs(net)
    small = net.width * net.width * 8 <= net.small
    for k in range(1, last):
        if small:  # only products x w have a quick path, those with w^T have none
            transpose(weight(net, net.theta, k), turned[k])
    for k in range(last + 1):
        bias(net, grad, k)[:] = 0
    embed(x_t, net.waves, h_0)
    for i in range(n):
        for j in range(net.classes):
            h_0[i, points + j] = y[i] == j
        for j in range(net.table.shape[1]):
            h_0[i, points + net.classes + j] = net.table[t[i], j]

    total, scale = 0.0, net.theta.dtype.type(2 / x_t.size)
    for low in range(0, n, ROWS):
        high = min(low + ROWS, n)
        x = h_0[low:high]
        for k in range(last):
            a, y = slopes[k][low:high], h[k][low:high]
            product(x, weight(net, net.theta, k), a, net.small)
            b = bias(net, net.theta, k)
            if net.residual and k > 0:
                if net.gelu:
                    gelu_residual(a, b, x, y)
                else:
                    silu_residual(a, b, x, y)
            elif net.gelu:
                gelu_layer(a, b, y)
            else:
                silu_layer(a, b, y)
            x = y
        out, b, db = x_t[low:high], bias(net, net.theta, last), bias(net, grad, last)
        np.dot(x, weight(net, net.theta, last), out)
        for i in range(high - low):
            for c in range(net.dim):
                error = out[i, c] + b[c] - eps[low + i, c]
                total += error * error
                out[i, c] = scale * error
                db[c] += out[i, c]

        dy_block = dy[: high - low]
        np.dot(out, weight(net, net.theta, last).T, dy_block)
        through_activation(dy_block, slopes[last - 1][low:high], bias(net, grad, last - 1))
        for k in range(last - 2, -1, -1):
            dx_block = dx[: high - low] if net.residual else dy_block
            if small:
                product(slopes[k + 1][low:high], turned[k + 1], dx_block, net.small)
            else:
                np.dot(slopes[k + 1][low:high], weight(net, net.theta, k + 1).T, dx_block)
            slope, db = slopes[k][low:high], bias(net, grad, k)
            if net.residual:
                through_residual(dy_block, dx_block, slope, db)
            else:
                through_activation(dy_block, slope, db)

    np.dot(h[last - 1].T, x_t, weight(net, grad, last))
    for k in range(last - 1, 0, -1):
        columns_product(h[k - 1], slopes[k], weight(net, grad, k), turned[k], net.small)
    columns_product(h_0, slopes[0], weight(net, grad, 0), part, net.small)
    return total / x_t.size


def train(net, grad, first, second, average, data, signal, noise, rng, done, rates, clip_norm, decays, adam, records):
    """Take one step of training for each of the `rates`; return the number of steps that went well.

    Each draws a batch, t and eps in the order of the NumPy loop, so that both see the same. `data` holds the points,
    their labels (none, or as many) and the probability to drop one, which is drawn last; `adam` batch size, beta_1,
    beta_2, epsilon and weight decay; `records` (steps, 2) receives the loss and the norm of the gradient.
    """
    points, labels, drop_label = data
    batch, beta_1, beta_2, epsilon, weight_decay = adam
    n, T, number = int(batch), net.table.shape[0] - 1, net.theta.dtype.type
    x_t = np.empty((n, net.dim), net.theta.dtype)
    h_0 = np.empty((n, all_inputs(net)), net.theta.dtype)
    h = np.empty((net.depth, n, net.width), net.theta.dtype)
    slopes = np.empty((net.depth, n, net.width), net.theta.dtype)
    dy = np.empty((min(n, ROWS), net.width), net.theta.dtype)
    dx = np.empty((min(n, ROWS), net.width), net.theta.dtype)
    turned = np.empty((net.depth, net.width, net.width), net.theta.dtype)
    part = np.empty((h_0.shape[1], net.width), net.theta.dtype)
    y = np.full(n, -1)
    for i in range(len(rates)):
        rows = rng.integers(0, len(points), size=n)
        t = rng.integers(1, T, size=n, endpoint=True)
        eps = rng.standard_normal((n, net.dim))
        for j in range(n):
            for c in range(net.dim):
                x_t[j, c] = signal[t[j]] * points[rows[j], c] + noise[t[j]] * eps[j, c]
        if labels.size:
            dropped = rng.random(n) < drop_label
            for j in range(n):
                y[j] = -1 if dropped[j] else labels[rows[j]]
        loss = gradient(net, grad, x_t, t, y, eps, h_0, h, slopes, dy, dx, turned, part)
        norm = math.sqrt(sum_of_squares(grad))
        records[i, 0], records[i, 1] = loss, norm
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return i
        k = done + i + 1
        numbers = (
            number(clip_norm / norm if norm > clip_norm else 1.0),
            number(rates[i]),
            number(1 / (1 - beta_1**k)),
            number(1 / (1 - beta_2**k)),
            number(1 - beta_1),
            number(1 - beta_2),
            number(epsilon),
            number(weight_decay),
        )
        adamw(net.theta, grad, first, second, average, numbers, number(1 - decays[i]))
    return len(rates)


# Walks: the time's part of the first layer is the same for all points, and known before they are.


def predict(net, row, x, h_0, h, a, out):
    """Write eps_hat of a block of points x to `out`, given the row that the step adds to the first layer's products."""
    w = weight(net, net.theta, 0)[: inputs(net)]
    embed(x, net.waves, h_0)
    product(h_0, w, a, net.small)
    if net.gelu:
        gelu_value(a, row, h)
    else:
        silu_value(a, row, h)
    for k in range(1, net.depth):
        product(h, weight(net, net.theta, k), a, net.small)
        b = bias(net, net.theta, k)
        if net.residual:
            if net.gelu:
                add_gelu(a, b, h)
            else:
                add_silu(a, b, h)
        elif net.gelu:
            gelu_value(a, b, h)
        else:
            silu_value(a, b, h)
    np.dot(h, weight(net, net.theta, net.depth), out)
    out += bias(net, net.theta, net.depth)


def room(net, n):
    """Return arrays for n points to work in: x, h_0, h, a and out of :func:`predict`."""
    x, out = np.empty((n, net.dim), net.theta.dtype), np.empty((n, net.dim), net.theta.dtype)
    h, a = np.empty((n, net.width), net.theta.dtype), np.empty((n, net.width), net.theta.dtype)
    return x, np.empty((n, inputs(net)), net.theta.dtype), h, a, out


def reverse_walk(net, rows, x_t, keep, add, std, rng):
    """Take a block of points through steps, a row of `rows` each: x = keep x + add eps_hat(x, t) + std z, in place.

    A step whose std is 0 draws nothing.
    """
    x, h_0, h, a, eps_hat = room(net, len(x_t))
    for i in range(len(rows)):
        x[:] = x_t
        predict(net, rows[i], x, h_0, h, a, eps_hat)
        if std[i] > 0:
            z = rng.standard_normal(x_t.shape)
            for j in range(len(x_t)):
                for c in range(net.dim):
                    x_t[j, c] = keep[i] * x_t[j, c] + add[i] * eps_hat[j, c] + std[i] * z[j, c]
        else:
            for j in range(len(x_t)):
                for c in range(net.dim):
                    x_t[j, c] = keep[i] * x_t[j, c] + add[i] * eps_hat[j, c]


def squared_errors(net, rows, x_0, signal, noise, rng, out):
    """Write |eps - eps_hat|^2 at each step to `out`, for a drawn eps and x_t = signal x_0 + noise eps."""
    x, h_0, h, a, eps_hat = room(net, len(x_0))
    for i in range(len(rows)):
        eps = rng.standard_normal(x_0.shape)
        for j in range(len(x_0)):
            for c in range(net.dim):
                x[j, c] = signal[i] * x_0[j, c] + noise[i] * eps[j, c]
        predict(net, rows[i], x, h_0, h, a, eps_hat)
        for j in range(len(x_0)):
            square = 0.0
            for c in range(net.dim):
                square += (eps[j, c] - eps_hat[j, c]) ** 2
            out[i, j] = square


silu, gelu = compiled(silu, fastmath=FAST), compiled(gelu, fastmath=FAST)
inputs, all_inputs = compiled(inputs), compiled(all_inputs)
start, weight, bias = compiled(start), compiled(weight), compiled(bias)
product, transpose = compiled(product), compiled(transpose)
sines, embed = compiled(sines, fastmath=FAST), compiled(embed)
columns_product = compiled(columns_product)
silu_layer, gelu_layer = compiled(silu_layer, fastmath=FAST), compiled(gelu_layer, fastmath=FAST)
silu_residual, gelu_residual = compiled(silu_residual, fastmath=FAST), compiled(gelu_residual, fastmath=FAST)
silu_value, gelu_value = compiled(silu_value, fastmath=FAST), compiled(gelu_value, fastmath=FAST)
add_silu, add_gelu = compiled(add_silu, fastmath=FAST), compiled(add_gelu, fastmath=FAST)
through_activation = compiled(through_activation, fastmath=FAST)
through_residual = compiled(through_residual, fastmath=FAST)
sum_of_squares = compiled(sum_of_squares, fastmath=FAST | {"reassoc"})
adamw = compiled(adamw, fastmath=FAST)
gradient, train = compiled(gradient), compiled(train)
predict, room = compiled(predict), compiled(room)
reverse_walk, squared_errors = compiled(reverse_walk), compiled(squared_errors)
