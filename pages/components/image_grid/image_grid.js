// Tiles that open on click or Enter and are marked by their box or the space bar; shift marks all from the last one on.
// The grid is one stop of the Tab key, arrows move within it. Tiles that stay keep their nodes, so that nothing flickers or
// loses the focus. Everything from outside is set as text, never as markup.
const CSS = `
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--side)), 1fr)); gap: 0.75rem; }
.tile { position: relative; min-width: 0; }
.tile button { all: unset; box-sizing: border-box; display: block; width: 100%; cursor: pointer; border-radius: 0.4rem;
  scroll-margin: 8.5rem 0 1rem; }
.tile button:disabled { cursor: default; }
.tile button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.tile .images { display: flex; gap: 0.25rem; }
.tile img { display: block; flex: 1; width: 100%; min-width: 0; aspect-ratio: var(--ratio); object-fit: contain; image-rendering: pixelated;
  background: var(--st-secondary-background-color); border-radius: 0.4rem; }
.tile.marked img { outline: 3px solid var(--st-primary-color); }
.tile.dimmed img { opacity: 0.35; }
.tiles.choice .tile { border: 1px solid color-mix(in srgb, var(--st-text-color) 18%, transparent); border-radius: 0.5rem; padding: 0.5rem; }
.tiles.choice .tile:hover { border-color: var(--st-primary-color); }
.tiles.choice .tile.chosen { border-color: var(--st-primary-color); box-shadow: inset 0 0 0 1px var(--st-primary-color); }
.tiles.choice .images + .line { margin-top: 0.3rem; font-weight: 600; }
.tiles.strip { grid-template-columns: repeat(auto-fill, var(--side)); gap: 0.4rem; }
.tile.right img, .tile.wrong img { border-bottom: 4px solid #009e73; border-radius: 0.3rem 0.3rem 0.15rem 0.15rem; }
.tile.wrong img { border-bottom-color: #d55e00; }
.tile input { position: absolute; top: 0.3rem; left: 0.3rem; width: 1.1rem; height: 1.1rem; margin: 0; cursor: pointer;
  accent-color: var(--st-primary-color); opacity: 0.75; }
.tile input:checked, .tile:hover input, .tile input:focus { opacity: 1; }
.tile .line { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 0.8rem; line-height: 1.35;
  color: var(--st-text-color); unicode-bidi: plaintext; }
.tile .line + .line { opacity: 0.75; }
`;
const ids = (grid) => grid.data.tiles.map((tile) => tile.id);
const buttonOf = (grid, id) => grid.nodes.get(id)?.querySelector("button");

function show(grid, id) {
  const node = grid.nodes.get(id), on = grid.marked.has(id);
  node.classList.toggle("marked", on);
  const box = node.querySelector("input");
  if (box) box.checked = on;
}

function mark(grid, id, on, through) {
  const order = ids(grid), here = order.indexOf(id), last = order.indexOf(grid.last);
  const [from, to] = through && last >= 0 ? [Math.min(last, here), Math.max(last, here)] : [here, here];
  for (const other of order.slice(from, to + 1)) {
    if (on) grid.marked.add(other);
    else grid.marked.delete(other);
    show(grid, other);
  }
  grid.last = id;
  grid.setStateValue("marked", { generation: grid.data.generation, ids: [...grid.marked] });
}

function makeCurrent(grid, id) {
  grid.current = id;
  for (const other of ids(grid)) buttonOf(grid, other).tabIndex = other === id ? 0 : -1;
}

function onKey(grid, id, event) {
  if (event.key === " " && grid.data.canMark) {
    event.preventDefault();
    mark(grid, id, !grid.marked.has(id), event.shiftKey);
    return;
  }
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const order = ids(grid), here = order.indexOf(id);
  const columns = getComputedStyle(grid.root).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -here, End: order.length - 1 - here };
  if (!(event.key in steps)) return;
  event.preventDefault();
  buttonOf(grid, order[here + steps[event.key]])?.focus();
}

function build(grid, id) {
  const node = document.createElement("div");
  node.className = "tile";
  node.setAttribute("role", "listitem");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.id = String(id);
  const images = document.createElement("span");
  images.className = "images";
  button.append(images);
  button.onclick = () => grid.setTriggerValue("opened", id);
  button.onkeydown = (event) => onKey(grid, id, event);
  button.onfocus = () => makeCurrent(grid, id);
  node.append(button);
  return node;
}

