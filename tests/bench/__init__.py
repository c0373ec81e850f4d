"""How fast it is beside its peers: ``python -m tests.bench`` prints a table.

Machines are noisy and differ, so every figure is a ratio: both ways of doing the same are timed in turns, in
the same process, and the ratio is taken round by round. Three fresh processes are asked, since the layout of
memory differs between processes. The tests run it too, but only to see that it can be run.

- `timing`: works, rounds, ratios.
- `rows`: the rows of the table, by what they are about: `codec`, `transport`, `footprint`, `turns`.
- `peers`: the same written with other libraries, or by hand.
- `report`: the table, and the machine it was made on.
"""
