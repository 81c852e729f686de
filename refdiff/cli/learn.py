r"""Exercises, test-first: write a function, and the catalogue judges it.

start writes a file for each chapter, with signatures, equations and blanks; check judges what is there, and shows the
smallest counter-example to the first that fails; watch does so whenever a file is saved; solution shows refdiff's own;
list names all exercises.
"""

import sys
import time
from pathlib import Path

from refdiff import cli
from refdiff.cli.console import progress

HELP = "exercises: write a function, and the catalogue judges it"
PAUSE = 0.4  # seconds between two looks at the files
OF_A_FUNCTION = ("is refuted", "is not written yet")  # what is said of it by its name
MARKS = {"solved": "✓", "lost": "✗", "refuted": "✗", "broken": "✗", "unwritten": "·"}
PLAIN = str.maketrans("✓✗·…–", "+x...")  # for terminals that know no other characters


def add_arguments(command):
    what = command.add_subparsers(dest="what", metavar="WHAT", required=True)

    def add(name, text, more):
        return what.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}{more}", epilog=cli.EPILOG)

    one = add("start", "write the files", ": one for each chapter. What is there is left as it is.")
    one.add_argument("folder", metavar="DIR")
    add_path(one)
    one = add("check", "judge what is written", ", and show the smallest counter-example to the first that fails.")
    one.add_argument(
        "asked",
        nargs="*",
        metavar="DIR|KEY",
        help="the folder (by default the working directory, or the one in it that has exercises), and what to judge:"
        " keys, numbers, chapters or files (by default everything)",
    )
    one.add_argument("--hint", action="store_true", help="give one hint more for the first that is not solved")
    add_path(one)
    add_limit(one)
    one = add("watch", "judge a file whenever it is saved", ", until Ctrl-C.")
    one.add_argument("asked", nargs="?", metavar="DIR")
    add_limit(one)
    one = add("solution", "show refdiff's own source", " of an exercise, or of an identity.")
    one.add_argument("key", metavar="KEY")
    one = add("list", "name all exercises", ", and how far you are.")
    one.add_argument("asked", nargs="?", metavar="DIR")
    add_path(one)


def add_path(command):
    command.add_argument("--path", action="store_true", help="only the ten for an afternoon")


def add_limit(command):
    command.add_argument(
        "--time-limit", type=float, default=10.0, metavar="S", help="seconds for one piece of evidence (default: 10)"
    )


def run(args):
    return {"start": start, "check": check, "watch": watch, "solution": solution, "list": listed}[args.what](args)


