// A button for each prompt; a press asks for it.
const list = element.querySelector(".chips");
const draw = () => {
  list.replaceChildren(...(props.value || []).map((prompt) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.textContent = prompt;
    button.addEventListener("click", () => trigger("choose", { prompt }));
    return button;
  }));
};
watch("value", draw);
draw();
