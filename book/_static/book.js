// What the pages do by themselves: formulas when they are needed, figures that enlarge, sliders that speak,
// drawings that one steps through, and folded cells that open for the printer. Plain JavaScript; without it a page still reads.

// MathJax weighs more than the page: fetch it at once where a formula stands within two screens, else when the
// reader first does anything. Paper does not wait, so it must be there before somebody prints.
function loadFormulas() {
  const source = document.body.dataset.mathjax;
  if (!source) return;
  delete document.body.dataset.mathjax;
  document.head.append(Object.assign(document.createElement("script"), { src: source }));
}

function watchFormulas() {
  const near = [...document.querySelectorAll(".math")].some((formula) => {
    const { top, height } = formula.getBoundingClientRect();
    return height > 0 && top < 2 * window.innerHeight;
  });
  if (near || location.hash) return loadFormulas();
  for (const deed of ["scroll", "pointerdown", "keydown"]) window.addEventListener(deed, loadFormulas, { once: true });
}

// A figure that is drawn much smaller than it was made can be opened at its own size.
const SMALLER = 0.8;

function enlarge(image) {
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", "Figure at full size");
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  const frame = Object.assign(document.createElement("div"), { tabIndex: 0 });
  const copy = image.cloneNode();
  copy.removeAttribute("loading");
  copy.removeAttribute("style");
  copy.style.width = `${Math.max(widthOf(image), window.innerWidth)}px`;
  frame.append(copy);
  dialog.append(close, frame);
  close.onclick = () => dialog.close();
  dialog.onclick = (event) => event.target !== frame && dialog.close();
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}

function widthOf(image) {
  return Number(image.getAttribute("width")) || image.naturalWidth;
}

// Of a figure with a form for narrow screens (finish_pages.py), the width of the form that is shown.
function widthShown(image) {
  const narrow = image.closest("picture")?.querySelector("source");
  return narrow && matchMedia(narrow.media).matches ? Number(narrow.getAttribute("width")) : widthOf(image);
}

function offerEnlarging(image) {
  const shown = image.getBoundingClientRect().width;
  const small = shown > 0 && shown < SMALLER * widthShown(image);
  const place = image.closest("picture") ?? image;
  let button = place.nextElementSibling;
  if (!button?.classList.contains("enlarge")) button = null;
  if (!small) return button?.remove();
  if (button) return;
  button = Object.assign(document.createElement("button"), { type: "button", className: "enlarge", textContent: "Enlarge" });
  button.onclick = () => enlarge(image);
  image.onclick = () => place.nextElementSibling === button && enlarge(image);
  place.after(button);
}

// Sphinx links a picture of given width to its file: without JavaScript that is how it enlarges.
function freeFromLinks() {
  for (const link of document.querySelectorAll(".bd-article a.image-reference")) {
    const image = link.querySelector("img");
    if (image?.src === link.href) link.replaceWith(...link.childNodes);
  }
}

function offerAll() {
  document.querySelectorAll(".bd-article img:not(a img, figure[data-labels] img)").forEach(offerEnlarging);
}

// A slider says what it shows ("day 12: 40 % seen"), not the number of a frame.
function speakingSliders() {
  for (const figure of document.querySelectorAll("figure[data-labels]")) {
    const slider = figure.querySelector("input[type=range]");
    const labels = JSON.parse(figure.dataset.labels);
    const speak = () => slider.setAttribute("aria-valuetext", labels[slider.value]);
    slider.addEventListener("input", speak);
    speak();
  }
}

// A drawing with steps (book/drawings.py) shows its end. The slider asks the same file for another step, by
// the part of the address behind "#": no kernel, no network. It plays only when asked, and never where the
// system asks for less motion.
const PACE = 1100; // ms for a step

function stepThrough(image) {
  const said = JSON.parse(image.dataset.steps);
  const last = said.length;
  const file = image.getAttribute("src");
  const bar = Object.assign(document.createElement("div"), { className: "steps" });
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 1, max: last, value: last });
  slider.setAttribute("aria-label", "Step of the drawing");
  const words = document.createElement("output");
  let playing = 0;
  const show = (step) => {
    slider.value = step;
    image.src = `${file}#f${step}`;
    words.textContent = `${step} of ${last}: ${said[step - 1]}`;
    slider.setAttribute("aria-valuetext", words.textContent);
  };
  const pause = () => {
    playing = clearInterval(playing);
    play.textContent = "Play";
  };
  const play = Object.assign(document.createElement("button"), { type: "button", textContent: "Play" });
  play.onclick = () => {
    if (playing) return pause();
    play.textContent = "Pause";
    show(Number(slider.value) < last ? Number(slider.value) : 1);
    playing = setInterval(() => (Number(slider.value) < last ? show(Number(slider.value) + 1) : pause()), PACE);
  };
  slider.addEventListener("input", () => {
    pause();
    show(Number(slider.value));
  });
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) bar.append(play);
  words.textContent = `Step through it: ${last} steps`;
  slider.setAttribute("aria-valuetext", words.textContent);
  bar.append(slider, words);
  image.after(bar);
}

// The small live pieces of a chapter (pieces/NAME.js) come when their place comes near; until then, without
// JavaScript, and in a notebook, a sentence stands there.
const STATIC = document.currentScript.src.replace(/[^/]*$/, "");

function fetchScript(name) {
  return new Promise((done, failed) => {
    document.head.append(Object.assign(document.createElement("script"), { src: STATIC + name, onload: done, onerror: failed }));
  });
}

function waitForPieces() {
  const places = document.querySelectorAll("[data-piece]");
  if (!places.length) return;
  const watcher = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${STATIC}pieces/pieces.css` }));
    await fetchScript("pieces/kit.js");
    for (const name of new Set([...places].map((place) => place.dataset.piece))) await fetchScript(`pieces/${name}.js`);
  }, { rootMargin: "600px" });
  places.forEach((place) => watcher.observe(place));
}

// Paper cannot be clicked: open what is folded, and fold it again. A page asked for by "#handout" is for a class:
// book.css leaves its answers out (`make handouts`).
if (location.hash === "#handout") document.documentElement.classList.add("handout");
let opened = [];
window.addEventListener("beforeprint", () => {
  loadFormulas();
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((details) => (details.open = true));
});
window.addEventListener("afterprint", () => opened.forEach((details) => (details.open = false)));

document.addEventListener("DOMContentLoaded", () => {
  watchFormulas();
  speakingSliders();
  waitForPieces();
  document.querySelectorAll("img[data-steps]").forEach(stepThrough);
  freeFromLinks();
  offerAll();
  window.addEventListener("resize", offerAll);
});
window.addEventListener("load", offerAll);
