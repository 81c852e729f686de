r"""Keeping what is judged at arm's length: it gets copies, its name is known when it fails, and its time is limited."""

import ctypes
import functools
import inspect
import signal
import threading
import types

import numpy as np

__all__ = ["Guard", "OutOfTime", "within"]


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
            return result

        return call

    def _class(self, found, path):
        methods = {}
        for name, raw in inspect.getmembers_static(found):
            if name.startswith("_"):
                continue
            if isinstance(raw, classmethod | staticmethod):
                methods[name] = type(raw)(self._function(raw.__func__, f"{path}.{name}"))
            elif inspect.isfunction(raw):
                methods[name] = self._function(raw, f"{path}.{name}")
        return types.new_class(found.__name__, (found,), exec_body=lambda body: body.update(methods))


def _copy(argument):
    return argument.copy() if type(argument) is np.ndarray else argument


def within(seconds, function, *arguments):
    """Return ``function(*arguments)``, or raise :class:`OutOfTime` if that takes longer than so many seconds.

    In the main thread a timer of the operating system interrupts the function; elsewhere (in a thread of a worker,
    or on Windows) it runs in a thread of its own, which is told to stop and left behind.
    """
    if seconds is None:
        return function(*arguments)
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        return _interrupted(seconds, function, arguments)
    return _left_behind(seconds, function, arguments)


def _interrupted(seconds, function, arguments):
    def stop(*_):
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # once more every second, should it be caught
    try:
        return function(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
