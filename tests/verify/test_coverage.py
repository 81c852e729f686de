"""Every public function is judged, and docstrings and catalogue name the same identities in both directions."""

import importlib
import inspect
import re

import pytest

import refdiff
from refdiff import verify

EXEMPT = {  # public names of the learner that hold no mathematics, and why
    "network.Checkpoint": "a record of what a file holds",
    "network.CheckpointError": "an exception",
    "network.load": "reads a file",
    "network.load_checkpoint": "reads a file",
    "network.load_state": "reads a file",
    "network.save": "writes a file",
    "network.MLP.compiled_walks": "returns what tests/kernels judges as an implementation of its own",
    "network.Record": "a record of what fit reports",
    "network.TrainingDiverged": "an exception",
    "network.TrainingState": "a record of where fit stands",
}


def public_names():
    """Yield the dotted name and the object of each public function, class and method of chapters and learner."""
    for chapter in (*refdiff.CHAPTERS, "network"):
        module = importlib.import_module(f"refdiff.{chapter}")
        for name in module.__all__:
            dotted, found = f"{chapter}.{name}", getattr(module, name)
            if dotted in EXEMPT:
                continue
            yield dotted, found
            for method, static in vars(found).items() if inspect.isclass(found) else ():
                function = getattr(static, "fget", None) or getattr(static, "__func__", static)
                public = not method.startswith("_") and f"{dotted}.{method}" not in EXEMPT
                if public and inspect.isfunction(function) and inspect.getdoc(function):
                    yield f"{dotted}.{method}", function


PUBLIC = dict(public_names())
FUNCTIONS = [name for name, found in PUBLIC.items() if inspect.isfunction(found)]
CLASSES = [name for name, found in PUBLIC.items() if inspect.isclass(found)]
PLAIN = re.compile(r"\.(mean|var|std|cov|T)$")  # properties that only give back what the constructor was given


def judged():
    return {name for identity in verify.CATALOGUE.values() for name in identity.judges}


def keys_named(found):
    return set(re.findall(r":eq:`eq-([a-z_]+\.[a-z_0-9]+)`", inspect.getdoc(found).partition("Identit")[2]))


def keys_judging(name):
    """Return the identities that judge a function, or any method of a class."""
    return {key for key, one in verify.CATALOGUE.items() if any(f"{j}.".startswith(f"{name}.") for j in one.judges)}


def speaker(name):
    """Return what names the identities of a function in its docstring: for the learner's methods, their class."""
    return PUBLIC.get(re.sub(r"^(network\.\w+)\.\w+$", r"\1", name))


def test_there_are_functions_to_judge():
    assert len(FUNCTIONS) > 50


def test_what_is_exempt_is_a_public_name_of_the_learner():
    for name in EXEMPT:
        wing, public, *method = name.split(".")
        assert wing == "network"
        assert public in importlib.import_module("refdiff.network").__all__
        assert not method or inspect.isfunction(getattr(getattr(refdiff.network, public), *method))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_judged_by_an_identity(name):
    if PLAIN.search(name) and name.split(".")[-2] in ("Gaussian", "FullGaussian", "Schedule"):
        return
    assert name in judged(), f"no identity judges {name}"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_names_identities_that_exist_and_judge_the_function(name):
    for key in keys_named(PUBLIC[name]):
        assert key in verify.CATALOGUE, f"{name} names {key}, which is not in the catalogue"
        assert key in keys_judging(name), f"{key} does not judge {name}"


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_an_identity_is_named_by_the_docstrings_of_what_it_judges(key):
    for name in verify.CATALOGUE[key].judges:
        found = speaker(name)
        if found is not None and not PLAIN.search(name):
            assert key in keys_named(found), f"the docstring of {name} does not name {key}"


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_that_names_identities_names_all_that_judge_it(name):
    assert keys_named(PUBLIC[name]) in (set(), keys_judging(name))


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_an_identity_says_what_it_claims_and_where_that_was_published(key):
    identity = verify.CATALOGUE[key]
    assert identity.chapter in (*refdiff.CHAPTERS, "network")
    assert identity.states
    assert re.search(r"\\q?quad[A-Za-z]", identity.states) is None  # two strings joined without a blank
    assert identity.states.count("{") == identity.states.count("}")
    left, right = (re.findall(rf"\\{side}(?![a-z])", identity.states) for side in ("left", "right"))
    assert len(left) == len(right)
    assert re.search(r"\d{4}|definition|convention", identity.source), f"{key}: no source"
    assert identity.why
    assert identity.judges


@pytest.mark.parametrize("key", verify.ERRATA)
def test_an_erratum_says_where_it_stands_what_it_claims_and_what_is_right(key):
    erratum = verify.ERRATA[key]
    assert erratum.source
    assert erratum.says
    assert erratum.correct
    assert erratum.says != erratum.correct
    assert erratum.rejected_by
    assert inspect.isfunction(erratum.wrong) or isinstance(erratum.wrong, classmethod | staticmethod | property)


def test_the_catalogue_is_as_large_as_promised():
    assert len(verify.CATALOGUE) >= 30
