"""Verdicts on all identities, reached while the book is built and kept for the next build of the same code."""

import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sphinx.util import logging

import refdiff
from refdiff import verify
from refdiff.files import whole

logger = logging.getLogger(__name__)
VERDICTS = {}


def fingerprint(budget):
    """Return a hash of all that a verdict depends on: the library's source, and the budget."""
    found = hashlib.sha256(budget.encode())
    for path in sorted(Path(refdiff.__file__).parent.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def reach(app):
    """Judge the library by the whole catalogue; what is refuted or inconclusive stops the build."""
    budget = app.config.book_budget
    kept = Path(app.doctreedir) / f"verdicts-{fingerprint(budget)}.json"
    if kept.exists():
        VERDICTS.update(json.loads(kept.read_text(encoding="utf-8")))
        return
    logger.info("judging %d identities, budget %s", len(verify.CATALOGUE), budget)
    with ProcessPoolExecutor(os.cpu_count()) as executor:
        report = verify.judge(budget=budget, executor=executor)
    VERDICTS.update(report.as_json()["verdicts"])
    for key in (*report.refuted, *report.inconclusive):
        logger.warning("the book states what does not hold: %s", report.verdicts[key])
    with whole(kept) as file:
        file.write_text(json.dumps(VERDICTS), encoding="utf-8")


def setup(app):
    """Judge before anything is read."""
    app.add_config_value("book_budget", "default", "env", [str])
    app.connect("builder-inited", reach)
