// The visitor's move in a race. A press on a word of the plan chooses to change that word.
const form = element.querySelector(".hand"), plan = form.querySelector(".plan"), draw = form.querySelector("[type=submit]");
const [rate, becomes] = [form.querySelector("[type=number]"), form.querySelector("[type=text]")];
const chosen = () => form.querySelector("[name=milr-hand]:checked").value;
let word = -1, index = -1;

const mark = () => {
  const changes = chosen() === "word";
  form.querySelector(".becomes").hidden = !changes;
  form.querySelector(".lr").hidden = changes;
  [...plan.children].forEach((node) => node.setAttribute("aria-pressed", String(changes && Number(node.dataset.at) === word)));
  draw.disabled = !props.value.ready || (changes && word < 0);
};
const make = ([at, text]) => {
  const node = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  node.dataset.at = at;
  node.addEventListener("click", () => {
    word = at;
    form.querySelector("[value=word]").checked = true;
    mark();
    becomes.focus();
  });
  return node;
};
const show = () => {
  const value = props.value || {};
  form.hidden = !("ready" in value);
  if (form.hidden) return;
  form.querySelector(".said").textContent = value.said;
  rate.value ||= value.lr || "";
  if (value.index !== index) { // another plan: no word of it is chosen yet
    word = -1;
    becomes.value = "";
    plan.replaceChildren(...value.words.map(make));
  }
  index = value.index;
  mark();
};
form.addEventListener("change", mark);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (draw.disabled) return;
  draw.disabled = true;
  form.querySelector(".said").textContent = "Drawing what you chose…";
  trigger("move", { what: chosen(), lr: Number(rate.value), word: Math.max(word, 0), becomes: becomes.value });
});
watch("value", show);
show();
