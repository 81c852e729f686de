"""The machine and its settings: what a number means nothing without."""

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

# They pick another kernel of OpenBLAS than the processor would get, or another block size: not what users have.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
TUNING = ("OPENBLAS_", "MKL_", "OMP_", "NUMBA_CPU_")
PACKAGES = ("numpy", "scipy", "numba", "threadpoolctl", "torch", "diffusers")
BUSY = 0.5  # load average above which a warning is due


def renew():
    """Start this command anew without the settings of UNSET, which a library reads once, while it is loaded."""
    found = [f"{name}={os.environ[name]}" for name in UNSET if name in os.environ]
    if found:
        print(f"{', '.join(found)}: unset for this command, which starts anew.", flush=True)
        environment = {name: value for name, value in os.environ.items() if name not in UNSET}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"warning: the load average is {load:.2f}: other work is running, and will show in the numbers.")


def others():
    """Return how many other processes want a processor right now; 0 where Linux does not tell."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1
    except OSError:
        return 0


def describe():
    """Return what to know of the machine, as text by name. All libraries that count must be loaded."""
    import scipy.linalg.cython_blas  # noqa: F401 the library that compiled code calls
    from threadpoolctl import threadpool_info

    blas = {
        f"BLAS of {owner}": f"{info['internal_api']} {info['version']}, kernel {info.get('architecture', '?')}"
        for info in threadpool_info()
        if info["user_api"] == "blas"
        for owner in [next((name for name in PACKAGES if f"{name}.libs" in info["filepath"]), info["prefix"])]
    }
    if "BLAS of scipy" in blas:
        blas["BLAS of scipy"] += " (compiled code calls this one)"
    return {
        "processor": processor(),
        "processors to use": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        **blas,
        **torch_says(),
        "versions": ", ".join([f"Python {platform.python_version()}", *filter(None, map(version, PACKAGES))]),
        "unset": ", ".join(UNSET),
        "other settings": ", ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(TUNING))
        or "none",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
    }


def processor():
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(re.findall(r"^([^\t\n]+)\t*: (.*)$", text, re.M))
    model = f"family {fields.get('cpu family')}, model {fields.get('model')}"
    vectors = next((name for name in ("avx512f", "avx2", "avx") if name in fields.get("flags", "")), "no AVX")
    return f"{fields.get('model name', platform.machine())} ({model}, {vectors})"


def torch_says():
    if "torch" not in sys.modules:
        return {}
    import torch

    mkl = re.search(r"Math Kernel Library Version (\S+?)-Product", torch.__config__.show())
    return {
        "BLAS of torch": f"MKL {mkl.group(1)}" if mkl else "not MKL",
        "vectors of torch": torch.backends.cpu.get_cpu_capability(),
    }


def version(package):
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return None
