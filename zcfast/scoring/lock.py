"""A lock that a process holds on a directory for as long as it lives."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import warnings
from pathlib import Path

from zcfast.errors import Notice

NAME = "lock"
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class DirectoryLock:
    """The file ``lock`` in a directory, locked by flock: the kernel lets go of it when the process ends, however.

    On NFS, Linux makes of it a lock that holds between hosts, unless the mount says ``nolock`` or ``local_lock``: then
    it holds between the processes of one host. Where a file system has no locks there is a warning and none is held.
    """

    def __init__(self, directory: Path) -> None:
        """Make the directory where there is none, and take the lock.

        Errors: BlockingIOError that names the process that holds it; OSError for a directory that cannot be written.
        """
        self.directory = directory
        while True:
            directory.mkdir(parents=True, exist_ok=True)
            try:
                self._descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            except FileNotFoundError:  # the one that held it has just removed the directory
                continue
            try:
                self._take()
                if self._is_in_place():
                    break
            except BaseException:
                os.close(self._descriptor)
                raise
            os.close(self._descriptor)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} of {socket.gethostname()}".encode(), 0)

    def release(self) -> None:
        """Let go, and remove the file."""
        (self.directory / NAME).unlink(missing_ok=True)
        os.close(self._descriptor)

    def _take(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 200, 0).decode(errors="replace") or "another process"
            raise BlockingIOError(
                f"{self.directory}: expected one run at a time, but {holder} is at work in it"
            ) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            said = f"{self.directory}: no locks on this file system; a second run on the same output is not noticed"
            warnings.warn(said, Notice, stacklevel=2)

    def _is_in_place(self) -> bool:
        """Whether the file that is locked is the one in the directory, not one that its holder has just removed."""
        try:
            there = (self.directory / NAME).lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))
