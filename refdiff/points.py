"""The user's own data: points read from a file, brought to unit variance, taken back to their units, and saved.

A point is a row. Text is taken literally or refused, with the line: nothing is guessed, skipped or filled in.
"""

import math
from pathlib import Path

import numpy as np

from refdiff.checks import real, table
from refdiff.files import whole

__all__ = ["load", "restore", "save", "standardize"]


def load(path):
    """Read points from a ``.csv`` or ``.npy`` file.

    In a ``.csv`` file each line is a point, in UTF-8. The columns are separated by semicolons, tabs or commas,
    whichever of these, in this order, the first point has; if it has none, by white space. Blank lines are skipped, and
    so is all that follows a ``#``. The first line is a header if each of its fields has a letter and none is a number;
    a header of plain numbers cannot be told from a point. The decimal sign is a point.

    A ``.npy`` file holds an array of shape (n, d), or (n,), which is read as (n, 1), of integers or floats.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    ndarray, shape (n, d)
        float64 and finite, with n and d at least 1.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not of these formats; the message names the line and the column, counted from 1, in a ``.csv``
        file, or the index, counted from 0, in an ``.npy`` file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist.")
    return _format(path).read(path)


def save(path, points):
    """Write points to a ``.csv`` or ``.npy`` file, from which :func:`load` reads them back bit by bit.

    The file appears under its name when it is complete; a file that was there before stays until then, and if writing
    fails or is interrupted. In a ``.csv`` file each number has the fewest digits that give it back exactly.

    Parameters
    ----------
    path : str or os.PathLike
    points : array_like, shape (n, d)
        Finite.

    Raises
    ------
    OSError
        If the file cannot be written; a missing directory is made.
    TypeError
        If the points are not real numbers.
    ValueError
        If they are not of shape (n, d), empty or not finite, or if the suffix is neither ``.csv`` nor ``.npy``.
    """
    path = Path(path)
    write = _format(path).write
    points = table(points, "points")
    with whole(path) as unfinished, open(unfinished, "xb") as file:
        write(file, points)


def standardize(points):
    r"""Bring each column to mean 0 and variance 1.

    .. math:: z_{ij} = \frac{x_{ij} - m_j}{s_j}, \qquad m_j = \frac1n \sum_i x_{ij}, \quad
        s_j^2 = \frac1n \sum_i (x_{ij} - m_j)^2

    Parameters
    ----------
    points : array_like, shape (n, d)

    Returns
    -------
    standardized : ndarray, shape (n, d)
        Without units.
    mean, std : ndarray, shape (d,)
        In the units of the points; what :func:`restore` asks for. The variance divides by n, not by n - 1.

    Raises
    ------
    TypeError
        If the points are not real numbers.
    ValueError
        If they are not of shape (n, d), empty or not finite, or if a column is constant, as in a single point.

    Examples
    --------
    >>> standardized, mean, std = standardize([[1.0, 30.0], [3.0, 10.0]])
    >>> standardized
    array([[-1.,  1.],
           [ 1., -1.]])
    >>> mean, std
    (array([ 2., 20.]), array([ 1., 10.]))
    """
    points = table(points, "points")
    low, high = points.min(axis=0), points.max(axis=0)
    constant = np.flatnonzero(low == high)
    if constant.size:
        column = constant[0]
        cause = "One point has no spread." if len(points) == 1 else "It has no spread to learn; drop it."
        raise ValueError(f"points must vary in each column; column {column + 1} is constant ({low[column]}). {cause}")
    # Seen from the middle and in units of the width, the sums neither overflow nor cancel.
    middle = low / 2 + high / 2
    width = np.maximum(high - middle, middle - low)
    u = (points - middle) / width
    mean, std = u.mean(axis=0), u.std(axis=0)
    return (u - mean) / std, middle + width * mean, width * std


def restore(points, mean, std):
    r"""Take standardised points back to their units; the inverse of :func:`standardize`.

    .. math:: x_{ij} = m_j + s_j z_{ij}

    Parameters
    ----------
    points : array_like, shape (..., d)
        Without units: for instance samples, or whole chains of them.
    mean, std : array_like, shape (d,)

    Returns
    -------
    ndarray, shape (..., d)
        In the units of `mean` and `std`.

    Raises
    ------
    TypeError
        If an argument is not made of real numbers.
    ValueError
        If the shapes do not fit, or `mean` is not finite, or `std` not finite and positive.

    Examples
    --------
    >>> restore([[-1.0, 1.0]], mean=[2.0, 20.0], std=[1.0, 10.0])
    array([[ 1., 30.]])
    """
    points, mean, std = real(points, "points"), real(mean, "mean"), real(std, "std")
    if mean.ndim != 1 or mean.shape != std.shape or points.shape[-1:] != mean.shape:
        raise ValueError(
            "points must have shape (..., d), mean and std shape (d,);"
            f" got points {points.shape}, mean {mean.shape}, std {std.shape}."
        )
    if not np.isfinite(mean).all():
        raise ValueError(f"mean must be finite; got {mean[~np.isfinite(mean)][0]}.")
    if not (np.isfinite(std) & (std > 0)).all():
        raise ValueError(f"std must be finite and > 0; got {std[~(np.isfinite(std) & (std > 0))][0]}.")
    return mean + std * points


class _Csv:
    """One point a line."""

    @staticmethod
    def read(path):
        try:
            with open(path, encoding="utf-8-sig") as file:  # -sig: spreadsheets put a byte order mark first
                lines = [(number, text.partition("#")[0]) for number, text in enumerate(file, 1)]
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8 text. In a spreadsheet, save it as CSV UTF-8.") from None
        lines = [(number, text) for number, text in lines if text.strip()]
        if not lines:
            raise ValueError(f"{path} is empty: no line of it holds a point.")
        if _is_header(lines[0][1]):
            if len(lines) == 1:
                raise ValueError(f"{path} holds only a header, in line {lines[0][0]}, and no points.")
            lines = lines[1:]
        first, text = lines[0]
        separator = _separator(text)
        d = len(text.split(separator))
        rows = []
        for number, text in lines:
            fields = text.split(separator)
            if len(fields) != d:
                many = f"{len(fields)} column{'s' * (len(fields) > 1)}"
                raise ValueError(f"{path} line {number}: {many} where line {first} has {d}.")
            rows.append(row := [])
            for column, field in enumerate(fields, 1):
                try:
                    row.append(_number(field))
                except ValueError as error:
                    raise ValueError(f"{path} line {number}, column {column}: {error}") from None
        return np.array(rows)

    @staticmethod
    def write(file, points):
        for row in points.tolist():
            file.write((",".join(map(repr, row)) + "\n").encode())


class _Npy:
    """NumPy's own format. Nothing is unpickled: that would run what the file says."""

    @staticmethod
    def read(path):
        with open(path, "rb") as file:
            try:
                array = np.lib.format.read_array(file, allow_pickle=False)
                if file.read(1):
                    raise ValueError(f"it goes on after the array of shape {array.shape} of its header.")
            except Exception as error:  # a damaged header fails anywhere in NumPy, even in Python's tokenizer
                reason = " ".join(str(error).split())[:200]
                raise ValueError(f"{path} is not a whole .npy file of numbers: {reason}") from None
        if array.ndim == 1:
            array = array[:, None]
        try:
            with np.errstate(over="ignore"):  # a long double beyond float64 becomes inf, which table refuses
                return np.ascontiguousarray(table(array, str(path)))
        except TypeError as error:
            raise ValueError(str(error)) from None

    @staticmethod
    def write(file, points):
        np.lib.format.write_array(file, points, allow_pickle=False)


