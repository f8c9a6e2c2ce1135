"""The policy language, offline: what a policy says, changes and allows.

Nothing here knows files or servers; a policy is the plain value that
`reconcile.hujson.parse(text).value` or inline YAML gives, and every place in it is a
path that `Document.locate` turns into a position.
"""
