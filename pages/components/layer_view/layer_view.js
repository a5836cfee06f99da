// Input, window, kernel and output of a layer. The output is one stop of the Tab key: arrows move the pixel that is worked out,
// Page Up and Page Down change its channel. Everything is looked up in arrays that came with the data: nothing is asked for while
// the pointer moves.
const CSS = `
.layer-view { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; align-items: flex-start; color: var(--st-text-color); font-size: 0.875rem; }
.layer-view .panel { flex: 1 1 0; min-width: min(100%, 15rem); }
.layer-view .panel.between { flex: 0 1 13rem; min-width: min(100%, 12rem); display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
.layer-view .panel.between .head { margin-top: 0; }
.layer-view.narrow .panel { min-width: 8rem; }
.layer-view.narrow .panel.between { order: 1; flex-basis: 100%; }
.layer-view.narrow .worked { order: 2; }
.layer-view .head { display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.5rem; min-height: 1.9rem; }
.layer-view .head b { font-weight: 600; }
.layer-view .range { font-size: 0.8rem; margin-top: 0.25rem; overflow-wrap: anywhere; }
.layer-view canvas { display: block; max-width: 100%; border-radius: 0.25rem; }
.layer-view .output { cursor: crosshair; touch-action: none; }
.layer-view .output:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 3px; }
.layer-view .step { all: unset; cursor: pointer; padding: 0 0.45rem; line-height: 1.5rem; border: 1px solid currentColor; border-radius: 0.3rem; }
.layer-view .maps { display: flex; flex-wrap: wrap; gap: 0.3rem; margin-top: 0.5rem; }
.layer-view .maps canvas { cursor: pointer; border: 2px solid transparent; border-radius: 0.3rem; }
.layer-view .maps canvas.chosen { border-color: var(--st-primary-color); }
.layer-view .worked { flex: 1 0 100%; min-height: 4.6rem; padding: 0.6rem 0.8rem; border-radius: 0.5rem; background: var(--st-secondary-background-color);
  line-height: 1.55; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; box-sizing: border-box; }
.layer-view .worked .line { margin: 0; }
`;
const MOST_NUMBERS = 12; // cells of a side that still have their numbers written in
const NARROW_PX = 560; // input and output stay beside each other there, with window and kernel below
const PADDING = -1, NOTHING = -2;
const ORANGE = [230, 159, 0], BLUE = [86, 180, 233], DARK = [24, 28, 34], LIGHT = [255, 255, 255];
const FADED = 150, MAP_PX = 44; // opacity of padding; side of a small map
const MOST_TERMS = 30, MOST_SUMS = 12;

// --- numbers

function written(value, digits = 4) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = String(Number(value.toPrecision(digits)));
  return (text === "-0" ? "0" : text).replace("-", "−");
}

const bracketed = (value) => (value < 0 ? `(${written(value)})` : written(value));

function unpacked({ float32, shape }) {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(float32) : Uint8Array.from(atob(float32), (c) => c.charCodeAt(0));
  return { shape, values: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) };
}

// --- colours: what is not negative from black to white, what has both signs from blue over dark to orange

function rangeOf(values, from, to) {
  let low = Infinity, high = -Infinity;
  for (let i = from; i < to; i++) {
    if (values[i] < low && values[i] > -Infinity) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return low > high ? { low: 0, high: 0 } : { low, high };
}

function mixed(a, b, share) {
  return [0, 1, 2].map((i) => Math.round(a[i] + (b[i] - a[i]) * share));
}

function colourOf(value, { low, high }) {
  if (low < 0) {
    const most = Math.max(-low, high);
    return mixed(DARK, value < 0 ? BLUE : ORANGE, Math.min(1, Math.abs(value) / (most || 1)));
  }
  return mixed([0, 0, 0], LIGHT, high > 0 ? Math.min(1, Math.max(0, value) / high) : 0);
}

const inkOn = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 130 ? "#000" : "#fff");
const css = ([r, g, b]) => `rgb(${r},${g},${b})`;