def say(text=""):
    """Print a line, on any terminal, at once."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(text.translate(PLAIN).encode(encoding, "replace").decode(encoding), flush=True)


def start(args):
    from refdiff.learn.exercises import exercises
    from refdiff.learn.progress import NAME, Progress
    from refdiff.learn.sheets import start

    folder = Path(args.folder)
    written, kept = start(folder, args.path)
    known = Progress.load(folder)
    warn(known)
    known.path = args.path and (known.path or not (folder / NAME).exists())  # once they are all there, they stay
    known.save()
    if written:
        say(f"Written to {folder}: {', '.join(written)}.")
    if kept:
        say(f"There already, and left as {'it is' if len(kept) == 1 else 'they are'}: {', '.join(kept)}.")
    some = exercises(args.path)
    following = next((one for one in some if known.state(one.name) != "solved"), some[0])
    files, head = sorted(folder.glob(f"{following.chapter}*.py")), f"def {following.function}("
    where = next((file for file in files if head in file.read_text("utf-8", "replace")), files[0])
    say(
        f"{len(some)} exercises. The next one is {following.name}: write {following.function} in {where}, then"
        f" `refdiff learn check {folder}`."
    )
    return cli.HOLDS


def warn(known):
    if known.warning:
        print(f"refdiff: warning: {known.warning}", file=sys.stderr)


def folder_of(text=None):
    """Return the folder of the exercises: the one named, the working directory, or the one below it that has some."""
    from refdiff.learn.exercises import exercises
    from refdiff.learn.progress import NAME

    chapters = {one.chapter for one in exercises()}

    def has_some(folder):
        try:
            sheets = [folder / f"{name}.py" for name in chapters]
            return (folder / NAME).is_file() or any(
                one.is_file() and "refdiff learn" in one.read_text("utf-8", errors="replace") for one in sheets
            )
        except OSError:
            return False

    if text is not None:
        folder = Path(text)
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}. `refdiff learn start {folder}` makes it.")
        if not has_some(folder):
            raise ValueError(f"{folder} has no exercises. `refdiff learn start {folder}` writes them.")
        return folder
    if has_some(Path()):
        return Path()
    found = sorted(one for one in Path().iterdir() if one.is_dir() and has_some(one))
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"exercises lie in {' and in '.join(map(str, found))}; say which: `refdiff learn check {found[0]}`."
        )
    raise ValueError("there are no exercises here. `refdiff learn start my-exercises` writes them.")


def chosen(words, known, path):
    """Return the exercises that are asked for, by key, number, chapter or file."""
    from difflib import get_close_matches

    from refdiff.learn.exercises import exercises

    everything = exercises(path or known.path)
    if not words:
        return everything
    found = set()
    for word in words:
        if some := matching(word, everything) or matching(word, exercises()):
            found |= {one.name for one in some}
            continue
        names = [*(one.name for one in exercises()), *{one.chapter for one in exercises()}]
        near = [one for one in names if one.endswith(f".{word}")] or get_close_matches(word, names, 3, 0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`refdiff learn list` names them."
        raise ValueError(f"no exercise is called {word!r}. {hint}")
    return tuple(one for one in exercises() if one.name in found)


def matching(word, everything):
    """Return the exercises that a word means."""
    if word.isdigit():
        return [one for one in everything if one.number == int(word)]
    if word.endswith(".py"):
        word = Path(word).stem.removesuffix("_more")
    for means in (
        lambda one: word in one.keys or word == one.chapter,
        lambda one: word == f"{one.chapter}.{one.function}",
        lambda one: word.replace(".", "_") in [key.partition(".")[2] for key in one.keys],
    ):
        if found := [one for one in everything if means(one)]:
            return found
    return []


def check(args):
    from refdiff.learn.progress import Progress

    words = list(args.asked)
    folder = folder_of(named(words))
    known = Progress.load(folder)
    warn(known)
    some = chosen(words, known, args.path)
    results = judged(folder, known, some, args.time_limit)
    report(some, results, known, whole=not words)
    if args.hint:
        hint(next((one for one in ordered(some, results) if not results[one.name].solved), None), known)
    finish(known, args.path)
    return cli.HOLDS if all(one.solved for one in results.values()) else cli.REFUTED


def named(words):
    """Take the folder out of what is asked for, if it is the first of it; of a file in one, leave the file's name."""
    if not words:
        return None
    first = Path(words[0])
    if first.is_dir() or (any(sign in words[0] for sign in "/\\") and first.suffix != ".py"):
        return words.pop(0)
    if first.suffix == ".py":
        words[0] = first.name
        return None if first.parent == Path() else str(first.parent)
    return None


def ordered(some, results):
    """Return exercises, those that fail before those that are not written."""
    return sorted(some, key=lambda one: results[one.name].state == "unwritten")


def judged(folder, known, some, time_limit):
    """Judge exercises, note what comes of it, and say what else is wrong in the files."""
    from refdiff.learn.examination import examine

    if not 0 < time_limit < float("inf"):
        raise ValueError(f"--time-limit must be a positive number of seconds; got {time_limit}.")
    with progress(len(some), "learn") as bar:
        results, notes = examine(folder, some, time_limit, lambda result: bar.update())
    for note in notes:
        say(f"! {note} The rest of the file is judged without it.")
    known.note(results)
    return results


