r"""What stands in the catalogue: identities, the wrong formulas that they reject, and what is judged.

An identity is a claim about named functions with two routes of evidence, exact and Monte Carlo, neither of which
uses these functions. An erratum is a wrong version of one function; it earns the identity its place.
"""

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CATALOGUE", "ERRATA", "Erratum", "Identity", "NotProvided", "Provided", "erratum", "identity"]

CATALOGUE = {}
ERRATA = {}


class NotProvided(AttributeError):
    """Raised where an implementation lacks the function asked for."""


@dataclass(frozen=True)
class Identity:
    """A claim about named functions, and how it is checked.

    Attributes
    ----------
    key : str
        "chapter.name"; also the label of its equation.
    chapter : str
        The module whose functions it is about.
    states : str
        The equation, in LaTeX.
    source : str
        Where it was published.
    judges : tuple of str
        Dotted names of the functions judged, such as "bayes.posterior".
    coincides : str
        Where usual wrong versions agree with the right one, so that a check there proves nothing.
    why : str
        The idea of the evidence, in a sentence or two.
    exact, monte_carlo : callable
        ``route(claimed, case, evidence)``, where `claimed` offers the functions judged under their dotted
        names and `evidence` is an Exact or a Trial that collects what is found. An identity that an implementation
        brings along may have no Monte Carlo route.
    statistics : int
        How many statistics the Monte Carlo route may record: its share of the budget of false alarms.
    once : bool
        Whether the evidence brings its own numbers, so that one case is enough.
    in_place : bool
        Whether the functions judged are meant to change their arguments; else they get copies.
    """

    key: str
    chapter: str
    states: str
    source: str
    judges: tuple
    coincides: str
    why: str
    exact: Callable
    monte_carlo: Callable | None = None
    statistics: int = 0
    once: bool = False
    in_place: bool = False

    @property
    def code(self):
        """The source of the evidence, for a reader."""
        return "\n".join(inspect.getsource(route) for route in (self.exact, self.monte_carlo) if route is not None)


@dataclass(frozen=True)
class Erratum:
    """A wrong equation found in print, as a function that could take the place of the right one.

    Attributes
    ----------
    key : str
    source : str
        Where it stands.
    says : str
        What it claims, in LaTeX and in the notation used here.
    correct : str
        What is right, in LaTeX.
    replaces : str
        Dotted name of the function that `wrong` would replace.
    rejected_by : tuple of str
        Keys of identities that reject it.
    wrong : callable
        The claim, as a function with the signature of the right one.
    coincides : str
        Where it agrees with the right one.
    by_chance : bool
        Whether Monte Carlo can see it too; False for errors of a few digits, which only the exact route sees.
    fails : bool
        Whether it is a program that fails to run (a syntax or shape error) rather than one that gives a wrong number.
        Only then does an exception count as its rejection.
    """

    key: str
    source: str
    says: str
    correct: str
    replaces: str
    rejected_by: tuple
    wrong: Callable
    coincides: str
    by_chance: bool
    fails: bool


def identity(key, *, judges, states, source, statistics, coincides="", in_place=False):
    """Enter an identity into the catalogue; decorates a class with static methods `exact` and `monte_carlo`."""

    def register(routes):
        if key in CATALOGUE:
            raise ValueError(f"the catalogue has two identities called {key!r}")
        CATALOGUE[key] = Identity(
            key=key,
            chapter=key.split(".")[0],
            states=states,
            source=source,
            judges=(judges,) if isinstance(judges, str) else tuple(judges),
            coincides=coincides,
            why=inspect.getdoc(routes),
            exact=routes.exact,
            monte_carlo=routes.monte_carlo,
            statistics=statistics,
            in_place=in_place,
        )
        return routes

    return register


def erratum(key, *, source, says, correct, replaces, rejected_by, coincides="", by_chance=True, fails=False):
    """Enter a wrong version of a function into the errata; decorates that version."""

    def register(wrong):
        if key in ERRATA:
            raise ValueError(f"there are two errata called {key!r}")
        rejecting = (rejected_by,) if isinstance(rejected_by, str) else tuple(rejected_by)
        ERRATA[key] = Erratum(key, source, says, correct, replaces, rejecting, wrong, coincides, by_chance, fails)
        return wrong

    return register


def sort_by_chapter(order):
    """Bring catalogue and errata into the order of the chapters, each chapter's own order kept."""
    for entries, chapter in ((CATALOGUE, lambda one: one.chapter), (ERRATA, lambda one: one.replaces.split(".")[0])):
        for key in sorted(entries, key=lambda key: order.index(chapter(entries[key]))):
            entries[key] = entries.pop(key)


class Provided:
    """An implementation as the catalogue sees it: its functions under dotted names, some perhaps replaced.

    The implementation may have chapters (``bayes.posterior``) or be flat (``posterior``). What it lacks raises
    :class:`NotProvided`. A guard stands between its functions and whoever calls them.
    """

    def __init__(self, implementation, replaced=None, path="", guard=None, flat=None):
        self._implementation, self._replaced, self._path = implementation, dict(replaced or {}), path
        self._guard, self._flat = guard, flat

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        path = f"{self._path}.{name}" if self._path else name
        if path in self._replaced:
            return self._replaced[path]
        if not self._path:  # a chapter, or the flat namespace in its place
            chapter = getattr(self._implementation, name, self._implementation)
            return Provided(chapter, self._replaced, path, self._guard, self._implementation)
        # a flat namespace may have something else under the name of a chapter: every torch module has a `forward`
        where = self._implementation if hasattr(self._implementation, name) else self._flat
        if not hasattr(where, name):
            raise NotProvided(path)
        found = getattr(where, name)
        methods = {key.removeprefix(path + "."): f for key, f in self._replaced.items() if key.startswith(path + ".")}
        if methods and isinstance(found, type):
            return types.new_class(name, (found,), exec_body=lambda body: body.update(methods))
        return found if self._guard is None else self._guard.wrap(found, path)

    def lookup(self, dotted):
        """Return the object of a dotted name, or raise :class:`NotProvided`."""
        found = self
        for name in dotted.split("."):
            try:
                found = getattr(found, name)
            except AttributeError:
                raise NotProvided(dotted) from None
        return found
