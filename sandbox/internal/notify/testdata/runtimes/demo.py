"""Files, threads, processes, sockets, timers and an event loop, in CPython."""
import asyncio, ctypes, mmap, multiprocessing, os, random, select, shutil, signal, socket, sqlite3, ssl
import subprocess, sys, tempfile, threading, time, urllib.request
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer


def square(n):
    return n * n


def serve_http():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://localhost:%d/" % server.server_address[1]
    assert urllib.request.urlopen(url).read() == b"hello"
    server.shutdown()


async def loop():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"line\n")
    assert await reader.readline() == b"line\n"
    writer.close()
    server.close()
    child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    out, _ = await child.communicate(b"in")
    assert out == b"in" and child.returncode == 0
    await asyncio.sleep(0.01)


def main():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "f")
        with open(path, "wb") as f:
            f.write(b"x" * 8192)
            f.flush()
            os.fsync(f.fileno())
        with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
            m[0] = 65
        shutil.copy2(path, path + "2")
        shutil.move(path + "2", path + "3")
        assert sorted(os.listdir(d)) == ["f", "f3"] and os.stat(path).st_size == 8192
        db = sqlite3.connect(os.path.join(d, "db"))
        db.execute("pragma journal_mode=wal")
        db.execute("create table t(a)")
        db.execute("insert into t values (1)")
        db.commit()
        s = socket.socket(socket.AF_UNIX)
        s.bind(os.path.join(d, "sock"))
        s.close()
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(square, range(10))) == 285
    for method in ("fork", "spawn", "forkserver"):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            assert list(pool.map(square, range(4))) == [0, 1, 4, 9]
    assert subprocess.run(["sh", "-c", "exit 3"], start_new_session=True).returncode == 3
    assert subprocess.run(["cat"], input=b"x", capture_output=True, close_fds=True).stdout == b"x"
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    socket.getaddrinfo("localhost", 80)
    socket.if_nameindex()
    ssl.create_default_context()
    os.urandom(8), os.cpu_count(), os.getloadavg(), os.sched_getaffinity(0)
    a, b = socket.socketpair()
    a.sendall(b"x")
    assert select.select([b], [], [], 1)[0]
    ctypes.CDLL(None).getpid()
    serve_http()
    asyncio.run(loop())
    print("ok")


if __name__ == "__main__":
    main()
