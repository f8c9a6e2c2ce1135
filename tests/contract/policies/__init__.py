"""Random policies, held against what real servers and real clients make of them.

`tailnet` is the ground that they stand on, `generator` writes policies, `comparison`
tells where the evaluator and a server differ, `server` and `clients` ask the real
programs, and `recorded` holds a reviewed selection of their answers.
"""
