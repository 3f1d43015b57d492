"""Laws of the chain of digests: however bytes arrive, it says the same, and only the truth."""

import hashlib
import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from memtools.transfer.chain import Chain

laws = settings(deadline=None, max_examples=100)
BLOCK_SIZES = st.integers(1, 40)
BYTES = st.binary(max_size=200)
ALGORITHMS = ("git_blob", "sha256")


def git_blob_of_first(data, n_bytes, size):
    return hashlib.sha1(b"blob %d\0" % size + data[:n_bytes]).hexdigest()


def sha256_of_first(data, n_bytes, size):
    return hashlib.sha256(data[:n_bytes]).hexdigest()


def links_by_definition(data, held, block_size, size):
    """The digest of all bytes before each block end, and before the last byte held."""
    digest = git_blob_of_first if size is not None else sha256_of_first
    ends = {*range(block_size, held + 1, block_size), held} - {0}
    return {end: digest(data, end, size) for end in ends}


def extend_in_pieces(chain, data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        chain.extend(memoryview(data[start:stop]))


def prove(chain, on_disk):
    """What a reader of the disk does with claims: each is proven in turn, or dropped."""
    while claim := chain.next_claim():
        end, digest = claim
        trial = chain.branch()
        trial.extend(memoryview(on_disk[trial.position : end]))
        del trial.claims[end]
        if trial.links.get(end) == digest:
            chain = trial
        else:
            del chain.claims[end]
    return chain


def bring(chain, source, on_disk):
    """Prove and fetch in turn until all is there; (the chain, bytes fetched)."""
    fetched = 0
    on_disk = bytearray(on_disk.ljust(len(source), b"\0"))
    while True:
        chain = prove(chain, on_disk)
        if chain.complete:
            return chain, bytes(on_disk), fetched
        start, stop = chain.gap()
        assert start < stop
        on_disk[start:stop] = source[start:stop]
        chain.extend(memoryview(source[start:stop]))
        fetched += stop - start


@laws
@given(BYTES, BYTES, BLOCK_SIZES, st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_however_bytes_are_split_the_links_are_those_of_the_definition(
    data, rest, block_size, cuts, size_known
):
    size = len(data + rest) if size_known else None
    chain = Chain(ALGORITHMS, size, block_size)
    extend_in_pieces(chain, data, cuts)
    assert chain.position == len(data)
    assert chain.links == links_by_definition(data, len(data), block_size, size)
    assert chain.digests["sha256"] == hashlib.sha256(data).hexdigest()
    assert chain.complete == (size == len(data))


@laws
@given(BYTES, BLOCK_SIZES, st.lists(st.integers(0, 400), max_size=8))
def test_the_digest_of_a_whole_piece_is_gits_however_it_is_split(data, block_size, cuts):
    chain = Chain(ALGORITHMS, len(data), block_size)
    extend_in_pieces(chain, data, cuts)
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    assert chain.digests == {"git_blob": blob, "sha256": hashlib.sha256(data).hexdigest()}


@laws
@given(BYTES, st.integers(0, 200), BLOCK_SIZES)
def test_a_state_survives_being_written_and_read(data, held, block_size):
    chain = Chain(ALGORITHMS, len(data), block_size)
    chain.extend(memoryview(data[:held]))
    state = json.loads(json.dumps(chain.to_json()))
    claimed = Chain.from_json(ALGORITHMS, state)
    assert claimed.position == 0
    assert claimed.claims == chain.links
    assert claimed.to_json() == chain.to_json()


@laws
@given(BYTES, st.integers(0, 200), BLOCK_SIZES)
def test_true_claims_are_all_proven_and_nothing_of_them_is_fetched_again(data, held, block_size):
    held = min(held, len(data))
    before = Chain(ALGORITHMS, len(data), block_size)
    before.extend(memoryview(data[:held]))
    after = prove(Chain.from_json(ALGORITHMS, before.to_json()), data)
    assert after.position == held
    assert after.claims == {}
    assert after.links == before.links
    assert after.gap() == (held, len(data))


@laws
@given(st.binary(min_size=1, max_size=200), BLOCK_SIZES, st.integers(0, 199))
def test_garbage_in_one_place_costs_one_block(data, block_size, at):
    at %= len(data)
    before = Chain(ALGORITHMS, len(data), block_size)
    before.extend(memoryview(data))
    broken = bytearray(data)
    broken[at] ^= 0xFF
    chain, repaired, fetched = bring(
        Chain.from_json(ALGORITHMS, before.to_json()), data, bytes(broken)
    )
    block_start = at - at % block_size
    assert repaired == data
    assert chain.links == before.links
    assert fetched == min(block_size, len(data) - block_start)


@laws
@given(
    BYTES,
    BYTES,
    BLOCK_SIZES,
    st.dictionaries(st.integers(-5, 250), st.text(max_size=3), max_size=6),
    st.integers(0, 200),
)
def test_whatever_the_disk_holds_and_the_state_claims_the_end_is_right(
    data, on_disk, block_size, lies, held
):
    before = Chain(ALGORITHMS, len(data), block_size)
    before.extend(memoryview(data[:held]))
    state = before.to_json()
    state["links"] |= {str(end): digest for end, digest in lies.items()}
    chain, repaired, _ = bring(Chain.from_json(ALGORITHMS, state), data, on_disk[: len(data)])
    assert repaired == data
    assert chain.links == links_by_definition(data, len(data), block_size, len(data))


@laws
@given(BYTES, BLOCK_SIZES, st.data())
def test_claims_are_proven_in_order(data, block_size, draw):
    before = Chain(ALGORITHMS, len(data), block_size)
    before.extend(memoryview(data))
    chain = Chain.from_json(ALGORITHMS, before.to_json())
    for end in draw.draw(st.sets(st.sampled_from(sorted(chain.claims)))) if chain.claims else ():
        del chain.claims[end]
    while claim := chain.next_claim():
        end, _ = claim
        assert chain.position < end <= chain.position + block_size
        assert not [other for other in chain.claims if chain.position < other < end]
        chain.extend(memoryview(data[chain.position : end]))
        chain.claims.pop(end)
    assert all(end > chain.position for end in chain.claims)


@laws
@given(BYTES, BYTES, BLOCK_SIZES)
def test_a_branch_and_its_trunk_do_not_know_of_each_other(data, other, block_size):
    trunk = Chain(ALGORITHMS, 400, block_size)
    trunk.extend(memoryview(data))
    before = trunk.to_json(), trunk.digests
    branch = trunk.branch()
    assert (branch.to_json(), branch.digests) == before
    branch.extend(memoryview(other))
    assert (trunk.to_json(), trunk.digests) == before
    trunk.extend(memoryview(other))
    assert trunk.to_json() == branch.to_json()
