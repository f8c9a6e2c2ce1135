"""The least that a plan must do: the same GETs, the same files, nothing else.

`python -m tests.bench.floor PORT FILE...` over one connection, json.loads and
CSafeLoader.
"""

import gc
import http.client
import json
import sys

import yaml


def main() -> None:
    gc.disable()
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    for path in ("/version", "/api/v1/policy", "/api/v1/node", "/api/v1/user"):
        connection.request("GET", path, headers={"Authorization": "Bearer bench"})
        json.loads(connection.getresponse().read())
    for name in sys.argv[2:]:
        with open(name, encoding="utf-8") as file:
            yaml.load(file, yaml.CSafeLoader)


if __name__ == "__main__":
    main()
