"""Coverage-guided fuzzers for every door that a peer can reach: ``python -m tests.fuzz TARGET``.

A target is a plain function of bytes, in `targets`: it reads its input as a program of what a peer and a host
do, and raises `Failure`, or whatever else escapes, when the library does what it must not. The engine is
atheris, and only `engine` knows of it; `tests/test_fuzz.py` runs the same functions without it.
"""
