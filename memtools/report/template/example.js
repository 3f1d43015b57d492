"use strict";
/* The page of one example, and the way to it by index or by file name. */

async function exampleView(split, text) {
  const index = Number(text);
  if (!/^\d+$/.test(text) || index >= summary.n[split]) return unknownView(`There is no ${split} example ${text}.`);
  const places = await memtools.load("places");
  const shelf = places[split][index];
  const columns = await memtools.load(`shelf/${shelf}`);
  const k = columns[split].index.indexOf(index);
  const example = (split === "train" ? trainOf : testOf)(columns, shelf)[k];
  const title = `${capital(split === "train" ? "training" : "test")} example ${grouped(index)}`;
  const node = el("article", {},
    summary.classes ? el("p", { class: "up" }, el("a", { href: `#class/${summary.classes.label[shelf]}`, dir: "auto" }, className(shelf))) : null,
    el("h1", { tabindex: "-1" }, title),
    el("div", { class: "one" },
      pictured(example) ? el("figure", {}, el("span", { class: "hidden" }, `Image of ${split} ${index}`), picture(example.sheet, example.cell, boxSize(256))) : null,
      el("dl", { class: "facts" }, ...factsOf(split, columns, k, shelf, index))),
    neighbours(split, columns, k));
  if (summary.pairs) node.append(...influences(split, columns, k, shelf));
  return { node, title: () => title };
}

function factsOf(split, columns, k, shelf, index) {
  const side = columns[split];
  const rows = [["index", `${split} ${index}`]];
  if (summary.classes) {
    const name = summary.classes.name?.[shelf];
    rows.push(["label", `${summary.classes.label[shelf]}${name ? ` (${name})` : ""}`]);
  }
  if (side.name) rows.push(["file name", side.name[k]]);
  if (split === "train") {
    const score = side.score[k];
    rows.push([summary.quantity, withError(score, side.error?.[k])]);
    if (side.low && Number.isFinite(side.low[k])) rows.push(["95 % interval", `${fixed(side.low[k])} to ${fixed(side.high[k])}`]);
    if (side.n_in) rows.push(["runs with it", grouped(side.n_in[k])], ["runs without it", grouped(side.n_out[k])]);
    if (Number.isFinite(score)) {
      if (summary.classes) rows.push(["rank in its class", `${grouped(k + 1)} of ${grouped(side.index.length)}`]);
      rows.push(["rank of all", `${grouped(side.rank[k] + 1)} of ${grouped(summary.n.train)}`]);
    }
  }
  return rows.map(([term, text]) => el("div", {}, el("dt", {}, term), el("dd", { dir: "auto" }, text)));
}

/* Links to the examples before and after, by rank in the class, or by index. */
function neighbours(split, columns, k) {
  const side = columns[split].index;
  const link = (at, words) => at < 0 || at >= side.length ? null : el("a", { href: `#${split}/${side[at]}` }, words);
  const words = split === "train"
    ? [endsOfRanking().more, endsOfRanking().less] : ["previous", "next"];
  const within = summary.classes ? " in the class" : "";
  return el("nav", { class: "neighbours", "aria-label": "Neighbours" }, link(k - 1, `← ${words[0]}${within}`), link(k + 1, `${words[1]}${within} →`));
}

/* The other side of its ties: what it helps on and harms, or what helps and harms it. */
function influences(split, columns, k, shelf) {
  const own = split === "train" ? 0 : 1;
  const others = split === "train" ? testOf(columns, shelf) : trainOf(columns, shelf);
  const found = tiesOf(columns, (tie) => tie[own] === k)
    .map((tie) => ({ ...others[tie[1 - own]], value: tie[2], valueError: tie[3] }));
  const { least } = columns.ties;
  const titles = split === "train"
    ? ["Test examples that it helps on", "Test examples that it harms"]
    : ["Training examples that help on it", "Training examples that harm it"];
  const none = `No ${split === "train" ? "test" : "training"} example of its class has an influence of ${least} or more.`;
  const helpful = found.filter((example) => example.value > 0);
  const harmful = found.filter((example) => example.value < 0);
  const words = `Influence of at least ${least}, the strongest first.`;
  const draw = (page) => [listed(page, false)];
  return [
    helpful.length ? paged(titles[0], words, helpful, draw, 30)
      : el("section", {}, el("h2", {}, titles[0]), el("p", { class: "empty" }, none)),
    harmful.length ? paged(titles[1], words.replace("at least ", "at most −"), harmful, draw, 30) : null,
  ].filter(Boolean);
}

function unknownView(words) {
  const node = el("article", {}, el("h1", { tabindex: "-1" }, "Not in this report"), el("p", { class: "lead" }, words));
  return { node, title: () => "Not in this report" };
}

/* ---- looking up */

function lookUp() {
  const form = document.getElementById("look-up");
  const input = document.getElementById("wanted");
  const said = document.getElementById("found");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    try {
      const found = byIndex(text) ?? await byName(text);
      if (found.length === 1) {
        said.replaceChildren();
        location.hash = found[0];
      } else {
        said.replaceChildren(...wordsFor(text, found));
      }
    } catch (error) {
      said.replaceChildren(error.message);
    }
  });
}

function wordsFor(text, found) {
  if (!found.length) return [`No example has the index or the file name “${text}”.`];
  return ["Several examples have this name: ", ...found.flatMap((hash, k) => [k ? ", " : "", el("a", { href: `#${hash}` }, hash.replace("/", " "))])];
}

/* "17", "train 17", "test/17"; null for anything else. */
function byIndex(text) {
  const match = /^(?:(train|test)[\s/#]*)?(\d+)$/.exec(text.replace(/^#/, ""));
  if (!match) return null;
  const split = match[1] ?? "train";
  return Number(match[2]) < summary.n[split] ? [`${split}/${Number(match[2])}`] : null;
}

async function byName(text) {
  if (!summary.buckets) return [];
  const wanted = stem(text);
  const hash = crc32(new TextEncoder().encode(wanted));
  const names = await memtools.load(`names/${hash % summary.buckets}`);
  const found = [];
  for (let k = 0; k < names.hash.length; k++) {
    const split = names.test[k] ? "test" : "train";
    if (names.hash[k] === hash && stem(await nameOf(split, names.index[k])) === wanted) found.push(`${split}/${names.index[k]}`);
  }
  return found;
}

async function nameOf(split, index) {
  const places = await memtools.load("places");
  const side = (await memtools.load(`shelf/${places[split][index]}`))[split];
  return side.name[side.index.indexOf(index)];
}

/* What is common to all spellings of a file name: no folder, no ending, no synset behind. */
function stem(name) {
  let base = name.replaceAll("\\", "/").split("/").pop();
  base = base.replace(/\.(jpeg|jpg|png|ppm|bmp|pgm|tif|tiff|webp)$/i, "");
  return /_n\d{8}$/.test(base) && base.split("_").length > 2 ? base.slice(0, -10) : base;
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
