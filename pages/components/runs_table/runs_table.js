// A table whose cells are texts from outside, set as text. Rows that stay keep their nodes, so that updates neither flicker nor take the focus.
const CSS = `
.runs-table { width: 100%; border-collapse: collapse; font-size: 0.9rem; color: var(--st-text-color); }
.runs-scroll { overflow-x: auto; }
.runs-table th, .runs-table td { padding: 0.45rem 0.5rem; text-align: left; border-bottom: 1px solid color-mix(in srgb, var(--st-text-color) 14%, transparent); white-space: nowrap; }
.runs-table .number { text-align: right; font-variant-numeric: tabular-nums; }
.runs-table tbody tr:hover { background: var(--st-secondary-background-color); }
.runs-table button { all: unset; cursor: pointer; border-radius: 0.25rem; }
.runs-table button:focus-visible, .runs-table input:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.runs-table th button { font-weight: 600; }
.runs-table .name { white-space: normal; min-width: 11rem; overflow-wrap: anywhere; }
.runs-table .name button { font-weight: 600; unicode-bidi: plaintext; }
.runs-table .name button:hover, .runs-table .details:hover { text-decoration: underline; }
.runs-table .name .below { display: block; font-size: 0.8rem; opacity: 0.8; }
.runs-table input { width: 1.05rem; height: 1.05rem; margin: 0; cursor: pointer; accent-color: var(--st-primary-color); vertical-align: middle; }
.runs-table svg { width: 84px; height: 26px; display: block; overflow: visible; }
.runs-table polyline { fill: none; stroke: #0072b2; stroke-width: 1.8; vector-effect: non-scaling-stroke; }
.runs-table .state-failed, .runs-table .state-interrupted { color: #b35900; font-weight: 600; }
.runs-table .state-running, .runs-table .state-queued { color: var(--st-primary-color); font-weight: 600; }
`;
const WAIT_MS = 3000;
const SVG = "http://www.w3.org/2000/svg";

function make(parent, name, className, text) {
  const node = parent.appendChild(document.createElement(name));
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function buildHead(table) {
  const row = make(table.head, "tr");
  make(row, "th").appendChild(Object.assign(document.createElement("span"), { textContent: "Mark" })).className = "mark-title";
  for (const column of table.data.columns) {
    const cell = make(row, "th", column.is_number ? "number" : "");
    cell.scope = "col";
    if (!column.sort) {
      cell.textContent = column.title;
      continue;
    }
    const button = make(cell, "button", "", column.title);
    button.type = "button";
    button.onclick = () => table.setTriggerValue("ordered", column.sort);
  }
  make(row, "th", "", "More");
}

function updateHead(table) {
  const { columns, sortedBy, isDescending } = table.data;
  columns.forEach((column, i) => {
    const cell = table.head.rows[0].cells[i + 1], button = cell.querySelector("button");
    if (!button) return;
    const isSorted = column.sort === sortedBy;
    button.textContent = column.title + (isSorted ? (isDescending ? " ↓" : " ↑") : "");
    if (isSorted) cell.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
}

// Marks are set here first and sent as a whole: of two that are set at once none is lost. Until the server says the same, ours count.
function mark(table, id, on) {
  table.marked = table.marked.filter((other) => other !== id).concat(on ? [id] : []);
  table.sent = { marks: JSON.stringify(table.marked), until: Date.now() + WAIT_MS };
  table.setTriggerValue("marked", table.sent.marks);
}

function build(table, id) {
  const row = document.createElement("tr");
  row.dataset.run = id;
  const box = make(make(row, "td"), "input");
  box.type = "checkbox";
  box.onchange = () => mark(table, id, box.checked);
  table.data.columns.forEach((column, i) => {
    const cell = make(row, "td", i === 0 ? "name" : column.is_number ? "number" : "");
    if (i > 0) return;
    const open = make(cell, "button");
    open.type = "button";
    open.onclick = () => table.setTriggerValue("opened", id);
    make(cell, "span", "below");
  });
  const details = make(make(row, "td"), "button", "details", "Details");
  details.type = "button";
  details.onclick = () => table.setTriggerValue("details", id);
  return row;
}

function drawCourse(cell, course) {
  const points = course.map((value, i) => `${(100 * i) / Math.max(1, course.length - 1)},${100 - 100 * value}`).join(" ");
  if (cell.dataset.points === points) return;
  cell.dataset.points = points;
  cell.replaceChildren();
  if (course.length < 2) return;
  const svg = cell.appendChild(document.createElementNS(SVG, "svg"));
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Accuracy from ${Math.round(100 * course[0])} to ${Math.round(100 * course.at(-1))} per cent`);
  svg.appendChild(document.createElementNS(SVG, "polyline")).setAttribute("points", points);
}

function update(table, row, run) {
  const { marked } = table, { columns, mostMarked } = table.data;
  const box = row.querySelector("input"), title = run.cells[0];
  box.checked = marked.includes(run.id);
  box.disabled = !box.checked && marked.length >= mostMarked;
  box.setAttribute("aria-label", `Mark ${title}, ${run.when}`);
  row.querySelector(".details").setAttribute("aria-label", `Details of ${title}, ${run.when}`);
  columns.forEach((column, i) => {
    const cell = row.cells[i + 1];
    if (column.title === "Course") drawCourse(cell, run.course);
    else if (i > 0) cell.textContent = run.cells[i];
  });
  const open = row.querySelector(".name button"), below = row.querySelector(".below");
  open.textContent = title;
  open.setAttribute("aria-label", `Open ${title}, ${run.when}`);
  below.replaceChildren();
  make(below, "span", `state-${run.state}`, run.state);
  below.append(["", run.when, ...run.tags].join(" · "));
}

export default function ({ parentElement, data, setTriggerValue }) {
  let root = parentElement.querySelector(".runs-table");
  if (!root) {
    make(parentElement, "style", "", CSS);
    root = make(make(parentElement, "div", "runs-scroll"), "table", "runs-table");
    make(root, "caption", "", "").hidden = true;
    root.trainscope = { head: make(root, "thead"), body: make(root, "tbody"), rows: new Map(), data, marked: [], sent: null };
    root.trainscope.setTriggerValue = setTriggerValue;
    buildHead(root.trainscope);
  }
  const table = Object.assign(root.trainscope, { data, setTriggerValue });
  const isAnswered = !table.sent || table.sent.marks === JSON.stringify(data.marked) || Date.now() > table.sent.until;
  if (isAnswered) Object.assign(table, { marked: [...data.marked], sent: null });
  updateHead(table);
  const before = table.rows;
  table.rows = new Map(data.rows.map((run) => [run.id, before.get(run.id) ?? build(table, run.id)]));
  for (const [id, node] of before) if (!table.rows.has(id)) node.remove();
  data.rows.forEach((run, number) => {
    const node = table.rows.get(run.id);
    update(table, node, run);
    if (table.body.children[number] !== node) table.body.insertBefore(node, table.body.children[number] ?? null);
  });
}
