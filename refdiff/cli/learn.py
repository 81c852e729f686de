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
MARKS = {"solved": "✓", "lost": "✗", "refuted": "✗", "broken": "✗", "unwritten": "·"}
PLAIN = str.maketrans("✓✗·…–", "+x...")  # for terminals that know no other characters


def add_arguments(command):
    what = command.add_subparsers(dest="what", metavar="WHAT", required=True)
    epilog = cli.EPILOG
    one = what.add_parser(
        "start",
        help="write the files",
        description="Write a file of exercises for each chapter; what is there is left as it is.",
        epilog=epilog,
    )
    one.add_argument("folder", metavar="DIR")
    add_path(one)
    one = what.add_parser(
        "check",
        help="judge what is written",
        description="Judge what is written, and show the smallest counter-example to the first that fails.",
        epilog=epilog,
    )
    one.add_argument(
        "asked",
        nargs="*",
        metavar="DIR|KEY",
        help="the folder, and exercises (a key, a number or a chapter); by default the working directory, or the one below it in which exercises lie, and all of them",
    )
    one.add_argument("--hint", action="store_true", help="give one hint more for the first that is not solved")
    add_path(one)
    add_limit(one)
    one = what.add_parser(
        "watch",
        help="judge a file whenever it is saved",
        description="Judge a file whenever it is saved, until Ctrl-C.",
        epilog=epilog,
    )
    one.add_argument("asked", nargs="?", metavar="DIR")
    add_limit(one)
    one = what.add_parser(
        "solution",
        help="show refdiff's own",
        description="Show refdiff's own source of an exercise, or of an identity.",
        epilog=epilog,
    )
    one.add_argument("key", metavar="KEY")
    one = what.add_parser(
        "list", help="name all exercises", description="Name all exercises, and how far you are.", epilog=epilog
    )
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
    if not (folder / NAME).exists() or known.path != args.path:
        known.path = args.path
        known.save()
    if written:
        say(f"Written to {folder}: {', '.join(written)}.")
    if kept:
        say(f"There already, and left as {'it is' if len(kept) == 1 else 'they are'}: {', '.join(kept)}.")
    some = exercises(args.path)
    following = next((one for one in some if known.state(one.name) != "solved"), some[0])
    say(
        f"{len(some)} exercises. The next one is {following.name}: write {following.function} in"
        f" {folder / following.chapter}.py, then `refdiff learn check {folder}`."
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
        if (folder / NAME).is_file():
            return True
        try:
            return any(
                (folder / f"{name}.py").is_file()
                and "refdiff learn" in (folder / f"{name}.py").read_text(errors="replace")
                for name in chapters
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
        if some := matching(word, exercises()):
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
    named = None
    if words and Path(words[0]).is_dir():
        named = words.pop(0)
    elif words and ("/" in words[0] or "\\" in words[0]) and not words[0].endswith(".py"):
        named = words.pop(0)
    elif words and "/" in words[0]:
        named = str(Path(words[0]).parent)
    folder = folder_of(named)
    known = Progress.load(folder)
    warn(known)
    some = chosen(words, known, args.path)
    results = judged(folder, known, some, args.time_limit)
    report(some, results, known, whole=not words)
    if args.hint:
        hint(next((one for one in ordered(some, results) if not results[one.name].solved), None), known)
    finish(known, args.path)
    return cli.HOLDS if all(one.solved for one in results.values()) else cli.REFUTED


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
    known.save()
    return results


def report(some, results, known, whole):
    """Print a line for each exercise that is written, and three for the first that fails."""
    shown = False
    for one in some:
        result = results[one.name]
        lost = " (it was solved before)" if known.state(one.name) == "lost" else ""
        head = f"{MARKS[result.state]} {one.number:>2} {one.name}"
        if result.solved:
            say(head)
        elif result.state != "unwritten" or lost or not whole:
            sentence = (
                f"{result.place} {result.says}".strip()
                if result.state != "refuted"
                else f"{result.place} {one.function} {result.says}"
            )
            say(f"{head}: {sentence}{lost}.")
            if result.numbers and not shown:
                for line in filter(None, (result.given, result.numbers)):
                    say(f"     {line}")
            if result.prints and not shown:
                say("     It prints:")
                for line in result.prints:
                    say(f"     | {line}")
                if result.more:
                    say(f"     | … and {result.more} lines more")
            shown = shown or result.state != "unwritten"
    blank = sum(result.state == "unwritten" for result in results.values())
    if whole and blank:
        say(f"· {blank} {'is' if blank == 1 else 'are'} not written yet.")


def hint(exercise, known):
    """Print the hints of an exercise, one more than the last time."""
    if exercise is None:
        say("No hint: there is nothing to solve.")
        return
    number, hints = known.hint(exercise), exercise.all_hints
    known.save()
    say(f"\n{exercise.name}, {exercise.function} in {exercise.chapter}.py:")
    for k, text in enumerate(hints[:number], start=1):
        say(f"  hint {k} of {len(hints)}: {text}")


def finish(known, path=False):
    from refdiff.learn.exercises import exercises

    say(f"\n{known.line(exercises(path or known.path))}")


def watch(args):
    from refdiff.learn.exercises import exercises
    from refdiff.learn.progress import Progress

    folder = folder_of(args.asked)
    known = Progress.load(folder)
    warn(known)
    finish(known)
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
        finish(known, args.path)
    return cli.HOLDS
