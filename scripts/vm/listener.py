"""Starts a command below a filter with a listener that lets every call through: no
other listener can be had there (seccomp(2), EBUSY)."""

import ctypes
import os
import struct
import sys

SECCOMP, LISTENER, ALLOW = {"x86_64": 317, "aarch64": 277}[os.uname().machine], 8, 0x7FFF0000
code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, ALLOW))  # BPF_RET | BPF_K


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(1, ctypes.addressof(code))
if libc.syscall(SECCOMP, 1, LISTENER, ctypes.byref(program)) < 0:
    sys.exit("no listener: " + os.strerror(ctypes.get_errno()))
pid = os.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
