// The first guess again (chapter "Divide by what was seen"), as sst_tutorial/first_guess.py has it.
// A month is x (T, H, W) anomalies in K, 0 where not seen, and seen (T, H, W), 1 or 0.
(function () {
  "use strict";
  const { product, gelu } = globalThis.oceanMatrix;

  // A table (n, n) of f(distance): it is its own transpose, as `product` likes it.
  function table(n, f) {
    const out = new Float32Array(n * n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[i * n + j] = f(Math.abs(i - j));
    return out;
  }

  function gaussian(width) {
    return (d) => {
      const value = Math.exp(-0.5 * (d / width) ** 2);
      return value > 1e-12 ? value : 0;
    };
  }

  // Both fields (2, T, H, W) under a kernel along each axis: (T, H, W, 2). Each product works on the
  // last axis and moves it to the front, so three of them go once around.
  function spread(both, { T, H, W }, overT, overH, overW) {
    let x = product(both, overW, 2 * T * H, W, W, null, true); // (W, 2, T, H)
    x = product(x, overH, W * 2 * T, H, H, null, true); // (H, W, 2, T)
    return product(x, overT, H * W * 2, T, T, null, true); // (T, H, W, 2)
  }

  function together(x, seen) {
    const both = new Float32Array(2 * x.length);
    both.set(x);
    both.set(seen, x.length);
    return both;
  }

  // ---- one Gaussian: the baseline that learns nothing ----

  function oneGaussian(x, seen, size, cells = 1.2, days = 3) {
    let total = 0, number = 0;
    for (let i = 0; i < x.length; i++) { total += x[i]; number += seen[i]; }
    const out = new Float32Array(x.length).fill(total / Math.max(number, 1));
    for (const wider of [16, 4, 1]) { // where nothing is near, a wider one answers
      const [t, h, w] = [[size.T, days], [size.H, cells], [size.W, cells]].map(([n, s]) => table(n, gaussian(s * wider)));
      const sums = spread(together(x, seen), size, t, h, w);
      for (let i = 0; i < out.length; i++) if (sums[2 * i + 1] > 1e-6) out[i] = sums[2 * i] / sums[2 * i + 1];
    }
    return out;
  }

  // ---- a dozen of them ----

  const between = (value, low, high) => Math.min(Math.max(value, low), high);

  // Mean square difference of pairs of observations `lag` apart along rows (axis "W") or days ("T").
  function step(x, seen, { T, H, W }, axis, lag, variance) {
    const apart = axis === "W" ? lag : lag * H * W;
    let sum = 0, pairs = 0;
    if (lag >= (axis === "W" ? W : T)) return 2 * variance;
    for (let i = 0; i + apart < x.length; i++) {
      if (axis === "W" && (i % W) + lag >= W) continue;
      const both = seen[i] * seen[i + apart];
      pairs += both;
      sum += both * (x[i] - x[i + apart]) ** 2;
    }
    return (sum + 10 * variance) / (pairs + 5); // few pairs say nothing
  }

  // What the small network that bends the corrections looks at.
  function features(x, seen, ocean, size, motion) {
    let number = 0, mean = 0, variance = 0, cells = 0;
    for (let i = 0; i < x.length; i++) { number += seen[i]; mean += x[i]; }
    number = Math.max(number, 1);
    mean /= number;
    for (let i = 0; i < x.length; i++) variance += seen[i] * (x[i] - mean) ** 2;
    variance /= number;
    for (const wet of ocean) cells += wet;
    const coverage = between(number / (31 * (motion ? Math.max(cells, 1) : ocean.length)), 0.003, 1);
    if (!motion) {
      const near = step(x, seen, size, "W", 1, variance);
      return [coverage, between(variance + 1e-3, 0.08, 3), between(near + 1e-3, 0.03, 1)].map(Math.log);
    }
    variance += 1e-3;
    const steps = [["W", 1], ["W", 4], ["T", 1], ["T", 3]].map(([axis, lag]) => step(x, seen, size, axis, lag, variance));
    return [coverage, between(variance, 0.01, 6), ...steps.map((s) => between(s, 0.004, 6))].map(Math.log);
  }

  // Width in cells, memory in days, noise and gain of each correction: four rows of n.
  function numbers(net, x, seen, ocean, size) {
    const w = net.weights, n = net.iterations;
    const seenAs = Float32Array.from(features(x, seen, ocean, size, net.motion));
    const hidden = gelu(product(seenAs, w["first_guess.tune.0.weight"], 1, seenAs.length, 32, w["first_guess.tune.0.bias"]));
    const bend = product(hidden, w["first_guess.tune.2.weight"], 1, 32, 4 * n, w["first_guess.tune.2.bias"]);
    return ["cells", "days", "noise", "gain"].map((name, row) =>
      Array.from(w[`first_guess.log_${name}`], (value, i) => Math.exp(value + bend[row * n + i])));
  }

  // The analysis (T, H, W), and of each correction its increment and its count, (T, H, W) each.
  function corrections(net, x, seen, ocean, size) {
    const [cells, memory, noise, gain] = numbers(net, x, seen, ocean, size);
    const analysis = new Float32Array(x.length), misfit = new Float32Array(x.length);
    const increments = [], counts = [];
    for (let c = 0; c < net.iterations; c++) {
      for (let i = 0; i < x.length; i++) misfit[i] = (x[i] - analysis[i]) * seen[i];
      const overSpace = gaussian(cells[c]);
      const sums = spread(together(misfit, seen), size, table(size.T, (d) => Math.exp(-d / memory[c])),
        table(size.H, overSpace), table(size.W, overSpace));
      const increment = new Float32Array(x.length), count = new Float32Array(x.length);
      for (let i = 0; i < x.length; i++) {
        count[i] = sums[2 * i + 1];
        increment[i] = (gain[c] * sums[2 * i]) / (count[i] + noise[c]);
        analysis[i] += increment[i];
      }
      increments.push(increment);
      counts.push(count);
    }
    for (let i = 0; i < x.length; i++) misfit[i] = (x[i] - analysis[i]) * seen[i];
    return { analysis, misfit, increments, counts };
  }

  // Mean (H, W) of the days asked for.
  function meanOf(daily, asked, pixels) {
    const out = new Float32Array(pixels);
    const days = [...asked.keys()].filter((t) => asked[t]);
    for (const t of days) for (let p = 0; p < pixels; p++) out[p] += daily[t * pixels + p] / days.length;
    return out;
  }

  globalThis.oceanFirstGuess = { oneGaussian, corrections, meanOf };
})();
