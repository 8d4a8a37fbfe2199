"""Connects to what it is told to, one after the other, and writes to descriptor
9 what became of each: OK, or the symbol of the error."""
import asyncio
import errno
import os
import socket
import ssl
import sys
import urllib.error
import urllib.request

PATIENCE = 30


def at(target):
    host, _, port = target.rpartition(":")
    return host.strip("[]"), int(port)


def with_urllib(target):
    # Without a handler for proxies: it would look for variables.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(target, timeout=PATIENCE) as r:
        assert r.read() == b"peer\n"


def with_ssl(target):
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    host, port = at(target)
    with socket.create_connection((host, port), PATIENCE) as c, context.wrap_socket(c, server_hostname=host):
        pass


def with_asyncio(target):
    async def run():
        host, port = at(target)
        reader, writer = await asyncio.open_connection(host, port)
        if not await reader.readline():
            raise EOFError
        writer.close()

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def symbol(e):
    if isinstance(e, urllib.error.URLError) and isinstance(e.reason, Exception):
        e = e.reason
    if isinstance(e, socket.gaierror):
        names = [n for n in dir(socket) if n.startswith("EAI_") and getattr(socket, n) == e.errno]
        return names[0]
    if isinstance(e, OSError) and e.errno in errno.errorcode:
        return errno.errorcode[e.errno]
    return type(e).__name__


OPS = {"urllib": with_urllib, "ssl": with_ssl, "asyncio": with_asyncio}

for op, target in zip(sys.argv[1::2], sys.argv[2::2]):
    said = "OK"
    try:
        OPS[op](target)
    except Exception as e:
        said = symbol(e)
    os.write(9, f"python3 {op} {target} {said}\n".encode())
