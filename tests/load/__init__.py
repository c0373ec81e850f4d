"""Load and faults: drives the ASGI application over real sockets, breaks what can break, and keeps books.

``python -m tests.load`` runs a server process (`serve`, `application`) over a Redis, and clients in this
process (`talkers`, `calls`). Each turn has a number of its own. Clients book what they said and heard, the
server what it did; afterwards the two are compared (`ledger`). Meanwhile a seeded schedule (`schedule`)
injects `faults`. See ``docs/explanation/load.md``.
"""