function rangeWords({ low, high }) {
  return low < 0 ? `${written(low)} blue, 0 dark, ${written(high)} orange` : `0 black to ${written(high)} white`;
}

// --- drawing

function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.imageSmoothingEnabled = false;
  return context;
}

// grid: {rows, columns, at(y, x) -> {value, colour, kind}}; marks: [{y, x, height, width, colour, line}]
function drawGrid(canvas, grid, room, marks, most = 52) {
  const cell = Math.min(most, room / grid.columns), hasNumbers = Math.max(grid.rows, grid.columns) <= MOST_NUMBERS && cell >= 15;
  const width = cell * grid.columns, height = cell * grid.rows;
  const context = sized(canvas, width, height);
  if (hasNumbers) drawNumbers(context, grid, cell);
  else context.drawImage(grid.image ?? (grid.image = imageOf(grid)), 0, 0, width, height);
  context.setLineDash([]);
  for (const mark of marks) {
    const line = mark.line ?? 2;
    context.lineWidth = line + 2;
    context.strokeStyle = "rgba(0,0,0,0.65)"; // a dark rim, so that the frame is seen on light cells too
    context.strokeRect(mark.x * cell + line / 2, mark.y * cell + line / 2, mark.width * cell - line, mark.height * cell - line);
    context.lineWidth = line;
    context.strokeStyle = mark.colour;
    context.strokeRect(mark.x * cell + line / 2, mark.y * cell + line / 2, mark.width * cell - line, mark.height * cell - line);
  }
}

function drawNumbers(context, grid, cell) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  const family = getComputedStyle(document.body).fontFamily;
  for (let y = 0; y < grid.rows; y++) {
    for (let x = 0; x < grid.columns; x++) {
      const { value, colour, kind } = grid.at(y, x);
      if (kind === "nothing") continue;
      context.fillStyle = css(colour);
      context.fillRect(x * cell, y * cell, cell - 1, cell - 1);
      context.lineWidth = 1;
      context.strokeStyle = "rgb(148,154,163)";
      context.setLineDash(kind === "padding" ? [3, 3] : []);
      context.strokeRect(x * cell + 0.5, y * cell + 0.5, cell - 2, cell - 2);
      if (value === null) continue;
      const text = fitting(context, value, cell, family);
      context.fillStyle = inkOn(colour);
      context.fillText(text, x * cell + cell / 2 - 0.5, y * cell + cell / 2 + 0.5);
    }
  }
}

function fitting(context, value, cell, family) {
  for (const [digits, size] of [[4, 14], [3, 13], [3, 11], [2, 11], [2, 9], [1, 9]]) {
    context.font = `${Math.min(size, cell * 0.45)}px ${family}`;
    const text = written(value, digits);
    if (context.measureText(text).width <= cell - 3) return text;
  }
  return "…";
}

// pixels by a table of 256 colours: an object for each of 50,000 pixels would take longer than a slider may
function imageOf(grid) {
  const { rows, columns, paint, every = 1 } = grid, width = Math.ceil(columns / every), height = Math.ceil(rows / every);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer), write = paint(pixels);
  for (let y = 0, i = 0; y < rows; y += every) for (let x = 0; x < columns; x += every, i++) write(i, y, x);
  context.putImageData(image, 0, 0);
  return canvas;
}

const abgr = ([r, g, b], alpha = 255) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;

function tableOf(range, alpha = 255) {
  const from = range.low < 0 ? -Math.max(-range.low, range.high) : 0, to = range.low < 0 ? -from : range.high;
  const scale = to > from ? 255 / (to - from) : 0;
  const colours = Uint32Array.from({ length: 256 }, (_, i) => abgr(colourOf(scale ? from + i / scale : 0, range), alpha));
  return (value) => colours[Math.max(0, Math.min(255, Math.round((value - from) * scale)))];
}

