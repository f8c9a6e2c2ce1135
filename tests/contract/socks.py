"""TCP connections from real clients, through the SOCKS5 proxy of each."""

import asyncio
from collections.abc import Sequence

GREETING = b"ok"  # what whoever is connected to says
_PATIENCE = 4.0  # seconds
Try = tuple[int, str, int]  # from a client's proxy, to an address, at a port


def opened(wanted: Sequence[Try]) -> list[bool]:
    """Try connections at once; tell of each whether it was greeted."""

    async def all_() -> list[bool]:
        return await asyncio.gather(*map(_try, wanted))

    return asyncio.run(all_())


async def _try(wanted: Try) -> bool:
    try:
        return await asyncio.wait_for(_connects(*wanted), _PATIENCE)
    except (TimeoutError, OSError):
        return False


async def _connects(socks: int, address: str, port: int) -> bool:
    """Open a connection through a client's SOCKS5 proxy and read its greeting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", socks)
    try:
        writer.write(b"\x05\x01\x00")
        await reader.readexactly(2)
        host = address.encode()
        writer.write(b"\x05\x01\x00\x03" + bytes([len(host)]) + host + port.to_bytes(2))
        answer = await reader.readexactly(4)
        if answer[1] != 0:
            return False
        await reader.readexactly({1: 4, 4: 16}[answer[3]] + 2)
        return await reader.read(len(GREETING)) == GREETING
    except asyncio.IncompleteReadError:
        return False
    finally:
        writer.close()
