"""A report in a real browser: from a disk and from a server, by mouse, by keyboard, by link."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser.conftest import Visitor
from shapes import ABOUT, HOSTILE, shapes

from memtools.estimates.model import Estimates
from memtools.report.page import write_report

SCRIPT = Path(sys.executable).with_name("memtools")

MINUS = "\N{MINUS SIGN}"
VIEWS = (
    "memorization",
    "pairs",
    "pairs/harmful",
    "classes",
    "class/3",
    "train/17",
    "test/5",
    "quality",
)


def scores(captions):
    """The memorization in each caption."""
    return [number(re.search(rf"{MINUS}?\d\.\d+", text)[0]) for text in captions]


def number(text):
    """A number as the page writes it."""
    return float(text.replace(MINUS, "-"))


def until(page, condition):
    """Wait for something to become true; the page's own policy forbids to evaluate it there."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def settled(visitor, view):
    """The page of a view that shows what it has."""
    page = visitor.go(view)
    page.wait_for_selector("#view .citation" if view == "quality" else "#view .picture")
    return page


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("where", ["disk", "server"])
def test_every_view_opens_from_a_disk_and_from_a_server(visit, served, where, view):
    visitor = visit(base="" if where == "disk" else f"{served}/all")
    page = settled(visitor, view)
    assert page.locator("#view h1").is_visible()
    assert page.title().endswith("· shapes")
    page.wait_for_load_state("networkidle")


def test_the_first_view_shows_the_histogram_and_the_most_memorized(visit):
    estimates, _ = shapes(lost=5)
    visitor = visit()
    page = visitor.go("")
    page.wait_for_selector(".tile")
    assert "240 training examples of 6 classes" in page.inner_text(".lead")
    assert "5 examples of them without an estimate" in page.inner_text(".lead")
    assert page.locator(".bar").count() >= 40
    first = visitor.captions(".level:first-child")
    assert min(scores(first)) >= 0.95
    assert "0.024" not in first[0] and "± 0.02" in first[0]
    assert "memorization" in page.locator(".tile .amount").first.get_attribute("title")
    index = int(re.search(r"train (\d+)", first[0])[1])
    assert scores(first)[0] == round(float(estimates.memorization[index]), 2)


def test_the_handles_filter_the_examples_and_write_the_address(visit):
    visitor = visit()
    page = visitor.go("memorization")
    low, high = page.get_by_label("lowest memorization"), page.get_by_label("highest memorization")
    low.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    high.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    bounds = low.get_attribute("aria-valuetext"), high.get_attribute("aria-valuetext")
    a, b = map(number, bounds)
    assert a < b and f"{bounds[0]} to {bounds[1]}" in page.inner_text(".said")
    page.wait_for_selector(".tile:visible")
    shown = scores(visitor.captions())
    assert shown and all(a - 0.005 <= score <= b + 0.005 for score in shown)
    assert page.url.endswith(f"#memorization/{a:.2f}-{b:.2f}")
    assert page.title() == f"Memorization {bounds[0]} to {bounds[1]} · shapes"


def test_a_link_to_a_range_opens_it(visit):
    estimates, _ = shapes(lost=5)
    visitor = visit()
    page = visitor.go("memorization/0.30-0.50")
    page.wait_for_selector(".tile:visible")
    n = int(((estimates.memorization >= 0.3) & (estimates.memorization < 0.5)).sum())
    assert page.inner_text(".said").startswith(f"0.30 to 0.50: {n} of 235")
    page.keyboard.press("End")
    until(page, f"document.querySelectorAll('.level:not([hidden]) .tile').length === {n}")
    assert all(0.295 <= score <= 0.505 for score in scores(visitor.captions()))
    levels = [text.splitlines()[0] for text in page.locator(".level:visible").all_inner_texts()]
    assert levels == ["0.45 to 0.50", "0.40 to 0.45", "0.35 to 0.40", "0.30 to 0.35"]


def test_a_drag_over_the_bars_chooses_a_range(visit):
    page = visit().go("memorization/0.00-0.05")
    box = page.locator(".chart .histogram").bounding_box()
    edges = page.evaluate("summary.levels.edges")
    width = (box["width"] - 62) / (len(edges) - 1)
    x = [box["x"] + 48 + width * (edges.index(edge) + 0.5) for edge in (0.2, 0.55)]
    page.mouse.move(x[0], box["y"] + 100)
    page.mouse.down()
    page.mouse.move(x[1], box["y"] + 120, steps=4)
    page.mouse.up()
    assert page.inner_text(".said").startswith("0.20 to 0.60")
    assert page.url.endswith("#memorization/0.20-0.60")


