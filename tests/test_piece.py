"""One piece of a file on its way, and the state file that outlives the process."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import git_blob, noise

from memtools.transfer.chain import Chain
from memtools.transfer.piece import Piece, describe, load

DATA = noise(100)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


def held(name="a", size=100, n_bytes=100, block_size=30):
    piece = Piece(name, size)
    piece.chain = Chain(piece.algorithms, size, block_size)
    piece.chain.extend(memoryview(DATA[:n_bytes]))
    piece.url, piece.validator = f"https://example.org/{name}", '"tag"'
    return piece


def claimed(path, *pieces, identity="x"):
    load(path, identity, pieces)
    return [set(piece.chain.claims) for piece in pieces]


def test_a_new_piece_holds_and_knows_nothing_but_what_is_promised():
    piece = Piece("a", 100)
    assert (piece.size, piece.promised_size, piece.chain.position) == (100, 100, 0)
    assert (piece.url, piece.validator, piece.damage) == ("", None, "")
    assert (piece.resumed, piece.changed, piece.received, piece.durable) == (False, False, 0, 0)


def test_a_digest_named_twice_is_computed_once():
    assert Piece("a", 1, ("git_blob", "sha256", "git_blob")).algorithms == ("git_blob", "sha256")


def test_clearing_a_piece_forgets_its_bytes_and_where_they_came_from():
    piece = held()
    piece.resumed = True
    piece.clear(70)
    assert (piece.chain.position, piece.size, piece.validator) == (0, 70, None)
    assert piece.resumed is False
    assert piece.promised_size == 100


def test_the_next_process_claims_what_the_last_one_described(path):
    path.write_bytes(describe("x", [held("a"), held("b", n_bytes=40)]))
    a, b = Piece("a", 100), Piece("b", 100)
    assert claimed(path, a, b) == [{30, 60, 90, 100}, {30, 40}]
    assert a.chain.claims[100] == git_blob(DATA)
    assert (a.chain.position, a.chain.block_size) == (0, 30)
    assert (b.url, b.validator) == ("https://example.org/b", '"tag"')


def test_nothing_of_another_file_is_claimed(path):
    path.write_bytes(describe("x", [held()]))
    piece = Piece("a", 100)
    assert claimed(path, piece, identity="y") == [set()]
    assert (piece.url, piece.validator) == ("", None)


def test_nothing_of_a_piece_of_another_size_is_claimed(path):
    path.write_bytes(describe("x", [held("a"), held("b")]))
    assert claimed(path, Piece("a", 99), Piece("b", 100)) == [set(), {30, 60, 90, 100}]


def test_a_size_that_the_registry_does_not_know_is_claimed_too(path):
    path.write_bytes(describe("x", [held()]))
    piece = Piece("a")
    assert claimed(path, piece) == [{30, 60, 90, 100}]
    assert piece.size == 100
    assert piece.promised_size is None


def test_nothing_of_damaged_bytes_is_claimed_not_even_their_size(path):
    broken = held()
    broken.damage = "md5 is 1, expected 2"
    path.write_bytes(describe("x", [broken]))
    piece = Piece("a")
    assert claimed(path, piece) == [set()]
    assert piece.size is None
    assert piece.damage == ""  # a new attempt is not guilty yet


def test_behind_a_piece_of_unknown_size_nothing_has_a_place(path):
    path.write_bytes(describe("x", [held("a", size=None), held("b")]))
    a, b = Piece("a"), Piece("b", 100)
    assert claimed(path, a, b) == [{30, 60, 90, 100}, set()]


def test_an_empty_piece_does_not_spoil_the_claims_of_the_others(path):
    path.write_bytes(describe("x", [held("a", size=0, n_bytes=0), held("b")]))
    assert claimed(path, Piece("a", 0), Piece("b", 100)) == [set(), {30, 60, 90, 100}]


def test_another_number_of_pieces_is_another_file(path):
    path.write_bytes(describe("x", [held("a"), held("b")]))
    assert claimed(path, Piece("a", 100)) == [set()]
    assert claimed(path, Piece("a", 100), Piece("b", 100), Piece("c", 100)) == [set(), set(), set()]


def test_without_a_state_nothing_is_claimed(path):
    assert claimed(path, Piece("a", 100)) == [set()]


NESTED = b"[" * 100_000  # deeper than the parser goes


@pytest.mark.parametrize(
    "content", [b"", b"{", b"5", b"[]", b"\xff", b"{}", b'{"identity": "x"}', NESTED]
)
def test_what_is_no_state_claims_nothing(path, content):
    path.write_bytes(content)
    assert claimed(path, Piece("a", 100)) == [set()]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KEYS = sorted(held().to_json())


@settings(deadline=None, max_examples=200)
@given(key=st.sampled_from(KEYS), value=JSON, size=st.sampled_from([None, 100]))
def test_whatever_a_state_says_the_piece_stays_sound(key, value, size, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "strange.json"
    state = json.loads(describe("x", [held("a")]))
    state["pieces"][0][key] = value
    path.write_text(json.dumps(state))
    piece = Piece("a", size)
    load(path, "x", [piece])
    assert piece.size is None or (type(piece.size) is int and piece.size >= 0)
    assert size in (None, piece.size)
    assert piece.chain.block_size >= 1
    assert piece.validator is None or isinstance(piece.validator, str)
    assert piece.chain.position == 0
    piece.chain.next_claim()
    start, stop = piece.chain.gap()
    assert start == 0
    assert stop is None or stop >= 0


@settings(deadline=None, max_examples=200)
@given(content=JSON)
def test_whatever_a_state_file_holds_loading_it_does_no_harm(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "strange.json"
    path.write_text(json.dumps(content))
    assert claimed(path, Piece("a", 100)) == [set()]
