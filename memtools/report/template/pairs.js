"use strict";
/* Pairs: a training example in each row, then the test examples that it does most to. */

function pairsView(kind) {
  const pairs = summary.pairs;
  const harmful = kind === "harmful";
  const title = harmful ? "Pairs of negative influence" : "High-influence pairs";
  const node = el("article", {}, el("h1", { tabindex: "-1" }, title));
  if (!pairs) {
    node.append(el("p", { class: "lead" }, "This file holds no influence, so there are no pairs to show."));
    return { node, title: () => title };
  }
  node.append(el("p", { class: "lead" }, harmful ? harmfulLead(pairs) : pairsLead(pairs)));
  if (pairs.negative) node.append(kindSwitch(harmful));
  const name = harmful ? "harmful" : "pairs";
  const rows = el("ol", { class: "rows" });
  node.append(rows);
  if (pairs.pages[name]) {
    const { controls, next } = more(rows, pairs.pages[name], (page) => pageOfRows(name, page), "Show more rows");
    node.append(controls);
    next();
  } else {
    node.append(el("p", { class: "empty" }, "There is no such pair."));
  }
  return { node, title: () => title };
}

function pairsLead(pairs) {
  const found = `${plural(pairs.n, "pair")} of ${plural(pairs.train, "training example")} and ${plural(pairs.test, "test example")}`;
  const shown = pairs.rows.pairs < pairs.train ? ` The ${grouped(pairs.rows.pairs)} strongest rows are shown.` : "";
  return `${found}, with memorization of at least ${pairs.minMem} and influence of at least ${pairs.minInfl}.`
    + ` Each row is a training example, then the test examples on which it helps most.${shown}`;
}

function harmfulLead(pairs) {
  return `${plural(pairs.negative, "pair")} with an influence of −${pairs.minInfl} or less, whatever the memorization:`
    + " models that have seen the training example are wrong more often on the test example."
    + (pairs.rows.harmful ? ` ${plural(pairs.rows.harmful, "row")}, the strongest first.` : "");
}

function kindSwitch(harmful) {
  const link = (href, text, current) => el("a", { href, "aria-current": current ? "true" : null }, text);
  return el("p", { class: "switch" }, link("#pairs", "helpful", !harmful), link("#pairs/harmful", "harmful", harmful));
}

async function pageOfRows(kind, page) {
  const name = `${kind}/${page}`;
  const columns = await memtools.load(name);
  const sheet = { name, sizes: columns.size };
  let at = 0;
  return Array.from(columns.n, (n, row) => {
    const train = columns.train;
    const shelf = train.shelf[row];
    const first = {
      split: "train", index: train.index[row], shelf, score: train.score[row], error: train.error?.[row],
      sheet, cell: at + row,
    };
    const tests = Array.from({ length: n }, (_, k) => ({
      split: "test", index: columns.test[at + k], shelf, value: columns.value[at + k],
      valueError: columns.error?.[at + k], sheet, cell: at + row + 1 + k,
    }));
    at += n;
    return pairRow(first, tests, columns.all[row]);
  });
}

/* One row; nAll: how many test examples there are, of which some may not be shown. */
function pairRow(first, tests, nAll) {
  const rest = nAll - tests.length;
  return el("li", { class: "row" },
    el("div", { class: "train-side" }, listed([first])),
    el("div", { class: "test-side" }, listed(tests, false),
      rest > 0 ? el("a", { class: "quiet", href: `#train/${first.index}` }, `and ${grouped(rest)} more`) : null));
}
