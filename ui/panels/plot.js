// Draws the figure in `props.value` with Plotly.react, which updates in place: no flicker, zoom and hidden lines stay.
// The mark of the step looked at is drawn here; a click on a point moves the step slider, or chooses the run it is of.
const node = element.querySelector(".plot");
const SHARE = 0.1, LATEST = 800; // of the browser's time, for drawing; but ms that it waits at most
let listening = false, timer = 0, rested = 0, drawn = 0;
const colour = (name) => getComputedStyle(element).getPropertyValue(name).trim();
const themed = (value) => {
  if (Array.isArray(value)) return value.map(themed);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
  const name = typeof value === "string" && value.match(/^var\((--[\w-]+)\)$/);
  return name ? colour(name[1]) : value;
};
const shapes = () => {
  const { layout, steps, run } = props.value;
  const at = window.milrStep?.run === run ? window.milrStep.index : steps - 1;
  const mark = { type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1 };
  const line = { color: "var(--color-accent)", width: 1, dash: "dash" };
  return themed(steps ? [...layout.shapes, { ...mark, line }] : layout.shapes);
};
// On a narrow screen the legend takes lines of its own: the plot is higher, many other runs are named at the pointer only.
const NARROW = 520, FEW = 2, LEGEND = 76;
const narrow = () => node.clientWidth < NARROW;
const lines = (data) => {
  const crowded = narrow() && data.filter((line) => line.meta).length > FEW;
  return crowded ? data.map((line) => (line.meta ? { ...line, showlegend: false } : line)) : data;
};
const room = (layout) => (narrow() ? { ...layout, height: layout.height + LEGEND } : layout);
const draw = () => {
  const figure = props.value;
  if (!figure || !window.Plotly) return;
  node.setAttribute("aria-label", figure.summary);
  element.querySelector(".changes").textContent = figure.changes;
  drawn = figure.steps;
  const options = { responsive: true, displaylogo: false, displayModeBar: false };
  Plotly.react(node, themed(lines(figure.data)), { ...themed(room(figure.layout)), shapes: shapes() }, options);
  if (listening) return;
  listening = true;
  node.on("plotly_click", ({ points }) => {
    const own = points.find((point) => !point.data.meta) || points[0];
    const name = own.data.meta ? "milr-run" : "milr-goto";
    document.dispatchEvent(new CustomEvent(name, { detail: { to: own.x, number: own.data.meta } }));
  });
};
// Soon, and seldom where drawing takes long: what comes meanwhile is drawn with the next.
const drawSoon = () => {
  timer ||= setTimeout(() => {
    timer = 0;
    const began = performance.now();
    draw();
    rested = performance.now() + Math.min((performance.now() - began) / SHARE, LATEST);
  }, Math.max(0, rested - performance.now()));
};
document.addEventListener("milr-step", () => {
  if (listening && window.milrStep.index < drawn) Plotly.relayout(node, { shapes: shapes() });
});
element.querySelectorAll("button[data-format]").forEach((button) =>
  button.addEventListener("click", () => {
    if (listening) Plotly.downloadImage(node, { format: button.dataset.format, filename: "milr-reward", width: 1000, height: 500 });
  }),
);
element.querySelector("button.home").addEventListener("click", () => {
  if (listening) Plotly.relayout(node, { "xaxis.range": props.value.layout.xaxis.range, "yaxis.range": props.value.layout.yaxis.range });
});
watch("value", drawSoon);
draw();