// --- what arrives and what leaves

function sideOf(sent) {
  const { shape, values } = unpacked(sent.values), [channels, rows, columns] = shape;
  const ranges = [];
  const side = { values, rows, columns, shown: channels, channels: sent.channels, count: sent.count };
  side.at = (channel, y, x) => values[(channel * rows + y) * columns + x];
  side.range = (channel) => (ranges[channel] ??= rangeOf(values, channel * rows * columns, (channel + 1) * rows * columns));
  side.isEmpty = (y, x) => side.count > 0 && y * columns + x >= side.count;
  return side;
}

function pixelAt(view, channel, y, x) {
  const side = view.arriving;
  return { value: side.at(channel, y, x), colour: colourOf(side.at(channel, y, x), side.range(channel)), kind: "pixel" };
}

// the input with its padding around, as windows see it
function inputGrid(view, channel) {
  const side = view.arriving, [down, across] = view.data.axes;
  const isComposite = view.data.isColour && channel === -1;
  const source = (axis, at) => (axis ? axis.pixels[at] : at);
  const isAddedAt = (y, x) =>
    Boolean(down) && (y < down.before || x < across.before || y >= down.before + side.rows || x >= across.before + side.columns);
  const at = (y, x) => {
    const row = source(down, y), column = source(across, x);
    if (row === NOTHING || column === NOTHING) return { value: null, colour: DARK, kind: "nothing" };
    if (row === PADDING || column === PADDING) {
      return { value: view.data.work.kind === "max" ? null : 0, colour: colourOf(0, side.range(Math.max(0, channel))), kind: "padding" };
    }
    if (side.isEmpty(row, column)) return { value: null, colour: DARK, kind: "nothing" };
    const isAdded = isAddedAt(y, x);
    if (isComposite) {
      const colour = [0, 1, 2].map((c) => Math.round(255 * Math.min(1, Math.max(0, side.at(c, row, column)))));
      return { value: null, colour, kind: isAdded ? "padding" : "pixel" };
    }
    return { ...pixelAt(view, channel, row, column), kind: isAdded ? "padding" : "pixel" };
  };
  const paint = (pixels) => {
    const range = side.range(Math.max(0, channel)), inside = tableOf(range), added = tableOf(range, FADED), empty = abgr(colourOf(0, range), FADED);
    const plane = side.rows * side.columns, start = Math.max(0, channel) * plane, { values } = side;
    const byte = (k) => 255 * Math.min(1, Math.max(0, values[k]));
    return (i, y, x) => {
      const row = source(down, y), column = source(across, x), k = row * side.columns + column;
      if (row === NOTHING || column === NOTHING || side.isEmpty(row, column)) return;
      if (row === PADDING || column === PADDING) pixels[i] = empty;
      else if (isComposite) pixels[i] = abgr([byte(k), byte(plane + k), byte(2 * plane + k)], isAddedAt(y, x) ? FADED : 255);
      else pixels[i] = (isAddedAt(y, x) ? added : inside)(values[start + k]);
    };
  };
  return { rows: down ? down.pixels.length : side.rows, columns: across ? across.pixels.length : side.columns, at, paint };
}

function outputGrid(view, channel) {
  const side = view.leaving, range = side.range(channel);
  const at = (y, x) => {
    if (side.isEmpty(y, x)) return { value: null, colour: DARK, kind: "nothing" };
    const value = side.at(channel, y, x);
    return { value, colour: colourOf(value, range), kind: "pixel" };
  };
  return { rows: side.rows, columns: side.columns, at, paint: painted(side.values, channel * side.rows * side.columns, side.columns, range, side.isEmpty) };
}

// writes the values of one map
function painted(values, start, columns, range, isEmpty = () => false) {
  return (pixels) => {
    const colour = tableOf(range);
    return (i, y, x) => {
      if (!isEmpty(y, x)) pixels[i] = colour(values[start + y * columns + x]);
    };
  };
}

