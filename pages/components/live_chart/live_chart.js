// plotly.min.js comes from the Python package, through the server's own route: no outside host.
function loadPlotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  window.trainscopePlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("trainscope/plotly.min.js", document.baseURI).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = reject;
    document.head.append(script);
  });
  return window.trainscopePlotly;
}

function themeOf(element) {
  const style = getComputedStyle(element);
  return {
    color: style.getPropertyValue("--st-text-color").trim() || style.color,
    background: style.getPropertyValue("--st-background-color").trim(),
    family: style.getPropertyValue("--st-font").trim() || style.fontFamily,
  };
}

// A card beside the pointer with the picture of the point under it. Names from outside are set as text, never as markup.
const CARD_PX = 112, REST_MS = 40; // a pointer that only passes fetches nothing

function cardOf(node) {
  if (node.trainscopeCard) return node.trainscopeCard;
  const card = document.createElement("div");
  card.className = "trainscope-card";
  card.setAttribute("role", "tooltip");
  Object.assign(card.style, {
    position: "fixed", zIndex: 1000, display: "none", pointerEvents: "none", padding: "0.4rem", borderRadius: "0.4rem", maxWidth: "14rem",
    background: "var(--st-background-color)", color: "var(--st-text-color)", border: "1px solid rgba(138,143,152,0.5)",
    font: "0.8rem/1.35 var(--st-font, sans-serif)", whiteSpace: "pre-line", overflowWrap: "anywhere",
  });
  const image = document.createElement("img"), words = document.createElement("div");
  image.alt = "";
  Object.assign(image.style, { display: "block", width: `${CARD_PX}px`, height: `${CARD_PX}px`, objectFit: "contain", imageRendering: "pixelated",
    marginBottom: "0.25rem" });
  card.append(image, words);
  node.parentElement.append(card);
  node.addEventListener("mouseleave", () => hideCard(node));
  return (node.trainscopeCard = card);
}

function showCard(node, { points, event }) {
  const prefix = node.trainscopeData.pictures, point = points?.[0];
  if (!prefix || !point?.customdata || !event) return;
  const card = cardOf(node), [image, words] = card.children;
  clearTimeout(node.trainscopeRest);
  node.trainscopeRest = setTimeout(() => {
    const url = new URL(prefix + point.customdata[0], document.baseURI).href;
    if (image.src !== url) {
      image.src = url;
      image.onload = () => (image.style.imageRendering = image.naturalWidth < CARD_PX ? "pixelated" : "auto");
    }
    words.textContent = point.text ?? "";
    card.style.display = "block";
    const { width, height } = card.getBoundingClientRect();
    const left = event.clientX + 16 + width < window.innerWidth ? event.clientX + 16 : event.clientX - 16 - width;
    card.style.left = `${Math.max(4, left)}px`;
    card.style.top = `${Math.max(4, Math.min(event.clientY + 12, window.innerHeight - height - 4))}px`;
  }, REST_MS);
}

function hideCard(node) {
  clearTimeout(node.trainscopeRest);
  if (node.trainscopeCard) node.trainscopeCard.style.display = "none";
}

// the class whose name on an axis lies under the pointer, as [x, y] with the other one null: its number, for names may be cut or escaped
function axisName(node, { clientX, clientY }) {
  for (const kind of ["x", "y"]) {
    const classes = node._fullLayout?.meta?.classes;
    for (const name of classes?.length ? node.querySelectorAll(`.${kind}tick text`) : []) {
      const { left, right, top, bottom } = name.getBoundingClientRect();
      const number = classes[Math.round(name.__data__?.x ?? name.parentNode.__data__?.x)];
      if (number !== undefined && clientX >= left - 3 && clientX <= right + 3 && clientY >= top - 3 && clientY <= bottom + 3)
        return kind === "x" ? [number, null] : [null, number];
    }
  }
}

// Plotly lays handles for dragging over the names and takes their clicks: seen here before it does
function watchAxisNames(node) {
  node.addEventListener(
    "pointerdown",
    (down) => {
      const place = node.trainscopeData.canClick && axisName(node, down);
      if (!place) return;
      const up = ({ clientX, clientY }) => {
        if (Math.hypot(clientX - down.clientX, clientY - down.clientY) < 5) node.trainscopeName(place);
      };
      window.addEventListener("pointerup", up, { once: true, capture: true });
    },
    true,
  );
}

// by the arrow keys from cell to cell of a matrix, or from point to point; Enter is a click
const HOVER_MS = 80; // Plotly hovers at most every 50 ms
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function walk(node, event) {
  if (event.key === "Enter" && node.trainscopeAt !== undefined) {
    event.preventDefault();
    setTimeout(() => node._hoverdata?.length && node.trainscopeClick({ points: node._hoverdata }), HOVER_MS);
    return;
  }
  const step = STEPS[event.key], traces = node._fullData ?? [];
  if (!step || !traces.length) return;
  event.preventDefault();
  const matrix = traces.findIndex((trace) => trace.type === "heatmap");
  let target;
  if (matrix >= 0) {
    const { z } = node.calcdata[matrix][0], at = node.trainscopeAt;
    const [row, column] = at ? [at[0] + step[0], at[1] + step[1]] : [0, 0];
    const place = [Math.min(Math.max(row, 0), z.length - 1), Math.min(Math.max(column, 0), z[0].length - 1)];
    node.trainscopeAt = place;
    target = { xval: place[1], yval: place[0] };
  } else {
    const sizes = traces.map((trace) => (trace.visible === true && trace.hoverinfo !== "skip" ? trace.x?.length ?? 0 : 0));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (!total) return;
    let place = node.trainscopeAt === undefined ? 0 : (node.trainscopeAt + step[0] + step[1] + total) % total;
    node.trainscopeAt = place;
    let curve = 0;
    while (place >= sizes[curve]) place -= sizes[curve++];
    target = { curveNumber: curve, xval: traces[curve].x[place], yval: traces[curve].y[place] };
  }
  window.Plotly.Fx.hover(node, target.curveNumber === undefined ? target : [target]);
  setTimeout(() => {
    spoken(node).textContent = [...node.querySelectorAll(".hoverlayer .hovertext text")].map((text) => text.textContent).join(" ");
  }, HOVER_MS);
}

