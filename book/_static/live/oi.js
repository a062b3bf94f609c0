// Optimal interpolation (chapter "Baselines you must beat") of all observations of a month at once.
// The covariance is a sum of terms, each a product of one curve for every axis, so that three passes along the
// axes multiply by it: no matrix is stored. Conjugate gradients (Hestenes & Stiefel 1952) solve the system.
(function () {
  "use strict";
  const MOST = 150; // steps; 0.3 K of noise takes 100 of them, 1 K takes 33

  // Lines `stride` apart under rho^d, with d the distance in steps: one sum runs along all of them and one back.
  function days(x, out, n, stride, rho) {
    const last = (n - 1) * stride, near = new Float64Array(stride);
    for (let p = 0; p < x.length; p++) out[p] = x[p] + (p < stride ? 0 : rho * out[p - stride]);
    for (let p = last; p >= 0; p -= stride) for (let l = 0; l < stride; l++) {
      near[l] *= rho;
      out[p + l] += near[l];
      near[l] += x[p + l];
    }
  }

  // Lines along an axis of space under (1 + d bend) rho^d: two sums run along each line and two back. A line starts at
  // `from` and has n places, `stride` numbers apart; numbers in variables are twice as fast as numbers in arrays.
  function line(x, out, from, n, stride, rho, bend) {
    const end = from + n * stride;
    let near = 0, far = 0;
    for (let p = from; p < end; p += stride) {
      far = rho * (far + near);
      near = rho * near + x[p];
      out[p] = near + bend * far;
    }
    near = far = 0;
    for (let p = end - stride; p >= from; p -= stride) {
      far = rho * (far + near);
      near *= rho;
      out[p] += near + bend * far;
      near += x[p];
    }
  }

  // The covariance times a field (T, H, W). terms: variance in K^2, cells and days of each. Its arrays are used again.
  function covariance(x, terms, { T, H, W }, sum, y, z) {
    sum.fill(0);
    for (const [variance, cells, memory] of terms) {
      const rho = Math.exp(-1 / cells), bend = 1 / cells;
      days(x, y, T, H * W, Math.exp(-1 / memory));
      for (let t = 0; t < T; t++) for (let w = 0; w < W; w++) line(y, z, t * H * W + w, H, W, rho, bend);
      for (let from = 0; from < z.length; from += W) line(z, y, from, W, 1, rho, bend);
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
    const arrays = [0, 1, 2].map(() => new Float64Array(left.length));
    let square = dot(left, left), steps = 0;
    for (const enough = 1e-5 * square; square > enough && steps < MOST; steps++) {
      const told = covariance(way, terms, size, ...arrays);
      for (let i = 0; i < told.length; i++) told[i] = seen[i] ? told[i] + noise * noise * way[i] : 0;
      const far = square / dot(way, told), before = square;
      for (let i = 0; i < way.length; i++) {
        weight[i] += far * way[i];
        left[i] -= far * told[i];
      }
      square = dot(left, left);
      for (let i = 0; i < way.length; i++) way[i] = left[i] + (square / before) * way[i];
    }
    return { map: globalThis.oceanFirstGuess.meanOf(covariance(weight, terms, size, ...arrays), asked, size.H * size.W), steps };
  }

  globalThis.oceanOI = { interpolate };
})();