function cached(view, name, channel, make) {
  return (view.grids[`${name}-${channel}`] ??= make(view, channel));
}

// --- how a value is worked out

function windowOf(view, channel) {
  const [down, across] = view.data.axes, side = view.arriving;
  const ys = down.windows[view.y], xs = across.windows[view.x];
  const isMax = view.data.work.kind === "max";
  const at = (y, x) => {
    const row = down.pixels[ys[y]], column = across.pixels[xs[x]];
    if (row === NOTHING || column === NOTHING) return { value: null, colour: DARK, kind: "nothing" };
    if (row === PADDING || column === PADDING) {
      return { value: isMax ? null : 0, colour: colourOf(0, side.range(channel)), kind: "padding" };
    }
    return pixelAt(view, channel, row, column);
  };
  const paint = (pixels) => (i, y, x) => {
    const { colour, kind } = at(y, x);
    if (kind !== "nothing") pixels[i] = abgr(colour, kind === "padding" ? FADED : 255);
  };
  return { rows: ys.length, columns: xs.length, ys, xs, at, paint };
}

function cellsOf(grid) {
  const cells = [];
  for (let y = 0; y < grid.rows; y++) for (let x = 0; x < grid.columns; x++) cells.push({ ...grid.at(y, x), y, x });
  return cells;
}

function kernelGrid(view, filter, input) {
  const { shape, values } = view.weights, [, inputs, rows, columns] = shape;
  const start = (filter * inputs + input) * rows * columns;
  const range = rangeOf(values, filter * inputs * rows * columns, (filter + 1) * inputs * rows * columns);
  const at = (y, x) => {
    const value = values[start + y * columns + x];
    return { value, colour: colourOf(value, range), kind: "pixel" };
  };
  return { rows, columns, at, paint: painted(values, start, columns, range) };
}

function workOutSum(view) {
  const { work, names } = view.data, [, inputs] = view.weights.shape, first = work.first[view.channel];
  const sums = [];
  let shownTerms = [];
  for (let i = 0; i < inputs; i++) {
    const values = cellsOf(windowOf(view, first + i)), weights = cellsOf(kernelGrid(view, view.channel, i));
    const products = values.map((cell, k) => (cell.value === null ? 0 : cell.value * weights[k].value));
    sums.push(products.reduce((a, b) => a + b, 0));
    if (first + i === view.inputChannel) shownTerms = values.map((cell, k) => `${bracketed(cell.value ?? 0)} · ${bracketed(weights[k].value)}`);
  }
  const bias = work.bias === null ? null : work.bias[view.channel], total = written(view.value);
  const biasWords = bias === null ? "" : ` + bias ${bracketed(bias)}`;
  const terms = shownTerms.length <= MOST_TERMS ? shownTerms.join(" + ") : `${shownTerms.length} products`;
  if (inputs === 1) return [`${terms}${biasWords} = ${total}`];
  const name = (i) => names[first + i] ?? `channel ${first + i + 1}`;
  const shown = view.inputChannel - first;
  const together =
    inputs <= MOST_SUMS
      ? sums.map((sum, i) => `${name(i)} ${bracketed(sum)}`).join(" + ")
      : `the sums of all ${inputs} channels ${bracketed(sums.reduce((a, b) => a + b, 0))}`;
  return [`${name(shown)}: ${terms} = ${written(sums[shown])}`, `${together}${biasWords} = ${total}`];
}

function workOutPool(view) {
  const cells = cellsOf(windowOf(view, view.channel)).filter((cell) => cell.value !== null);
  const isMax = view.data.work.kind === "max", total = written(view.value);
  if (isMax && !cells.length) return [`Nothing but padding lies in this window: ${total}`];
  const many = cells.length > MOST_TERMS;
  if (isMax) return [many ? `The largest of ${cells.length} values = ${total}` : `The largest of ${cells.map((c) => written(c.value)).join(", ")} = ${total}`];
  const [down, across] = view.data.axes, count = down.counted[view.y] * across.counted[view.x];
  const sum = many ? `the sum of ${cells.length} values` : cells.map((c) => bracketed(c.value)).join(" + ");
  return [`(${sum}) / ${count} = ${total}`];
}

