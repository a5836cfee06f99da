// Digits, the guess under each, and the loss over the epochs, drawn from a recorded run. Nothing moves for those who asked for less motion.
const CSS = `
.demo { display: grid; gap: 0.75rem; }
.demo .digits { display: grid; grid-template-columns: repeat(10, 1fr); gap: 0.35rem; }
.demo figure { margin: 0; text-align: center; font-size: 0.95rem; font-weight: 600; color: var(--st-text-color); }
.demo canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 0.3rem; border-bottom: 4px solid #d55e00; }
.demo .right canvas { border-bottom-color: #009e73; }
.demo .below { display: flex; align-items: center; gap: 1rem; color: var(--st-text-color); font-size: 0.9rem; }
.demo svg { flex: 1; height: 56px; min-width: 0; overflow: visible; }
.demo polyline { fill: none; stroke: #0072b2; stroke-width: 2.5; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.demo .figures { min-width: 8.5rem; font-variant-numeric: tabular-nums; line-height: 1.4; }
.demo .figures strong { font-size: 1.3rem; }
.demo button { all: unset; cursor: pointer; padding: 0.2rem 0.5rem; border-radius: 0.3rem; border: 1px solid currentColor; opacity: 0.8; }
.demo button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
`;
const FRAME_MS = 600, REST_FRAMES = 5;

function element(parent, name, className) {
  const node = document.createElement(name);
  if (className) node.className = className;
  parent.append(node);
  return node;
}

function paint(canvas, pixels) {
  const side = Math.sqrt(pixels.length);
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), image = context.createImageData(side, side);
  pixels.forEach((value, i) => image.data.set([value * 17, value * 17, value * 17, 255], 4 * i));
  context.putImageData(image, 0, 0);
}

function build(root, run) {
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "A recorded training: the guesses for 20 handwritten digits turn right, epoch by epoch, while the loss falls");
  const digits = element(root, "div", "digits");
  const figures = run.images.map((pixels, i) => {
    const figure = element(digits, "figure"), canvas = element(figure, "canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `A handwritten ${run.labels[i]}`);
    paint(canvas, pixels);
    return { figure, guess: element(figure, "figcaption") };
  });
  const below = element(root, "div", "below"), words = element(below, "div", "figures");
  const svg = below.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "polyline"));
  const button = element(below, "button");
  button.type = "button";
  return { figures, words, line, button };
}

function show(parts, run, frame) {
  const last = run.epochs.length - 1, now = Math.min(frame, last), top = Math.max(...run.loss);
  parts.figures.forEach(({ figure, guess }, i) => {
    const said = run.guesses[now][i];
    guess.textContent = String(said);
    figure.classList.toggle("right", said === run.labels[i]);
  });
  parts.words.replaceChildren();
  element(parts.words, "strong").textContent = `${(100 * run.accuracy[now]).toFixed(1)} % right`;
  element(parts.words, "div").textContent = `epoch ${run.epochs[now]} of ${run.epochs[last]}, loss ${run.loss[now].toFixed(2)}`;
  const points = run.loss.slice(0, now + 1).map((loss, i) => `${(100 * i) / last},${100 - (100 * loss) / top}`);
  parts.line.setAttribute("points", points.join(" "));
}

export default function ({ parentElement, data }) {
  if (parentElement.querySelector(".demo")) return;
  const style = element(parentElement, "style");
  style.textContent = CSS;
  const root = element(parentElement, "div", "demo"), parts = build(root, data);
  const last = data.epochs.length - 1, isStill = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  let frame = isStill ? last : 0, timer = null;
  const step = () => {
    frame = frame >= last + REST_FRAMES ? 0 : frame + 1;
    show(parts, data, frame);
  };
  const play = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(step, FRAME_MS) : null;
    parts.button.textContent = on ? "Pause" : "Play";
  };
  parts.button.onclick = () => play(timer === null);
  show(parts, data, frame);
  play(!isStill);
  return () => {
    if (!root.isConnected) clearInterval(timer);
  };
}
