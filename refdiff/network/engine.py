r"""A network handed to the compiled loops: whole walks through all steps, block by block.

:meth:`refdiff.network.MLP.compiled_walks` returns an :class:`Engine`, by which samplers and bounds find that a
denoiser can do more than answer one call at a time. It computes what the network does, in another order.
"""

import numpy as np

from refdiff.kernels.streams import Streams, each, loading, one_blas_thread
from refdiff.network.mlp import MLP, as_labels, one_hot, time_embedding
from refdiff.schedule import Schedule

__all__ = ["Engine", "compile_loops", "net_of"]

PARTS = 50  # of a walk, after each of which progress is told


def net_of(model, T):
    """Return what the compiled loops need of a network, with its embedding of t = 0..T.

    Parameters
    ----------
    model : MLP
        Real; its theta is not copied.
    T : int
        -1 for none, which walks do not need.

    Returns
    -------
    refdiff.kernels.network.Net
    """
    from refdiff.kernels.build import small_product
    from refdiff.kernels.network import Net

    config = model.config
    return Net(
        theta=model.theta,
        table=time_embedding(np.arange(T + 1), model.clocks),
        waves=model.waves,
        dim=model.dim,
        classes=config["classes"],
        width=config["width"],
        depth=config["depth"],
        residual=config["residual"],
        gelu=config["activation"] == "gelu",
        small=small_product(),
    )


def compile_loops():
    """Compile the loops that float32 networks are trained and walked by, or fetch them from disk.

    They are compiled where they are first needed otherwise, in each process that finds none on disk.
    """
    from refdiff.network.train import fit

    rng = np.random.default_rng(0)
    model = MLP(1, rng=rng, width=1, depth=1, time_dim=2)
    list(fit(model, np.zeros((1, 1)), Schedule.vp(2), rng, 1, batch_size=1, compiled=True))
    engine = model.compiled_walks()
    if engine is not None:
        engine.reverse_walk(np.zeros((1, 1)), [1], [1.0], [0.0], [0.0], Streams(rng, 1))
        engine.squared_errors(np.zeros((1, 1)), [1], [1.0], [1.0], Streams(rng, 1))


class Engine:
    """Compiled walks of a network; its parameters must not change while it is in use.

    Parameters
    ----------
    model : MLP
    y : int, optional
        The label of all points.
    """

    def __init__(self, model, y=None):
        with loading():
            from refdiff.kernels import network
        self.kernels, self.model, self.net = network, model, net_of(model, -1)
        self.kind = one_hot(as_labels(y, model.config["classes"]), model.config["classes"], model.theta.dtype)

    def reverse_walk(self, x, t, keep, add, std, streams, threads=1, progress=None):
        r"""Take points through steps, each block with its own stream of noise; return where they end.

        .. math:: x \leftarrow k_i\, x + a_i\, \hat\epsilon(x, t_i) + s_i z, \qquad i = 1, 2, \ldots

        Parameters
        ----------
        x : array_like, shape (n, d)
        t : ndarray of int, shape (m,)
        keep, add, std : ndarray, shape (m,)
            k, a and s.
        streams : refdiff.kernels.streams.Streams
            Of the n points.
        threads : int
        progress : callable, optional
            Called as ``progress(taken)`` some fifty times, with how many steps have been taken.

        Returns
        -------
        ndarray, shape (n, d)

        Raises
        ------
        ValueError
            If the points are not of the network's dimension, or the lengths differ.
        """
        x = self._points(x, streams, t, keep, add, std)
        columns = self._added(t), *(np.array(column, np.float64) for column in (keep, add, std))
        at_once = len(t) if progress is None else -(-len(t) // PARTS)
        for taken in range(0, len(t), at_once):
            some = [column[taken : taken + at_once] for column in columns]

            def work(i, some=some):
                added, *numbers = some
                self.kernels.reverse_walk(self.net, added, x[streams.rows[i]], *numbers, streams.generators[i])

            self._in_blocks(work, streams, threads)
            if progress is not None:
                progress(min(taken + at_once, len(t)))
        return x

    def squared_errors(self, x_0, t, signal, noise, streams, threads=1):
        r"""Return the squared error of eps_hat at each of some steps, for one noise each.

        .. math:: \Vert\epsilon - \hat\epsilon(s_i\, x_0 + n_i\, \epsilon,\; t_i)\Vert^2

        Parameters
        ----------
        x_0 : array_like, shape (n, d)
        t : ndarray of int, shape (m,)
        signal, noise : ndarray, shape (m,)
            s and n.
        streams : refdiff.kernels.streams.Streams
            Of the n points.
        threads : int

        Returns
        -------
        ndarray, shape (m, n)

        Raises
        ------
        ValueError
            If the points are not of the network's dimension, or the lengths differ.
        """
        x_0 = self._points(x_0, streams, t, signal, noise)
        columns = self._added(t), *(np.array(column, np.float64) for column in (signal, noise))
        parts = [np.empty((len(t), rows.stop - rows.start)) for rows in streams.rows]

        def work(i):
            added, *rates = columns
            block = x_0[streams.rows[i]]
            self.kernels.squared_errors(self.net, added, block, *rates, streams.generators[i], parts[i])

        self._in_blocks(work, streams, threads)
        return np.concatenate([np.empty((len(t), 0)), *parts], axis=1)

    def _points(self, x, streams, t, *columns):
        """Return a copy of the points as the loops take them, which do not look where they read and write."""
        x = np.array(x, np.float64, order="C")
        if x.ndim != 2 or x.shape[1] != self.model.dim:
            raise ValueError(f"x must have shape (n, {self.model.dim}), this network's dim; got {x.shape}.")
        number = streams.rows[-1].stop if streams.rows else 0
        if number != len(x):
            raise ValueError(f"streams must be of these {len(x)} points; got some of {number}.")
        if any(np.shape(column) != np.shape(t) for column in columns) or np.ndim(t) != 1:
            raise ValueError(
                f"each t needs one number of each kind; got {np.shape(t)} and {[*map(np.shape, columns)]}."
            )
        return x

    def _added(self, t):
        """Return what each t adds to the first layer's products: its embedding times its weights, and the biases.

        The label is the same for all points too, and its row of the weights joins them: the loops need not know of it.
        """
        weight, bias = self.model.parameters["weight_1"], self.model.parameters["bias_1"]
        times = time_embedding(np.asarray(t), self.model.clocks)
        with one_blas_thread():
            added = times @ weight[-times.shape[1] :] + bias
            if self.kind.any():
                added += self.kind @ weight[-times.shape[1] - self.kind.size : -times.shape[1]]
        return added

    def _in_blocks(self, work, streams, threads):
        """Do ``work(i)`` for each block."""
        with one_blas_thread():
            each(work, range(len(streams.rows)), threads)
