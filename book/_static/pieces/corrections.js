// Chapter "Divide by what was seen": a row of cells, corrected pass by pass; the reader puts the reports.
(function () {
  "use strict";
  const { make, mark, draw, dial, line, kelvin, chance, piece } = globalThis.oceanPiece;
  const N = 48, PASSES = 12, GAIN = 1.5, X = 10, K = 50, MIDDLE = 80; // pixels: a cell, a kelvin, the zero line
  const START = [2, 5, 6, 11, 15, 16, 20, 22, 23, 30, 31, 36, 43];

  const truth = [...Array(N).keys()].map((i) => 0.9 * Math.tanh((22.5 - i) / 1.5) + 0.35 * Math.exp(-(((i - 38) / 4) ** 2)));
  const noise = chance(11), report = truth.map((value) => value + 0.2 * noise());
  const widths = [...Array(PASSES).keys()].map((p) => 16 * (1 / 16) ** (p / (PASSES - 1))); // 16 cells to 1

  function correct(analysis, seen, cells, below) {
    return analysis.map((value, i) => {
      let total = 0, count = 0;
      for (let j = 0; j < N; j++) if (seen[j]) {
        const near = Math.exp(-0.5 * ((i - j) / cells) ** 2);
        total += near * (report[j] - analysis[j]);
        count += near;
      }
      return count + below > 0 ? value + (GAIN * total) / (count + below) : value;
    });
  }

  const rms = (numbers) => Math.sqrt(numbers.reduce((sum, v) => sum + v * v, 0) / Math.max(numbers.length, 1));

  piece("corrections", (root) => {
    const told = line(), seen = truth.map((_, i) => START.includes(i));
    let cursor = 26;
    const passes = dial("Passes", { min: 0, max: PASSES, step: 1, value: 0 }, (p) => `${p} of ${PASSES}`, show);
    const below = dial("Noise below the line", { min: 0.1, max: 2, step: 0.1, value: 0.6 }, (v) => v.toFixed(1), show);
    const order = make("select", { onchange: show }, make("option", { value: "down", textContent: "coarse to fine" }),
      make("option", { value: "up", textContent: "fine to coarse" }));

    const curve = (name) => draw("path", { class: name });
    const [real, map, next] = ["truth", "map", "next"].map(curve);
    const bars = truth.map(() => draw("line", { class: "misfit" })), dots = truth.map(() => draw("circle", { class: "report", r: 3.5 }));
    const here = draw("line", { class: "cursor" });
    const picture = draw("svg", { viewBox: `0 0 ${N * X} 160`, tabindex: 0, role: "application",
      "aria-label": "A row of cells from west to east. Click a cell, or move with the arrow keys and press space, to put or take a report." },
    draw("line", { class: "zero", x1: 0, x2: N * X, y1: MIDDLE, y2: MIDDLE }), here, next, real, ...bars, map, ...dots);
    const at = (i) => (i + 0.5) * X, up = (kelvin) => MIDDLE - K * kelvin;
    const path = (values) => `M${values.map((v, i) => `${at(i)} ${up(v).toFixed(1)}`).join("L")}`;
    real.setAttribute("d", path(truth));

    function show() {
      const way = order.value === "down" ? widths : [...widths].reverse(), done = passes.value();
      let analysis = new Array(N).fill(0);
      for (const cells of way.slice(0, done)) analysis = correct(analysis, seen, cells, below.value());
      const left = report.map((value, i) => value - analysis[i]);
      map.setAttribute("d", path(analysis));
      bars.forEach((bar, i) => {
        const ends = seen[i] ? { y1: up(analysis[i]), y2: up(report[i]) } : { y1: 0, y2: 0 };
        mark(bar, { x1: at(i), x2: at(i), ...ends });
        mark(dots[i], { cx: at(i), cy: up(report[i]), visibility: seen[i] ? "visible" : "hidden" });
      });
      const cells = way[done];
      next.setAttribute("d", cells ? `M${truth.map((_, i) => `${at(i)} ${(158 - 30 * Math.exp(-0.5 * ((i - cursor) / cells) ** 2)).toFixed(1)}`).join("L")}` : "");
      mark(here, { x1: at(cursor), x2: at(cursor), y1: 0, y2: 160 });
      const error = rms(analysis.map((value, i) => value - truth[i])), misfit = rms(left.filter((_, i) => seen[i]));
      told.say(`After ${done} ${done === 1 ? "pass" : "passes"}: ${kelvin(misfit)} left over at ${seen.filter(Boolean).length} reports, error of the whole row ${kelvin(error)}. ` +
        (cells ? `The next kernel is ${cells.toFixed(1)} cells wide.` : "No pass is left."));
      Object.assign(root, { analysis, error, misfit, seen, report, widths }); // for the test
    }

    function toggle(i) {
      cursor = i;
      seen[i] = !seen[i];
      show();
    }
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      toggle(Math.min(Math.max(Math.floor(((event.clientX - box.left) / box.width) * N), 0), N - 1));
    });
    picture.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) cursor = Math.min(Math.max(cursor + step, 0), N - 1);
      else if (event.key === " " || event.key === "Enter") seen[cursor] = !seen[cursor];
      else return;
      event.preventDefault();
      show();
    });
    const button = make("button", { type: "button", textContent: "One more pass", onclick() {
      passes.input.value = passes.value() === PASSES ? 0 : passes.value() + 1;
      passes.tell();
      show();
    } });
    root.append(make("figure", {}, picture, make("figcaption", { textContent:
      "Dashed: the sea. Dots: reports. Line: the map. Bars: what it left over. Bell below: how far the next pass reaches." })),
    make("div", { className: "dials" }, passes.row, below.row, make("label", {}, make("span", { textContent: "Order" }), order)),
    make("div", { className: "buttons" }, button), told.shown, told.spoken);
    show();
  });
})();