function workOutTerms(view) {
  const index = view.y * view.leaving.columns + view.x, entry = view.data.work.terms[index];
  if (!entry) return [`= ${written(view.value)}`];
  const [largest, rest, numRest, bias] = entry;
  const words = largest.map(([i, x, w]) => `${bracketed(x)} · ${bracketed(w)}`).join(" + ");
  const others = numRest ? ` + ${bracketed(rest)} of the ${numRest.toLocaleString("en")} others` : "";
  const heading = numRest ? "The largest products, value · weight: " : "";
  return [`${heading}${words}${others}${bias === null ? "" : ` + bias ${bracketed(bias)}`} = ${written(view.value)}`];
}

function workOutSoftmax(view) {
  const { arriving } = view, all = [];
  if (arriving.count) for (let i = 0; i < arriving.count; i++) all.push(arriving.values[i]);
  else for (let c = 0; c < arriving.channels; c++) all.push(arriving.at(c, view.y, view.x));
  const x = arriving.count ? all[view.y * arriving.columns + view.x] : all[view.channel];
  const highest = Math.max(...all), shift = highest > 80 ? highest : 0;
  const power = (value) => (shift ? `exp(${written(value)} − ${bracketed(shift)})` : `exp(${written(value)})`);
  const sum = all.reduce((a, value) => a + Math.exp(value - shift), 0);
  const below = all.length <= MOST_SUMS ? all.map(power).join(" + ") : `${written(sum)}, the sum of all ${all.length}`;
  return [`${power(x)} / (${below}) = ${written(view.value)}`];
}

function workOutFormula(view) {
  const { formulas } = view.data.work, flat = flatIndex(view), x = view.arriving.values[flat];
  const [words, when, otherwise] = formulas[formulas.length > 1 ? view.channel : 0];
  const isOther = (when === "x<0" && x < 0) || (when === "y=0" && view.value === 0);
  const filled = (isOther ? otherwise : words).replaceAll("{x}", written(x)).replaceAll("{n}", written(-x)).replaceAll("{y}", written(view.value));
  return [`${view.leaving.count && !view.arriving.count ? `${placeOf(view.arriving, flat)}: ` : ""}${filled}`];
}

// where a flattened value comes from
function placeOf({ rows, columns, channels }, flat) {
  const inMap = flat % (rows * columns), channel = channels > 1 ? `channel ${Math.floor(flat / (rows * columns)) + 1}, ` : "";
  return `From ${channel}row ${Math.floor(inMap / columns) + 1}, column ${(inMap % columns) + 1}`;
}

// the place of the output value among all, which is that of its input where a layer works number by number
function flatIndex(view) {
  const { rows, columns, count } = view.leaving;
  return count ? view.y * columns + view.x : (view.channel * rows + view.y) * columns + view.x;
}

const WORK = { sum: workOutSum, max: workOutPool, mean: workOutPool, terms: workOutTerms, softmax: workOutSoftmax, formula: workOutFormula,
  "too much": () => ["More values arrive here than are sent to the browser. Choose a smaller input or fewer channels to see the sums."] };

// --- marks: what the value is made of

