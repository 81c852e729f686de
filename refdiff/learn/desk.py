r"""The desk at which a learner's files are judged: a process of its own, which may come to any end.

It reads from its standard input what is to be judged, and says line by line where it is and what it found, each a
JSON object, so that whoever listens knows what it was at if it falls silent. Each file has a copy of the process to
itself, where the operating system makes one safely.
"""

import ast
import io
import json
import os
import re
import sys
import types
import warnings
from pathlib import Path

from refdiff.learn.sheets import is_blank

__all__ = ["main"]

RETURNED_NONE = "returned None: is a `return` missing?"
PRINTS = 20  # lines that a function printed and that are shown
OPENS = re.compile(r"[A-Za-z_@]")  # how a line begins that may begin a statement
CONTINUES = re.compile(r"(else|elif|except|finally)\b")


class Printed(io.TextIOBase):
    """Takes what is printed, and keeps the first lines."""

    def __init__(self):
        self.forget()

    def forget(self):
        """Begin anew."""
        self.text, self.number = "", 0

    def writable(self):
        """Anybody may."""
        return True

    def write(self, text):
        """Keep the text, or count its lines."""
        self.number += text.count("\n")
        if len(self.text) < 100 * PRINTS:
            self.text += text
        return len(text)

    def lines(self):
        """Return the first lines, and how many more there were."""
        shown = self.text.splitlines()[:PRINTS]
        return [line[:200] for line in shown], max(0, self.number - len(shown))