def report(some, results, known, whole):
    """Print a line for each exercise that is written, and the case that refutes the first that has one."""
    shown, untold = False, []
    for one in some:
        result = results[one.name]
        lost = " (it was solved before)" if known.state(one.name) == "lost" else ""
        head = f"{MARKS[result.state]} {one.number:>2} {one.name}"
        if result.solved:
            say(head)
        elif result.state != "unwritten" or lost or not whole:
            who = [result.place, one.function] if result.says in OF_A_FUNCTION else [result.place]
            say(f"{head}: {' '.join(filter(None, [*who, result.says]))}{lost}.")
            if result.numbers and not shown:
                for line in "\n".join(filter(None, (result.given, result.numbers))).splitlines():
                    say(f"     {line}")
            elif result.numbers:
                untold.append(one)
            if result.prints and not shown:
                say("     It prints:")
                for line in result.prints:
                    say(f"     | {line}")
                if result.more:
                    say(f"     | … and {result.more} lines more")
            shown = shown or bool(result.numbers)
    blank = sum(result.state == "unwritten" for result in results.values())
    if whole and blank:
        say(f"· {blank} {'is' if blank == 1 else 'are'} not written yet.")
    if untold:
        say(f"The case that refutes another one, such as {untold[0].name}: `refdiff learn check {untold[0].number}`.")


def hint(exercise, known):
    """Print the hints of an exercise, one more than the last time."""
    from refdiff.learn.sheets import home

    if exercise is None:
        say("No hint: there is nothing to solve.")
        return
    number, hints = known.hint(exercise), exercise.all_hints
    say(f"\n{exercise.name}, {exercise.function} in {home(known.folder, exercise).name}:")
    for k, text in enumerate(hints[:number], start=1):
        say(f"  hint {k} of {len(hints)}: {text}")


def finish(known, path=False):
    """Keep what was reached, and say it."""
    from refdiff.learn.exercises import exercises

    known.save()
    some = exercises(path or known.path)
    say(f"\n{known.line(some)}")
    if known.path and all(known.state(one.name) == "solved" for one in some):
        say(f"There are {len(exercises()) - len(some)} more: `refdiff learn start {known.folder}`.")


def watch(args):
    from refdiff.learn.exercises import exercises
    from refdiff.learn.progress import Progress

    folder = folder_of(args.asked)
    known = Progress.load(folder)
    warn(known)
    say(known.line(exercises(known.path)))
    say(f"Watching {folder.resolve()}: save a file, and it is judged. Ctrl-C ends.")
    for names in saved(folder, exercises()):
        known = Progress.load(folder)
        some = tuple(one for one in exercises(known.path) if {f"{one.chapter}.py", f"{one.chapter}_more.py"} & names)
        if not some:
            continue
        say(f"\n{time.strftime('%H:%M:%S')} {', '.join(sorted(names))}")
        results = judged(folder, known, some, args.time_limit)
        report(some, results, known, whole=True)
        finish(known)
    return cli.HOLDS


def saved(folder, some, pause=PAUSE):
    """Yield the names of files that have changed, whenever some have; for ever."""
    names = {f"{one.chapter}{more}.py" for one in some for more in ("", "_more")}

    def look():
        found = {}
        for name in names:
            try:
                stat = (folder / name).stat()
            except OSError:  # an editor may take it away for a moment
                continue
            found[name] = (stat.st_mtime_ns, stat.st_size)
        return found

    before = look()
    while True:
        time.sleep(pause)
        now = look()
        changed = {name for name, stamp in now.items() if before.get(name) != stamp}
        before |= now
        if changed:
            yield changed


def solution(args):
    from refdiff import learn
    from refdiff.learn.exercises import exercises

    some = matching(args.key, exercises())
    if len({one.replaces for one in some}) > 1 and args.key in {one.chapter for one in some}:
        raise ValueError(f"{args.key} has {len(some)} exercises: {', '.join(one.name for one in some)}. Which one?")
    say(some[0].solution() if some else learn.solution(args.key))
    return cli.HOLDS


def listed(args):
    from refdiff.learn.exercises import exercises
    from refdiff.learn.progress import Progress
    from refdiff.learn.sheets import signature

    try:
        known = Progress.load(folder_of(args.asked))
    except ValueError:
        if args.asked is not None:
            raise
        known = None
    if known is not None:
        warn(known)
    some = exercises(args.path or (known is not None and known.path))
    for one in some:
        mark = MARKS[known.state(one.name)] if known is not None else " "
        star = "*" if one.path else " "
        call = f"{one.function}({signature(one)})"
        say(f"{mark} {one.number:>2}{star} {one.name:<34} {call:<62} {one.derivation}".rstrip())
    say("\n* one of the ten of `--path`")
    if known is not None:
        say(f"\n{known.line(some)}")
    return cli.HOLDS
