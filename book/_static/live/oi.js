// Optimal interpolation (chapter "Baselines you must beat") of all observations of a month at once.
// The covariance is a sum of terms, each a product of one curve for every axis, so that three passes along the
// axes multiply by it: no matrix is stored. Conjugate gradients (Hestenes & Stiefel 1952) solve the system.
(function () {
  "use strict";
  const MOST = 150; // steps; 0.3 K of noise takes 100 of them, 1 K takes 33

  // Every line of an axis under (1 + d bend) rho^d, with d the distance in steps: two sums run along all lines
  // and two back. The axis has n places, `stride` numbers apart.
  function along(x, n, stride, rho, bend) {
    const out = new Float64Array(x.length), near = new Float64Array(stride), far = new Float64Array(stride);
    for (let from = 0; from < x.length; from += n * stride) {
      near.fill(0);
      far.fill(0);
      for (let p = from; p < from + n * stride; p += stride) for (let l = 0; l < stride; l++) {
        far[l] = rho * (far[l] + near[l]);
        near[l] = rho * near[l] + x[p + l];
        out[p + l] = near[l] + bend * far[l];
      }
      near.fill(0);
      far.fill(0);
      for (let p = from + (n - 1) * stride; p >= from; p -= stride) for (let l = 0; l < stride; l++) {
        far[l] = rho * (far[l] + near[l]);
        near[l] *= rho;
        out[p + l] += near[l] + bend * far[l];
        near[l] += x[p + l];
      }
    }
    return out;
  }

  // The covariance times a field (T, H, W). terms: variance in K^2, cells and days of each.
  function covariance(x, terms, { T, H, W }) {
    const sum = new Float64Array(x.length);
    for (const [variance, cells, days] of terms) {
      const rho = Math.exp(-1 / cells);
      let y = along(x, T, H * W, Math.exp(-1 / days), 0);
      y = along(along(y, H, W, rho, 1 / cells), W, 1, rho, 1 / cells);
      for (let i = 0; i < y.length; i++) sum[i] += variance * y[i];
    }
    return sum;
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  // Mean (H, W) in K of the days asked for, and the steps that it took. anomaly (T, H, W) in K, seen 1 or 0; noise in K.
  function interpolate(anomaly, seen, asked, size, terms, noise) {
    const left = Float64Array.from(anomaly, (value, i) => (seen[i] ? value : 0)); // what is not yet explained
    const weight = new Float64Array(left.length), way = left.slice();
    let square = dot(left, left), steps = 0;
    for (const enough = 1e-5 * square; square > enough && steps < MOST; steps++) {
      const told = covariance(way, terms, size);
      for (let i = 0; i < told.length; i++) told[i] = seen[i] ? told[i] + noise * noise * way[i] : 0;
      const far = square / dot(way, told), before = square;
      for (let i = 0; i < way.length; i++) {
        weight[i] += far * way[i];
        left[i] -= far * told[i];
      }
      square = dot(left, left);
      for (let i = 0; i < way.length; i++) way[i] = left[i] + (square / before) * way[i];
    }
    return { map: globalThis.oceanFirstGuess.meanOf(covariance(weight, terms, size), asked, size.H * size.W), steps };
  }

  globalThis.oceanOI = { interpolate };
})();
