// The gallery: one tile a step. A tile's node is made once and afterwards only changed where its data did.
const list = element.querySelector("ol");
let run = -1;

const make = (index) => {
  const item = document.createElement("li");
  item.innerHTML = '<button type="button"><img alt="" loading="lazy"><span class="caption"><b></b><span class="signs"></span><span class="points"></span></span></button>';
  item.querySelector("b").textContent = index;
  item.firstChild.addEventListener("click", () => document.dispatchEvent(new CustomEvent("milr-goto", { detail: { to: index } })));
  return item;
};
const fill = (item, tile, index) => {
  const key = JSON.stringify(tile);
  if (item.dataset.key === key) return;
  item.dataset.key = key;
  const image = item.querySelector("img");
  if (image.getAttribute("src") !== tile.image) image.src = tile.image;
  item.querySelector(".points").textContent = tile.score;
  const signs = [...(tile.best ? [["★", "best"]] : []), ...tile.flags];
  item.querySelector(".signs").replaceChildren(...signs.map(([sign, name]) => {
    const node = document.createElement("span");
    node.className = "sign " + name.split(" ").join("-");
    node.textContent = sign;
    node.title = name;
    return node;
  }));
  item.firstChild.setAttribute("aria-label", [`Step ${index}, score ${tile.score}`, ...signs.map((s) => s[1])].join(", "));
};
const follow = (node) => {
  const left = node.offsetLeft - list.offsetLeft - (list.clientWidth - node.offsetWidth) / 2;
  if (list.scrollWidth > list.clientWidth) list.scrollTo({ left });
};
const mark = () => {
  const at = window.milrStep ? window.milrStep.index : 0;
  if (list.children[at]) follow(list.children[at]);
  [...list.children].forEach((item, index) => {
    item.firstChild.tabIndex = index === at ? 0 : -1;
    if (index === at) item.firstChild.setAttribute("aria-current", "step");
    else item.firstChild.removeAttribute("aria-current");
  });
};
const draw = () => {
  const value = props.value || { run: 0, tiles: [] };
  if (value.run !== run) list.replaceChildren();
  list.dataset.run = run = value.run; // 0 is the recorded run that a page opens with
  while (list.children.length > value.tiles.length) list.lastChild.remove();
  value.tiles.forEach((tile, index) => {
    if (!list.children[index]) list.append(make(index));
    fill(list.children[index], tile, index);
  });
  element.querySelector(".empty").hidden = value.tiles.length > 0;
  mark();
};
document.addEventListener("milr-step", mark);
watch("value", draw);
draw();
