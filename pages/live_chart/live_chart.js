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

function themed(layout, element) {
  const style = getComputedStyle(element);
  const color = style.getPropertyValue("--st-text-color").trim() || style.color;
  const family = style.getPropertyValue("--st-font").trim() || style.fontFamily;
  const background = style.getPropertyValue("--st-background-color").trim();
  return {
    ...layout,
    font: { color, family, size: 13 },
    hoverlabel: { bgcolor: background, font: { color, family } },
    uirevision: "kept",
    autosize: true,
  };
}

export default async function ({ parentElement, data }) {
  if (!data.figure) return void loadPlotly();
  let node = parentElement.querySelector(".trainscope-chart");
  if (!node) {
    node = document.createElement("div");
    node.className = "trainscope-chart";
    node.setAttribute("role", "img");
    node.style.width = "100%";
    parentElement.append(node);
  }
  if (node.trainscopeData?.figure === data.figure) return; // nothing new to draw
  node.style.height = `${data.height}px`;
  node.setAttribute("aria-label", data.alt);
  node.trainscopeData = data;
  const Plotly = await loadPlotly();
  if (node.trainscopeData !== data) return; // newer points arrived while the script was loading
  const figure = JSON.parse(data.figure);
  await Plotly.react(node, figure.data, themed(figure.layout, node), { responsive: true, displaylogo: false, displayModeBar: "hover" });
  node.dataset.points = String(figure.data.reduce((sum, trace) => sum + (trace.y?.length ?? trace.y?.bdata?.length ?? 0), 0));
}
