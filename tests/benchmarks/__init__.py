"""What the client costs, measured beside what else could be used: `python -m tests.benchmarks`."""
