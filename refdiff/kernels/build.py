r"""How kernels are compiled: without Python's checks in the inner loops, and once, since the result is kept on disk.

With NUMBA_DISABLE_JIT=1 they stay what they are in the source, and what uses them takes the NumPy path.
"""

import functools

import numba
from numba.core import event

from refdiff.kernels.streams import tell_of_compiling

__all__ = ["ENABLED", "compiled", "small_product"]

ENABLED = not numba.config.DISABLE_JIT


def compiled(function, *, fastmath=False):
    """Return `function` compiled by Numba at its first call, or as it is where Numba is switched off.

    The machine code is kept beside the source, or in the user's cache directory where that cannot be written. Where
    neither can, it is compiled anew in each process.

    Parameters
    ----------
    function : callable
        Plain: it is to be read, stepped through and run uncompiled.
    fastmath : bool or set of str
        As for ``numba.njit``; without it, no arithmetic is reordered.

    Returns
    -------
    callable
        It does not hold Python's global lock while it runs, so that threads run beside each other.
    """
    options = {"error_model": "numpy", "fastmath": set(fastmath) if fastmath else False, "nogil": True}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no directory for the cache can be written
        return numba.njit(**options)(function)


class _Announcer(event.Listener):
    """Tells those who asked when compiling begins and ends; what is on disk already is not compiled."""

    depth = 0  # a kernel's compilation sets off those of the functions that it calls

    def on_start(self, _):
        self.depth += 1
        if self.depth == 1:
            tell_of_compiling(begins=True)

    def on_end(self, _):
        self.depth -= 1
        if self.depth == 0:
            tell_of_compiling(begins=False)


event.register("numba:compile", _Announcer())


@functools.cache
def small_product():
    """Return up to how many multiplications a matrix product is small for BLAS, or 0 if small ones are not quicker.

    For AVX-512, OpenBLAS multiplies small float32 matrices without copying them first, if rows x columns x depth is at
    most 100^3: 113 instead of 95 GFlop/s for 128 x 128 weights on a Zen 4. It helps to hand over as few rows at a time.
    Other kernels copy the weights anew for each group of rows, and are better off with all at once.
    """
    import scipy.linalg.cython_blas  # noqa: F401 the library that compiled code calls
    from threadpoolctl import threadpool_info

    kernels = {library.get("architecture") for library in threadpool_info() if library["user_api"] == "blas"}
    return 100**3 if kernels and kernels <= {"SkylakeX", "Cooperlake", "SapphireRapids"} else 0
