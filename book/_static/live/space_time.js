// Attention across the days (chapter "A sea that moves"), as sst_tutorial/space_time.py has it: the tokens of a month ask
// each other, along the days of their patch and then across the patches of their day, before the days are weighed.
(function () {
  "use strict";
  const { product, gelu, layerNorm, softmax, sincos } = globalThis.oceanMatrix;
  const HEADS = 4, BLOCKS = "network.mixer.blocks.";

  // Tokens (T N, D) -> the same shape. heard: 1 where a token says something; nobody listens to the others.
  function mix(net, tokens, heard, { T, Hp, Wp }) {
    const loud = net.weights["network.mixer.loudness"]; // (2, D)
    if (!loud) return tokens;
    const N = Hp * Wp, D = loud.length / 2, x = new Float32Array(tokens);
    const places = Array.from({ length: N }, (_, n) => [...sincos(Math.floor(n / Wp), D / 2), ...sincos(n % Wp, D / 2)]);
    for (let t = 0, o = 0; t < T; t++) {
      const day = sincos(t, D);
      for (let n = 0; n < N; n++) for (let d = 0; d < D; d++) x[o++] += loud[d] * day[d] + loud[D + d] * places[n][d];
    }
    const add = (y) => { for (let i = 0; i < x.length; i++) x[i] += y[i]; };
    const days = { length: T, dims: 1, square: (a, b) => (a - b) ** 2,
      rows: Array.from({ length: N }, (_, n) => Array.from({ length: T }, (_, t) => t * N + n)) };
    const spots = { length: N, dims: 2, rows: Array.from({ length: T }, (_, t) => Array.from({ length: N }, (_, n) => t * N + n)),
      square: (a, b) => (Math.floor(a / Wp) - Math.floor(b / Wp)) ** 2 + ((a % Wp) - (b % Wp)) ** 2 };
    const ones = new Float32Array(D).fill(1), zeros = new Float32Array(D), unit = (y) => layerNorm(y, T * N, D, ones, zeros);
    for (let b = 0; net.weights[`${BLOCKS}${b}.mlp.1.weight`]; b++) {
      add(attend(net, `${BLOCKS}${b}.over_days`, unit(x), heard, days));
      add(attend(net, `${BLOCKS}${b}.over_places`, unit(x), heard, spots));
      const inside = product(unit(x), net.weights[`${BLOCKS}${b}.mlp.1.weight`], T * N, D, 2 * D);
      add(product(gelu(inside), net.weights[`${BLOCKS}${b}.mlp.3.weight`], T * N, 2 * D, D));
    }
    return x;
  }

  // Along each row of tokens. A head has a reach of 1, 2, 4 days or patches, the last one sees all alike; a null key of
  // value 0 stands beside the query. The last numbers of each head are given away: PyTorch keeps the distance there.
  function attend(net, name, x, heard, { length: L, dims, rows, square }) {
    const w = (part) => net.weights[`${name}.${part}`], null_ = w("null"), D = null_.length, d = D / HEADS, kept = d - dims - 3;
    const [q, k, v] = ["q", "k", "v"].map((part) => product(x, w(`${part}.weight`), x.length / D, D, D)), out = new Float32Array(x.length);
    const far = Float32Array.from({ length: L * L }, (_, i) => square(Math.floor(i / L), i % L) / 2), root = Math.sqrt(d);
    const K = new Float32Array((L + 1) * kept), Q = new Float32Array(L * kept), V = new Float32Array(d * (L + 1));
    for (let h = 0; h < HEADS; h++) {
      const sharp = h === HEADS - 1 ? 0 : 0.25 ** h; // 1 / reach, squared
      K.set(null_.subarray(h * d, h * d + kept), L * kept);
      for (const row of rows) {
        row.forEach((token, i) => {
          const at = token * D + h * d;
          Q.set(q.subarray(at, at + kept), i * kept);
          K.set(k.subarray(at, at + kept), i * kept);
          for (let c = 0; c < d; c++) V[c * (L + 1) + i] = v[at + c];
        });
        const scores = product(Q, K, L, kept, L + 1);
        for (let i = 0; i < L; i++) {
          const mine = scores.subarray(i * (L + 1), (i + 1) * (L + 1));
          for (let j = 0; j < L; j++) mine[j] = heard[row[j]] ? mine[j] / root - sharp * far[i * L + j] : -Infinity;
          mine[L] /= root;
          softmax(mine);
        }
        const said = product(scores, V, L, L + 1, d);
        row.forEach((token, i) => out.set(said.subarray(i * d, (i + 1) * d), token * D + h * d));
      }
    }
    return product(out, w("out.weight"), x.length / D, D, D);
  }

  // What the tokens of each day add to that day's map: the mean (H, W) over the days asked for.
  function daily(net, tokens, asked, { T, Hp, Wp }, patch) {
    const weight = net.weights["network.daily_head.last.weight"];
    if (!weight) return null;
    const N = Hp * Wp, side = patch * patch, map = new Float32Array(N * side), days = [...asked.keys()].filter((t) => asked[t]);
    const stamps = product(tokens, weight, T * N, tokens.length / T / N, side, net.weights["network.daily_head.last.bias"]);
    for (const t of days) for (let n = 0; n < N; n++) for (let s = 0; s < side; s++) {
      const y = Math.floor(n / Wp) * patch + Math.floor(s / patch), z = (n % Wp) * patch + (s % patch);
      map[y * Wp * patch + z] += stamps[(t * N + n) * side + s] / days.length;
    }
    return map;
  }

  globalThis.oceanSpaceTime = { mix, daily };
})();
