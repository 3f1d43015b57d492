"use strict";
/* What views are made of: elements, numbers in words, pictures, tiles. */

/* What the report holds; set once, before any view is drawn. */
let summary = null;

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/* Text is always text: nothing is ever parsed as HTML. */
function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

const grouped = new Intl.NumberFormat("en").format;

function plural(n, word) {
  return `${grouped(n)} ${word}${n === 1 ? "" : word.endsWith("s") ? "es" : "s"}`;
}

function fixed(value, digits = 3) {
  return Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "no estimate";
}

function withError(value, error, digits = 3) {
  return fixed(value, digits) + (Number.isFinite(error) && Number.isFinite(value) ? ` ± ${fixed(error, digits)}` : "");
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function edge(level) {
  return summary.levels.edges[level].toFixed(summary.levels.decimals).replace("-", "−");
}

/* What a class is called, by its place in the table; null where there are no labels. */
function className(shelf) {
  if (!summary.classes) return null;
  const name = summary.classes.name?.[shelf];
  return name ?? `class ${summary.classes.label[shelf]}`;
}

/* The width of a picture in a list: small images by whole multiples, pixel by pixel. */
function boxSize(wanted = 96) {
  const { side, small } = summary.images;
  return small ? side * Math.max(1, Math.floor(wanted / side)) : wanted;
}

/* One thumbnail of a sheet: sheet.name is the data file's, sheet.sizes its column of sizes. */
function picture(sheet, cell, box) {
  const width = cell >= 0 ? sheet.sizes?.[2 * cell] : 0;
  const frame = el("span", { class: "frame", "aria-hidden": "true" });
  frame.style.width = frame.style.height = `${box}px`;
  if (!width) {
    frame.append(el("span", { class: "no-picture" }, cell >= 0 ? "image missing" : "no image here"));
    return frame;
  }
  const { side, small, columns, onSheet, ending } = summary.images;
  const scale = box / side;
  const here = cell % onSheet;
  const image = el("span", { class: small ? "picture small" : "picture" });
  Object.assign(image.style, {
    width: `${width * scale}px`,
    height: `${sheet.sizes[2 * cell + 1] * scale}px`,
    backgroundImage: `url("data/${sheet.name}-${Math.floor(cell / onSheet)}.${ending}")`,
    backgroundSize: `${columns * box}px auto`,
    backgroundPosition: `${-(here % columns) * box}px ${-Math.floor(here / columns) * box}px`,
  });
  frame.append(image);
  return frame;
}

/* A list of examples, with pictures where there are any. An example has split, index, shelf, score,
   error; of a pair also value and valueError; and sheet, cell. named: whether to say its class. */
function listed(examples, named = true) {
  return el("ul", { class: "tiles" }, ...examples.map((example) => el("li", {},
    el("a", { class: "tile", href: `#${example.split}/${example.index}` },
      pictured(example) ? picture(example.sheet, example.cell, boxSize()) : null,
      ...caption(example, named)))));
}

/* Test examples may have no images where training examples do. */
function pictured(example) {
  return summary.images !== null && (example.split === "train" || summary.images.tests);
}

/* Two digits are as many as the errors leave; the example's own page has three. */
function caption(example, named) {
  const name = named ? className(example.shelf) : null;
  const paired = example.value !== undefined;
  return [
    name === null ? null : el("span", { class: "name", dir: "auto", title: name }, name),
    paired ? amount("influence", example.value, example.valueError) : null,
    example.split === "train" && !paired ? amount(summary.quantity, example.score, example.error) : null,
    el("span", { class: "place" }, `${example.split} ${example.index}`),
  ];
}

function amount(what, value, error) {
  const [number, deviation] = withError(value, error, 2).split(" ± ");
  return el("span", { class: "amount", title: `${what} ${withError(value, error)}` },
    el("span", { class: "hidden" }, `${what} `), el("strong", {}, number), deviation ? ` ± ${deviation}` : null);
}

/* Runs work once, when the node comes near the screen. */
function whenNear(node, work) {
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      work();
    }
  }, { rootMargin: "300px" });
  observer.observe(node);
}

/* A button that adds more to a list, page by page, until there is nothing left. */
function more(list, nPages, draw, words) {
  let page = 0;
  const said = el("div");
  const button = el("button", { type: "button", class: "more" }, words);
  const next = async () => {
    button.disabled = true;
    try {
      const added = await draw(page);
      list.append(...added);
      said.replaceChildren();
      if (++page >= nPages) button.remove();
      return added;
    } catch (error) {
      said.replaceChildren(trouble(error));
      return [];
    } finally {
      button.disabled = false;
    }
  };
  button.addEventListener("click", async () => {
    const [first] = await next();
    first?.querySelector("a")?.focus();
  });
  return { controls: el("div", {}, said, button), next };
}

/* Where something cannot be read, in place of what should be there. */
function trouble(error) {
  return el("p", { class: "trouble", role: "alert" }, error.message);
}

/* What the ends of the ranking are called: the most, more and less of it; the most comes first. */
function endsOfRanking() {
  if (summary.sign < 0) return { most: "least typical", more: "less typical", less: "more typical" };
  if (summary.sign === 0) return { most: "highest", more: "higher", less: "lower" };
  const word = summary.memorization ? "memorized" : "atypical";
  return { most: `most ${word}`, more: `more ${word}`, less: `less ${word}` };
}
