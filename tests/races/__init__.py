"""Two applies at the same time: what either of them loses has to be seen.

A story says what each of two writers wants. `virtual` runs both on the simulator in
time that is made up, so that a seed gives the same race each time; `__main__` runs
processes against a real server.
"""
