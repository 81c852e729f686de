"""How fast, beside whom, and how near to what the machine can do: ``python -m tests.benchmarks``.

Ours, the peer and the limit take turns, a round at a time, in one process, so that whatever disturbs the machine
disturbs all three; a ratio is the median of the ratios within a round. That is why pytest-benchmark is not used: it
times one function to its end before it begins the next.
"""