def test_logarithmic_counts_are_a_choice(visit):
    page = visit().go("memorization")
    heights = (
        "Array.from(document.querySelectorAll('.bar'), (bar) => Number(bar.getAttribute('height')))"
    )
    linear = page.evaluate(heights)
    page.get_by_label("log").check()
    log = page.evaluate(heights)
    least = min(k for k, h in enumerate(linear) if h == min(filter(None, linear)))
    assert max(log) == pytest.approx(max(linear)) and log[least] > linear[least]


def test_a_sample_opens_to_all_that_is_kept_of_it(visit):
    visitor = visit()
    page = visitor.go("memorization/0.00-0.05")
    page.get_by_role("button", name=re.compile("Show")).click()
    n = int(page.inner_text(".level:visible header p").split()[0])
    assert len(visitor.captions()) == n > 18
    assert page.evaluate("document.activeElement.className") == "tile"


def test_the_table_of_classes_sorts_by_every_column(visit):
    estimates, data = shapes(lost=5)
    page = visit().go("classes")
    means = [np.nanmean(estimates.memorization[data.train_labels == k]) for k in range(6)]
    page.get_by_role("button", name="mean memorization").click()
    names = [row.split()[1] for row in page.locator("tbody tr").all_inner_texts()]
    assert names == [str(k) for k in np.argsort(-np.array(means))]
    head = page.locator("th[aria-sort]")
    assert (head.inner_text(), head.get_attribute("aria-sort")) == (
        "mean memorization",
        "descending",
    )
    page.get_by_role("button", name="mean memorization").click()
    assert page.locator("tbody tr").first.inner_text().split()[1] == names[-1]
    page.get_by_role("button", name="class", exact=True).click()
    assert page.locator("tbody tr").first.inner_text().startswith("class 0")
    page.wait_for_selector("tbody .picture")


def test_classes_without_an_estimate_come_last_whichever_way_they_are_sorted(browser, tmp_path):
    estimates, data = shapes()
    arrays = {**estimates.arrays, "tr_mem": estimates.memorization.copy()}
    lost = data.train_labels == 2
    arrays["tr_mem"][lost] = np.nan
    arrays["tr_n_in"], arrays["tr_n_out"] = np.where(lost, 9, 6), np.where(lost, 0, 3)
    write_report(Estimates(arrays, ABOUT), tmp_path / "report")
    visitor = Visitor(browser, f"file://{tmp_path / 'report'}")
    page = visitor.go("classes")
    for _ in range(2):
        page.get_by_role("button", name="mean memorization").click()
        assert page.locator("tbody tr").last.inner_text().startswith("class 2")
    visitor.context.close()


def test_a_small_sample_is_not_taken_for_all_there_is(browser, tmp_path):
    estimates, data = shapes(per_class=500, tests=2)
    write_report(estimates, tmp_path / "report", images=data, max_images=1000)
    visitor = Visitor(browser, f"file://{tmp_path / 'report'}")
    page = visitor.go("memorization/0.95-1.00")
    page.wait_for_selector(".level:visible .tile")
    n, n_all = len(visitor.captions()), page.inner_text(".level:visible header p").split()[0]
    assert n < int(n_all)
    assert f"{n} of {n_all}, drawn evenly" in page.inner_text(".level:visible .level-body")
    visitor.context.close()


def test_weak_influences_that_were_left_out_are_not_said_to_be_none(browser, tmp_path):
    estimates, _ = shapes(n_classes=2, per_class=30, tests=60, noise=0.15)
    write_report(estimates, tmp_path / "report")
    visitor = Visitor(browser, f"file://{tmp_path / 'report'}")
    text = visitor.go("train/0").inner_text("#view")
    least = float(re.search(r"Influence of at least (0\.\d+)", text)[1])
    label = int(estimates.labels[0])
    matrix = estimates.influence(label)
    values = matrix.values[matrix.train_index == 0][0]
    assert least > 0.05
    assert visitor.page.locator("section:first-of-type .tile").count() == min(
        30, (values >= np.float32(least)).sum()
    )
    visitor.context.close()


@pytest.mark.timeout(300)
def test_the_report_of_the_demonstration_shows_the_labels_that_were_flipped(browser, tmp_path):
    pytest.importorskip("tensorflow")
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [SCRIPT, "demo", "--to", tmp_path / "demo", "--runs", "48"]
    subprocess.run(command, check=True, capture_output=True, timeout=250, env=environment)
    visitor = Visitor(browser, f"file://{tmp_path / 'demo' / 'report'}")
    page = visitor.go("")
    page.wait_for_selector(".tile .picture")
    assert "1,200 training examples of 10 classes" in page.inner_text(".lead")
    assert min(scores(visitor.captions(".level:first-child"))) >= 0.95
    page = visitor.go("quality")
    assert "48" in page.inner_text("#view") and page.locator(".citation").count() >= 1
    assert visitor.complaints == []
    visitor.context.close()