function spoken(node) {
  let words = node.querySelector(".spoken");
  if (!words) {
    words = document.createElement("div");
    words.className = "spoken";
    words.setAttribute("aria-live", "polite");
    words.style.cssText = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)";
    node.append(words);
  }
  return words;
}

// the server answers once there is a first point; by then the page may have brought it, and the rest
async function awaitFirst(node) {
  const url = node.trainscopeData.first;
  if (node.trainscopeFirst === url) return;
  node.trainscopeFirst = url;
  while (node.isConnected && node.trainscopeData.first === url) {
    const answer = await fetch(new URL(url, document.baseURI)).catch(() => null);
    if (!answer?.ok || node.trainscopeData.first !== url) return;
    if (answer.status === 204) continue; // not yet
    node.trainscopeData = { ...node.trainscopeData, figure: await answer.text(), first: "" };
    draw(node);
  }
}

async function draw(node) {
  const { figure, alt, height } = node.trainscopeData;
  const theme = themeOf(node);
  const state = figure + theme.color + theme.background;
  if (node.trainscopeState === state) return; // nothing new to draw
  node.trainscopeState = state;
  node.style.height = `${height}px`;
  const canBeOpened = node.trainscopeData.canClick || node.trainscopeData.canPick;
  node.setAttribute("aria-label", canBeOpened ? `${alt}. The arrow keys move within it, Enter opens.` : alt);
  if (canBeOpened) node.tabIndex = 0;
  const Plotly = await loadPlotly();
  if (node.trainscopeState !== state) return; // newer points arrived while the script was loading
  const { data, layout } = JSON.parse(figure);
  const font = { color: theme.color, family: theme.family, size: 13 };
  const hoverlabel = { bgcolor: theme.background, font };
  // two buttons, none of which sends anything anywhere; none at all where nothing hovers, since they would stay and cover the chart
  const canHover = window.matchMedia("(hover: hover)").matches;
  const options = {
    responsive: true, displaylogo: false, displayModeBar: canHover ? "hover" : false, showSendToCloud: false, showEditInChartStudio: false,
    modeBarButtons: [["toImage", "resetScale2d"]],
  };
  await Plotly.react(node, data, { ...layout, font, hoverlabel, uirevision: "kept", autosize: true }, options);
  for (const button of node.querySelectorAll(".modebar-btn")) button.tabIndex = -1; // no stops of the Tab key
  for (const name of ["plotly_click", "plotly_hover", "plotly_unhover"]) node.removeAllListeners(name);
  node.on("plotly_click", (event) => node.trainscopeClick(event));
  if (node.trainscopeData.pictures) {
    node.on("plotly_hover", (event) => showCard(node, event));
    node.on("plotly_unhover", () => hideCard(node));
  }
  if (node.trainscopeData.first) awaitFirst(node);
  node.dataset.points = String(data.reduce((sum, trace) => sum + (trace.y?.length ?? trace.y?.bdata?.length ?? 0), 0));
}

export default function ({ parentElement, data, setTriggerValue }) {
  if (!data.figure) return void loadPlotly();
  let node = parentElement.querySelector(".trainscope-chart");
  if (!node) {
    node = document.createElement("div");
    node.className = "trainscope-chart";
    node.setAttribute("role", "figure");
    node.style.width = "100%";
    parentElement.append(node);
    watchAxisNames(node);
    node.addEventListener("keydown", (event) => event.target === node && walk(node, event));
    // a theme changes the page's colours without a word to components: looked at when the system's scheme or the page's style does
    node.trainscopeWatch = new MutationObserver(() => draw(node));
    node.trainscopeWatch.observe(document.documentElement, { attributes: true });
    node.trainscopeWatch.observe(document.head, { childList: true });
    const root = document.querySelector("[data-testid='stApp']");
    if (root) node.trainscopeWatch.observe(root, { attributes: true, attributeFilter: ["class", "style"] });
  }
  node.trainscopeData = data;
  node.trainscopeName = (place) => setTriggerValue("clicked", place);
  node.trainscopeClick = ({ points }) => {
    if (!points?.length) return;
    if (data.canClick && points[0].customdata) {
      const numbers = Array.from(points[0].customdata);
      setTriggerValue("clicked", points[0].data.type === "heatmap" ? numbers.slice(-2) : [null, numbers.at(-1)]);
    }
    const id = points[0].customdata?.at?.(-1);
    if (data.canPick && Number.isInteger(id)) {
      hideCard(node);
      setTriggerValue("picked", id);
    }
  };
  draw(node);
  return () => {
    if (node.isConnected) return;
    hideCard(node);
    node.trainscopeWatch.disconnect();
    window.Plotly?.purge(node);
  };
}
