"""Benchmarks: every figure that Parley promises, each from one command. `python -m bench --help` lists them."""
