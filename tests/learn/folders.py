"""Folders of exercises, with something written in them."""

import inspect
import re
import textwrap

from refdiff import learn
from refdiff.learn.exercises import EXERCISES
from refdiff.learn.sheets import signature
from tests.learn import plain

BY_FUNCTION = {(one.chapter, one.function): one for one in reversed(EXERCISES)}
USES = "    import refdiff.learn.exercises, refdiff.elbo, refdiff.network.mlp\n"


def fill(folder, body, only=None):
    """Write files, and put a body in the place of each blank; of some chapters only, if so wished."""
    learn.start(folder)
    for path in folder.glob("*.py"):
        if only is not None and path.stem not in only:
            path.unlink()
            continue
        text = path.read_text()
        for (chapter, function), one in BY_FUNCTION.items():
            if chapter == path.stem:
                text = replaced(text, function, body(one))
        path.write_text(text)
    return folder


def replaced(text, function, body):
    """Return a file's text with another body of one function, if there is another one."""
    if body is None:
        return text
    blank = re.compile(rf'^(def {function}\(.*?\n    """\n)    raise NotImplementedError\n', re.MULTILINE | re.DOTALL)
    text, number = blank.subn(lambda found: found[1] + textwrap.indent(textwrap.dedent(body), "    "), text)
    assert number == 1
    return text


def arguments(one):
    return ", ".join(re.sub(r"=.*", "", name) for name in signature(one).split(", "))


def of_the_library(one):
    """Return a body that asks the library's own function."""
    if one.array:
        return f"import refdiff\nreturn refdiff.Schedule.from_betas(beta, last_may_be_one=True).{one.array}\n"
    call = f"refdiff.{one.original}({arguments(one)})"
    call = f"-{call}.total" if one.name == "likelihood.log_weight" else call
    return textwrap.dedent(USES) + f"return {call}\n"


def of_a_mistake(one):
    return textwrap.dedent(USES) + f"return refdiff.learn.EXERCISES[{one.number - 1}].mistake({arguments(one)})\n"


def of_a_learner(one):
    text = inspect.getsource(getattr(plain, f"{one.chapter}__{one.function}")).partition("\n")[2]
    return IMPORTS + textwrap.dedent(text)


IMPORTS = inspect.getsource(plain).split('"""')[2].partition("\n\n\ndef ")[0].strip() + "\n"
