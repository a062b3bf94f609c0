// Chapter "Looking across the ocean": the weights of the patch under the pointer, as a head makes them that knows where a
// patch lies and, if the reader wants, on which side of a front.
(function () {
  "use strict";
  const { make, mark, draw, dial, line, colour, kelvin, softmax, chance, piece } = globalThis.oceanPiece;
  const H = 8, W = 12, N = H * W, SIDE = 10, MOST = 1.5;

  // A sea with a front that winds, seen through clouds with noise of 0.3 K.
  const place = [...Array(N).keys()].map((i) => [Math.floor(i / W), i % W]);
  const truth = place.map(([y, x]) => 1.1 * Math.tanh((x - 5.5 - 1.6 * Math.sin(y / 1.6)) / 0.6));
  const noise = chance(5), observed = truth.map((value) => value + 0.3 * noise());
  const seen = place.map(([y, x]) => Math.sin(1.7 * y + 0.3 * x * x) + Math.cos(2.3 * x + y) > 0.35);

  const far = (i, j) => (place[i][0] - place[j][0]) ** 2 + (place[i][1] - place[j][1]) ** 2;

  function row(i, width, care, side) { // weights (N) of patch i: a softmax over the patches that were seen
    return softmax(place.map((_, j) => (seen[j] ? -far(i, j) / (2 * width ** 2) - care * (side[i] - side[j]) ** 2 : -Infinity)));
  }

  const heard = (weights) => weights.reduce((sum, w, j) => sum + (w ? w * observed[j] : 0), 0);
  const rms = (guess) => {
    const gaps = [...Array(N).keys()].filter((i) => !seen[i]);
    return Math.sqrt(gaps.reduce((sum, i) => sum + (guess(i) - truth[i]) ** 2, 0) / gaps.length);
  };
  // What each patch knows of the front before it asks: a guess by distance alone, in gaps too.
  const first = place.map((_, i) => heard(row(i, 1.2, 0, place.map(() => 0))));

  piece("attention_row", (root) => {
    const told = line();
    let asking = 3 * W + 6, error = 0;
    const width = dial("Near counts: width", { min: 0.5, max: 4, step: 0.1, value: 1.5 }, (v) => `${v.toFixed(1)} patches`, turn);
    const care = dial("Alike counts", { min: 0, max: 6, step: 0.1, value: 0 }, (v) => (v ? v.toFixed(1) : "not at all"), turn);

    const squares = (name) => place.map(([y, x]) => draw("rect", { x: x * SIDE, y: y * SIDE, width: SIDE - 0.6, height: SIDE - 0.6, "data-of": name }));
    function map(name, label) {
      const marks = { rects: squares(name), ring: draw("rect", { width: SIDE - 0.6, height: SIDE - 0.6, class: "ring" }) };
      marks.svg = draw("svg", { viewBox: `-1 -1 ${W * SIDE + 1} ${H * SIDE + 1}`, "aria-label": label }, ...marks.rects, marks.ring);
      return marks;
    }
    const sea = map("sea", "The sea in patches, hidden ones grey. Move the pointer or the arrow keys to the patch that asks.");
    const weights = map("weights", "The weights of the patch that asks, strong blue where it listens");
    mark(sea.svg, { tabindex: 0, role: "application" });
    weights.svg.setAttribute("role", "img");
    sea.rects.forEach((rect, j) => rect.setAttribute("fill", seen[j] ? colour(observed[j], MOST) : "#8c939c"));

    function show() {
      const mine = row(asking, width.value(), care.value(), first), most = Math.max(...mine);
      weights.rects.forEach((rect, j) => mark(rect, { fill: "#2a7fb8", "fill-opacity": 0.06 + 0.94 * (mine[j] / most) }));
      const [y, x] = place[asking], loud = mine.filter((w) => w > 0.05).length;
      for (const { ring } of [sea, weights]) mark(ring, { x: x * SIDE, y: y * SIDE });
      told.say(`Row ${y + 1}, column ${x + 1}, ${seen[asking] ? "seen" : "hidden"}: hears ${kelvin(heard(mine))}, true is ${kelvin(truth[asking])}. ` +
        `The loudest weight is ${most.toFixed(2)}; ${loud} ${loud === 1 ? "patch has" : "patches have"} more than 0.05. Error over all hidden patches: ${kelvin(error)}.`);
      Object.assign(root, { weights: mine, error }); // for the test
    }

    function turn() { // the error is of all patches: only a dial changes it, not who asks
      error = rms((i) => heard(row(i, width.value(), care.value(), first)));
      show();
    }
    function ask(i) {
      if (i === asking) return; // the pointer moved within its patch
      asking = i;
      show();
    }
    function byPointer(event) {
      const box = sea.svg.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * W), y = Math.floor(((event.clientY - box.top) / box.height) * H);
      if (x >= 0 && x < W && y >= 0 && y < H) ask(y * W + x);
    }
    for (const deed of ["pointermove", "pointerdown"]) sea.svg.addEventListener(deed, byPointer);
    sea.svg.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const [y, x] = place[asking];
      ask(Math.min(Math.max(y + step[0], 0), H - 1) * W + Math.min(Math.max(x + step[1], 0), W - 1));
    });
    const figure = (svg, words) => make("figure", {}, svg, make("figcaption", { textContent: words }));
    root.append(make("div", { className: "pair" }, figure(sea.svg, "Who asks? Blue: 1.5 K colder than usual, red: 1.5 K warmer, grey: hidden."),
      figure(weights.svg, "Whom it hears: the stronger the blue, the larger the weight.")),
    make("div", { className: "dials" }, width.row, care.row), told.shown, told.spoken);
    turn();
  });
})();
