"""What wrong versions need to line numbers up with points, as the right ones do."""

import numpy as np

__all__ = ["on_points"]


def on_points(number):
    """Return numbers, one for all points or one for each, so that they broadcast against points."""
    number = np.asarray(number)
    return number[..., None] if number.ndim else number