class File:
    """A learner's file, run statement by statement: one that fails does not stop the others."""

    def __init__(self, path, text, skip, say, limited):
        self.path, self.text = Path(path), text
        self.problems, self.blank = [], set()  # (line, sentence, names concerned); functions nobody has written
        module = types.ModuleType(self.path.stem)
        module.__file__ = str(path)
        self.names = vars(module)
        sys.modules.setdefault(self.path.stem, module)
        for line, names, code in self.pieces():
            say(at=line)
            if isinstance(code, str):
                self.problems.append((line, code, set(names)))
            elif line not in skip:
                self.execute(line, names, code, limited)

    def execute(self, line, names, code, limited):
        """Run one statement."""
        from refdiff.learn.answer import line_of
        from refdiff.verify.limits import OutOfTime

        for name in names:
            self.names.pop(name, None)  # of two of a name the last one counts, also where it fails
        try:
            limited(exec, code, self.names)
        except BaseException as error:
            sentence = "did not come to an end" if isinstance(error, OutOfTime) else f"raised {said(error)}"
            self.problems.append((line_of(error, str(self.path)) or line, sentence, set(names)))
        else:
            for _, _, concerned in self.problems:
                concerned.difference_update(names)  # which are defined now

    def pieces(self):
        """Return the statements: first line, the names that each defines, and its code, or what is wrong with it."""
        try:
            return [self.piece(node) for node in ast.parse(self.text).body]
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            wrong = error
        found, lines = [], self.text.splitlines()
        starts = [k for k, line in enumerate(lines) if OPENS.match(line) and not CONTINUES.match(line)]
        starts = [k for k in starts if k == 0 or not lines[k - 1].startswith("@")]
        for first, end in zip(starts, [*starts[1:], len(lines)]):
            name = re.match(r"(?:async\s+)?(?:def|class)\s+(\w+)", "\n".join(lines[first:end]).lstrip())
            names = [name[1]] if name else []
            try:
                found += [self.piece(node) for node in ast.parse("\n" * first + "\n".join(lines[first:end])).body]
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                if names:
                    found.append((getattr(error, "lineno", None) or first + 1, names, syntax(error)))
        if not any(names and isinstance(code, str) for _, names, code in found):  # then it is not in any function
            found.append((getattr(wrong, "lineno", None) or 1, [], syntax(wrong)))
        return found

    def piece(self, node):
        """Return one statement."""
        line = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
            self.blank.discard(node.name)
            if isinstance(node, ast.FunctionDef) and is_blank(node):
                self.blank.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [(one.asname or one.name).partition(".")[0] for one in node.names]
        else:
            names = [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
        try:
            return line, names, compile(ast.Module([node], []), str(self.path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return getattr(error, "lineno", None) or line, names, syntax(error)

    def place(self, line):
        """Return a place in this file."""
        return f"{self.path.name}:{line}" if line else self.path.name

    def line_of(self, function):
        """Return the line in which a function begins."""
        code = getattr(function, "__code__", None)
        return code.co_firstlineno if code is not None and code.co_filename == str(self.path) else None

    def problem(self, name):
        """Return the last thing that went wrong where a name was to be defined: line and sentence; or None."""
        return next(((line, sentence) for line, sentence, names in reversed(self.problems) if name in names), None)


def said(error):
    """Return an error in one line: its type and what it says."""
    text = " ".join(str(error).split())
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def syntax(error):
    """Return what is wrong with the text of a file."""
    if isinstance(error, SyntaxError):
        return f"does not parse: {type(error).__name__}: {error.msg}"
    return f"does not parse: {said(error)}"


def broken(place, says):
    """Return what is said of an exercise whose function could not be judged to its end."""
    return {"state": "broken", "place": place, "says": says}


def judge(file, exercise, time_limit, printed):
    """Return what there is to be said of one exercise: its state, a place, sentences, and what was printed."""
    from refdiff.learn.answer import Heard, answer

    name = exercise.function
    if problem := file.problem(name):
        line, sentence = problem
        return broken(file.place(line), sentence)
    if name in file.blank:
        return {"state": "unwritten", "place": file.path.name, "says": "is not written yet"}
    if name not in file.names:
        return broken(file.path.name, f"has no function {name}; `refdiff learn start` writes what is missing")
    function = file.names[name]
    if not callable(function):
        return broken(file.path.name, f"has {name} as {type(function).__name__}, not a function")
    printed.forget()
    begins = file.line_of(function)
    found = {"state": "solved", "place": file.place(begins)}
    for key in exercise.keys:
        heard = Heard(str(file.path))
        try:
            what = answer(key, {exercise.replaces: function}, time_limit=time_limit, heard=heard)
        except BaseException as error:  # whatever it did to the judge
            found |= broken(file.place(heard.line or begins), f"raised {said(error)}")
            break
        if not what.solved:
            found |= unsolved(what, file.place(begins), heard.line and file.place(heard.line))
            break
    lines, more = printed.lines()
    return found | {"prints": lines, "more": more}


def unsolved(what, begins, failed):
    """Return state, place and sentences of an answer that does not hold.

    The function begins at one place; at the other one it raised something, if it did.
    """
    verdict = what.verdict
    if verdict is None:
        return broken(failed, "raised NotImplementedError") if failed else broken(begins, RETURNED_NONE)
    refuted = {"state": "refuted", "says": "is refuted"}
    if verdict.smallest is not None:
        head, _, numbers = what.says.partition(":\n")
        numbers = re.sub(r" claimed (\S+), in truth ", r": claimed \1, in truth ", numbers)
        return refuted | {"given": head.partition(" is refuted. ")[2], "numbers": numbers}
    why = " ".join(verdict.why.removeprefix(f"{', '.join(verdict.functions)}: ").split())
    if late := re.search(r"did not return within [\d.]+ s", why):
        return broken(failed or begins, late[0])
    if raised := re.match(r"\S+ (raised .*)", why):
        return broken(failed or begins, raised[1][:300])
    if failed and (raised := re.match(r"what .* returned is of no use: (.*)", why)):  # a function that it returned
        return broken(failed, f"raised {raised[1][:300]}")
    return refuted | {"numbers": re.sub(r"^what .* returned is of no use: \w+: (?=.* returned )", "", why)}


def judge_file(job, time_limit, say, printed):
    """Load one file, and judge its exercises one after the other."""
    from refdiff.learn.exercises import exercises
    from refdiff.verify.limits import within

    def limited(function, *arguments):
        return within(time_limit, function, *arguments)

    sys.path.append(str(Path(job["path"]).parent))  # behind all else: it may import its neighbours, and hide nothing
    try:
        text = Path(job["path"]).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        say(unreadable=f"{Path(job['path']).name}:{line} is not UTF-8 text")
        return
    except OSError as error:
        say(unreadable=f"{Path(job['path']).name} cannot be read: {error.strerror}")
        return
    file = File(job["path"], text.replace("\r\n", "\n").replace("\r", "\n"), job["skip"], say, limited)
    for line, sentence, names in file.problems:
        say(problem=[file.place(line), sentence, sorted(names)])
    known = {one.name: one for one in exercises()}
    for name in job["exercises"]:
        say(begin=name)
        say(done=name, **judge(file, known[name], time_limit, printed))


def main():
    """Judge what standard input asks for."""
    import refdiff.learn.exercises  # noqa: F401  once, before the process is copied

    job = json.loads(sys.stdin.buffer.readline())
    channel = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    printed = Printed()
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), printed, Printed()
    warnings.simplefilter("ignore")

    def say(**what):
        os.write(channel, json.dumps(what).encode() + b"\n")

    say(ready=True)
    for one in job["files"]:
        child = os.fork() if job["copies"] else None
        if child:
            os.waitpid(child, 0)
        else:
            try:
                judge_file(one, job["time_limit"], say, printed)
                say(over=True)
            finally:
                if child is not None:
                    os._exit(0)  # whatever threads it has left running
        say(left=True)
