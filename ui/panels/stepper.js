// The step slider: the one place that knows which step is looked at. It follows the newest step until the visitor moves
// away, tells the page (event "milr-step") and the server (trigger "step"); others ask it to move ("milr-goto"), and keys
// on the image shown and in the strip do.
const range = element.querySelector("input[type=range]");
const said = element.querySelector("output");
const live = element.querySelector(".announced");
const play = element.querySelector(".play");
const PLAY_MS = 800, OPENING_MS = 1600;
const still = matchMedia("(prefers-reduced-motion: reduce)");
let run = -1, index = 0, pinned = false, timer = 0, opened = false;

const scores = () => (props.value && props.value.scores) || [];
const newest = () => scores().length - 1;
const MOVES = { first: () => 0, back: () => index - 1, on: () => index + 1, last: newest };
const KEYS = { Home: "first", ArrowLeft: "back", ArrowRight: "on", End: "last" };
const buttons = Object.fromEntries(Object.keys(MOVES).map((name) => [name, element.querySelector("." + name)]));
const sentence = () => {
  if (newest() < 0) return "no step yet";
  const { planned, best } = props.value;
  return `step ${index} of ${planned}, score ${scores()[index].toFixed(2)}${index === best ? ", best" : ""}`;
};
const show = () => {
  range.max = Math.max(newest(), 0);
  range.value = index;
  range.disabled = play.disabled = newest() < 1;
  buttons.first.disabled = buttons.back.disabled = index === 0;
  buttons.on.disabled = buttons.last.disabled = index >= newest();
  range.setAttribute("aria-valuetext", sentence());
  said.textContent = sentence();
  element.querySelector(".follow").textContent = pinned ? "staying here; the last step follows again" : "following the newest step";
  window.milrStep = { run, index };
  document.dispatchEvent(new Event("milr-step"));
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
const move = (to) => { halt(); go(to); };
range.addEventListener("input", () => move(Number(range.value)));
play.addEventListener("click", () => (timer ? halt() : start()));
Object.entries(buttons).forEach(([name, button]) => button.addEventListener("click", () => move(MOVES[name]())));
document.addEventListener("milr-goto", ({ detail }) => move(detail.to));
document.addEventListener("keydown", (event) => {
  const place = event.target.closest("#stage .now .frame, #strip ol");
  if (!place || !(event.key in KEYS) || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  move(MOVES[KEYS[event.key]]());
  place.querySelector("[aria-current]")?.focus(); // the tile of the step
});
const take = () => {
  if (!props.value) return;
  const another = props.value.run !== run, last = Math.max(newest(), 0);
  if (another) stop();
  if (another || (!pinned && !timer)) {
    index = another || !props.value.follow ? props.value.index : last;
    pinned = index < newest();
  }
  run = props.value.run;
  index = Math.min(index, last);
  show();
  // The recorded run that a page opens with plays once by itself, from its first step, unless nothing is to move.
  if (!props.value.play || opened || timer || still.matches || newest() < 1) return;
  timer = setTimeout(() => { opened = true; start(OPENING_MS); }, OPENING_MS);
};
watch("value", take);
take();
