"""The least that a plan must do: the same GETs, the same files, nothing else.

`python -m tests.bench.floor PORT FILE...` over one connection, json.loads and
CSafeLoader. With --packages the project's fixed packages are imported as well and httpx
asks: no program made of them can start faster.
"""

import gc
import http.client
import json
import os
import sys

import yaml

HEADERS = {"Authorization": f"Bearer {os.environ.get('HEADSCALE_API_KEY', '')}"}


def bare(port: str):
    connection = http.client.HTTPConnection("127.0.0.1", int(port))

    def ask(path: str) -> bytes:
        connection.request("GET", path, headers=HEADERS)
        return connection.getresponse().read()

    return ask


def packaged(port: str):
    import click  # noqa: F401
    import httpx
    import jsonschema  # noqa: F401

    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS)
    return lambda path: client.get(path).content


def main() -> None:
    gc.disable()
    arguments = [word for word in sys.argv[1:] if word != "--packages"]
    get = packaged if "--packages" in sys.argv else bare
    port, *names = arguments
    ask = get(port)
    for path in ("/version", "/api/v1/policy", "/api/v1/node", "/api/v1/user"):
        json.loads(ask(path) or b"null")  # 0.26 has no /version: an empty answer
    for name in names:
        with open(name, encoding="utf-8") as file:
            yaml.load(file, yaml.CSafeLoader)


if __name__ == "__main__":
    main()
