// Draws the figure in `props.value` with Plotly.react, which updates in place: no flicker, zoom and hidden lines stay.
const themed = (value) => {
  if (Array.isArray(value)) return value.map(themed);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]));
  const name = typeof value === "string" && value.match(/^var\((--[\w-]+)\)$/);
  return name ? getComputedStyle(element).getPropertyValue(name[1]).trim() : value;
};
const draw = () => {
  const node = element.querySelector(".plot");
  const figure = props.value;
  if (!node || !figure || !window.Plotly) return;
  node.setAttribute("aria-label", figure.summary);
  Plotly.react(node, themed(figure.data), themed(figure.layout), { responsive: true, displaylogo: false, displayModeBar: false });
};
watch("value", draw);
draw();
