"""Mutation testing: ``python -m tests.mutation TARGET|all`` changes the library in one place after the other.

A mutant is the source of one module with one change in it. The changes are those of mutmut, with a few of
our own in `mutants`; `judge` imports the library with the change in a forked process and runs the tests
there, until the first one fails. Nothing is written to the sources. See ``docs/explanation/mutation.md``.
"""
