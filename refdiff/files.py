r"""Files that appear whole or not at all."""

import os
import uuid
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole"]


@contextmanager
def whole(path):
    """Yield a path to write to; when all went well, that file takes the place of `path`.

    The unfinished file lies in the same directory under a hidden name with the same suffix. If writing fails or is
    interrupted it is removed, and what was at `path` before is still there. A missing directory is made.

    Parameters
    ----------
    path : str or os.PathLike

    Yields
    ------
    pathlib.Path

    Raises
    ------
    OSError
        If the directory cannot be made or written to, or `path` is a directory.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory; name a file in it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield unfinished
        with open(unfinished, "rb") as written:
            os.fsync(written.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
