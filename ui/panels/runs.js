// The runs of this visit, one button each; a click shows that run in every panel. Buttons stay, so focus stays.
const list = element.querySelector(".runs");
const choose = (number) => trigger("choose", { number });
const make = (number) => {
  const button = Object.assign(document.createElement("button"), { type: "button", onclick: () => choose(number) });
  button.dataset.number = number;
  button.innerHTML = `<b>run ${number}</b><span></span>`;
  return button;
};
const draw = () => {
  const runs = (props.value || []).length > 1 ? props.value : [];
  const numbers = runs.map((run) => String(run.number));
  [...list.children].forEach((node) => numbers.includes(node.dataset.number) || node.remove());
  runs.forEach((run) => {
    const known = list.querySelector(`[data-number="${run.number}"]`);
    const button = known || list.appendChild(make(run.number));
    button.title = run.prompt;
    const chosen = run.shown && button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(run.shown));
    button.lastChild.textContent = ` ${run.about}`;
    if (chosen) list.scrollLeft = button.offsetLeft - list.offsetLeft - list.clientWidth / 4; // where the row is too long
  });
};
document.addEventListener("milr-run", (event) => choose(event.detail.number));
watch("value", draw);
draw();
