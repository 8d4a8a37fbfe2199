# One attack by the means that Python itself has. Arguments: the attack and the
# world in JSON. The answer on stdout is "ok" or the name of an errno.
import ctypes
import errno
import json
import os
import socket
import subprocess
import sys

attack, text = sys.argv[1:3]
world = json.loads(text)
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.connect(address)


def read_key():
    with open(world["secret"], "rb") as f:
        f.read(16)


def read_key_child():
    code = "import sys, errno\ntry: open(sys.argv[1]).read(1)\nexcept OSError as e: print(errno.errorcode[e.errno], end='')"
    out = subprocess.run([sys.executable, "-c", code, world["secret"]], capture_output=True, text=True, check=True).stdout
    if out:
        raise OSError(getattr(errno, out), "child")


def environment():
    if world["canary"] not in os.environ:
        raise LookupError


attacks = {
    "read-key": read_key,
    "read-key-child": read_key_child,
    "write-outside": lambda: open(os.path.join(world["outside"], "planted-by-python"), "w").close(),
    "tcp-host": lambda: connect(socket.AF_INET, ("127.0.0.1", world["tcp"])),
    "unix-path": lambda: connect(socket.AF_UNIX, world["socket"]),
    "kill-stranger": lambda: os.kill(world["stranger"], 0),
    "environment": environment,
    "unshare": lambda: call("unshare", 0x10000000),
    "ptrace": lambda: call("ptrace", 0x4206, world["pid"], None, None),
    "vsock": lambda: socket.socket(40, socket.SOCK_STREAM).close(),
    "setuid": lambda: os.setuid(20007),
}

try:
    attacks[attack]()
    answer = "ok"
except OSError as e:
    answer = errno.errorcode.get(e.errno, "EUNKNOWN")
except LookupError:
    answer = "HELD"
print(answer, end="")