function update(grid, node, tile) {
  const button = node.querySelector("button");
  node.classList.toggle("dimmed", Boolean(tile.dimmed));
  node.classList.toggle("chosen", grid.data.chosen === tile.id);
  if (grid.data.chosen !== null) button.setAttribute("aria-pressed", String(grid.data.chosen === tile.id));
  for (const edge of ["right", "wrong"]) node.classList.toggle(edge, tile.edge === edge);
  const images = node.querySelector(".images");
  const urls = tile.urls.map((url) => new URL(url, document.baseURI).href);
  const there = [...images.children];
  if (urls.join() !== there.map((image) => image.src).join()) {
    images.replaceChildren(
      ...urls.map((url) => {
        const image = document.createElement("img");
        image.loading = "lazy";
        image.decoding = "async";
        image.src = url;
        return image;
      }),
    );
  }
  button.disabled = !grid.data.canOpen;
  if (!tile.lines.length) button.setAttribute("aria-label", `${grid.data.label}, number ${grid.data.tiles.indexOf(tile) + 1}`);
  for (const image of images.children) image.alt = urls.length > 1 ? "" : tile.lines.join(", ");
  const lines = [...node.querySelectorAll(".line")];
  while (lines.length > tile.lines.length) lines.pop().remove();
  tile.lines.forEach((text, number) => {
    const line = lines[number] ?? button.appendChild(document.createElement("span"));
    line.className = "line";
    line.textContent = text;
    line.title = text;
  });
  let box = node.querySelector("input");
  if (grid.data.canMark && !box) {
    box = document.createElement("input");
    box.type = "checkbox";
    box.tabIndex = -1;
    box.onclick = (event) => mark(grid, tile.id, box.checked, event.shiftKey);
    node.append(box);
  }
  box?.setAttribute("aria-label", `Mark ${tile.lines.join(", ")}`);
}

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  let root = parentElement.querySelector(".tiles");
  if (!root) {
    const style = document.createElement("style");
    style.textContent = CSS;
    root = document.createElement("div");
    root.className = "tiles";
    root.setAttribute("role", "list");
    root.trainscope = { root, nodes: new Map(), marked: new Set(data.marked), last: null, current: null, data: null, state: "" };
    parentElement.append(style, root);
  }
  const grid = root.trainscope;
  Object.assign(grid, { setStateValue, setTriggerValue });
  const state = JSON.stringify({ ...data, marked: null }); // marks are set here first: they alone are no reason to draw anew
  if (grid.state === state) return;
  const isCleared = grid.data !== null && grid.data.generation !== data.generation;
  if (isCleared) {
    grid.marked = new Set(data.marked); // none, or those that a button of the page has marked
    grid.last = null;
  }
  Object.assign(grid, { state, data });
  root.classList.toggle("strip", data.isStrip);
  root.classList.toggle("choice", data.chosen !== null);
  root.style.setProperty("--side", `${data.side}px`);
  root.style.setProperty("--ratio", String(data.ratio));
  root.setAttribute("aria-label", data.label);
  const position = [...root.children].findIndex((node) => node.contains(document.activeElement));
  const before = grid.nodes;
  grid.nodes = new Map(data.tiles.map((tile) => [tile.id, before.get(tile.id) ?? build(grid, tile.id)]));
  for (const [id, node] of before) if (!grid.nodes.has(id)) node.remove();
  data.tiles.forEach((tile, number) => {
    const node = grid.nodes.get(tile.id);
    update(grid, node, tile);
    show(grid, tile.id);
    if (root.children[number] !== node) root.insertBefore(node, root.children[number] ?? null);
  });
  if (!data.tiles.length) return;
  const order = ids(grid);
  makeCurrent(grid, order.includes(grid.current) ? grid.current : order[Math.max(0, Math.min(position, order.length - 1))]);
  // who acted on the marked by keyboard stands on a button that is switched off now
  const active = document.activeElement;
  const isLost = isCleared && (!active || active === document.body || active.closest(".st-key-picture-actions"));
  if ((position >= 0 && !root.contains(active)) || isLost) buttonOf(grid, grid.current).focus({ preventScroll: true });
}
