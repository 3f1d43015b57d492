"use strict";
/* From the address to a view: links work, so do back and forward, and each view keeps its place. */

const KEPT = 12; // views that come back as they were left
const kept = new Map(); // by address
let current = null;
let asked = 0;

/* The views by their first word: (rest of the address) => view. */
const VIEWS = {
  memorization: () => memorizationView(),
  pairs: (rest) => pairsView(rest),
  classes: () => classesView(),
  class: (rest) => classView(rest),
  train: (rest) => exampleView("train", rest),
  test: (rest) => exampleView("test", rest),
};

function titleOf() {
  return `${current.view.title()} · ${summary.dataset || "memtools report"}`;
}

async function show(first) {
  const [name, ...others] = location.hash.slice(1).split("/");
  if (name === "main") return; // the link that skips the top
  const known = Object.hasOwn(VIEWS, name);
  const [word, rest] = known ? [name, others.join("/")] : ["memorization", ""];
  const key = word === "memorization" ? word : `${word}/${rest}`;
  if (current) current.scroll = scrollY;
  const turn = ++asked;
  const next = kept.get(key) ?? { view: await made(word, rest), scroll: 0 };
  if (turn !== asked) return; // somebody went on while it was loaded
  if (!next.view.failed) kept.set(key, next);
  forget();
  current = next;
  document.getElementById("view").replaceChildren(next.view.node);
  next.view.open?.(rest);
  document.title = titleOf();
  mark(word);
  if (!first) {
    next.view.node.querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, next.scroll);
    document.getElementById("found").replaceChildren();
  }
}

/* A view; or, where a file of it cannot be read, what went wrong. */
async function made(word, rest) {
  try {
    return await VIEWS[word](rest);
  } catch (error) {
    const title = "Something is missing";
    return { node: el("article", {}, el("h1", { tabindex: "-1" }, title), trouble(error)), title: () => title, failed: true };
  }
}

/* The oldest views are let go, but for the first one and the text of the page. */
function forget() {
  for (const key of kept.keys()) {
    if (kept.size <= KEPT) return;
    if (key !== "memorization" && !key.startsWith("quality")) kept.delete(key);
  }
}

function mark(word) {
  const owner = { class: "classes", train: "", test: "" }[word] ?? word;
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash === `#${owner}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/* Dark or light: as the system has it, until somebody chooses. */
function themeSwitch() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const say = () => button.setAttribute("aria-pressed", isDark());
  try {
    root.dataset.theme = localStorage.getItem("memtools-theme") ?? "";
  } catch {
    root.dataset.theme = "";
  }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("memtools-theme", root.dataset.theme);
    } catch { /* it is forgotten with the page */ }
    say();
  });
  system.addEventListener("change", say);
  say();
}

document.addEventListener("DOMContentLoaded", async () => {
  themeSwitch();
  const quality = document.getElementById("quality");
  quality.remove();
  try {
    summary = await memtools.load("summary");
  } catch (error) {
    document.getElementById("view").append(trouble(error));
    return;
  }
  document.documentElement.style.setProperty("--box", `${summary.images ? boxSize() : 0}px`);
  VIEWS.quality = () => qualityView(quality);
  lookUp();
  addEventListener("hashchange", () => show(false));
  await show(true);
});