def test_a_row_of_pairs_is_a_training_example_and_what_it_helps_on(visit):
    estimates, _ = shapes(lost=5)
    visitor = visit()
    page = visitor.go("pairs")
    page.wait_for_selector(".row")
    pairs = estimates.pairs()
    strongest = int(np.argmax(pairs.influence))
    row = page.locator(".row").first
    train = int(re.search(r"train (\d+)", row.locator(".train-side").inner_text())[1])
    of_train = pairs.influence[pairs.train_index == train]
    assert pairs.influence[strongest] == pytest.approx(of_train.max(), abs=0.005)
    shown = [float(text) for text in row.locator(".test-side strong").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert shown == [round(float(v), 2) for v in sorted(of_train, reverse=True)]
    n = len(np.unique(pairs.train_index))
    while (button := page.get_by_role("button", name="Show more rows")).count():
        button.click()
        page.wait_for_timeout(50)
    assert page.locator(".row").count() == n
    page.get_by_role("link", name="harmful").click()
    page.wait_for_selector(f".row strong:has-text('{MINUS}0.30')")
    assert page.locator(".row").count() == 6


def test_a_class_has_its_examples_and_its_pairs(visit):
    estimates, data = shapes(lost=5)
    visitor = visit()
    page = visitor.go("class/2")
    page.wait_for_selector(".row")
    members = np.flatnonzero(data.train_labels == 2)
    section = page.locator("section", has=page.get_by_role("heading", name="Training examples"))
    places = [int(text.split()[1]) for text in section.locator(".place").all_inner_texts()]
    assert sorted(places) == members.tolist()
    known = estimates.memorization[places]
    known = known[~np.isnan(known)]
    assert (np.diff(known) <= 0).all()
    assert page.locator("section:has-text('High-influence pairs') .row").count() == len(
        np.unique(estimates.pairs().train_index[np.isin(estimates.pairs().train_index, members)])
    )


def test_an_example_tells_what_is_known_of_it(visit):
    estimates, data = shapes(lost=5)
    page = visit().go("train/17")
    facts = dict(
        zip(page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts(), strict=True)
    )
    value = estimates.memorization[17]
    assert facts["memorization"] == f"{value:.3f} ± 0.024".replace("-", MINUS)
    assert facts["label"] == str(data.train_labels[17]) and facts["file name"] == "img_00017.png"
    assert (facts["runs with it"], facts["runs without it"]) == ("1,400", "600")
    rank = int((estimates.memorization > value).sum()) + 1
    assert facts["rank of all"] == f"{rank} of 240"
    ours = estimates.memorization[data.train_labels == data.train_labels[17]]
    assert facts["rank in its class"] == f"{int((ours > value).sum()) + 1} of 40"
    page.get_by_role("link", name=re.compile("less memorized")).click()
    page.wait_for_selector("dd:has-text('1,400')")
    assert page.url != "train/17"


def test_an_example_without_an_estimate_says_so(visit):
    estimates, _ = shapes(lost=5)
    lost = int(np.flatnonzero(np.isnan(estimates.memorization))[0])
    page = visit().go(f"train/{lost}")
    assert "no estimate" in page.inner_text(".facts") and "rank" not in page.inner_text(".facts")


@pytest.mark.parametrize(
    ("wanted", "address"),
    [
        ("17", "train/17"),
        ("test 5", "test/5"),
        ("img_00033.png", "train/33"),
        ("some/folder/img_00033.PNG", "train/33"),
        ("val_00004", "test/4"),
    ],
)
def test_an_index_and_a_file_name_lead_to_the_example(visit, wanted, address):
    page = visit().go("classes")
    page.get_by_label("Look up an example").fill(wanted)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**#{address}")
    page.wait_for_selector(f"h1:has-text('example {address.split('/')[1]}')")
    assert page.evaluate("document.activeElement.tagName") == "H1"


@pytest.mark.parametrize("wanted", ["240", "test 48", "img_99999.png", "nothing of the kind"])
def test_what_is_not_there_is_said(visit, wanted):
    page = visit().go("memorization")
    page.get_by_label("Look up an example").fill(wanted)
    page.keyboard.press("Enter")
    page.wait_for_selector(
        f"#found:has-text('No example has the index or the file name “{wanted}”')"
    )


@pytest.mark.parametrize("view", ["train/999", "class/77", "train/", "test/-1"])
def test_a_link_to_what_is_not_there_says_so(visit, view):
    assert visit().go(view).inner_text("#view h1") == "Not in this report"


@pytest.mark.parametrize("view", ["constructor", "%E0%A4%A", "memorization/0.50-0.30", "pairs/x"])
def test_a_link_that_means_nothing_leads_to_something(visit, view):
    page = visit().go(view)
    assert page.inner_text("#view h1") in ("Memorization", "High-influence pairs")


def test_a_file_that_is_gone_is_said_and_the_rest_goes_on(browser, tmp_path):
    estimates, _ = shapes()
    write_report(estimates, tmp_path / "report")
    (tmp_path / "report" / "data" / "shelf" / "2.js").unlink()
    visitor = Visitor(browser, f"file://{tmp_path / 'report'}")
    page = visitor.go("class/2")
    assert "data/shelf/2.js cannot be read" in page.inner_text(".trouble")
    assert visitor.go("class/3").inner_text("#view h1") == "Class 3"
    visitor.context.close()


def test_rows_that_cannot_be_read_are_said_and_can_be_asked_for_again(browser, tmp_path):
    estimates, _ = shapes(per_class=200)
    write_report(estimates, tmp_path / "report")
    rows = tmp_path / "report" / "data" / "pairs" / "1.js"
    rows.rename(tmp_path / "away")
    visitor = Visitor(browser, f"file://{tmp_path / 'report'}")
    page = visitor.go("pairs")
    button = page.get_by_role("button", name="Show more rows")
    button.click()
    page.wait_for_selector(".trouble")
    assert "data/pairs/1.js cannot be read" in page.inner_text(".trouble")
    assert page.locator(".row").count() == 20
    (tmp_path / "away").rename(rows)
    button.click()
    page.wait_for_selector(".row:nth-child(21)")
    assert page.locator(".trouble").count() == 0 and page.locator(".row").count() == 40
    visitor.context.close()


def test_back_and_forward_come_to_what_was_left(visit):
    page = visit().go("memorization/0.30-0.50")
    page.wait_for_selector(".tile:visible")
    page.mouse.wheel(0, 500)
    until(page, "scrollY > 200")
    left = page.evaluate("scrollY")
    page.locator(".tile:visible").nth(12).click()
    page.wait_for_selector("h1:has-text('Training example')")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    page.wait_for_selector(".said")
    assert page.inner_text(".said").startswith("0.30 to 0.50")
    until(page, f"Math.abs(scrollY - {left}) < 5")
    page.go_forward()
    page.wait_for_selector("h1:has-text('Training example')")


def test_dark_is_as_the_system_has_it_until_somebody_chooses(visit):
    visitor = visit(color_scheme="dark")
    page = visitor.go("memorization")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    button = page.get_by_role("button", name="Dark")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.evaluate(paper) != dark and button.get_attribute("aria-pressed") == "false"
    page.reload()
    page.wait_for_selector("h1")
    assert page.evaluate(paper) != dark


def test_names_that_attack_are_shown_as_text(visit):
    visitor = visit("hostile")
    for k, name in enumerate(HOSTILE):
        page = visitor.go(f"train/{k}")
        page.wait_for_selector(f"h1:has-text('example {k}')")
        shown = page.locator("dd").all_text_contents()
        assert name in shown
        assert page.title() == f"Training example {k} · shapes"
    page.get_by_label("Look up an example").fill(HOSTILE[4])
    page.keyboard.press("Enter")
    page.wait_for_url("**#train/4")


def test_without_labels_and_influence_the_views_say_so(visit):
    visitor = visit("bare")
    page = visitor.go("classes")
    assert "no labels" in page.inner_text("#view")
    assert "no influence" in visitor.go("pairs").inner_text("#view")
    page = visitor.go("train/17")
    assert "img_00017.png" in page.inner_text(".facts")
    page = visitor.go("memorization")
    page.wait_for_selector(".tile")
    assert page.locator(".frame").count() == 0


def test_nothing_is_wider_than_a_phone(visit):
    visitor = visit(viewport={"width": 375, "height": 812})
    for view in VIEWS:
        page = settled(visitor, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, view


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_nobody_is_kept_out(visit, view, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    visitor = visit(color_scheme=theme)
    page = settled(visitor, view)
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"][:3]]) for each in grave] == []


def test_the_keyboard_reaches_everything_and_the_content_first(visit):
    page = visit().go("memorization")
    page.wait_for_selector(".tile")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "scale"
    reached = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        focused = "document.activeElement"
        reached.add(page.evaluate(f"{focused}.getAttribute('aria-label') ?? {focused}.className"))
    assert {"lowest memorization", "highest memorization", "tile"} <= reached
