#!/bin/sh
# asyncio of CPython 3.11: what a TLS server holds for connections that say nothing.
#
#   protocol.connection_made   is called after the handshake: a limit on connections that counts there sees none of these
#   memory                     300 kB each (256 of them are SSLProtocol.max_size, taken at once), where one without TLS takes some 5
#
# Seen on 30 November 2026; ends with another code than 0 if one of these is no longer so.
set -eu
python3 - <<'EOF'
import asyncio
import ssl
from pathlib import Path

CONNECTIONS = 100


def memory() -> int:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])  # kB


async def silent(context: ssl.SSLContext | None) -> tuple[int, float]:
    """How many protocols hear of their connection, and the kB that each takes."""
    heard, accepted = [], []

    class Protocol(asyncio.Protocol):
        def __init__(self) -> None:
            accepted.append(self)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            heard.append(transport)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Protocol, "127.0.0.1", 0, ssl=context)
    before = memory()
    address = server.sockets[0].getsockname()
    clients = [await asyncio.open_connection(*address) for _ in range(CONNECTIONS)]
    while len(accepted) < CONNECTIONS:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    taken = (memory() - before) / CONNECTIONS
    for _, writer in clients:
        writer.close()
    server.close()
    return len(heard), taken


plain = asyncio.run(silent(None))
private = asyncio.run(silent(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)))
print(f"without TLS: {plain[0]} of {CONNECTIONS} heard of, {plain[1]:.0f} kB each (their clients' side among them)")
print(f"with TLS:    {private[0]} of {CONNECTIONS} heard of, {private[1]:.0f} kB each")
raise SystemExit(not (plain[0] == CONNECTIONS and private[0] == 0 and private[1] > plain[1] + 200))
EOF
