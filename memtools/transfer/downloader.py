"""One URL into one piece of a file, however often the connection breaks.

    download(partial, piece, url, patience)

Each turn asks for the first run of missing bytes, and keeps what comes up to the
very byte at which it breaks. Bytes are taken only where an answer proves to
begin; bytes that are held already are skipped, not written twice.
"""

from __future__ import annotations

import logging

from memtools.errors import ChecksumError, RefusedError
from memtools.transfer.answers import Answer, RangeError, Wish, ask
from memtools.transfer.partial import Partial
from memtools.transfer.patience import Budget, Patience, TransientError
from memtools.transfer.piece import Piece
from memtools.wording import redact_url

log = logging.getLogger("memtools")


def download(partial: Partial, piece: Piece, url: str, patience: Patience) -> None:
    """Fetch all that is missing of a piece; returns when it is complete.

    Raises NetworkError when the budget of faults is used up, RefusedError,
    IntegrityError or DiskError at once; what was received stays in `partial`.
    """
    budget = Budget(patience, partial.sleep)
    ranged = trusting = True
    if piece.url != redact_url(url):  # a mirror's validators say nothing about another's
        piece.url, piece.validator = redact_url(url), None
    while True:
        partial.recheck(piece)
        if piece.chain.complete:
            return
        wish = Wish(*piece.chain.gap(), piece.size, piece.validator if trusting else None, ranged)
        try:
            with ask(url, wish, patience) as answer:
                if _is_other_version(answer, wish):
                    log.warning("%s: the remote file has changed; starting over", redact_url(url))
                    trusting = False  # once: from now on the digest decides
                    partial.forget(piece)
                    piece.changed = True
                elif answer.whole and ranged:
                    log.warning("%s: the server cannot resume", redact_url(url))
                    ranged = False
                _keep(partial, piece, answer)
        except ChecksumError:
            if piece.promised_size is None:  # the wrong size may be the one learnt earlier
                partial.disown()
            raise
        except RangeError as error:
            if not ranged:
                raise _senseless(url, error) from error
            log.warning("%s: %s; asking for the whole file", redact_url(url), error)
            ranged = False
        except TransientError as fault:
            partial.check()
            log.warning("%s: %s; %d bytes so far", redact_url(url), fault, piece.received)
            budget.spend(fault, redact_url(url), piece.received)


def _is_other_version(answer: Answer, wish: Wish) -> bool:
    """Whether the file at the source is not the one that the bytes held came from."""
    return (
        wish.validator is not None
        and answer.validator != wish.validator
        and (answer.whole or answer.validator is not None)
    )


def _keep(partial: Partial, piece: Piece, answer: Answer) -> None:
    """Write the body of an answer where it belongs."""
    if answer.size is not None:
        partial.learn_size(piece, answer.size)
    start, stop = piece.chain.gap()
    if answer.start > start:
        raise TransientError("the answer begins behind bytes that are missing")
    if start > 0:
        piece.resumed = True
    else:
        piece.validator = answer.validator
    position = answer.start
    partial.interrupts.append(answer.abort)
    try:
        for data in answer.chunks():
            partial.write(piece, position, data)
            position += len(data)
            if stop is not None and position >= stop:
                return  # whatever may follow is not asked for
    finally:
        partial.interrupts.remove(answer.abort)
    if answer.stop is not None and position < answer.stop:
        raise TransientError(f"the connection ended at byte {position} of {answer.stop}")
    if piece.size is None:
        partial.learn_size(piece, position)
    elif piece.chain.position == start:
        raise TransientError("the answer brought nothing new")


def _senseless(url: str, error: RangeError) -> RefusedError:
    return RefusedError(
        f"{redact_url(url)}: {error}, even when asked for the whole file",
        url=redact_url(url),
        status=206,
        hint="this server cannot be used; try a mirror (--mirror)",
    )
