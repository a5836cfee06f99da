// Tiles that open on click or Enter and are marked by their box or the space bar; shift marks all from the last one on.
// Everything from outside is set as text, never as markup.
const CSS = `
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--side), 1fr)); gap: 0.75rem; }
.tile { position: relative; min-width: 0; }
.tile button { all: unset; box-sizing: border-box; display: block; width: 100%; cursor: pointer; border-radius: 0.4rem; }
.tile button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.tile .images { display: flex; gap: 0.25rem; }
.tile img { display: block; flex: 1; width: 100%; min-width: 0; aspect-ratio: var(--ratio); object-fit: contain; image-rendering: pixelated;
  background: var(--st-secondary-background-color); border-radius: 0.4rem; }
.tile.marked img { outline: 3px solid var(--st-primary-color); }
.tile.dimmed img { opacity: 0.35; }
.tile input { position: absolute; top: 0.3rem; left: 0.3rem; width: 1.1rem; height: 1.1rem; margin: 0; cursor: pointer;
  accent-color: var(--st-primary-color); opacity: 0.75; }
.tile input:checked, .tile:hover input, .tile input:focus { opacity: 1; }
.tile .line { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 0.8rem; line-height: 1.35;
  color: var(--st-text-color); unicode-bidi: plaintext; }
.tile .line + .line { opacity: 0.65; }
`;

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  let root = parentElement.querySelector(".tiles");
  if (!root) {
    const style = document.createElement("style");
    style.textContent = CSS;
    root = document.createElement("div");
    root.className = "tiles";
    root.setAttribute("role", "list");
    parentElement.append(style, root);
  }
  const state = JSON.stringify({ ...data, marked: null }); // marks are set here first: they alone are no reason to draw anew
  if (root.trainscopeState === state) return;
  root.trainscopeState = state;
  root.style.setProperty("--side", `${data.side}px`);
  root.style.setProperty("--ratio", String(data.ratio));
  root.setAttribute("aria-label", data.label);
  const marked = new Set(data.marked);
  root.trainscopeLast = null;
  function mark(position, on, through) {
    const last = root.trainscopeLast ?? null;
    const [from, to] = through && last !== null ? [Math.min(last, position), Math.max(last, position)] : [position, position];
    for (let n = from; n <= to; n++) {
      const { id } = data.tiles[n];
      if (on) marked.add(id);
      else marked.delete(id);
      const tile = root.children[n];
      tile.classList.toggle("marked", on);
      const box = tile.querySelector("input");
      if (box) box.checked = on;
    }
    root.trainscopeLast = position;
    setStateValue("marked", [...marked]);
  }

  root.replaceChildren(
    ...data.tiles.map((tile, position) => {
      const element = document.createElement("div");
      element.className = "tile";
      element.setAttribute("role", "listitem");
      element.classList.toggle("marked", marked.has(tile.id));
      element.classList.toggle("dimmed", Boolean(tile.dimmed));
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.id = String(tile.id);
      const images = document.createElement("span");
      images.className = "images";
      for (const url of tile.urls) {
        const image = document.createElement("img");
        image.src = new URL(url, document.baseURI).href;
        image.alt = tile.lines.join(", ");
        image.loading = "lazy";
        image.decoding = "async";
        images.append(image);
      }
      button.append(images);
      for (const text of tile.lines) {
        const line = document.createElement("span");
        line.className = "line";
        line.textContent = text;
        line.title = text;
        button.append(line);
      }
      button.onclick = () => setTriggerValue("opened", tile.id);
      button.onkeydown = (event) => {
        if (event.key !== " " || !data.canMark) return;
        event.preventDefault();
        mark(position, !marked.has(tile.id), event.shiftKey);
      };
      element.append(button);
      if (data.canMark) {
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = marked.has(tile.id);
        box.tabIndex = -1;
        box.setAttribute("aria-label", `Mark ${tile.lines[0] ?? ""}`);
        box.onclick = (event) => mark(position, box.checked, event.shiftKey);
        element.append(box);
      }
      return element;
    }),
  );
}
