"""Confines a worker before it touches media: no network, files or programs, bounded memory, low priority.

There are two steps, because models are files: `limit` first, `confine` once everything is loaded. `confine` installs a
seccomp filter (seccomp(2), Linux) that fails denied system calls with EPERM. On an unknown kernel or processor it
installs none, and reports that. The worker can still use its socket, memory, threads and clocks.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
_RET_ALLOW = 0x7FFF0000
_RET_ERRNO = 0x00050000
_RET_KILL = 0x80000000
_LOAD, _EQUAL, _GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000
_OFFSET_NUMBER, _OFFSET_ARCH = 0, 4

# Audit architecture, number of seccomp(2), denied system calls (asm/unistd.h).
_DENIED_EVERYWHERE = {"io_uring_setup": 425, "openat2": 437, "pidfd_open": 434, "pidfd_getfd": 438}
_MACHINES: dict[str, tuple[int, int, dict[str, int]]] = {
    "x86_64": (0xC000003E, 317, {
        "open": 2, "socket": 41, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53, "fork": 57, "vfork": 58,
        "execve": 59, "kill": 62, "rename": 82, "mkdir": 83, "creat": 85, "link": 86, "unlink": 87, "symlink": 88,
        "ptrace": 101, "tkill": 200, "openat": 257, "mkdirat": 258, "unlinkat": 263, "renameat": 264, "linkat": 265,
        "symlinkat": 266, "process_vm_readv": 310, "process_vm_writev": 311, "renameat2": 316, "execveat": 322,
    }),
    "aarch64": (0xC00000B7, 277, {
        "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "openat": 56, "ptrace": 117,
        "kill": 129, "tkill": 130, "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "connect": 203,
        "execve": 221, "process_vm_readv": 270, "process_vm_writev": 271, "renameat2": 276, "execveat": 281,
    }),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def limit(*, memory_bytes: int, nice: int, cpu_seconds: int | None = None) -> None:
    """Limit this process's address space, files and priority, forbid core dumps, and get SIGTERM when the parent dies.

    With `cpu_seconds`, the kernel kills the process after that much CPU time.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bounds = [(resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0)]
    if cpu_seconds is not None:
        bounds.append((resource.RLIMIT_CPU, cpu_seconds))
    for kind, value in bounds:
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def confine() -> tuple[str, ...]:
    """Deny network, files and programs to every thread of this process; return the names of the measures in force."""
    known = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or known is None:
        return ("rlimits",)
    architecture, seccomp, numbers = known
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = _filter(architecture, sorted({**numbers, **_DENIED_EVERYWHERE}.values()))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    status = libc.syscall(seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(program))
    return ("rlimits", "seccomp") if status == 0 else ("rlimits",)


def _filter(architecture: int, denied: list[int]) -> bytes:
    """Return the classic BPF program: foreign architecture → kill; denied number or x32 → EPERM; else allow."""

    def instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, operand)

    count = len(denied)
    program = [
        instruction(_LOAD, 0, 0, _OFFSET_ARCH),
        instruction(_EQUAL, 1, 0, architecture),
        instruction(_RETURN, 0, 0, _RET_KILL),
        instruction(_LOAD, 0, 0, _OFFSET_NUMBER),
        instruction(_GREATER_EQUAL, count + 1, 0, _X32),
    ]
    program += [instruction(_EQUAL, count - index, 0, number) for index, number in enumerate(denied)]
    program += [instruction(_RETURN, 0, 0, _RET_ALLOW), instruction(_RETURN, 0, 0, _RET_ERRNO | errno.EPERM)]
    return b"".join(program)
