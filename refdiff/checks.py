"""The checks at the door: what every public function asks of its arguments before it computes.

Each returns the argument in the one form that the mathematics uses (float64 arrays, a NumPy
Generator) or raises a one-line error that names the rule, the value received and the usual cause.
"""

import numpy as np

__all__ = [
    "call_denoiser",
    "check_denoiser",
    "check_rng",
    "count",
    "one_number",
    "points",
    "real",
    "same_shape",
    "table",
]


def real(value, name):
    """Return `value` as a float64 array; reject masked, complex, boolean, object and text arrays.

    Raises
    ------
    TypeError
        If `value` is not made of plain real numbers.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array; got a masked array. Fill or drop the masked entries first.")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name} must be an array of real numbers; got rows of unequal length ({error}).") from None
    if array.dtype.kind not in "fiu":
        cause = {
            "c": "Take .real if the imaginary part is rounding.",
            "b": "Masks are not numbers; convert with .astype(float) if you mean 0 and 1.",
            "O": "Usual cause: None, strings or rows of unequal length in a list.",
        }.get(array.dtype.kind, "Convert to float first.")
        raise TypeError(f"{name} must be real numbers; got dtype {array.dtype}. {cause}")
    return array.astype(np.float64, copy=False)


def points(value, name):
    """Return `value` as float64 points of shape (..., d); the last axis is the event.

    Raises
    ------
    TypeError
        If `value` is not made of plain real numbers.
    ValueError
        If there is no axis for the event.
    """
    array = real(value, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have shape (..., d); got the scalar {array}. Write [{array}] for d = 1.")
    return array


def table(value, name):
    """Return `value` as finite float64 points, shape (n, d), with n and d at least 1.

    Raises
    ------
    TypeError
        If `value` is not made of plain real numbers.
    ValueError
        If it is not of that shape, is empty, or holds NaN or infinity.
    """
    array = real(value, name)
    if array.ndim != 2:
        hint = f" For d = 1, add the axis: {name}[:, None]." if array.ndim == 1 else ""
        raise ValueError(f"{name} must have shape (n, d); got {array.shape}.{hint}")
    if array.size == 0:
        raise ValueError(f"{name} must have at least one row and one column; got shape {array.shape}.")
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"{name} must be finite; got {array[row, column]} at [{row}, {column}]. Drop or repair the row."
        )
    return array


def same_shape(**arrays):
    """Raise ValueError unless all named arrays have one shape.

    Broadcasting is refused on purpose: (n, 1) beside (n, d) computes something, on the wrong axis.
    """
    if len({array.shape for array in arrays.values()}) > 1:
        got = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{' and '.join(arrays)} must have the same shape; got {got}. Broadcast explicitly if meant.")


def one_number(value, name):
    """Return `value` as a float > 0 and finite.

    Raises
    ------
    ValueError
        If it is another number, or more than one.
    """
    number = real(value, name)
    if number.ndim or not 0 < number < np.inf:
        raise ValueError(f"{name} must be one number > 0; got {value!r}.")
    return float(number)


def check_denoiser(denoiser, name="denoiser"):
    """Raise TypeError unless a denoiser can be called."""
    if not callable(denoiser):
        raise TypeError(f"{name} must be a callable eps_hat = {name}(x_t, t); got {type(denoiser).__name__}.")


def call_denoiser(denoiser, x_t, t, name="denoiser"):
    """Return denoiser(x_t, t) as float64, checked to have the shape of x_t; a copy, for it may use its buffer again.

    Raises
    ------
    TypeError
        If the denoiser is not callable or does not return real numbers.
    ValueError
        If it returns another shape.
    """
    check_denoiser(denoiser, name)
    eps_hat = points(denoiser(x_t, t), f"{name}(x_t, t)")
    if eps_hat.shape != x_t.shape:
        raise ValueError(f"{name}(x_t, t) must have the shape of x_t, {x_t.shape}; got {eps_hat.shape}.")
    return eps_hat.copy()


def check_rng(rng):
    """Return `rng` if it is a numpy.random.Generator.

    Raises
    ------
    TypeError
        For None, a seed, RandomState or the numpy.random module, with the line to write instead.
    """
    if not isinstance(rng, np.random.Generator):
        got = "None" if rng is None else getattr(rng, "__name__", type(rng).__name__)
        raise TypeError(f"rng must be a numpy.random.Generator; got {got}. Pass numpy.random.default_rng(seed).")
    return rng


def count(value, name, least=1):
    """Return `value` as an int that is at least `least`.

    Raises
    ------
    TypeError
        If `value` is not an integer.
    ValueError
        If it is below `least`.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer; got {value!r}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}.")
    return int(value)