function marksOnInput(view) {
  const { kind } = view.data.work, colour = "#ff5fa2", side = view.arriving;
  if (view.data.axes.length && kind !== "too much") {
    const grid = windowOf(view, Math.max(0, view.inputChannel)), { ys, xs } = grid;
    const frame = { y: ys[0], x: xs[0], height: ys[ys.length - 1] - ys[0] + 1, width: xs[xs.length - 1] - xs[0] + 1, colour, line: 3 };
    if (kind !== "sum" && kind !== "max") return [frame];
    const isApart = ys.length * xs.length < frame.height * frame.width;
    const cells = isApart ? cellsOf(grid).map(({ y, x }) => ({ y: ys[y], x: xs[x], height: 1, width: 1, colour, line: 2 })) : [];
    const winner = winnerOf(view, grid);
    return [...cells, frame, ...(winner ? [{ y: ys[winner.y], x: xs[winner.x], height: 1, width: 1, colour: "#00e08a", line: 3 }] : [])];
  }
  const one = (index) => {
    const inMap = index % (side.rows * side.columns);
    return { y: Math.floor(inMap / side.columns), x: inMap % side.columns, height: 1, width: 1, colour, line: 2 };
  };
  if (kind === "formula" || (kind === "softmax" && !side.count)) return [one(flatIndex(view))];
  if (kind === "softmax") return [one(flatIndex(view))];
  if (kind === "terms") return (view.data.work.terms[view.y * view.leaving.columns + view.x]?.[0] ?? []).map(([index]) => one(index));
  return [];
}

function winnerOf(view, grid) {
  if (view.data.work.kind !== "max") return null;
  return cellsOf(grid).filter((cell) => cell.value !== null).reduce((best, cell) => (!best || cell.value > best.value ? cell : best), null);
}

// which input channel is shown: one that the output channel looks at
function settleInputChannel(view) {
  const { kind } = view.data.work, { arriving } = view;
  const [from, to] =
    kind === "sum"
      ? [view.data.work.first[view.channel], view.data.work.first[view.channel] + view.weights.shape[1]]
      : kind === "formula" && view.leaving.count && !arriving.count
        ? [Math.floor(flatIndex(view) / (arriving.rows * arriving.columns)), 0]
        : kind === "too much" ? [0, arriving.shown] : [view.channel, 0];
  view.inputs = [from, Math.min(Math.max(to, from + 1), arriving.shown)];
  view.inputChannel = Math.min(view.inputs[1] - 1, Math.max(view.inputs[0], view.wantedInput));
}

// --- the whole

function element(parent, name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.textContent = text;
  parent.append(node);
  return node;
}

function stepper(head, words, move) {
  const box = element(head, "span", "stepper");
  for (const [sign, text] of [[-1, "‹"], [1, "›"]]) {
    const button = element(box, "button", "step", text);
    button.type = "button";
    button.tabIndex = -1; // by keyboard: Page Up and Page Down on the output
    button.setAttribute("aria-label", `${sign < 0 ? "Previous" : "Next"} ${words}`);
    button.onclick = () => move(sign);
  }
  return box;
}

function panel(root, className, title) {
  const node = element(root, "div", className), head = element(node, "div", "head");
  element(head, "b", "", title);
  const about = element(head, "span", "about");
  return { node, head, about };
}

function build(root) {
  const view = { root, y: 0, x: 0, channel: 0, wantedInput: 0, grids: {} };
  view.input = panel(root, "panel arriving", "Input");
  view.inputStepper = stepper(view.input.head, "input channel", (by) => moveInput(view, by));
  view.inputCanvas = element(view.input.node, "canvas");
  view.inputCanvas.setAttribute("aria-hidden", "true");
  view.inputRange = element(view.input.node, "div", "range");
  view.between = element(root, "div", "panel between");
  view.window = panel(view.between, "inner", "Window");
  view.windowCanvas = element(view.window.node, "canvas");
  view.kernel = panel(view.between, "inner", "Kernel");
  view.kernelCanvas = element(view.kernel.node, "canvas");
  for (const canvas of [view.windowCanvas, view.kernelCanvas]) canvas.setAttribute("aria-hidden", "true");
  view.output = panel(root, "panel leaving", "Output");
  view.outputStepper = stepper(view.output.head, "output channel", (by) => moveChannel(view, by));
  view.outputCanvas = element(view.output.node, "canvas", "output");
  view.outputCanvas.tabIndex = 0;
  view.outputCanvas.setAttribute("role", "figure");
  view.outputRange = element(view.output.node, "div", "range");
  view.maps = element(view.output.node, "div", "maps");
  view.maps.setAttribute("aria-hidden", "true");
  view.worked = element(root, "div", "worked");
  view.worked.setAttribute("aria-live", "polite");
  view.outputCanvas.onpointermove = view.outputCanvas.onpointerdown = (event) => point(view, event);
  view.outputCanvas.onkeydown = (event) => onKey(view, event);
  view.observer = new ResizeObserver(() => view.data && root.clientWidth !== view.width && draw(view));
  view.observer.observe(root);
  return view;
}

