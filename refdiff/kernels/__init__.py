r"""The engine room: compiled loops. Coefficients and noise go in, arrays come out; formulas belong to the chapters.

A kernel is a plain function that one can read and step through; its last line of business, at the end of its module,
is to be rebound by :func:`refdiff.kernels.build.compiled`. It calls compiled functions of its own file only, because
the cache on disk notices changes file by file. Nothing is compiled, and Numba is not imported, before a kernel is
needed.
"""
