"""How long to wait for a network, and how often to try again; no test here really waits."""

import pytest

from memtools.errors import NetworkError
from memtools.transfer.patience import (
    REFILL,
    USUAL_PATIENCE,
    Budget,
    Patience,
    TransientError,
)

URL = "https://example.org/a.bin"


class Clock:
    """Stands for time.sleep and remembers."""

    def __init__(self):
        self.naps = []

    def __call__(self, seconds):
        self.naps.append(seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def steady(monkeypatch):
    """Without the luck of the draw: jitter is its upper end."""
    monkeypatch.setattr("random.uniform", lambda low, high: high)


def spend_all(budget, *, received=0, wait=None, most=1000):
    """How many faults a budget bears until it gives up, and the error."""
    for n in range(1, most):
        try:
            budget.spend(TransientError("the connection broke", wait), URL, received)
        except NetworkError as error:
            return n, error
    raise AssertionError("it never ends")


def test_the_first_fault_is_answered_at_once_and_each_next_one_twice_as_late(clock, steady):
    n, _ = spend_all(Budget(Patience(first_delay=0.5, tries=7), clock))
    assert clock.naps == [0, 0.5, 1, 2, 4, 8]
    assert n == 7


def test_waits_are_spread_by_luck_so_that_clients_do_not_come_back_together(clock):
    for _ in range(40):
        spend_all(Budget(Patience(first_delay=1.0, tries=4), clock))
    thirds = clock.naps[2::3]
    assert len(set(thirds)) > 30
    assert all(1.0 <= nap <= 2.0 for nap in thirds)


def test_after_so_many_faults_in_a_row_it_gives_up_and_says_what_was_tried(clock, steady):
    n, error = spend_all(Budget(Patience(tries=6), clock))
    assert n == 6
    assert str(error).startswith(f"{URL}: the connection broke: gave up after 6 tries")
    assert "8 s of waiting without progress" in str(error)  # 0.5 + 1 + 2 + 4
    assert error.url == URL
    assert "resumes" in error.hint


def test_the_waiting_in_a_row_is_bounded_whatever_the_number_of_tries(clock, steady):
    spend_all(Budget(Patience(tries=100, total=120), clock))
    assert sum(clock.naps) == pytest.approx(120)


@pytest.mark.parametrize("wait", [None, 0, 100])
def test_the_usual_patience_bears_six_faults_and_two_minutes(clock, wait):
    n, _ = spend_all(Budget(USUAL_PATIENCE, clock), wait=wait)
    assert n <= 6
    assert sum(clock.naps) <= 120


def test_progress_refills_the_budget(clock, steady):
    budget = Budget(Patience(tries=3), clock)
    for n in range(1, 50):
        budget.spend(TransientError("cut"), URL, n * REFILL)
    assert clock.naps == [0] * 49


def test_a_byte_less_than_worth_opening_a_connection_for_does_not_refill(clock):
    budget = Budget(Patience(tries=3), clock)
    n, _ = spend_all(budget, received=REFILL - 1)
    assert n == 3


def test_exactly_64_kib_refill(clock):
    budget = Budget(Patience(tries=3), clock)
    assert REFILL == 65_536
    for received in (0, 0, REFILL, REFILL):
        budget.spend(TransientError("cut"), URL, received)
    with pytest.raises(NetworkError, match="3 tries"):
        budget.spend(TransientError("cut"), URL, REFILL)


def test_small_progress_adds_up(clock):
    budget = Budget(Patience(tries=4), clock)
    for n in range(40):
        budget.spend(TransientError("cut"), URL, n * (REFILL // 2))
    assert len(clock.naps) == 40


def test_progress_that_was_counted_is_not_counted_again(clock):
    budget = Budget(Patience(tries=3), clock)
    budget.spend(TransientError("cut"), URL, 10 * REFILL)
    n, _ = spend_all(budget, received=10 * REFILL)
    assert n == 2


def test_a_refill_forgets_the_waiting_too(clock, steady):
    budget = Budget(Patience(tries=100, total=10), clock)
    for n in range(20):
        budget.spend(TransientError("busy", wait=9), URL, n * REFILL)
    assert clock.naps == [9] * 20


@pytest.mark.parametrize("wait", [0, 4.0, 119.5, 120])
def test_the_wait_that_a_server_asks_for_is_kept_to_the_letter(clock, wait):
    Budget(USUAL_PATIENCE, clock).spend(TransientError("429", wait=wait), URL, 0)
    assert clock.naps == [wait]


@pytest.mark.parametrize(
    ("wait", "minutes"), [(121, "2 minutes"), (3600, "60 minutes"), (1e9, "16666667 minutes")]
)
def test_a_wait_over_the_cap_ends_it_at_once_and_names_the_time(clock, wait, minutes):
    with pytest.raises(NetworkError, match=f"asks to wait {wait:.0f} s") as caught:
        Budget(USUAL_PATIENCE, clock).spend(TransientError("429", wait=wait), URL, 0)
    assert clock.naps == []
    assert minutes in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_wait_without_end_ends_it_at_once(clock):
    with pytest.raises(NetworkError):
        Budget(USUAL_PATIENCE, clock).spend(TransientError("429", wait=float("inf")), URL, 0)
    assert clock.naps == []


def test_a_server_that_asks_to_wait_again_and_again_is_left_in_the_end(clock):
    n, _ = spend_all(Budget(Patience(tries=100, total=120), clock), wait=50)
    assert clock.naps == [50, 50, 20]
    assert n == 4
