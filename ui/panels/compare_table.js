// A method's button opens its run in the Inspector.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-method]");
  if (button) trigger("inspect", { method: button.dataset.method });
});
