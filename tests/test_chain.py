"""The digest of all bytes before each block end: what is held, claimed, proven, missing."""

import hashlib

import pytest
from worlds import git_blob, noise

from memtools.transfer.chain import MAX_BLOCKS, MIN_BLOCK, Chain

DATA = noise(35)  # blocks of ten: three whole ones, and half a one


def new(size=35, algorithms=("git_blob",), block_size=10):
    return Chain(algorithms, size, block_size)


def holding(n_bytes, **options):
    chain = new(**options)
    chain.extend(memoryview(DATA[:n_bytes]))
    return chain


def link(n_bytes, size=35):
    """The digest of the first bytes, as a link of a piece of that size has it."""
    return hashlib.sha1(b"blob %d\0" % size + DATA[:n_bytes]).hexdigest()


def again(chain):
    """What the next process knows: claims, and nothing held."""
    return Chain.from_json(("git_blob",), chain.to_json())


# ---- holding


def test_nothing_is_held_at_first():
    chain = new()
    assert (chain.position, chain.complete, chain.links) == (0, False, {})
    assert chain.gap() == (0, 35)


def test_a_link_is_the_digest_of_all_bytes_before_it():
    assert holding(35).links == {end: link(end) for end in (10, 20, 30, 35)}


def test_the_last_link_of_a_whole_piece_is_the_digest_that_it_must_have():
    chain = holding(35)
    assert chain.complete
    assert chain.links[35] == git_blob(DATA) == chain.digests["git_blob"]


def test_bytes_in_the_middle_of_a_block_have_a_link_that_moves_on():
    chain = holding(13)
    assert set(chain.links) == {10, 13}
    chain.extend(memoryview(DATA[13:17]))
    assert set(chain.links) == {10, 17}
    chain.extend(memoryview(DATA[17:20]))
    assert set(chain.links) == {10, 20}


def test_nothing_more_changes_nothing():
    chain = holding(13)
    before = chain.links, chain.position
    chain.extend(memoryview(b""))
    assert (chain.links, chain.position) == before


def test_all_digests_that_are_wanted_are_computed_on_the_way():
    chain = holding(35, algorithms=("git_blob", "sha256", "md5"))
    assert chain.digests == {
        "git_blob": git_blob(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "md5": hashlib.md5(DATA).hexdigest(),
    }
    assert chain.algorithm == "git_blob"


def test_while_the_size_is_unknown_there_is_only_sha256_and_no_end():
    chain = holding(35, size=None)
    assert chain.digests == {"sha256": hashlib.sha256(DATA).hexdigest()}
    assert not chain.complete
    assert chain.gap() == (35, None)


def test_an_empty_piece_is_complete_from_the_start():
    assert new(size=0).complete


@pytest.mark.parametrize(
    ("size", "block_size"),
    [
        (None, MIN_BLOCK),
        (1, MIN_BLOCK),
        (MIN_BLOCK * MAX_BLOCKS, MIN_BLOCK),
        (MIN_BLOCK * MAX_BLOCKS + 1, MIN_BLOCK + 1),
        (367_000_000_000, 89_599_610),
    ],
)
def test_blocks_are_16_mib_or_so_large_that_there_are_not_too_many(size, block_size):
    assert Chain(("sha256",), size).block_size == block_size


# ---- claiming and proving


def test_what_a_state_says_is_claimed_and_not_held():
    chain = again(holding(35))
    assert chain.position == 0
    assert not chain.complete
    assert chain.claims == {end: link(end) for end in (10, 20, 30, 35)}
    assert chain.links == chain.claims


def test_claims_come_up_in_order_one_for_each_block():
    chain = again(holding(35))
    for start, end in [(0, 10), (10, 20), (20, 30), (30, 35)]:
        assert chain.next_claim() == (end, link(end))
        chain.extend(memoryview(DATA[start:end]))
    assert chain.complete


def test_within_a_block_the_nearest_claim_comes_first():
    chain = again(holding(13))
    chain.claims[17] = "x"
    chain.extend(memoryview(DATA[:10]))
    assert chain.next_claim() == (13, link(13))


def test_a_claim_about_a_later_block_waits_until_the_bytes_before_it_are_there():
    chain = again(holding(35))
    del chain.claims[10]
    assert chain.next_claim() is None
    assert chain.gap() == (0, 10)


def test_what_is_missing_ends_where_the_next_claimed_block_begins():
    chain = again(holding(35))
    for end in (10, 20):
        del chain.claims[end]
    assert chain.gap() == (0, 20)
    chain.extend(memoryview(DATA[:4]))
    assert chain.gap() == (4, 20)


def test_a_claim_about_the_present_block_does_not_shorten_what_is_missing():
    chain = again(holding(13))
    chain.extend(memoryview(DATA[:10]))
    assert chain.gap() == (10, 35)


def test_a_branch_tries_bytes_without_committing_to_them():
    chain = again(holding(20))
    trial = chain.branch()
    trial.extend(memoryview(b"garbage!!!"))
    del trial.claims[20]
    assert trial.links[10] != link(10)
    assert (chain.position, chain.links) == (0, {10: link(10), 20: link(20)})
    chain.extend(memoryview(DATA))
    assert chain.links[35] == link(35)


# ---- states


def test_a_state_says_all_that_is_known():
    assert holding(13).to_json() == {
        "size": 35,
        "block_size": 10,
        "algorithm": "git_blob",
        "links": {"10": link(10), "13": link(13)},
    }


def test_claims_that_were_never_proven_are_passed_on():
    chain = again(holding(35))
    chain.extend(memoryview(DATA[:4]))
    assert set(again(chain).claims) == {4, 10, 20, 30, 35}


def test_claims_in_digests_of_another_kind_are_proven_by_these():
    """What an earlier version began, with other digests for its links, goes on."""
    chain = Chain.from_json(("sha256",), holding(35).to_json())
    assert set(chain.claims) == {10, 20, 30, 35}
    while claim := chain.next_claim():
        chain.extend(memoryview(DATA[chain.position : claim[0]]))
        assert chain.links[claim[0]] == claim[1]
    assert chain.digests["sha256"] == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("algorithm", ["md5", "none", "", None, 5])
def test_claims_in_digests_of_an_unknown_kind_are_not_taken(algorithm):
    state = holding(35).to_json() | {"algorithm": algorithm}
    assert Chain.from_json(("sha256",), state).claims == {}


def test_claims_outside_the_piece_are_not_taken():
    state = holding(35).to_json()
    state["links"] |= {"0": "x", "-5": "x", "36": "x", "400": "x"}
    assert set(Chain.from_json(("git_blob",), state).claims) == {10, 20, 30, 35}
    endless = holding(35, size=None).to_json()
    endless["links"]["400"] = "x"
    assert 400 in Chain.from_json(("git_blob",), endless).claims


@pytest.mark.parametrize("key", ["size", "block_size", "algorithm", "links"])
def test_a_state_that_lacks_something_is_none(key):
    state = holding(13).to_json()
    del state[key]
    with pytest.raises(KeyError):
        Chain.from_json(("git_blob",), state)
