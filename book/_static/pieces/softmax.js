// Chapter "Which days matter": scores of four days under the reader's hand, and the weights that a softmax makes of them.
(function () {
  "use strict";
  const { make, dial, line, softmax, piece } = globalThis.oceanPiece;
  const START = [2, 1, 0, 1]; // the scores of the chapter

  piece("softmax", (root) => {
    const told = line();
    const days = START.map((score, t) => {
      const one = { score: dial(`Day ${t + 1}, score`, { min: -3, max: 5, step: 0.1, value: score }, (s) => s.toFixed(1), show) };
      one.hidden = make("input", { type: "checkbox", onchange: show });
      one.bar = make("div", { className: "bar" });
      one.weight = make("span", { className: "number" });
      one.row = make("div", { className: "day-row" }, one.score.row, make("label", { className: "tick" }, one.hidden, " hidden"),
        make("div", { className: "track" }, one.bar), one.weight);
      return one;
    });

    function show() {
      const weights = softmax(days.map((one) => (one.hidden.checked ? -Infinity : one.score.value())));
      days.forEach((one, t) => {
        one.bar.style.width = `${100 * (weights[t] || 0)}%`;
        one.weight.textContent = Number.isNaN(weights[t]) ? "no number" : weights[t].toFixed(2);
      });
      told.say(weights.some(Number.isNaN) ? "All days are hidden: 0 divided by 0 is no number." :
        `Weights ${weights.map((w) => w.toFixed(2)).join(", ")}: they sum to ${weights.reduce((a, b) => a + b).toFixed(2)}.`);
      root.weights = weights; // for the test
    }

    function all(change) { // of every score
      days.forEach((one, t) => {
        one.score.input.value = change(one.score.value(), t);
        one.score.tell();
      });
      show();
    }

    const button = (textContent, onclick) => make("button", { type: "button", textContent, onclick });
    root.append(...days.map((one) => one.row), make("div", { className: "buttons" },
      button("Add 1 to every score", () => all((score) => score + 1)),
      button("Once more from the start", () => { days.forEach((one) => (one.hidden.checked = false)); all((_, t) => START[t]); })),
    told.shown, told.spoken);
    show();
  });
})();
