// Arrays and matrix products for the engine, in plain JavaScript. All arrays are Float32Array, row after row.
(function () {
  "use strict";

  // X (m, k) times the transpose of W (n, k), plus bias (n): (m, n), or turned over, (n, m).
  // Four by four results grow at a time: each number is then read from memory once for four products.
  function product(X, W, m, k, n, bias, turned) {
    const out = new Float32Array(m * n);
    const down = turned ? 1 : n, right = turned ? m : 1;
    const m4 = m - (m % 4), n4 = n - (n % 4);
    for (let j = 0; j < n4; j += 4) {
      const w0 = j * k, w1 = w0 + k, w2 = w1 + k, w3 = w2 + k;
      for (let i = 0; i < m4; i += 4) {
        const x0 = i * k, x1 = x0 + k, x2 = x1 + k, x3 = x2 + k;
        let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
        let c0 = 0, c1 = 0, c2 = 0, c3 = 0, d0 = 0, d1 = 0, d2 = 0, d3 = 0;
        for (let p = 0; p < k; p++) {
          const u0 = W[w0 + p], u1 = W[w1 + p], u2 = W[w2 + p], u3 = W[w3 + p];
          let v = X[x0 + p];
          a0 += v * u0; a1 += v * u1; a2 += v * u2; a3 += v * u3;
          v = X[x1 + p];
          b0 += v * u0; b1 += v * u1; b2 += v * u2; b3 += v * u3;
          v = X[x2 + p];
          c0 += v * u0; c1 += v * u1; c2 += v * u2; c3 += v * u3;
          v = X[x3 + p];
          d0 += v * u0; d1 += v * u1; d2 += v * u2; d3 += v * u3;
        }
        let o = i * down + j * right;
        out[o] = a0; out[o + right] = a1; out[o + 2 * right] = a2; out[o + 3 * right] = a3; o += down;
        out[o] = b0; out[o + right] = b1; out[o + 2 * right] = b2; out[o + 3 * right] = b3; o += down;
        out[o] = c0; out[o + right] = c1; out[o + 2 * right] = c2; out[o + 3 * right] = c3; o += down;
        out[o] = d0; out[o + right] = d1; out[o + 2 * right] = d2; out[o + 3 * right] = d3;
      }
    }
    for (let i = 0; i < m; i++) {
      for (let j = i < m4 ? n4 : 0; j < n; j++) { // what the blocks left over
        let sum = 0;
        for (let p = 0; p < k; p++) sum += X[i * k + p] * W[j * k + p];
        out[i * down + j * right] = sum;
      }
    }
    if (bias) for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) out[i * down + j * right] += bias[j];
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
    const most = Math.max(...row);
    let sum = 0;
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
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  }

  function halves(base64) { // 16-bit floats, little end first, as Float32Array
    const b = bytes(base64), out = new Float32Array(b.length / 2);
    for (let i = 0; i < out.length; i++) {
      const low = b[2 * i], high = b[2 * i + 1];
      const exponent = (high >> 2) & 31, part = ((high & 3) << 8) | low;
      const size = exponent ? (1 + part / 1024) * 2 ** (exponent - 15) : (part / 1024) * 2 ** -14;
      out[i] = high & 128 ? -size : size;
    }
    return out;
  }

  globalThis.oceanMatrix = { product, transpose, gelu, layerNorm, softmax, sincos, conv3, bytes, halves };
})();
