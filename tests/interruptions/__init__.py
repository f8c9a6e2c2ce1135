"""An apply that is cut off at every point, and what the next plain one makes of it.

A point is a request of the apply and what happens there: the process gets a signal
before or after the server does what it is asked for, the connection is cut, or a proxy
answers 502. Then one plain apply runs, and the plan after it must be empty.
"""
