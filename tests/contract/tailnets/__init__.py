"""Random tailnets in pairs of states, and what people read of the difference.

`state` is a tailnet with its policy, `people`, `machines` and `edits` make random
ones, `rows` puts them into a server's database and `server` asks it what it compiled.
`truth` walks what the server compiled at the probes of `probes`; `names` reads the
printed words back as a person would; `comparison` holds the two against each other,
`shrinking` makes a failing pair small and `cases` keeps it.
"""
