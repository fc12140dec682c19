// Says the status to screen readers, in a node of its own: at once where the phase changes, every few seconds meanwhile.
const RUNNING = /^(Running|Comparing)/, SECONDS = 5;
const live = document.createElement("span");
live.className = "announced";
live.setAttribute("role", "status");
live.setAttribute("aria-live", "polite");
element.after(live);
let timer = 0, last = -Infinity;
const say = () => {
  timer = 0;
  last = performance.now();
  live.textContent = text();
};
const text = () => new DOMParser().parseFromString(props.value || "", "text/html").body.textContent.trim();
watch("value", () => {
  const rest = RUNNING.test(text()) ? Math.max(0, last + 1000 * SECONDS - performance.now()) : 0;
  clearTimeout(timer);
  timer = setTimeout(say, rest);
});
