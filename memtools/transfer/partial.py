"""A file on its way: bytes in `NAME.part`, what is known about them in `NAME.part.json`.

    with Partial(target, [Piece("a", size=3), Piece("b")], identity="...") as partial:
        partial.write(piece, 0, view)            # from any thread
        partial.publish()                        # fsync, rename, fsync of the directory

Pieces lie behind one another in one file, so nothing is ever joined or held
twice. The state is saved several times a block, or every five seconds, and only after
the fsync of the bytes it claims; a writer is held back when it is more than a block
ahead of the last saved state, so that a kill at any instant costs at most one
block of each piece. On the next start every claim is read again: neither size
nor time of a file proves anything.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from memtools.errors import BusyError, DiskError
from memtools.files import (
    CHUNK,
    disk_errors,
    publish,
    require_free,
    require_outside_store,
    write_atomically,
)
from memtools.transfer.chain import Chain
from memtools.transfer.joint import Joint
from memtools.transfer.names import HEARTBEAT, Names, state_of
from memtools.transfer.piece import Piece, describe, load


class Partial(Joint):
    """The unfinished file of `target`; a context manager that owns it while inside.

    identity: what the file must become (digests, parts); a state file of another
    identity is not used. Everything here may be called from any thread.
    """

    def __init__(self, target: Path, pieces: Sequence[Piece], *, identity: str) -> None:
        super().__init__()
        self.pieces = list(pieces)
        self.names = Names(target)
        self.rewritten = False  # bytes that were read before have been replaced since
        self._identity = identity
        self._writers = 0
        self._fsync_failed = False
        self._disowned = False
        self._published = False

    def __enter__(self) -> Self:
        with disk_errors(self.names.target):
            require_outside_store(self.names.target)
            self._own = self.names.claim()
            self._fd = os.open(self._own, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            load(state_of(self._own), self._identity, self.pieces)
        except BaseException:
            os.close(self._fd)
            self.names.rest(self._own)
            raise
        self._saver = threading.Thread(target=self._save_now_and_then, daemon=True)
        self._saver.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._saver.join()
        with self.changed:
            self.changed.wait_for(lambda: self._writers == 0)
        try:
            if self._disowned:
                state_of(self._own).unlink(missing_ok=True)
            elif not (self._published or self._fsync_failed) and self._own.exists():
                self._save()
        except OSError as failure:  # the older state on disk stays, and is still true
            if error is None:
                raise DiskError(f"{self._own}: {failure.strerror}") from failure
        finally:
            os.close(self._fd)
            if not self._published:
                self.names.rest(self._own)

    # -- where things are

    def offset(self, piece: Piece) -> int | None:
        """Where a piece begins; None while the size of an earlier one is unknown."""
        sizes = [each.size for each in self.pieces[: self.pieces.index(piece)]]
        return None if None in sizes else sum(filter(None, sizes))

    @property
    def size(self) -> int | None:
        """The size of the whole file in bytes, once known."""
        sizes = [piece.size for piece in self.pieces]
        return None if None in sizes else sum(filter(None, sizes))

    @property
    def frontier(self) -> int:
        """How many bytes of the file are held from its start on without a gap."""
        reached = 0
        for piece in self.pieces:
            reached += piece.chain.position
            if not piece.chain.complete:
                break
        return reached

    @property
    def complete(self) -> bool:
        """Whether every byte of every piece is held."""
        return all(piece.chain.complete for piece in self.pieces)

    # -- bytes

    def read(self, start: int, buffer: memoryview) -> int:
        """Fill a buffer with the file's bytes from `start` on; how many there were."""
        with disk_errors(self._own):
            return os.preadv(self._fd, [buffer], start)

    @contextlib.contextmanager
    def window(self, start: int, length: int) -> Iterator[memoryview]:
        """Bytes of the file without copying them: straight from the page cache.

        A copy would cost as much as a digest of it. Only for bytes that are held.
        """
        skip = start % mmap.ALLOCATIONGRANULARITY
        with (
            disk_errors(self._own),
            mmap.mmap(
                self._fd, skip + length, access=mmap.ACCESS_READ, offset=start - skip
            ) as page,
            memoryview(page) as whole,
            whole[skip:] as data,
        ):
            yield data

    def write(self, piece: Piece, position: int, view: memoryview) -> None:
        """Keep those bytes of `view`, which begins at `position` of the piece, that come next."""
        chain, base = piece.chain, self.offset(piece)
        if base is None or position > chain.position:
            raise ValueError("these bytes do not follow those that are held")
        stop = None if chain.size is None else max(0, chain.size - position)
        fresh = view[chain.position - position : stop]
        self._hold_back(piece)
        try:
            with disk_errors(self._own):
                _write_all(self._fd, fresh, base + chain.position)
        finally:
            with self.changed:
                self._writers -= 1
                if self._stopped:
                    self.changed.notify_all()
        self._extend(piece, fresh)
        piece.received += len(fresh)

    def recheck(self, piece: Piece) -> None:
        """Prove what the state file claims about the bytes that come next, by reading them."""
        while claim := piece.chain.next_claim():
            end, digest = claim
            trial = piece.chain.branch()
            for _, data in self._stretch(piece, trial.position, end):
                self.check()
                trial.extend(data)
            del trial.claims[end]
            with self.changed:
                if trial.links.get(end) == digest:
                    piece.chain = trial
                    self.changed.notify_all()
                else:
                    del piece.chain.claims[end]

    def digests(self, piece: Piece) -> dict[str, str]:
        """Digests of a complete piece."""
        if set(piece.algorithms) <= set(piece.chain.digests):
            return piece.chain.digests
        whole = Chain(piece.algorithms, piece.size)  # the size was not known from the start
        for _, data in self._stretch(piece, 0, piece.size or 0):
            self.check()
            whole.extend(data)
        return whole.digests

    def _extend(self, piece: Piece, data: memoryview) -> None:
        before = piece.chain.position // CHUNK
        piece.chain.extend(data)
        if piece.chain.position // CHUNK > before or piece.chain.complete:
            with self.changed:
                self.changed.notify_all()  # not for each byte: every waiter wakes

    def _stretch(self, piece: Piece, start: int, stop: int) -> Iterator[tuple[int, memoryview]]:
        """The bytes of a piece from `start` to before `stop`, chunk by chunk from disk."""
        base, buffer = self.offset(piece) or 0, memoryview(bytearray(CHUNK))
        while start < stop and (n_read := self.read(base + start, buffer[: stop - start])):
            yield start, buffer[:n_read]
            start += n_read

    def learn_size(self, piece: Piece, size: int) -> None:
        """A server said how large a piece is: make sure that it fits."""
        if piece.size == size:
            return
        with self.changed:
            if 0 < piece.chain.position <= size:
                piece.chain.size = size
            else:
                piece.clear(size)
            self.changed.notify_all()
        self.require_space()

    def forget(self, piece: Piece) -> None:
        """Drop all bytes of a piece; its next answer is a fresh start."""
        with self.changed:
            self.rewritten |= piece.chain.position > 0
            piece.clear(piece.size)
            self.changed.notify_all()

    def disown(self) -> None:
        """Trust nothing of this file on the next start: a size in it has proven wrong."""
        self._disowned = True

    def require_space(self) -> None:
        """Raise `DiskError` unless the bytes that are still missing fit on the disk."""
        sizes = [piece.size or 0 for piece in self.pieces]
        allocated = os.fstat(self._fd).st_blocks * 512
        target = self.names.target
        require_free(target.parent, max(0, sum(sizes) - allocated), target.name)

    def publish(self, *, before: Callable[[], object] = lambda: None) -> None:
        """Give the whole file its final name. The caller has verified every digest.

        before: called when the bytes are durable, right before the rename.
        """
        target, size = self.names.target, self.size
        self.stop()
        self._saver.join()
        with disk_errors(target):
            if size is None or os.fstat(self._fd).st_size < size:
                raise ValueError("publish is for complete files")
            os.ftruncate(self._fd, size)
            self._fsync()
            before()
            self._require_ours()
            publish(self._own, target)
            self._published = True
            for path in [state_of(self._own), *self.names.leftovers()]:
                with contextlib.suppress(PermissionError):  # another user's, in a shared directory
                    path.unlink(missing_ok=True)

    # -- state

    def _hold_back(self, piece: Piece) -> None:
        """Wait while a kill now would cost more than one block of this piece; then be a writer."""
        with self.changed:
            if piece.received - piece.durable > piece.chain.block_size:
                self.changed.notify_all()  # the saver may not know yet how much has come
            self.wait_until(lambda: piece.received - piece.durable <= piece.chain.block_size)
            self._writers += 1

    def _save_now_and_then(self) -> None:
        try:
            while not self._stopped:
                with self.changed:
                    self.changed.wait_for(lambda: self._worth_saving() or self._stopped, HEARTBEAT)
                if not self._stopped:
                    with disk_errors(self._own):
                        self._save()
        except BaseException as failure:  # noqa: BLE001 - raised again by whoever joins
            self.stop(failure)

    def _worth_saving(self) -> bool:
        """Long before a writer would be held back, but not when the end is near anyway."""
        return not self.complete and any(
            piece.received - piece.durable >= piece.chain.block_size // 2 for piece in self.pieces
        )

    def _save(self) -> None:
        """Claim in the state file what is durable in the file of bytes."""
        self._require_ours()
        with self.changed:
            received = [piece.received for piece in self.pieces]
            claims = describe(self._identity, self.pieces)
        self._fsync()
        write_atomically(state_of(self._own), claims, ours=True)
        with self.changed:
            for piece, n_bytes in zip(self.pieces, received, strict=True):
                piece.durable = n_bytes
            self.changed.notify_all()

    def _fsync(self) -> None:
        """Make the bytes durable. A failure is final: the kernel has forgotten what it lost."""
        try:
            os.fsync(self._fd)
        except OSError:
            self._fsync_failed = True
            raise

    def _require_ours(self) -> None:
        """Raise `BusyError` if another process has taken our file away."""
        if not self._own.exists():
            raise BusyError(
                f"another process has taken over {self.names.part}",
                hint="wait until it has finished, then run the same command again",
            )


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        n_written = os.pwrite(descriptor, data, offset)
        data, offset = data[n_written:], offset + n_written
