// A drawing of a network in a frame that scrolls: zoomed by buttons or Ctrl and the wheel, moved by dragging, saved as a file.
// Blocks are one stop of the Tab key, arrows go from one to the next, Enter folds and unfolds.
const CSS = `
.network-graph .bar { display: flex; gap: 0.4rem; margin-bottom: 0.5rem; }
.network-graph .bar button { font: 0.85rem var(--st-font, sans-serif); color: var(--st-text-color); background: transparent; cursor: pointer;
  border: 1px solid color-mix(in srgb, var(--st-text-color) 45%, transparent); border-radius: 0.4rem; min-width: 2.2rem; padding: 0.25rem 0.6rem; }
.network-graph .bar button:hover { border-color: var(--st-primary-color); }
.network-graph .frame { overflow: auto; max-height: 75vh; border: 1px solid color-mix(in srgb, var(--st-text-color) 18%, transparent);
  border-radius: 0.5rem; cursor: grab; }
.network-graph .frame.dragged { cursor: grabbing; user-select: none; }
.network-graph svg { display: block; margin: 0 auto; }
.network-graph [data-block] { cursor: pointer; }
.network-graph [data-block]:focus-visible { outline: none; }
.network-graph [data-block]:focus-visible rect { stroke: var(--st-primary-color); stroke-opacity: 1; stroke-width: 3px; }
`;
const LEAST = 0.2, MOST = 3, STEP = 1.25, MOVED_PX = 4;

function zoom(graph, scale) {
  const svg = graph.frame.querySelector("svg");
  graph.scale = Math.min(MOST, Math.max(LEAST, scale));
  const { width, height } = svg.viewBox.baseVal;
  svg.setAttribute("width", width * graph.scale);
  svg.setAttribute("height", height * graph.scale);
}

const fitted = (graph) => Math.min(1.2, graph.frame.clientWidth / graph.frame.querySelector("svg").viewBox.baseVal.width || 1);

function save(graph) {
  const copy = graph.frame.querySelector("svg").cloneNode(true);
  copy.setAttribute("width", copy.viewBox.baseVal.width);
  copy.setAttribute("height", copy.viewBox.baseVal.height);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  link.download = `${graph.data.name}.svg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function button(bar, text, label, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.title = label;
  made.onclick = action;
  bar.append(made);
}

function build(parent) {
  const root = document.createElement("div"), bar = document.createElement("div"), frame = document.createElement("div");
  const style = document.createElement("style");
  style.textContent = CSS;
  root.className = "network-graph";
  bar.className = "bar";
  frame.className = "frame";
  root.append(bar, frame);
  parent.append(style, root);
  const graph = (root.trainscope = { root, frame, scale: null, svg: "", data: null, toggle: null, at: 0 });
  button(bar, "+", "Zoom in", () => zoom(graph, graph.scale * STEP));
  button(bar, "−", "Zoom out", () => zoom(graph, graph.scale / STEP));
  button(bar, "Fit", "Fit the width", () => zoom(graph, fitted(graph)));
  button(bar, "Save as SVG", "Save the drawing as SVG", () => save(graph));
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(graph, graph.scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, { passive: false });
  let from = null, moved = false;
  frame.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    from = { x: event.clientX, y: event.clientY, left: frame.scrollLeft, top: frame.scrollTop };
    moved = false;
  });
  window.addEventListener("pointermove", (event) => {
    if (!from || event.pointerType === "touch") return; // touch scrolls by itself
    moved ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > MOVED_PX;
    frame.classList.toggle("dragged", moved);
    if (moved) frame.scrollTo(from.left - (event.clientX - from.x), from.top - (event.clientY - from.y));
  });
  window.addEventListener("pointerup", () => {
    from = null;
    frame.classList.remove("dragged");
  });
  frame.addEventListener("click", (event) => {
    const block = event.target.closest?.("[data-block]");
    if (block && !moved) graph.toggle(block.dataset.block);
  });
  frame.addEventListener("keydown", (event) => {
    const blocks = [...frame.querySelectorAll("[data-block]")], here = blocks.indexOf(document.activeElement);
    if (here < 0) return;
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      graph.focused = blocks[here].dataset.block;
      graph.toggle(blocks[here].dataset.block);
    } else if (step && blocks[here + step]) {
      event.preventDefault();
      blocks.forEach((block, n) => block.setAttribute("tabindex", n === here + step ? "0" : "-1"));
      blocks[here + step].focus();
    }
  });
  return graph;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const graph = parentElement.querySelector(".network-graph")?.trainscope ?? build(parentElement);
  graph.data = data;
  graph.toggle = (block) => setTriggerValue("toggled", block);
  if (graph.svg === data.svg) return;
  graph.svg = data.svg;
  const parsed = new DOMParser().parseFromString(data.svg, "image/svg+xml").documentElement;
  graph.frame.replaceChildren(document.importNode(parsed, true));
  zoom(graph, graph.name === data.name ? graph.scale : fitted(graph));
  graph.name = data.name;
  const blocks = [...graph.frame.querySelectorAll("[data-block]")];
  const again = blocks.find((block) => block.dataset.block === graph.focused) ?? blocks[0];
  for (const block of blocks) block.setAttribute("tabindex", block === again ? "0" : "-1");
  if (graph.focused !== undefined) again?.focus();
  graph.focused = undefined;
}
