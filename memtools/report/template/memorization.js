"use strict";
/* The first view: the histogram, a range on it, and examples of each level in that range. */

function memorizationView() {
  const { edges, counts, bars, perLevel } = summary.levels;
  const n = counts.length;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const drawn = histogram(bars, edges, perLevel,
    `Histogram of ${summary.quantity}: ${grouped(total)} training examples from ${edge(0)} to ${edge(n)}`);
  const said = el("p", { class: "said", role: "status" });
  const levels = counts.map((count, k) => count ? level(k, count) : null);
  const chosen = { low: 0, high: n };

  function choose(low, high) {
    Object.assign(chosen, { low, high });
    drawn.show({ low, high });
    levels.forEach((section, k) => section?.toggleAttribute("hidden", k < low || k >= high));
    const inside = counts.slice(low, high).reduce((sum, count) => sum + count, 0);
    said.textContent = `${edge(low)} to ${edge(high)}: ${grouped(inside)} of ${plural(total, "example")}`;
  }

  function settle() {
    history.replaceState(null, "", `#memorization/${range(chosen)}`);
    document.title = titleOf();
  }

  const sliders = handles(n, choose, settle);
  brush(drawn, sliders, settle);
  const node = el("article", {},
    el("h1", { tabindex: "-1" }, heading()),
    el("p", { class: "lead" }, lead()),
    el("div", { class: "chart" },
      el("div", { class: "above-chart" }, said, scaleSwitch(drawn)),
      drawn.node, sliders.node),
    el("div", { class: "levels" }, ...mostFirst(levels.filter(Boolean))));

  return {
    node,
    /* "0.30-0.50", as in a link; all levels without it. */
    open(argument) {
      const [low, high] = parsedRange(argument) ?? [0, n];
      sliders.set(low, high);
    },
    title: () => `${heading()} ${chosen.low || chosen.high < n ? `${edge(chosen.low)} to ${edge(chosen.high)}` : ""}`.trim(),
  };
}

function mostFirst(levels) {
  return summary.sign < 0 ? levels : levels.reverse();
}

function heading() {
  return capital(summary.quantity);
}

function lead() {
  const classes = summary.classes ? ` of ${plural(summary.classes.label.length, "class")}` : "";
  const lost = summary.lost ? ` ${plural(summary.lost, "example")} of them without an estimate, not shown here.` : "";
  return `${plural(summary.n.train, "training example")}${classes}. ${meaning()}${lost}`;
}

function meaning() {
  if (summary.sign === 0) return "What a high value means is not recorded: the highest come first.";
  if (summary.sign > 0) {
    return summary.memorization
      ? "A high value means an atypical example: models are right on it only if they have seen it."
      : "A high value means an atypical example.";
  }
  return summary.cScore
    ? "A high value means a typical example: models are right on it without having seen it."
    : "A high value means a typical example.";
}

function range({ low, high }) {
  const plain = (level) => summary.levels.edges[level].toFixed(summary.levels.decimals);
  return `${plain(low)}-${plain(high)}`;
}

/* Levels from a text such as 0.30-0.50 or -0.10-0.20; null if it is none. */
function parsedRange(text) {
  const match = /^(-?[\d.]+)-(-?[\d.]+)$/.exec(text ?? "");
  if (!match) return null;
  const nearest = (value) => summary.levels.edges.reduce(
    (best, edge, k, edges) => Math.abs(edge - value) < Math.abs(edges[best] - value) ? k : best, 0);
  const [low, high] = [nearest(Number(match[1])), nearest(Number(match[2]))];
  return low < high ? [low, high] : null;
}

/* Drag over the bars to choose a range; a click chooses one level. */
function brush(drawn, sliders, settle) {
  let start = null;
  const to = (event) => {
    const level = drawn.levelAt(event);
    sliders.set(Math.min(start, level), Math.max(start, level) + 1);
  };
  drawn.node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    start = drawn.levelAt(event);
    drawn.node.setPointerCapture(event.pointerId);
    to(event);
  });
  drawn.node.addEventListener("pointermove", (event) => start !== null && to(event));
  for (const name of ["pointerup", "pointercancel"]) {
    drawn.node.addEventListener(name, () => {
      if (start !== null) settle();
      start = null;
    });
  }
}

function scaleSwitch(drawn) {
  const choice = (label, log) => el("label", {},
    el("input", { type: "radio", name: "scale", checked: log === drawn.log, onchange: () => drawn.show({ log }) }), label);
  return el("fieldset", { class: "switch" }, el("legend", {}, "Counts"), choice("linear", false), choice("log", true));
}

/* The examples of one level; they are loaded when the level comes near the screen. */
function level(k, count) {
  const words = `${edge(k)} to ${edge(k + 1)}`;
  const body = el("div", { class: "level-body" });
  const section = el("section", { class: "level", "aria-label": words, "data-level": k },
    el("header", {}, el("h2", {}, words), el("p", { class: "quiet" }, plural(count, "example"))), body);
  whenNear(section, async () => {
    try {
      const sample = examplesOf(await memtools.load(`level/${k}`), `level/${k}`);
      body.append(...sampled(sample, count));
    } catch (error) {
      body.append(trouble(error));
    }
  });
  return section;
}

/* Some examples, a button for the others, and what they were drawn from. */
function sampled(sample, count) {
  const few = innerWidth < 600 ? 9 : 18;
  const list = el("div", {}, listed(sample.slice(0, few)));
  const note = sample.length < count ? ` of ${grouped(count)}, drawn evenly from all classes` : "";
  if (sample.length <= few) return note ? [list, el("p", { class: "quiet" }, `${sample.length}${note}`)] : [list];
  const button = el("button", { type: "button", class: "more" }, `Show ${sample.length}${note}`);
  button.addEventListener("click", () => {
    list.replaceChildren(listed(sample));
    list.querySelectorAll("a")[few].focus();
    button.replaceWith(el("p", { class: "quiet" }, `${sample.length}${note}`));
  });
  return [list, button];
}

/* The rows of a document as examples. */
function examplesOf(columns, name, split = "train") {
  const sheet = { name, sizes: columns.size };
  return Array.from(columns.index, (index, k) => ({
    split, index, shelf: columns.shelf[k], score: columns.score[k], error: columns.error?.[k], sheet, cell: k,
  }));
}
