"use strict";
/* A histogram, and the two handles that choose a range of levels on it. */

const PLOT = { left: 48, right: 14, top: 10, bottom: 28, height: 240 };

/* counts: of each bar; edges: of the levels. Drawn anew whenever its width changes. */
function histogram(counts, edges, perLevel, label) {
  const node = el("div", { class: "histogram" });
  const most = Math.max(1, ...counts);
  const log = most > counts.reduce((sum, count) => sum + count, 0) / 2; // else one bar is all there is to see
  const state = { log, low: 0, high: edges.length - 1, width: 0 };

  const share = (count) => {
    if (!state.log) return count / most;
    return count ? (Math.log10(count) + 0.2) / (Math.log10(most) + 0.2) : 0;
  };

  function draw() {
    const width = Math.max(240, state.width);
    const inner = { w: width - PLOT.left - PLOT.right, h: PLOT.height - PLOT.top - PLOT.bottom };
    const x = (bar) => PLOT.left + (inner.w * bar) / counts.length;
    const y = (count) => PLOT.top + inner.h * (1 - share(count));
    const bars = counts.map((count, k) => {
      const level = Math.floor(k / perLevel);
      const on = level >= state.low && level < state.high;
      return svg("rect", {
        class: on ? "bar" : "bar off", x: x(k) + 0.5, width: Math.max(1, inner.w / counts.length - 1),
        y: y(count), height: Math.max(0, PLOT.top + inner.h - y(count)),
      });
    });
    const lines = ticks(most, state.log).flatMap((count) => [
      svg("line", { class: "grid", x1: PLOT.left, x2: width - PLOT.right, y1: y(count), y2: y(count) }),
      svg("text", { x: PLOT.left - 8, y: y(count), class: "tick y" }, grouped(count)),
    ]);
    const step = Math.ceil((edges.length * 64) / inner.w);
    const every = [1, 2, 4, 5, 10, 20].find((n) => n >= step) ?? step;
    const zero = Math.max(0, edges.indexOf(0));
    const axis = edges.map((value, k) => (k - zero) % every ? null
      : svg("text", { x: x(k * perLevel), y: PLOT.height - 8, class: "tick x" }, edge(k)));
    node.replaceChildren(svg("svg", {
      role: "img", "aria-label": label, viewBox: `0 0 ${width} ${PLOT.height}`, width, height: PLOT.height,
    }, ...lines, ...bars,
    svg("line", { class: "axis", x1: PLOT.left, x2: width - PLOT.right, y1: PLOT.top + inner.h + 0.5, y2: PLOT.top + inner.h + 0.5 }),
    ...axis));
  }

  new ResizeObserver(([entry]) => {
    state.width = Math.floor(entry.contentRect.width);
    draw();
  }).observe(node);

  return {
    node,
    log,
    show(change) {
      Object.assign(state, change);
      if (state.width) draw();
    },
    /* The level under a pointer. */
    levelAt(event) {
      const box = node.getBoundingClientRect();
      const along = (event.clientX - box.left - PLOT.left) / (box.width - PLOT.left - PLOT.right);
      return Math.min(edges.length - 2, Math.max(0, Math.floor(along * (edges.length - 1))));
    },
  };
}

/* Round numbers for the vertical axis, at most five. */
function ticks(most, log) {
  if (log) return Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, k) => 10 ** k);
  const scale = 10 ** Math.floor(Math.log10(most / 2));
  const step = Math.max(1, [1, 2, 5, 10].map((n) => n * scale).find((n) => most / n <= 4) ?? most);
  return Array.from({ length: Math.floor(most / step) }, (_, k) => (k + 1) * step);
}

/* Two native sliders over one track; change(low, high) is called at every move, done() after it. */
function handles(n, change, done) {
  const make = (label, value) => el("input", { type: "range", min: 0, max: n, step: 1, value, "aria-label": label });
  const low = make(`lowest ${summary.quantity}`, 0);
  const high = make(`highest ${summary.quantity}`, n);
  const filledPart = el("span", { class: "chosen" });

  function show() {
    for (const input of [low, high]) input.setAttribute("aria-valuetext", edge(Number(input.value)));
    filledPart.style.left = `${(100 * low.value) / n}%`;
    filledPart.style.right = `${100 - (100 * high.value) / n}%`;
    low.classList.toggle("above", Number(low.value) > n / 2);
  }

  function set(from, to) {
    low.value = Math.max(0, Math.min(from, n - 1));
    high.value = Math.min(n, Math.max(to, Number(low.value) + 1));
    show();
    change(Number(low.value), Number(high.value));
  }

  low.addEventListener("input", () => set(Math.min(Number(low.value), Number(high.value) - 1), Number(high.value)));
  high.addEventListener("input", () => set(Number(low.value), Math.max(Number(high.value), Number(low.value) + 1)));
  for (const input of [low, high]) input.addEventListener("change", done);
  return { node: el("div", { class: "handles" }, el("div", { class: "track" }, filledPart), low, high), set };
}
