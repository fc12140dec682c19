"use strict";
// All there is to see stands in the articles; this shows one of them against another. Nothing is made from text.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const steps = all("article.step");
  const slider = one("#slider"), where = one(".where .step-now"), play = one(".play"), plot = one(".plot"), peek = one(".peek");
  const [before, after] = all(".stage .side");
  const tiles = all(".strip a");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const PACE = 1000;
  let at = Number(slider.value), timer = 0;

  const position = (step) => steps.findIndex((article) => article.dataset.step === step);
  const copy = (selector, article) => one(selector, article).cloneNode(true);
  const best = position(tiles.find((tile) => one(".badge", tile)).dataset.step);

  function inWords(i) {
    const { step, score } = steps[i].dataset;
    return `Step ${step}, score ${score}; best: step ${steps[best].dataset.step}`;
  }

  function put(side, article) {
    const caption = one(".caption", side);
    caption.replaceChildren(...copy(".caption", article).childNodes);
    one(".picture", side).replaceWith(copy(".picture", article));
    side.classList.remove("arrived");
    void side.offsetWidth; // so that the picture fades in again
    side.classList.add("arrived");
  }

  function hold(place, content) { // no lower than it was, so that what stands below does not jump
    place.style.minHeight = `${place.offsetHeight}px`;
    place.replaceChildren(content);
  }

  function show(i, told = true) {
    at = Math.min(Math.max(i, 0), steps.length - 1);
    const article = steps[at];
    const plan = copy(`.plan[data-against="${one(".against input:checked").value}"]`, article);
    plan.hidden = false;
    put(after, article);
    put(before, steps[position(plan.dataset.other)]);
    hold(one(".why"), copy(".verdict", article));
    hold(one(".held"), plan);
    slider.value = at;
    slider.setAttribute("aria-valuetext", inWords(at));
    where.textContent = inWords(at);
    if (told) one(".announced").textContent = inWords(at);
    tiles.forEach((tile, j) => (j === at ? tile.setAttribute("aria-current", "step") : tile.removeAttribute("aria-current")));
    reveal(tiles[at]);
    const point = one(`.point[data-step="${article.dataset.step}"]`, plot), now = one(".now", plot);
    for (const name of ["cx", "cy"]) now.setAttribute(name, point.getAttribute(name));
    now.setAttribute("visibility", "visible");
  }

  function reveal(tile) { // in its strip alone: the page stays where it is
    const strip = tile.closest(".strip"), left = tile.offsetLeft - strip.offsetLeft;
    if (left < strip.scrollLeft || left + tile.offsetWidth > strip.scrollLeft + strip.clientWidth) {
      strip.scrollTo({ left: left - strip.clientWidth / 2, behavior: still.matches ? "auto" : "smooth" });
    }
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    one(".name", play).textContent = "Play";
    one(".icon", play).textContent = "▶";
  }

  function start() {
    one(".name", play).textContent = "Pause";
    one(".icon", play).textContent = "❚❚";
    show(0);
    timer = setInterval(() => {
      if (at < steps.length - 1) return show(at + 1);
      stop();
      show(best); // the best is the answer, not the last
    }, PACE);
  }

  function go(i, told) {
    stop();
    show(i, told);
  }

  slider.addEventListener("input", () => go(Number(slider.value), false));
  play.addEventListener("click", () => (timer ? stop() : start()));
  one(".back").addEventListener("click", () => go(at - 1));
  one(".on").addEventListener("click", () => go(at + 1));
  all(".against input").forEach((input) => input.addEventListener("change", () => show(at)));
  tiles.forEach((tile, i) => {
    const image = one("img", steps[i]).cloneNode();
    image.alt = "";
    tile.prepend(image);
    tile.addEventListener("click", (event) => {
      event.preventDefault();
      go(i);
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, summary, pre, .scrolled")) return;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  addEventListener("resize", () => all(".why, .held").forEach((place) => (place.style.minHeight = "")));
  addEventListener("hashchange", () => {
    const i = steps.findIndex((article) => `#${article.id}` === location.hash);
    if (i >= 0) go(i);
  });

  const points = all(".point", plot);
  function nearest(event) {
    const distance = (point) => {
      const box = point.getBoundingClientRect();
      return Math.abs(box.left + box.width / 2 - event.clientX);
    };
    return points.reduce((found, point, i) => (distance(point) < distance(points[found]) ? i : found), 0);
  }
  plot.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const i = nearest(event), box = points[i].getBoundingClientRect(), frame = plot.getBoundingClientRect();
    const words = document.createElement("span");
    words.textContent = `Step ${steps[i].dataset.step}: ${steps[i].dataset.score}`;
    const image = one("img", steps[i]).cloneNode();
    image.alt = "";
    peek.replaceChildren(image, words);
    peek.hidden = false;
    const left = box.left - frame.left + (box.left - frame.left > frame.width / 2 ? -116 : 18);
    peek.style.left = `${Math.min(Math.max(left, 0), frame.width - 104)}px`;
  });
  plot.addEventListener("pointerleave", () => (peek.hidden = true));
  plot.addEventListener("click", (event) => go(nearest(event)));

  const code = all(".again pre");
  for (const block of code) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(block);
      button.textContent = await navigator.clipboard.writeText(block.textContent).then(() => "Copied", () => "Selected: copy with Ctrl+C");
    });
    block.after(button);
  }

  document.documentElement.classList.add("js");
  const asked = steps.findIndex((article) => `#${article.id}` === location.hash);
  show(asked < 0 ? at : asked, false);
})();