function point(view, event) {
  const box = view.outputCanvas.getBoundingClientRect(), cell = box.width / view.leaving.columns;
  goTo(view, Math.floor((event.clientY - box.top) / cell), Math.floor((event.clientX - box.left) / cell));
}

function onKey(view, event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -view.x], End: [0, view.leaving.columns] };
  if (event.key in moves) goTo(view, view.y + moves[event.key][0], view.x + moves[event.key][1]);
  else if (event.key === "PageUp" || event.key === "PageDown") {
    (event.shiftKey ? moveInput : moveChannel)(view, event.key === "PageUp" ? -1 : 1);
  } else return;
  event.preventDefault();
}

function goTo(view, y, x) {
  const { rows, columns, isEmpty } = view.leaving;
  const [row, column] = [Math.min(rows - 1, Math.max(0, y)), Math.min(columns - 1, Math.max(0, x))];
  if ((row === view.y && column === view.x) || isEmpty(row, column)) return;
  Object.assign(view, { y: row, x: column });
  draw(view);
}

function moveChannel(view, by) {
  view.channel = (view.channel + by + view.leaving.shown) % view.leaving.shown;
  draw(view);
}

function moveInput(view, by) {
  const [from, to] = view.inputs;
  view.wantedInput = from + ((view.inputChannel - from + by + (to - from)) % (to - from));
  view.isComposite = false;
  draw(view);
}

function draw(view) {
  const { data, arriving, leaving } = view;
  view.width = view.root.clientWidth;
  view.root.classList.toggle("narrow", view.width < NARROW_PX);
  view.value = leaving.at(view.channel, view.y, view.x);
  settleInputChannel(view);
  const isComposite = data.isColour && view.isComposite, shown = isComposite ? -1 : view.inputChannel;
  const kind = data.work.kind, hasWindow = data.axes.length > 0 && kind !== "too much";
  view.between.style.display = hasWindow ? "" : "none";
  drawGrid(view.inputCanvas, cached(view, "input", shown, inputGrid), view.input.node.clientWidth, marksOnInput(view));
  if (hasWindow) drawWindow(view);
  const place = { y: view.y, x: view.x, height: 1, width: 1, colour: "#ff5fa2", line: leaving.columns > 100 ? 2 : 3 };
  drawGrid(view.outputCanvas, cached(view, "output", view.channel, outputGrid), view.output.node.clientWidth, [place]);
  say(view, isComposite);
}

function drawWindow(view) {
  const room = Math.min(view.between.clientWidth, 208), isSum = view.data.work.kind === "sum";
  const grid = windowOf(view, view.inputChannel), winner = winnerOf(view, grid);
  drawGrid(view.windowCanvas, grid, room, winner ? [{ ...winner, height: 1, width: 1, colour: "#00e08a", line: 3 }] : [], 44);
  view.kernel.node.style.display = isSum ? "" : "none";
  if (isSum) drawGrid(view.kernelCanvas, kernelGrid(view, view.channel, view.inputChannel - view.data.work.first[view.channel]), room, [], 44);
}

