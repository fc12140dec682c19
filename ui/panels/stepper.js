// The step slider: the one place that knows which step is looked at. It follows the newest step until the visitor moves
// away, tells the page (event "milr-step") and the server (trigger "step"); others ask it to move ("milr-goto").
const range = element.querySelector("input[type=range]");
const said = element.querySelector("output");
const live = element.querySelector(".announced");
const play = element.querySelector(".play");
const buttons = Object.fromEntries(["first", "back", "on", "last"].map((name) => [name, element.querySelector("." + name)]));
const PLAY_MS = 800, OPENING_MS = 1600;
const still = matchMedia("(prefers-reduced-motion: reduce)");
let run = -1, index = 0, pinned = false, timer = 0, opened = false;

const scores = () => (props.value && props.value.scores) || [];
const newest = () => scores().length - 1;
const sentence = () => {
  const { planned, best } = props.value;
  return `step ${index} of ${planned}, score ${scores()[index].toFixed(2)}${index === best ? ", best" : ""}`;
};
const show = () => {
  const any = newest() >= 0;
  range.max = Math.max(newest(), 0);
  range.value = index;
  range.disabled = play.disabled = newest() < 1;
  buttons.first.disabled = buttons.back.disabled = !any || index === 0;
  buttons.on.disabled = buttons.last.disabled = !any || index === newest();
  range.setAttribute("aria-valuetext", any ? sentence() : "no step yet");
  said.textContent = any ? sentence() : "no step yet";
  element.querySelector(".follow").textContent = any && pinned ? "staying here; the last step follows again" : "following the newest step";
  const step = { run, index };
  window.milrStep = step;
  document.dispatchEvent(new CustomEvent("milr-step", { detail: step }));
};
const stop = () => {
  clearInterval(timer);
  timer = 0;
  play.textContent = "Play";
  play.setAttribute("aria-pressed", "false");
};
const halt = () => {
  opened = true; // who has taken the step in hand is not to be played to
  stop();
};
const go = (to) => {
  if (newest() < 0) return;
  index = Math.min(Math.max(to, 0), newest());
  pinned = index < newest();
  show();
  if (document.activeElement !== range) live.textContent = sentence();
  trigger("step", { index });
};
const start = (every = PLAY_MS) => {
  if (index >= newest()) go(0);
  play.textContent = "Hold";
  play.setAttribute("aria-pressed", "true");
  timer = setInterval(() => {
    if (index < newest()) return go(index + 1);
    stop();
    trigger("step", { index }); // the slider has the last word: while a page opens, answers may overtake each other
  }, every);
};
range.addEventListener("input", () => { halt(); go(Number(range.value)); });
play.addEventListener("click", () => (timer ? halt() : start()));
buttons.first.addEventListener("click", () => { halt(); go(0); });
buttons.back.addEventListener("click", () => { halt(); go(index - 1); });
buttons.on.addEventListener("click", () => { halt(); go(index + 1); });
buttons.last.addEventListener("click", () => { halt(); go(newest()); });
document.addEventListener("milr-goto", (event) => {
  halt();
  const { to, by } = event.detail;
  go(by ? index + by : to === "last" ? newest() : to);
});
const take = () => {
  if (!props.value) return;
  if (props.value.run !== run) {
    stop();
    run = props.value.run;
    index = Math.min(props.value.index, Math.max(newest(), 0));
    pinned = index < newest();
  } else if (!pinned && !timer) {
    index = props.value.follow ? Math.max(newest(), 0) : props.value.index;
    pinned = index < newest();
  }
  index = Math.min(index, Math.max(newest(), 0));
  show();
  // The recorded run that a page opens with plays once by itself, from its first step, unless nothing is to move.
  if (!props.value.play || opened || timer || still.matches || newest() < 1) return;
  timer = setTimeout(() => { opened = true; start(OPENING_MS); }, OPENING_MS);
};
watch("value", take);
take();
