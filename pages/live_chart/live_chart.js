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

async function draw(node) {
  const { figure, alt, height } = node.trainscopeData;
  const theme = themeOf(node);
  const state = figure + theme.color + theme.background;
  if (node.trainscopeState === state) return; // nothing new to draw
  node.trainscopeState = state;
  node.style.height = `${height}px`;
  node.setAttribute("aria-label", alt);
  const Plotly = await loadPlotly();
  if (node.trainscopeState !== state) return; // newer points arrived while the script was loading
  const { data, layout } = JSON.parse(figure);
  const font = { color: theme.color, family: theme.family, size: 13 };
  const hoverlabel = { bgcolor: theme.background, font };
  const options = { responsive: true, displaylogo: false, displayModeBar: "hover" };
  await Plotly.react(node, data, { ...layout, font, hoverlabel, uirevision: "kept", autosize: true }, options);
  node.removeAllListeners("plotly_click");
  node.on("plotly_click", (event) => node.trainscopeClick(event));
  node.dataset.points = String(data.reduce((sum, trace) => sum + (trace.y?.length ?? trace.y?.bdata?.length ?? 0), 0));
}

export default function ({ parentElement, data, setTriggerValue }) {
  if (!data.figure) return void loadPlotly();
  let node = parentElement.querySelector(".trainscope-chart");
  if (!node) {
    node = document.createElement("div");
    node.className = "trainscope-chart";
    node.setAttribute("role", "img");
    node.style.width = "100%";
    parentElement.append(node);
    // a theme changes the page's colours without a word to components: looked at when the system's scheme or the page's style does
    node.trainscopeWatch = new MutationObserver(() => draw(node));
    node.trainscopeWatch.observe(document.documentElement, { attributes: true });
    node.trainscopeWatch.observe(document.head, { childList: true });
    const root = document.querySelector("[data-testid='stApp']");
    if (root) node.trainscopeWatch.observe(root, { attributes: true, attributeFilter: ["class", "style"] });
  }
  node.trainscopeData = data;
  node.trainscopeClick = ({ points }) => {
    if (data.canClick && points?.length) setTriggerValue("clicked", [points[0].x, points[0].y].map(String));
  };
  draw(node);
  return () => {
    if (node.isConnected) return;
    node.trainscopeWatch.disconnect();
    window.Plotly?.purge(node);
  };
}
