// A picture at its own size or a whole multiple of it (never blurred), made smaller only where the room is too small.
const CSS = `
.large-picture { display: flex; flex-direction: column; align-items: center; gap: 0.4rem; }
.large-picture img { display: block; border-radius: 0.4rem; background: var(--st-secondary-background-color); }
.large-picture .gone { font-size: 0.875rem; color: var(--st-text-color); }
`;

export default function ({ parentElement, data }) {
  let root = parentElement.querySelector(".large-picture");
  if (!root) {
    const style = document.createElement("style");
    style.textContent = CSS;
    root = document.createElement("div");
    root.className = "large-picture";
    parentElement.append(style, root);
  }
  function fit() {
    const image = root.querySelector("img");
    const [width, height] = image.size;
    const room = Math.min(root.clientWidth / width, (data.share * window.innerHeight) / height);
    const factor = room >= 1 ? Math.floor(room) : room;
    image.style.width = `${width * factor}px`;
    image.style.height = `${height * factor}px`;
    image.style.imageRendering = factor >= 2 ? "pixelated" : "auto";
  }
  const url = new URL(data.url, document.baseURI).href;
  if (root.trainscopeUrl !== url) {
    root.trainscopeUrl = url;
    const image = document.createElement("img");
    image.size = [data.width, data.height];
    image.alt = data.alt;
    image.onerror = () => {
      image.onerror = null;
      const gone = document.createElement("div");
      gone.className = "gone";
      gone.textContent = data.gone;
      root.append(gone);
      image.onload = () => {
        image.size = [image.naturalWidth, image.naturalHeight];
        fit();
      };
      image.src = new URL(data.stored, document.baseURI).href;
    };
    root.replaceChildren(image);
    image.src = url;
  }
  fit();
  const observer = new ResizeObserver(fit);
  observer.observe(root);
  window.addEventListener("resize", fit);
  return () => {
    observer.disconnect();
    window.removeEventListener("resize", fit);
  };
}
