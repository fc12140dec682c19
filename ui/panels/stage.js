// Two pictures with what the critic saw in them, and the grid of cells over the one shown. Nodes stay; only what changed
// is set. A box and the words of the plan that it came from light up together ("data-box" in the reasoning).
const find = (name) => element.querySelector("." + name);
const [empty, stage, prompt, verdict, save, now, before] = ["nothing", "stage", "prompt", "verdict", "save", "now", "before"].map(find);
const grid = now.querySelector(".grid"), seen = element.querySelector(".seen input");
const SIGN = { found: "✓", missed: "✗", ignored: "+" };
const LEGEND = {
  prefix: "Outlined: cells that the search moved. The model draws the rest from them.",
  changed: "Hatched: cells that differ from the step compared with.",
  probability: "The darker a cell, the less likely the model thought it.",
  entropy: "The darker a cell, the less sure the model was of it.",
};
let overlay = "none", lit = "", held = "";

const describe = (v, at) => {
  const parts = [`cell ${at}: row ${Math.floor(at / v.side) + 1}, column ${(at % v.side) + 1}`];
  if (v.probability.length) parts.push(`p ${v.probability[at].toFixed(2)}, entropy ${v.entropy[at].toFixed(2)}`);
  if (v.prefix.includes(at)) parts.push("moved by the search");
  if (v.changed.includes(at)) parts.push("changed");
  return parts.join("; ");
};
const cell = (v, at, kind, opacity) => {
  const inset = kind === "prefix" ? 0.06 : 0, size = 1 - 2 * inset;
  const place = `x="${(at % v.side) + inset}" y="${Math.floor(at / v.side) + inset}" width="${size}" height="${size}"`;
  const heat = kind === "heat" ? ` fill-opacity="${opacity.toFixed(3)}"` : "";
  return `<rect ${place} class="${kind}"${heat}><title>${describe(v, at)}</title></rect>`;
};
const within = (v, at, box) => {
  const x = ((at % v.side) + 0.5) / v.side, y = (Math.floor(at / v.side) + 0.5) / v.side;
  return x > box.x0 && x < box.x1 && y > box.y0 && y < box.y1;
};
const paint = () => {
  const v = props.value;
  const box = lit && v.now.boxes[lit];
  const cells = [];
  let legend = LEGEND[overlay] || "";
  if (v.side && (overlay !== "none" || box)) {
    grid.setAttribute("viewBox", `0 0 ${v.side} ${v.side}`);
    const heat = overlay === "probability" ? v.probability.map((p) => 1 - p) : overlay === "entropy" ? v.entropy : null;
    for (let at = 0; at < v.side * v.side; at++) {
      const marked = overlay === "prefix" ? v.prefix.includes(at) : overlay === "changed" && v.changed.includes(at);
      const kind = heat && heat.length ? "heat" : marked ? overlay : overlay === "none" ? "" : "plain";
      if (kind) cells.push(cell(v, at, kind, heat && 0.85 * heat[at]));
      if (box && within(v, at, box)) cells.push(cell(v, at, "linked"));
    }
    if (heat && !heat.length) legend = "This run was recorded without probabilities.";
    if (overlay === "prefix" && !v.prefix.length) legend = "The search moved no cell in this step.";
    if (overlay === "changed") legend += ` ${v.changed.length} of ${v.side * v.side} differ from step ${v.before.index}.`;
  }
  grid.innerHTML = cells.join(""); // figures alone, no text of a model's
  const told = document.querySelector("#overlays .told");
  if (told) told.textContent = legend;
};
const light = (box) => {
  if (!props.value.now) return;
  lit = box;
  document.querySelectorAll("#reasoning [data-box]").forEach((word) => word.classList.toggle("lit", lit !== "" && word.dataset.box === lit));
  now.querySelectorAll(".box").forEach((node, at) => node.classList.toggle("lit", String(at) === lit));
  paint();
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
const outline = (box, at) => {
  const node = document.createElement("div");
  node.className = `box ${box.state}${box.y0 < 0.07 ? " top" : ""}`; // at the upper edge its name stands inside
  node.dataset.at = at;
  node.style.cssText = `left:${100 * box.x0}%;top:${100 * box.y0}%;width:${100 * (box.x1 - box.x0)}%;height:${100 * (box.y1 - box.y0)}%`;
  const name = node.appendChild(document.createElement("span"));
  name.textContent = `${SIGN[box.state]} ${box.label}`;
  return node;
};
const fill = (figure, side, said) => {
  figure.querySelector(".where").textContent = `${said}step ${side.index}`;
  figure.querySelector(".points").textContent = side.score;
  figure.querySelector(".badge").hidden = !side.best;
  load(figure.querySelector("img"), side.image, side.alt);
  figure.querySelector(".boxes").replaceChildren(...side.boxes.map(outline));
};
const draw = () => {
  const v = props.value;
  const any = Boolean(v && v.now);
  empty.hidden = any;
  stage.hidden = !any;
  if (!any) return;
  prompt.textContent = prompt.title = v.prompt;
  verdict.textContent = v.verdict;
  fill(now, v.now, "");
  fill(before, v.before, "");
  save.hidden = !v.now.file; // of a step that is being drawn there is no picture to keep yet
  save.href = v.now.image.split("?")[0]; // the PNG, with what it was made with
  save.download = v.now.file;
  find("seen").classList.toggle("none", !v.now.boxes.length && !v.before.boxes.length);
  light("");
};
seen.addEventListener("change", () => stage.classList.toggle("bare", !seen.checked));
document.addEventListener("change", ({ target }) => {
  if (target.name !== "overlay" || !props.value.now) return;
  overlay = target.value;
  paint();
});
// The pointer, the focus or a tap on a word or a box; a tap holds it until the next one.
const boxOf = ({ target }) => {
  const node = target.closest && target.closest("#reasoning [data-box], #stage .now .box");
  return node ? node.dataset.box || node.dataset.at : "";
};
const point = (event) => { const box = boxOf(event) || held; if (box !== lit) light(box); };
document.addEventListener("pointerover", point);
document.addEventListener("focusin", point);
document.addEventListener("click", (event) => { held = boxOf(event); point(event); });
watch("value", draw);
draw();
