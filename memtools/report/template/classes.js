"use strict";
/* The table of classes, and the page of one class. */

const PAGE = 100; // examples: one sheet of thumbnails

function classesView() {
  const node = el("article", {}, el("h1", { tabindex: "-1" }, "Classes"));
  const classes = summary.classes;
  if (!classes) {
    node.append(el("p", { class: "lead" }, "The file says no labels, so there are no classes to compare."));
    return { node, title: () => "Classes" };
  }
  const rows = classes.label.map((_, shelf) => shelf);
  const columns = [
    { title: "class", of: (shelf) => classes.name?.[shelf] ?? classes.label[shelf], cell: nameCell, text: true },
    { title: "examples", of: (shelf) => classes.n[shelf], cell: (shelf) => grouped(classes.n[shelf]) },
    { title: `mean ${summary.quantity}`, of: (shelf) => classes.mean[shelf], cell: (shelf) => orDash(classes.mean[shelf]) },
    classes.share ? { title: "share ≥ 0.25", of: (shelf) => classes.share[shelf], cell: (shelf) => percent(classes.share[shelf]) } : null,
    classes.pairs ? { title: "pairs", of: (shelf) => classes.pairs[shelf], cell: (shelf) => grouped(classes.pairs[shelf]) } : null,
    { title: endsOfRanking().most, of: (shelf) => classes.score[shelf], cell: topCell },
  ].filter(Boolean);
  const body = el("tbody");
  const state = { column: 0, ascending: true };
  const said = el("p", { class: "hidden", role: "status" });

  function order() {
    const { of } = columns[state.column];
    const sign = state.ascending ? 1 : -1;
    rows.sort((a, b) => (of(a) === null) - (of(b) === null) || sign * compared(of(a), of(b)) || a - b);
    body.replaceChildren(...rows.map((shelf) => lines[shelf]));
    heads.forEach((head, k) => {
      if (k === state.column) head.setAttribute("aria-sort", state.ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  }

  const heads = columns.map((column, k) => el("th", { scope: "col", class: column.text ? null : "number" },
    el("button", { type: "button", onclick: () => {
      state.ascending = state.column === k ? !state.ascending : Boolean(column.text);
      state.column = k;
      order();
      said.textContent = `sorted by ${column.title}, ${state.ascending ? "ascending" : "descending"}`;
    } }, column.title)));
  const lines = rows.map((shelf) => el("tr", {}, ...columns.map((column, k) =>
    el(k ? "td" : "th", { scope: k ? null : "row", class: column.text ? null : "number" }, column.cell(shelf)))));
  order();
  node.append(
    el("p", { class: "lead" }, `${plural(rows.length, "class")}. A heading sorts the table; a name opens the class.`),
    el("div", { class: "scroll", role: "region", "aria-label": "Table of classes", tabindex: "0" },
      el("table", { class: "classes" }, el("caption", { class: "hidden" }, "Classes, sortable by each column"),
        el("thead", {}, el("tr", {}, ...heads)), body)), said);
  if (classes.pictured) memtools.load("tops").then((tops) => pictureTops(tops, lines)).catch((error) => node.append(trouble(error)));
  return { node, title: () => "Classes" };
}

function compared(a, b) {
  if (a === b) return 0;
  return typeof a === "string" && typeof b === "string" ? a.localeCompare(b) : a < b ? -1 : 1;
}

function nameCell(shelf) {
  const { label, name } = summary.classes;
  const known = name?.[shelf];
  return el("a", { href: `#class/${label[shelf]}`, dir: "auto" }, known ?? `class ${label[shelf]}`);
}

function topCell(shelf) {
  const { top, score } = summary.classes;
  if (top[shelf] === null) return "–";
  return el("a", { class: "top-example", href: `#train/${top[shelf]}` },
    el("span", {}, el("span", { class: "hidden" }, `train ${top[shelf]}, `), fixed(score[shelf])));
}

function pictureTops(tops, lines) {
  const sheet = { name: "tops", sizes: tops.size };
  lines.forEach((line, shelf) => {
    const link = line.querySelector(".top-example");
    if (link) whenNear(line, () => link.prepend(picture(sheet, shelf, boxSize(48))));
  });
}

function orDash(value) {
  return value === null ? "–" : fixed(value);
}

function percent(share) {
  return share === null ? "–" : `${(100 * share).toFixed(1)} %`;
}

/* The page of one class. */
async function classView(label) {
  const shelf = summary.classes ? summary.classes.label.indexOf(Number(label)) : -1;
  if (shelf < 0 || label === "") return unknownView(`There is no class ${label}.`);
  const columns = await memtools.load(`shelf/${shelf}`);
  const { mean, share, pairs, n } = summary.classes;
  const name = className(shelf);
  const facts = [plural(n[shelf], "training example"), `mean ${summary.quantity} ${orDash(mean[shelf])}`,
    share ? `${percent(share[shelf])} at or above 0.25` : null, pairs ? plural(pairs[shelf], "high-influence pair") : null];
  const node = el("article", {},
    el("p", { class: "up" }, el("a", { href: "#classes" }, "All classes")),
    el("h1", { tabindex: "-1", dir: "auto" }, capital(name)),
    el("p", { class: "lead" }, `${facts.filter(Boolean).join(", ")}.`),
    histogram(barsOf(columns.train.score), summary.levels.edges, summary.levels.perLevel,
      `Histogram of ${summary.quantity} in this class`).node);
  const all = trainOf(columns, shelf);
  const shown = summary.images ? all.filter((example) => example.cell >= 0) : all;
  const order = `the ${endsOfRanking().most} first`;
  const some = shown.length < all.length ? `${grouped(shown.length)} of ${grouped(all.length)} have an image here; any other can be looked up by its index. ` : "";
  node.append(paged("Training examples", `${some}In order of ${summary.quantity}, ${order}.`, shown, (page) => [listed(page, false)]));
  const rows = pairsOf(columns, shelf);
  if (rows.length) {
    node.append(paged("High-influence pairs", `${plural(rows.length, "training example")}, the strongest influence first.`, rows,
      (page) => [el("ol", { class: "rows" }, ...page.map(([first, tests]) => pairRow(first, tests, tests.length)))], 20));
  }
  return { node, title: () => capital(name) };
}

/* A section that grows by a hundred entries at a time. */
function paged(title, words, entries, draw, size = PAGE) {
  const list = el("div");
  const pages = Math.ceil(entries.length / size);
  const { controls, next } = more(list, pages, async (page) => draw(entries.slice(page * size, (page + 1) * size)), "Show more");
  const section = el("section", {}, el("h2", {}, title), el("p", { class: "quiet" }, words), list);
  if (pages) {
    section.append(controls);
    next();
  } else {
    list.append(el("p", { class: "empty" }, "There are none."));
  }
  return section;
}

function barsOf(scores) {
  const { edges, bars, perLevel } = summary.levels;
  const width = (edges[edges.length - 1] - edges[0]) / bars.length;
  const counts = new Array(bars.length).fill(0);
  for (const score of scores) {
    if (Number.isFinite(score)) {
      const bar = Math.floor((score - edges[0]) / width + 1e-5);
      counts[Math.min(bars.length - 1, Math.max(0, bar))]++;
    }
  }
  return counts;
}

/* The training and the test examples of a shelf. */
function trainOf(columns, shelf) {
  const { index, score, error, cell } = columns.train;
  const sheet = { name: `shelf/${shelf}`, sizes: columns.size };
  return Array.from(index, (each, k) => ({ split: "train", index: each, shelf, score: score[k], error: error?.[k], sheet, cell: cell[k] }));
}

function testOf(columns, shelf) {
  const sheet = { name: `shelf/${shelf}`, sizes: columns.size };
  return Array.from(columns.test.index, (index, k) => ({ split: "test", index, shelf, sheet, cell: columns.test.cell[k] }));
}

/* The ties of a shelf that `keep`s, the strongest first: [place of training, of test, value, error]. */
function tiesOf(columns, keep) {
  const ties = columns.ties;
  if (!ties) return [];
  const found = [];
  ties.value.forEach((value, k) => {
    const tie = [ties.train[k], ties.test[k], value, ties.error?.[k]];
    if (keep(tie)) found.push(tie);
  });
  return found.sort((a, b) => Math.abs(b[2]) - Math.abs(a[2]));
}

/* High-influence pairs by training example: [[example, test examples], ...]. */
function pairsOf(columns, shelf) {
  if (!summary.pairs) return [];
  const train = trainOf(columns, shelf);
  const test = testOf(columns, shelf);
  const { minMem, minInfl } = summary.pairs;
  const rows = new Map();
  for (const [i, j, value, valueError] of tiesOf(columns, ([i, , value]) => value >= minInfl && train[i].score >= minMem)) {
    if (!rows.has(i)) rows.set(i, []);
    rows.get(i).push({ ...test[j], value, valueError });
  }
  return Array.from(rows, ([i, tests]) => [train[i], tests]);
}
