// The image of a step, its token grid, and the image it is compared with. Nodes stay; only what changed is set.
const find = (name) => element.querySelector("." + name);
const names = ["now", "other", "grid", "nothing", "figure", "prompt", "told", "save"];
const [image, other, grid, empty, figure, prompt, told, save] = names.map(find);
const split = element.querySelector("input[type=range]");
const SVG = "http://www.w3.org/2000/svg";
const NAMES = { none: "", prefix: "optimised prefix", changed: "changed cells", probability: "probability", entropy: "entropy" };
const LEGEND = {
  prefix: "Outlined: tokens decoded from optimised latents. The rest follows from them.",
  changed: "Hatched: tokens that differ from the step compared with.",
  probability: "The darker a cell, the less likely its token was.",
  entropy: "The darker a cell, the more the model hesitated there.",
};
let overlay = "none";

const cell = (side, at, kind, opacity, text) => {
  const rect = document.createElementNS(SVG, "rect");
  const inset = kind === "prefix" ? 0.06 : 0;
  rect.setAttribute("x", (at % side) + inset);
  rect.setAttribute("y", Math.floor(at / side) + inset);
  rect.setAttribute("width", 1 - 2 * inset);
  rect.setAttribute("height", 1 - 2 * inset);
  rect.setAttribute("class", kind);
  if (opacity !== null) rect.setAttribute("fill-opacity", opacity.toFixed(3));
  const title = document.createElementNS(SVG, "title");
  title.textContent = text;
  rect.append(title);
  return rect;
};
const describe = (v, at) => {
  const parts = [`token ${at}: row ${Math.floor(at / v.side) + 1}, column ${(at % v.side) + 1}`];
  if (v.probability.length) parts.push(`p ${v.probability[at].toFixed(2)}, entropy ${v.entropy[at].toFixed(2)}`);
  if (v.prefix.includes(at)) parts.push("optimised");
  if (v.changed.includes(at)) parts.push("changed");
  return parts.join("; ");
};
const paint = () => {
  const v = props.value;
  grid.querySelectorAll("rect:not(.pattern)").forEach((node) => node.remove());
  grid.toggleAttribute("hidden", overlay === "none" || !v.side);
  let legend = LEGEND[overlay] || "";
  if (overlay !== "none" && v.side) {
    grid.setAttribute("viewBox", `0 0 ${v.side} ${v.side}`);
    const heat = overlay === "probability" ? v.probability.map((p) => 1 - p) : overlay === "entropy" ? v.entropy : null;
    for (let at = 0; at < v.side * v.side; at++) {
      const marked = overlay === "prefix" ? v.prefix.includes(at) : overlay === "changed" && v.changed.includes(at);
      const kind = heat && heat.length ? "heat" : marked ? overlay : "plain";
      grid.append(cell(v.side, at, kind, kind === "heat" ? 0.85 * heat[at] : null, describe(v, at)));
    }
    if (heat && !heat.length) legend = "This run was recorded without probabilities.";
    if (overlay === "prefix" && !v.prefix.length) legend = "No image token was decoded from an optimised latent at this step.";
    if (overlay === "changed") legend += v.other ? ` ${v.changed.length} of ${v.side * v.side} differ from step ${v.other.index}.` : " There is no other step to compare with.";
  }
  told.textContent = legend;
};
const load = (node, source, alt) => {
  if (node.getAttribute("src") !== source) {
    const next = new Image();
    next.src = source;
    next.decode().catch(() => {}).then(() => { if (node.dataset.wanted === source) node.src = source; });
  }
  node.dataset.wanted = source;
  node.alt = alt;
};
const draw = () => {
  const v = props.value;
  const any = Boolean(v && v.image);
  empty.hidden = any;
  figure.hidden = !any;
  if (!any) return;
  prompt.textContent = prompt.title = v.prompt;
  load(image, v.image, v.alt);
  image.dataset.step = v.index;
  save.href = v.image;
  save.download = v.file;
  const reveal = element.querySelector(".reveal");
  reveal.hidden = other.hidden = !v.other;
  if (v.other) {
    load(other, v.other.image, "");
    reveal.querySelector(".name").textContent = `step ${v.other.index} over step ${v.index}`;
    split.setAttribute("aria-label", `Uncover step ${v.other.index} over step ${v.index}, in percent of the width`);
  }
  paint();
};
const cut = () => element.style.setProperty("--split", `${100 - split.value}%`);
split.addEventListener("input", cut);
element.querySelectorAll("input[name=overlay]").forEach((node) =>
  node.addEventListener("change", () => { overlay = node.value; paint(); }),
);
const KEYS = { ArrowLeft: { by: -1 }, ArrowRight: { by: 1 }, Home: { to: 0 }, End: { to: "last" } };
find("frame").addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  document.dispatchEvent(new CustomEvent("milr-goto", { detail: KEYS[event.key] }));
});
cut();
watch("value", draw);
draw();
