"""Benchmarks: each figure that Parley promises, from one command. `python -m bench --help` lists them."""
