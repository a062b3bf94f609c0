// The page "Under your own clouds": a reader paints clouds, the engine answers. Without this script the page
// shows a still picture. The scripts it needs come when it needs them, and from a disk too.
(function () {
  "use strict";
  const HERE = document.currentScript.src.replace(/[^/]*$/, "");
  const ANOMALY = { colours: "#212a62 #234ab3 #267bba #65a2bc #b0c5cd #f1ecec #ddb6aa #cd7f65 #ba482e #921228 #560e1e" };
  const ERROR = { colours: "#3c0f63 #613d93 #8c80b5 #b7b1d5 #dadcec #f6f6f7 #fde2bb #fdbd6e #e78f27 #c0640a #934607" };
  const CLOUD = [140, 147, 156];
  const LEAST_NOISE = 0.15; // K; with less the interpolation takes too many steps
  const app = document.getElementById("live");
  const at = (name) => app.querySelector(`[data-live="${name}"]`);
  const state = { sea: null, noise: null, cursor: [16, 16], nets: {}, ready: {}, turn: 0, example: false, playing: null };
  for (const scale of [ANOMALY, ERROR]) {
    scale.stops = scale.colours.split(" ").map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  }

  // ---- what is loaded ----

  function script(name) {
    return new Promise((done, failed) => {
      const tag = Object.assign(document.createElement("script"), { src: `${HERE}${name}.js`, onload: done });
      tag.onerror = () => failed(new Error(`${name}.js could not be loaded`));
      document.head.append(tag);
    });
  }

  async function engine() {
    for (const name of ["matrix", "first_guess", "oi", "space_time", "engine"]) if (!globalThis.oceanEngine) await script(name);
  }

  function network(name) { // a promise: asked for twice, it comes once
    state.nets[name] ??= script(name).then(
      () => (state.ready[name] = globalThis.oceanEngine.load(globalThis.oceanData[name])),
      (error) => {
        delete state.nets[name]; // so that pressing again tries again
        throw error;
      });
    return state.nets[name];
  }

  function chance(seed) { // uniform numbers that are the same on every visit (mulberry32)
    return () => {
      let t = (seed += 0x6d2b79f5);
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
  }

  async function openSea(name) {
    await engine();
    if (!globalThis.oceanData?.[name]) await script(name);
    if (at("sea").value !== name) return; // the reader has chosen again
    const { bytes, halves } = globalThis.oceanEngine, file = globalThis.oceanData[name], bits = bytes(file.clouds);
    const sea = { ...file, truth: halves(file.truth), pixels: file.H * file.W };
    sea.stored = Uint8Array.from({ length: sea.truth.length }, (_, i) => (bits[i >> 3] >> (i & 7)) & 1);
    sea.cloudy = sea.stored.slice();
    const draw = chance(7);
    state.noise = Float32Array.from(sea.truth, () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw()));
    state.sea = sea;
    ANOMALY.most = sea.most; // the same for every sky and method of a sea
    ERROR.most = sea.most / 3;
    for (const [name, { most }] of [["anomaly-ends", ANOMALY], ["error-ends", ERROR]]) {
      at(name).replaceChildren(...[`−${most}`, "0", `+${most}`].map((end) => Object.assign(document.createElement("span"), { textContent: end })));
    }
    // A reader begins on the clearest day: there a new cloud is seen.
    const hidden = Array.from({ length: sea.T }, (_, t) => sea.stored.subarray(t * sea.pixels, (t + 1) * sea.pixels).reduce((a, b) => a + b));
    sea.clearest = at("day").value = hidden.indexOf(Math.min(...hidden)) + 1;
    const day = at("question").querySelector('[value="day"]');
    day.disabled = !sea.days; // its network learned month means alone
    if (day.disabled) at("question").value = "month";
    const [gaussian, firstGuess, oi, mean] = ["gaussian", "firstGuess", "oi", "mean"].map((key) => sea.rmse[key].toFixed(3));
    at("typical").textContent = `This month is the middle one of ${sea.drawn} by what the network, ${sea.network}, gains. Over all of them, with 0.3 K ` +
      `of noise, the month mean is wrong by ${gaussian} K (one Gaussian), ${firstGuess} K (first guess), ${oi} K (optimal interpolation) and ${mean} K (network).`;
    forget();
  }

  // ---- what is drawn ----

  function colour(value, scale) {
    const place = Math.min(Math.max((value / scale.most + 1) / 2, 0), 1) * (scale.stops.length - 1);
    const low = Math.min(Math.floor(place), scale.stops.length - 2), part = place - low;
    return scale.stops[low].map((c, i) => c + part * (scale.stops[low + 1][i] - c));
  }

  function draw(canvas, H, W, pixel) { // row 0 is the south
    canvas.width = W;
    canvas.height = H;
    const paper = canvas.getContext("2d"), image = paper.createImageData(W, H);
    for (let p = 0; p < H * W; p++) {
      const to = ((H - 1 - Math.floor(p / W)) * W + (p % W)) * 4;
      image.data.set([...pixel(p), 255], to);
    }
    paper.putImageData(image, 0, 0);
  }

  const day = () => Number(at("day").value) - 1;
  const byDay = () => at("question").value === "day";
  const rms = (map, truth) => Math.sqrt(map.reduce((sum, v, p) => sum + (v - truth[p]) ** 2, 0) / map.length);

  function truthAsked() {
    const { truth, pixels, T } = state.sea;
    if (byDay()) return truth.slice(day() * pixels, (day() + 1) * pixels);
    return Float32Array.from({ length: pixels }, (_, p) => {
      let sum = 0;
      for (let t = 0; t < T; t++) sum += truth[t * pixels + p];
      return sum / T;
    });
  }

  function drawSky() {
    const { H, W, truth, cloudy, pixels } = state.sea, noise = Number(at("noise").value), from = day() * pixels;
    draw(at("sky"), H, W, (p) => (cloudy[from + p] ? CLOUD : colour(truth[from + p] + noise * state.noise[from + p], ANOMALY)));
    if (document.activeElement === at("sky")) {
      const paper = at("sky").getContext("2d"), [y, x] = state.cursor;
      paper.fillStyle = "#000";
      paper.fillRect(x - 1, H - 1 - y, 3, 1);
      paper.fillRect(x, H - 2 - y, 1, 3);
      paper.fillStyle = "#fff";
      paper.fillRect(x, H - 1 - y, 1, 1);
    }
    const seen = cloudy.subarray(from, from + pixels).reduce((sum, c) => sum - c, pixels);
    const all = cloudy.reduce((sum, c) => sum - c, cloudy.length);
    at("day-says").textContent = `${day() + 1}`;
    at("noise-says").textContent = `${noise.toFixed(2)} K`;
    at("day").setAttribute("aria-valuetext", `day ${day() + 1} of ${state.sea.T}`);
    at("noise").setAttribute("aria-valuetext", `${noise.toFixed(2)} kelvin`);
    at("sky-says").textContent = `Day ${day() + 1}: ${percent(seen / pixels)} of the sea seen, ${percent(all / cloudy.length)} in the month.`;
  }

  const percent = (share) => `${Math.round(100 * share)} %`;

  const METHODS = ["gaussian", "firstGuess", "oi", "mean"];

  function forget() { // what was painted or asked has changed: the answer is no longer of it
    if (state.example) return leave();
    state.turn++;
    at("status").textContent = "Press Reconstruct to see what each method makes of this sky.";
    const { H, W } = state.sea, truth = truthAsked();
    draw(at("truth"), H, W, (p) => colour(truth[p], ANOMALY));
    for (const name of [...METHODS, "error", "oi-error"]) draw(at(name), H, W, () => CLOUD);
    for (const name of METHODS) at(`${name}-rmse`).textContent = "–";
    at("days").replaceChildren();
    at("days-says").textContent = "";
    drawSky();
  }

  function showMap(name, map, truth) { // returns its error, in words
    const { H, W } = state.sea, error = `${rms(map, truth).toFixed(3)} K`;
    draw(at(name), H, W, (p) => colour(map[p], ANOMALY));
    at(`${name}-rmse`).textContent = error;
    const apart = { mean: "error", oi: "oi-error" }[name];
    if (apart) draw(at(apart), H, W, (p) => colour(map[p] - truth[p], ERROR));
    return error;
  }

  function show(answer, took) {
    const { T } = state.sea, truth = truthAsked();
    for (const name of ["gaussian", "firstGuess", "mean"]) showMap(name, answer[name], truth);
    const heard = new Array(T).fill(0), patches = answer.weights.length / T;
    answer.weights.forEach((weight, i) => (heard[i % T] += weight / patches));
    const most = Math.max(...heard);
    at("days").replaceChildren(...heard.map((weight) => {
      const bar = document.createElement("span");
      bar.style.height = `${(100 * weight) / most}%`;
      return bar;
    }));
    const loudest = [...heard.keys()].sort((a, b) => heard[b] - heard[a]).slice(0, 3);
    at("days-says").textContent = `Heard most: ${loudest.map((t) => `day ${t + 1} (${percent(heard[t])})`).join(", ")}. Equal shares would be ${percent(1 / T)}.`;
    at("status").textContent = `The network took ${Math.round(took)} ms and errs by ${rms(answer.mean, truth).toFixed(3)} K. Interpolating …`;
  }

  const painted = () => new Promise((done) => setTimeout(done, 30)); // until what was written is on the screen

  async function reconstruct() {
    leave();
    const turn = ++state.turn, sea = state.sea;
    at("status").textContent = state.ready[sea.network] ? "Computing …" : "Fetching the network, 2 to 3 MB …";
    at("go").setAttribute("aria-disabled", "true");
    try {
      const net = await network(sea.network);
      await painted();
      if (turn !== state.turn) return; // the reader changed something meanwhile
      const noise = Number(at("noise").value), size = { T: sea.T, H: sea.H, W: sea.W };
      const seen = sea.cloudy.map((c) => 1 - c), anomaly = sea.truth.map((v, i) => v + noise * state.noise[i]);
      const asked = Array.from({ length: sea.T }, (_, t) => !byDay() || t === day()), start = performance.now();
      const answer = globalThis.oceanEngine.reconstruct(net, anomaly, seen, new Uint8Array(sea.pixels).fill(1), asked, size);
      const took = performance.now() - start;
      show(answer, took);
      await painted();
      if (turn !== state.turn) return;
      const then = performance.now();
      const oi = globalThis.oceanOI.interpolate(anomaly, seen, asked, size, sea.terms, Math.max(noise, LEAST_NOISE)).map;
      state.last = { anomaly, seen, asked, answer: { ...answer, oi }, noise, took }; // for the test
      const truth = truthAsked(), error = (map) => `${rms(map, truth).toFixed(3)} K`;
      at("status").textContent = `Done: the network errs by ${error(answer.mean)} (${Math.round(took)} ms), optimal interpolation by ` +
        `${showMap("oi", oi, truth)} (${Math.round(performance.now() - then)} ms), the first guess by ${error(answer.firstGuess)}, one Gaussian by ${error(answer.gaussian)}.`;
    } catch (error) {
      failed(error);
    } finally {
      at("go").removeAttribute("aria-disabled");
    }
  }

  // ---- the example that was computed beforehand ----

  function frame(number) { // what is known after so many days; the clouds are those of the example
    const { play, most, stored } = state.sea, last = play.days[number], { bytes } = globalThis.oceanEngine;
    if (byDay()) at("question").value = "month";
    at("day").value = last;
    at("noise").value = 0.3;
    state.sea.cloudy.set(stored);
    drawSky();
    const truth = truthAsked();
    draw(at("truth"), state.sea.H, state.sea.W, (p) => colour(truth[p], ANOMALY));
    for (const name of ["mean", "oi"]) showMap(name, Array.from(bytes(play[name][number]), (b) => (b / 127.5 - 1) * most), truth);
    const [mean, oi] = play.rmse[number];
    at("status").textContent = `A stored example, from days 1 to ${last}: the network errs by ${mean.toFixed(3)} K, optimal interpolation by ${oi.toFixed(3)} K.`;
  }

  function start() {
    forget();
    state.example = true;
    const { days } = state.sea.play, still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let number = still ? days.length - 1 : 0;
    frame(number);
    if (still) return;
    at("status").setAttribute("aria-live", "off"); // eleven sentences in a row help nobody
    at("play").textContent = "Stop the example";
    state.playing = setInterval(() => {
      frame(++number);
      if (number === days.length - 1) stop();
    }, 900);
  }

  function leave() { // the example goes when the reader begins
    if (!state.example) return;
    state.example = false;
    stop();
    at("day").value = state.sea.clearest;
    forget();
  }

  function stop() {
    clearInterval(state.playing);
    state.playing = null;
    at("play").textContent = "Play the example";
    at("status").removeAttribute("aria-live");
  }

  // ---- what a reader does ----

  function paint(row, col) {
    const { H, W, T, pixels, cloudy } = state.sea, value = at("brush").value === "cloud" ? 1 : 0;
    const days = at("where").value === "every" ? [...Array(T).keys()] : [day()];
    for (let y = Math.max(row - 2, 0); y <= Math.min(row + 2, H - 1); y++) for (let x = Math.max(col - 2, 0); x <= Math.min(col + 2, W - 1); x++) {
      if ((y - row) ** 2 + (x - col) ** 2 <= 5) for (const t of days) cloudy[t * pixels + y * W + x] = value;
    }
  }

  function stroke(event) { // a fast hand skips cells: paint those between, too
    const [row, col] = state.cursor, [toRow, toCol] = underPointer(event);
    const steps = Math.max(Math.abs(toRow - row), Math.abs(toCol - col), 1);
    for (let i = 1; i <= steps; i++) paint(Math.round(row + ((toRow - row) * i) / steps), Math.round(col + ((toCol - col) * i) / steps));
    state.cursor = [toRow, toCol];
    forget();
  }

  function underPointer(event) {
    const box = at("sky").getBoundingClientRect(), { H, W } = state.sea;
    const col = Math.floor(((event.clientX - box.left) / box.width) * W);
    const row = H - 1 - Math.floor(((event.clientY - box.top) / box.height) * H);
    return [Math.min(Math.max(row, 0), H - 1), Math.min(Math.max(col, 0), W - 1)];
  }

  function byKey(event) {
    const steps = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const { H, W, cloudy, pixels } = state.sea, [row, col] = state.cursor;
    if (steps[event.key]) {
      const [dy, dx] = steps[event.key];
      state.cursor = [Math.min(Math.max(row + dy, 0), H - 1), Math.min(Math.max(col + dx, 0), W - 1)];
      drawSky();
    } else if (event.key === " " || event.key === "Enter") {
      paint(row, col);
      forget();
    } else return;
    event.preventDefault();
    const [y, x] = state.cursor;
    at("spoken").textContent = `Row ${y + 1}, column ${x + 1}: ${cloudy[day() * pixels + y * W + x] ? "cloud" : "clear"}.`;
  }

  function all(value) { // the whole month: as it was stored, or as given
    const { sea } = state;
    sea.cloudy.set(value ?? sea.stored);
    forget();
  }

  function begin(event) { // whoever touches a control will press Reconstruct
    if (event.key === "Tab" || !event.target.matches("select, input, button, canvas[tabindex]") || event.target === at("play")) return;
    leave();
    network(state.sea.network).catch(() => {}); // said when it is needed
  }

  function listen() {
    const sky = at("sky");
    sky.addEventListener("pointerdown", (event) => { sky.setPointerCapture(event.pointerId); state.cursor = underPointer(event); stroke(event); });
    sky.addEventListener("pointermove", (event) => event.buttons && stroke(event));
    sky.addEventListener("keydown", byKey);
    for (const name of ["focus", "blur"]) sky.addEventListener(name, drawSky);
    at("sea").onchange = () => openSea(at("sea").value).catch(failed);
    at("question").onchange = forget;
    at("noise").oninput = forget;
    at("day").oninput = () => (byDay() ? forget() : drawSky());
    at("play").onclick = () => (state.playing ? stop() : start());
    for (const deed of ["pointerdown", "keydown"]) app.addEventListener(deed, begin, true);
    at("go").onclick = () => at("go").getAttribute("aria-disabled") || reconstruct();
    at("stored").onclick = () => all();
    at("cover").onclick = () => all(new Uint8Array(state.sea.cloudy.length).fill(1));
    at("clear").onclick = () => all(new Uint8Array(state.sea.cloudy.length));
  }

  function failed(error) {
    at("status").textContent = `That did not work: ${error.message}.`;
  }

  for (const [name, scale] of [["anomaly-bar", ANOMALY], ["error-bar", ERROR]]) {
    at(name).style.background = `linear-gradient(to right, ${scale.colours.split(" ").join(", ")})`;
  }
  app.state = state;
  // Some browsers keep what was chosen before a reload. Where this fails, the still picture stays.
  openSea(at("sea").value).then(() => {
    listen();
    app.hidden = false;
    for (const still of document.querySelectorAll(".live-still")) still.hidden = true;
    start();
  }, () => {});
})();
