r"""A network handed to the compiled loops: whole walks through all steps, block by block.

:meth:`refdiff.network.MLP.engine` returns an :class:`Engine`, by which samplers and bounds find that a denoiser can do
more than answer one call at a time. It computes what the network does, in another order.
"""

import numpy as np

from refdiff.kernels.streams import Streams, each, loading, one_blas_thread
from refdiff.network.mlp import MLP, time_embedding
from refdiff.schedule import Schedule

__all__ = ["Engine", "compile_loops", "net_of"]


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

    waves, config = model.waves, model.config
    return Net(
        theta=model.theta,
        table=time_embedding(np.arange(T + 1), model.clocks),
        frequencies=np.tile(waves, 2),
        quarters=np.repeat(np.array([0.0, 0.5], waves.dtype), len(waves)),
        dim=model.dim,
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
    engine = model.engine()
    if engine is not None:
        engine.reverse_walk(np.zeros((1, 1)), [1], [1.0], [0.0], [0.0], Streams(rng, 1))
        engine.squared_errors(np.zeros((1, 1)), [1], [1.0], [1.0], Streams(rng, 1))


class Engine:
    """Compiled walks of a network; its parameters must not change while it is in use.

    Parameters
    ----------
    model : MLP
    """

    def __init__(self, model):
        with loading():
            from refdiff.kernels import network
        self.kernels, self.model, self.net = network, model, net_of(model, -1)

    def reverse_walk(self, x, t, keep, add, std, streams, threads=1):
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

        Returns
        -------
        ndarray, shape (n, d)

        Raises
        ------
        ValueError
            If the points are not of the network's dimension.
        """
        x = self._points(x)
        numbers = [np.array(column, np.float64) for column in (keep, add, std)]
        self._in_blocks(
            lambda i, added: self.kernels.reverse_walk(
                self.net, added, x[streams.rows[i]], *numbers, streams.generators[i]
            ),
            *(t, len(streams.rows), threads),
        )
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
            If the points are not of the network's dimension.
        """
        x_0 = self._points(x_0)
        numbers = [np.array(column, np.float64) for column in (signal, noise)]
        parts = [np.empty((len(t), rows.stop - rows.start)) for rows in streams.rows]
        self._in_blocks(
            lambda i, added: self.kernels.squared_errors(
                self.net, added, x_0[streams.rows[i]], *numbers, streams.generators[i], parts[i]
            ),
            *(t, len(parts), threads),
        )
        return np.concatenate(parts, axis=1)

    def _points(self, x):
        """Return a copy of the points as the loops take them; these do not look where they read."""
        x = np.array(x, np.float64, order="C")
        if x.ndim != 2 or x.shape[1] != self.model.dim:
            raise ValueError(f"x must have shape (n, {self.model.dim}), this network's dim; got {x.shape}.")
        return x

    def _in_blocks(self, work, t, number, threads):
        """Do ``work(i, added)`` for each block; `added` is what each t adds to the first layer's products."""
        weight, bias = self.model.parameters["weight_1"], self.model.parameters["bias_1"]
        times = time_embedding(np.asarray(t), self.model.clocks)
        with loading(), one_blas_thread():
            added = times @ weight[-times.shape[1] :] + bias
        with one_blas_thread():
            each(lambda i: work(i, added), range(number), threads)