function say(view, isComposite) {
  const { data, arriving, leaving } = view, name = (i) => data.names[i] ?? `channel ${i + 1} of ${arriving.channels}`;
  const several = view.inputs[1] - view.inputs[0] > 1;
  view.input.about.textContent = arriving.channels > 1 ? (isComposite ? "in colour" : name(view.inputChannel)) : "";
  view.inputStepper.style.display = several ? "" : "none";
  view.window.about.textContent = arriving.channels > 1 ? `on ${data.names[view.inputChannel] ?? `channel ${view.inputChannel + 1}`}` : "";
  view.inputRange.textContent = isComposite ? "" : rangeWords(arriving.range(view.inputChannel));
  const more = leaving.channels > leaving.shown ? `; the first ${leaving.shown} channels are shown` : "";
  view.output.about.textContent = leaving.channels > 1 ? `channel ${view.channel + 1} of ${leaving.channels.toLocaleString("en")}` : "";
  view.outputStepper.style.display = leaving.shown > 1 ? "" : "none";
  view.outputRange.textContent = rangeWords(leaving.range(view.channel)) + more;
  [...view.maps.children].forEach((map, i) => map.classList.toggle("chosen", i === view.channel));
  const where = leaving.count ? `Value ${(view.y * leaving.columns + view.x + 1).toLocaleString("en")}` : `Row ${view.y + 1}, column ${view.x + 1}`;
  const channel = leaving.channels > 1 ? `, channel ${view.channel + 1}` : "";
  view.worked.replaceChildren();
  element(element(view.worked, "p", "line where"), "b", "", `${where}${channel}`);
  for (const text of WORK[data.work.kind](view)) element(view.worked, "p", "line sum", text);
}

function drawMaps(view) {
  view.maps.replaceChildren();
  if (view.leaving.shown < 2 || view.leaving.count) return;
  for (let channel = 0; channel < view.leaving.shown; channel++) {
    const map = element(view.maps, "canvas"), grid = cached(view, "output", channel, outputGrid);
    const side = Math.max(grid.rows, grid.columns), scale = MAP_PX / side;
    const context = sized(map, grid.columns * scale, grid.rows * scale);
    context.drawImage(imageOf({ ...grid, every: Math.max(1, Math.floor(side / MAP_PX)) }), 0, 0, grid.columns * scale, grid.rows * scale);
    map.onclick = () => {
      view.channel = channel;
      draw(view);
    };
  }
}

export default function ({ parentElement, data }) {
  let root = parentElement.querySelector(".layer-view");
  if (!root) {
    element(parentElement, "style").textContent = CSS;
    root = element(parentElement, "div", "layer-view");
    root.trainscope = build(root);
  }
  const view = root.trainscope, isFirst = !view.data;
  view.data = data;
  view.grids = {};
  view.arriving = sideOf(data.arriving);
  view.leaving = sideOf(data.leaving);
  view.weights = data.work.weights ? unpacked(data.work.weights) : null;
  const { rows, columns } = view.leaving, isLarge = Math.max(rows, columns) > MOST_NUMBERS;
  const of = `${data.title} ${data.arriving.shape}`;
  if (isFirst || view.of !== of) {
    const at = isLarge && !view.leaving.count ? 2 : Infinity; // the middle of an image, the first of a small matrix
    Object.assign(view, { y: Math.floor(rows / at), x: Math.floor(columns / at), channel: 0, wantedInput: 0, isComposite: true });
  }
  view.of = of;
  view.y = Math.min(view.y, rows - 1);
  view.x = Math.min(view.x, columns - 1);
  view.channel = Math.min(view.channel, view.leaving.shown - 1);
  if (view.leaving.isEmpty(view.y, view.x)) Object.assign(view, { y: 0, x: 0 });
  const moves = view.leaving.shown > 1 ? "The arrow keys move the pixel, Page Up and Page Down change the channel." : "The arrow keys move the pixel.";
  view.outputCanvas.setAttribute("aria-label", `Output of ${data.title}. ${moves}`);
  drawMaps(view);
  draw(view);
  return () => {
    if (!root.isConnected) view.observer.disconnect();
  };
}