def _format(path):
    """Return the format that the suffix of `path` names."""
    if path.is_dir():
        raise ValueError(f"{path} is a directory; a .csv or .npy file is needed.")
    try:
        return {".csv": _Csv, ".npy": _Npy}[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path} must end in .csv or .npy; got suffix {path.suffix!r}.") from None


def _separator(text):
    """Return what separates the fields of a line; None is white space.

    The comma comes after the semicolon and the tab, so that a decimal comma is refused rather than split.
    """
    return next((mark for mark in ";\t," if mark in text), None)


def _is_header(text):
    """Return whether a first line names the columns: each field has a letter, and none is a number."""
    return all(any(c.isalpha() for c in field) and _float(field) is None for field in text.split(_separator(text)))


def _float(field):
    """Return what Python reads in `field`, be it nan or inf, with or without double quotes around; else None."""
    field = field.strip()
    if len(field) > 1 and field[0] == field[-1] == '"':
        field = field[1:-1]
    try:
        return None if "_" in field else float(field)  # Python would read 1_0 as ten
    except ValueError:
        return None


def _number(field):
    """Return the finite number that `field` spells, or say what it is instead."""
    value = _float(field)
    if value is not None and math.isfinite(value):
        return value
    field = field.strip()
    if not field:
        raise ValueError("empty. A missing value, a separator too many, or an index without a name?")
    shown = repr(field if len(field) <= 40 else field[:40] + "...")
    if value is not None:
        raise ValueError(f"{shown} is not finite.")
    raise ValueError(f"{shown} is not a number." + " The decimal sign is a point." * ("," in field))
