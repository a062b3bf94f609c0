// What the small live pieces of the chapters share: elements, colours, a softmax, a line that is spoken. Plain JavaScript.
(function () {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const STOPS = "#234ab3 #65a2bc #f1ecec #cd7f65 #921228".split(" ").map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  let number = 0;

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function draw(tag, attributes = {}, ...children) { // the same for drawings
    const element = document.createElementNS(SVG, tag);
    mark(element, attributes);
    element.append(...children);
    return element;
  }

  function mark(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  }

  // A slider with its name and its value in words: { row, input, value() }.
  function dial(name, { min, max, step, value }, words, changed) {
    const says = make("span"), id = `dial-${++number}`;
    const input = make("input", { type: "range", id, min, max, step });
    const tell = () => {
      says.textContent = words(Number(input.value));
      input.setAttribute("aria-valuetext", says.textContent);
    };
    input.value = value;
    input.addEventListener("input", () => { tell(); changed(); });
    tell();
    return { row: make("label", { htmlFor: id }, make("span", {}, `${name}: `, says), input), input, tell, value: () => Number(input.value) };
  }

  // A line below a piece. It is read out when it has not changed for half a second, not with every step of a slider.
  function line() {
    const shown = make("p"), spoken = make("p", { className: "spoken" });
    spoken.setAttribute("role", "status");
    let waiting;
    return { shown, spoken, say(text) {
      shown.textContent = text;
      clearTimeout(waiting);
      waiting = setTimeout(() => (spoken.textContent = text), 500);
    } };
  }

  // Dark blue for -most, pale for 0, dark red for most.
  function colour(value, most) {
    const place = Math.min(Math.max((value / most + 1) / 2, 0), 1) * (STOPS.length - 1);
    const low = Math.min(Math.floor(place), STOPS.length - 2);
    return `rgb(${STOPS[low].map((c, i) => Math.round(c + (place - low) * (STOPS[low + 1][i] - c)))})`;
  }

  const kelvin = (value) => `${value.toFixed(2).replace("-", "−")} K`;

  function softmax(scores) { // of what is hidden the score is -Infinity
    const most = Math.max(...scores), powers = scores.map((s) => Math.exp(s - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  function chance(seed) { // normal numbers, the same on every visit
    const uniform = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  // Fill every place that a page keeps for this piece.
  function piece(name, build) {
    for (const root of document.querySelectorAll(`[data-piece="${name}"]`)) {
      root.replaceChildren();
      root.classList.add("piece");
      build(root);
    }
  }

  globalThis.oceanPiece = { make, mark, draw, dial, line, colour, kelvin, softmax, chance, piece };
})();
