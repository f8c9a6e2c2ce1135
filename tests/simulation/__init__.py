"""Whole runs from one number: server, network, clock, disk and a second writer.

A seed decides the live state, the files, what goes wrong at which request, what somebody
else does meanwhile, and where the program is killed. Everything is in this process and
nothing waits, so that a seed takes some 60 ms and always goes the same way. `laws` says
what has to hold whatever happened.
"""
