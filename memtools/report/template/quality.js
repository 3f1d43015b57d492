"use strict";
/* The view that is text in the page itself; here come its curve and its buttons. */

function qualityView(node) {
  const place = node.querySelector("#curve");
  if (place && summary.curve.length > 1) place.append(curveOf(summary.curve));
  for (const button of node.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copy(button, button.parentElement.querySelector("pre")));
  }
  return { node, title: () => "Quality" };
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.firstChild.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(text);
    button.firstChild.textContent = "Selected";
  }
}

/* Agreement of two halves over the number of runs in each, which doubles from point to point. */
function curveOf(points) {
  const size = { w: Math.min(560, innerWidth - 32), h: 240, left: 32, right: 16, top: 30, bottom: 44 };
  const logs = points.map((point) => Math.log2(point.runs));
  const span = logs[logs.length - 1] - logs[0] || 1;
  const x = (k) => size.left + ((size.w - size.left - size.right) * (logs[k] - logs[0])) / span;
  const y = (value) => size.top + (size.h - size.top - size.bottom) * (1 - Math.max(0, value));
  const line = (key, label) => {
    const known = points.map((point, k) => [k, point[key]]).filter(([, value]) => value !== null);
    if (!known.length) return [];
    const [last, value] = known[known.length - 1];
    return [
      svg("polyline", { class: `line ${key}`, points: known.map(([k, v]) => `${x(k)},${y(v)}`).join(" ") }),
      ...known.map(([k, v]) => svg("circle", { class: `point ${key}`, cx: x(k), cy: y(v), r: 3.5 })),
      svg("text", { class: "tick label", x: x(last), y: y(value) - 14 }, label),
    ];
  };
  return svg("svg", { role: "img", class: "curve", viewBox: `0 0 ${size.w} ${size.h}`, width: size.w, height: size.h,
    "aria-label": "Agreement of two halves over the number of runs in each; the table below has the numbers" },
  ...[0, 0.5, 1].flatMap((value) => [
    svg("line", { class: value ? "grid" : "axis", x1: size.left, x2: size.w - size.right, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick y", x: size.left - 8, y: y(value) }, value.toFixed(1))]),
  ...points.map((point, k) => svg("text", { class: "tick x", x: x(k), y: size.h - 22 }, grouped(point.runs))),
  svg("text", { class: "tick x", x: (size.left + size.w - size.right) / 2, y: size.h - 4 }, "runs in each half"),
  ...line("spearman", "scores (Spearman)"), ...line("jaccard", "pairs (Jaccard)"));
}
