// A lane for each run. The slider shows all of them after as many images: the best picture so far, and the newest tile.
const list = element.querySelector(".lanes"), scrub = element.querySelector(".scrub");
const range = scrub.querySelector("input"), said = scrub.querySelector("output");
let following = true;
const make = () => {
  const lane = document.createElement("section");
  lane.innerHTML = '<h3></h3><p class="what"></p><img alt=""><p class="points"></p><ol></ol>';
  return lane;
};
const tile = (source, at) => {
  const item = document.createElement("li");
  item.append(Object.assign(new Image(), { src: source, alt: `Image ${at + 1}`, loading: "lazy" }));
  return item;
};
const show = () => {
  const spent = Number(range.value);
  const lanes = props.value || [];
  const top = Math.max(...lanes.map((lane) => (lane.scores.length ? lane.scores[lane.best[Math.min(spent, lane.best.length) - 1]] : -1)));
  lanes.forEach((lane, index) => {
    const node = list.children[index];
    const at = Math.min(spent, lane.images.length) - 1;
    const best = at < 0 ? -1 : lane.best[at];
    const image = node.querySelector("img");
    image.hidden = best < 0;
    if (best >= 0 && image.getAttribute("src") !== lane.images[best]) image.src = lane.images[best];
    image.alt = best < 0 ? "" : `Best of ${lane.name} after ${at + 1} images, score ${lane.scores[best].toFixed(2)}`;
    const ended = lane.done && spent > lane.images.length ? `, ended after ${lane.images.length}` : "";
    node.querySelector(".points").textContent = best < 0 ? "waiting" : `best ${lane.scores[best].toFixed(2)} at image ${best + 1}${ended}`;
    node.classList.toggle("ahead", best >= 0 && lane.scores[best] === top);
    [...node.querySelectorAll("li")].forEach((item, i) => item.classList.toggle("later", i > at));
  });
  said.textContent = `${spent} of ${range.max}`;
};
const draw = () => {
  const lanes = props.value || [];
  while (list.children.length > lanes.length) list.lastChild.remove();
  while (list.children.length < lanes.length) list.append(make());
  lanes.forEach((lane, index) => {
    const node = list.children[index], tiles = node.querySelector("ol");
    node.querySelector("h3").textContent = lane.name;
    node.querySelector(".what").textContent = lane.what;
    while (tiles.children.length > lane.images.length) tiles.lastChild.remove();
    lane.images.forEach((source, at) => {
      const known = tiles.children[at];
      if (!known) tiles.append(tile(source, at));
      else if (known.firstChild.getAttribute("src") !== source) known.replaceWith(tile(source, at));
    });
    tiles.scrollLeft = tiles.scrollWidth;
  });
  const most = Math.max(1, ...lanes.map((lane) => lane.images.length));
  scrub.hidden = !lanes.length;
  range.max = most;
  if (following) range.value = most;
  show();
};
range.addEventListener("input", () => { following = Number(range.value) === Number(range.max); show(); });
watch("value", draw);
draw();
