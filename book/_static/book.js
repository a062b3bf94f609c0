// What the pages do by themselves: formulas when they are needed, figures that enlarge, sliders that speak, and
// folded cells that open for the printer. Plain JavaScript; without it a page still reads.

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

function offerEnlarging(image) {
  const shown = image.getBoundingClientRect().width;
  const small = shown > 0 && shown < SMALLER * widthOf(image);
  let button = image.nextElementSibling;
  if (!button?.classList.contains("enlarge")) button = null;
  if (!small) return button?.remove();
  if (button) return;
  button = Object.assign(document.createElement("button"), { type: "button", className: "enlarge", textContent: "Enlarge" });
  button.onclick = () => enlarge(image);
  image.onclick = () => image.nextElementSibling === button && enlarge(image);
  image.after(button);
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

// Paper cannot be clicked: open what is folded, and fold it again.
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
  offerAll();
  window.addEventListener("resize", offerAll);
});
window.addEventListener("load", offerAll);
