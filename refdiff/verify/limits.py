r"""Keeping what is judged at arm's length: it gets copies, its name is known when it fails, and its time is limited."""

import ctypes
import functools
import inspect
import signal
import threading
import time
import types

import numpy as np

from refdiff.gaussian import Gaussian

__all__ = ["Guard", "OutOfTime", "within"]


LAWS = {  # what returns a normal law
    *("forward.transition", "forward.jump", "forward.marginal", "bayes.posterior", "bayes.posterior_from_eps"),
    *("bayes.posterior_from_precisions", "bayes.smoothing", "reverse.transition", "reverse.ddim_transition"),
    *("likelihood.linear_marginal", "score.langevin_transition", "score.ancestral_transition"),
    *("continuous.euler_maruyama_transition", "gaussian.linear_combination", "gaussian.from_natural", "reverse.prior"),
    *("guidance.tilted", "guidance.guided_flow", "guidance.guided_flow_limit", "guidance.guided_ancestral_limit"),
}


class OutOfTime(BaseException):
    """Raised inside code that did not return in time; no ``except Exception`` of that code stops it."""


class Guard:
    """Hands copies of arrays to the functions of an implementation, and knows which of them is running."""

    def __init__(self, copies=True):
        self.running, self._copies = None, copies
        self._wrapped = {}

    def wrap(self, found, path):
        """Return a function, or a class, of the implementation as the evidence may call it."""
        if path not in self._wrapped:
            wrap = self._class if inspect.isclass(found) else self._function if callable(found) else None
            self._wrapped[path] = found if wrap is None else wrap(found, path)
        return self._wrapped[path]

    def _function(self, function, path):
        @functools.wraps(function, assigned=("__name__", "__doc__", "__module__", "__qualname__"), updated=())
        def call(*args, **options):
            outer, self.running = self.running, path
            if self._copies:
                args = [_copy(one) for one in args]
                options = {name: _copy(one) for name, one in options.items()}
            result = function(*args, **options)
            self.running = outer  # not if it raises: then the name is wanted
            return _law(result, path) if path in LAWS else result

        return call

    def _class(self, found, path):
        methods = {}
        for name, raw in inspect.getmembers_static(found):
            if name.startswith("_") and name not in ("__init__", "__call__"):
                continue
            if isinstance(raw, classmethod | staticmethod):
                methods[name] = type(raw)(self._function(raw.__func__, f"{path}.{name}"))
            elif inspect.isfunction(raw):
                methods[name] = self._function(raw, f"{path}.{name}")
        try:
            return types.new_class(found.__name__, (found,), exec_body=lambda body: body.update(methods))
        except TypeError:  # a class that is not made to be inherited from is taken as it is
            return found


def _law(result, path):
    """Return a law as the evidence uses it, from the pair (mean, var) or from any object with these two."""
    if hasattr(result, "log_density"):
        return result
    if isinstance(result, tuple | list) and len(result) == 2:
        mean, var = result
    elif hasattr(result, "mean") and hasattr(result, "var") and not callable(result.mean):  # no array's own methods
        mean, var = result.mean, result.var
    else:
        raise TypeError(
            f"{path} returned {type(result).__name__}; a law is the pair (mean, var), or has .mean and .var"
        )
    mean = np.asarray(mean)
    try:
        var = np.broadcast_to(np.asarray(var), mean.shape)
        return Gaussian(mean, var, point_mass=True)
    except (ValueError, TypeError):  # shapes that do not fit, NaN: the evidence says what is wrong with them
        return types.SimpleNamespace(mean=mean, var=var)


def _copy(argument):
    if type(argument) in (list, tuple):
        return type(argument)(_copy(one) for one in argument)
    return argument.copy() if type(argument) is np.ndarray else argument


def within(seconds, function, *arguments):
    """Return ``function(*arguments)``, or raise :class:`OutOfTime` if that takes longer than so many seconds.

    In the main thread a timer of the operating system interrupts the function; elsewhere (in a thread of a worker,
    or on Windows) it runs in a thread of its own, which is told to stop and left behind. Neither can interrupt compiled
    code that does not return to Python: that is only found to be late when it does.
    """
    if seconds is None:
        return function(*arguments)
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        return _interrupted(seconds, function, arguments)
    return _left_behind(seconds, function, arguments)


def _interrupted(seconds, function, arguments):
    done = False

    def stop(*_):
        if not done:
            raise OutOfTime

    start, timer = time.perf_counter(), signal.getitimer(signal.ITIMER_REAL)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # once more every second, should it be caught
    try:
        try:
            result = function(*arguments)
        finally:
            done = True  # an alarm that comes before this is raised, and still finds the outer clause
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        spent = time.perf_counter() - start
        if timer[0]:  # the caller's own timer goes on
            signal.setitimer(signal.ITIMER_REAL, max(timer[0] - spent, 1e-6), timer[1])
    if spent > seconds:  # it caught what should have stopped it
        raise OutOfTime
    return result


def _left_behind(seconds, function, arguments):
    results, errors = [], []

    def work():
        try:
            results.append(function(*arguments))
        except BaseException as error:  # carried over to the thread that waits
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        for _ in range(5):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(OutOfTime))
            thread.join(0.05)
            if not thread.is_alive():
                break
        raise OutOfTime
    if errors:
        raise errors[0]
    return results[0]
