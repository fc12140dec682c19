// A button for each prompt; a press asks for it.
const list = element.querySelector(".chips");
const draw = () => {
  list.replaceChildren(...(props.value || []).map((prompt) => {
    const onclick = () => trigger("choose", { prompt });
    return Object.assign(document.createElement("button"), { type: "button", className: "chip", textContent: prompt, onclick });
  }));
};
watch("value", draw);
draw();
