// Arrays and matrix products for the engine, in plain JavaScript. All arrays are Float32Array, row after row.
(function () {
  "use strict";

  // product.wat, compiled: a page that was opened from a disk may not fetch it.
  const COMPILED = [
    "AGFzbQEAAAABEgJgBn9/f39/fwBgBHt7e3sBewMDAgABBQMBAAEHFAIGbWVtb3J5AgAHcHJvZHVjdAAACpMFAvkDAgl/C3sgBEECdCEJA0AgACAJ",
    "aiEKIAEhC0EAIQcDQCALIAlqIQwgDCAJaiENIA0gCWohDv0MAAAAAAAAAAAAAAAAAAAAACES/QwAAAAAAAAAAAAAAAAAAAAAIRP9DAAAAAAAAAAA",
    "AAAAAAAAAAAhFP0MAAAAAAAAAAAAAAAAAAAAACEV/QwAAAAAAAAAAAAAAAAAAAAAIRb9DAAAAAAAAAAAAAAAAAAAAAAhF/0MAAAAAAAAAAAAAAAA",
    "AAAAACEY/QwAAAAAAAAAAAAAAAAAAAAAIRlBACEIA0AgACAIav0ABAAhDyAKIAhq/QAEACEQIAsgCGr9AAQAIREgEiAPIBH95gH95AEhEiAWIBAg",
    "Ef3mAf3kASEWIAwgCGr9AAQAIREgEyAPIBH95gH95AEhEyAXIBAgEf3mAf3kASEXIA0gCGr9AAQAIREgFCAPIBH95gH95AEhFCAYIBAgEf3mAf3k",
    "ASEYIA4gCGr9AAQAIREgFSAPIBH95gH95AEhFSAZIBAgEf3mAf3kASEZIAhBEGoiCCAJSQ0ACyACIBIgEyAUIBUQAf0LBAAgAiAFQQJ0aiAWIBcg",
    "GCAZEAH9CwQAIAJBEGohAiAOIAlqIQsgB0EEaiIHIAVJDQALIAIgBUECdGohAiAKIAlqIQAgBkECaiIGIANJDQALC5UBAQJ7IAAgAf0NAAECAxAR",
    "EhMEBQYHFBUWFyAAIAH9DQgJCgsYGRobDA0ODxwdHh/95AEhBCACIAP9DQABAgMQERITBAUGBxQVFhcgAiAD/Q0ICQoLGBkaGwwNDg8cHR4f/eQB",
    "IQUgBCAF/Q0AAQIDBAUGBxAREhMUFRYXIAQgBf0NCAkKCwwNDg8YGRobHB0eH/3kAQs=",
  ].join("");

  function compiled() { // null where a browser has no SIMD
    try {
      return new WebAssembly.Instance(new WebAssembly.Module(bytes(COMPILED))).exports;
    } catch {
      return null;
    }
  }

  const fast = compiled();
  const up = (number, to) => Math.ceil(number / to) * to;

  // Rows of k numbers into the memory of the fast product, filled up with zeros to n rows of `long` numbers.
  function put(at, X, k, long, n) {
    const into = new Float32Array(fast.memory.buffer, at, n * long);
    if (k === long && X.length === into.length) return into.set(X);
    into.fill(0);
    for (let i = 0; i * k < X.length; i++) into.set(X.subarray(i * k, (i + 1) * k), i * long);
  }

  function byWasm(X, W, m, k, n) { // (m, n), in rows of up(n, 4)
    const M = up(m, 2), K = up(k, 4), N = up(n, 4), w = 4 * M * K, out = w + 4 * N * K, all = out + 4 * M * N;
    if (all > fast.memory.buffer.byteLength) fast.memory.grow(Math.ceil((all - fast.memory.buffer.byteLength) / 65536));
    put(0, X, k, K, M);
    put(w, W, k, K, N);
    fast.product(0, w, out, M, K, N);
    return new Float32Array(fast.memory.buffer, out, m * N);
  }

  function byHand(X, W, m, k, n) {
    const N = up(n, 4), out = new Float32Array(m * N);
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += X[i * k + p] * W[j * k + p];
      out[i * N + j] = sum;
    }
    return out;
  }

  // X (m, k) times the transpose of W (n, k), plus bias (n): (m, n), or turned over, (n, m).
  function product(X, W, m, k, n, bias, turned) {
    const sums = (fast ? byWasm : byHand)(X, W, m, k, n), N = up(n, 4);
    if (N === n && !bias && !turned) return sums.slice();
    const out = new Float32Array(m * n);
    const down = turned ? 1 : n, right = turned ? m : 1;
    for (let i = 0; i < m; i++) {
      const from = i * N;
      if (bias) for (let j = 0, to = i * down; j < n; j++, to += right) out[to] = sums[from + j] + bias[j];
      else for (let j = 0, to = i * down; j < n; j++, to += right) out[to] = sums[from + j];
    }
    return out;
  }

  function transpose(X, m, n) { // (m, n) -> (n, m)
    const out = new Float32Array(m * n);
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) out[j * m + i] = X[i * n + j];
    return out;
  }

  // The error function to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).
  function erf(x) {
    const z = Math.abs(x), t = 1 / (1 + 0.3275911 * z);
    const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - sum * Math.exp(-z * z));
  }

  function gelu(X) { // in place
    for (let i = 0; i < X.length; i++) X[i] *= 0.5 * (1 + erf(X[i] * Math.SQRT1_2));
    return X;
  }

  function layerNorm(X, rows, D, weight, bias) { // of each row (D), in a new array
    const out = new Float32Array(rows * D);
    for (let r = 0, o = 0; r < rows; r++, o += D) {
      let mean = 0, square = 0;
      for (let d = 0; d < D; d++) mean += X[o + d];
      mean /= D;
      for (let d = 0; d < D; d++) square += (X[o + d] - mean) ** 2;
      const scale = 1 / Math.sqrt(square / D + 1e-5);
      for (let d = 0; d < D; d++) out[o + d] = (X[o + d] - mean) * scale * weight[d] + bias[d];
    }
    return out;
  }

  function softmax(row) { // in place
    let most = -Infinity, sum = 0;
    for (let i = 0; i < row.length; i++) if (row[i] > most) most = row[i];
    for (let i = 0; i < row.length; i++) sum += row[i] = Math.exp(row[i] - most);
    for (let i = 0; i < row.length; i++) row[i] /= sum;
    return row;
  }

  // Sines (even columns) and cosines (odd columns) of a position (chapter "Telling time"): (dim).
  function sincos(position, dim) {
    const out = new Float32Array(dim);
    for (let i = 0; i < dim; i += 2) {
      const angle = position * Math.exp((-i * Math.log(1e4)) / dim);
      out[i] = Math.sin(angle);
      out[i + 1] = Math.cos(angle);
    }
    return out;
  }

  // 3 x 3 convolution of pixels (H W, C) with a kernel (O, 9 C), outside is 0: (H W, O).
  function conv3(X, H, W, C, kernel, O, bias) {
    const rows = new Float32Array(H * W * 9 * C);
    for (let y = 0, o = 0; y < H; y++) {
      for (let x = 0; x < W; x++) {
        for (let dy = -1; dy <= 1; dy++) {
          for (let dx = -1; dx <= 1; dx++, o += C) {
            const inside = y + dy >= 0 && y + dy < H && x + dx >= 0 && x + dx < W;
            const from = ((y + dy) * W + x + dx) * C;
            if (inside) rows.set(X.subarray(from, from + C), o);
          }
        }
      }
    }
    return product(rows, kernel, H * W, 9 * C, O, bias);
  }

  // ---- what a file of weights or of a month holds ----

  function bytes(base64) {
    const text = atob(base64), out = new Uint8Array(text.length); // with this loop and the table below ocean-2 loads in a quarter of the time
    for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
    return out;
  }

  const POWERS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (exponent - 15));

  function halves(base64) { // 16-bit floats, little end first, as Float32Array
    const b = bytes(base64), out = new Float32Array(b.length / 2);
    for (let i = 0; i < out.length; i++) {
      const low = b[2 * i], high = b[2 * i + 1];
      const exponent = (high >> 2) & 31, part = ((high & 3) << 8) | low;
      const size = exponent ? (1 + part / 1024) * POWERS[exponent] : (part / 1024) * POWERS[1];
      out[i] = high & 128 ? -size : size;
    }
    return out;
  }

  globalThis.oceanMatrix = { product, transpose, gelu, layerNorm, softmax, sincos, conv3, bytes, halves };
})();
