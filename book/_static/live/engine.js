// The book's estimator in the browser: a first guess plus what the network adds, from a month to its map.
// One function for each chapter of Part II, in the order of sst_tutorial/model.py. One month, no batch.
(function () {
  "use strict";
  const { product, transpose, gelu, layerNorm, softmax, sincos, conv3, bytes, halves } = globalThis.oceanMatrix;
  const { oneGaussian, corrections, meanOf } = globalThis.oceanFirstGuess;
  const { mix, daily } = globalThis.oceanSpaceTime;
  const PATCH = 4, D = 128, HIDDEN = 64, REACH = PATCH + 2; // a kernel reaches a pixel into its neighbours

  // ---- weights: from a file's text to arrays in the order that `product` reads ----

  function load(file) {
    const all = halves(file.data), w = {};
    let from = 0;
    for (const [name, length, parts] of file.layout) {
      w[name] = all.slice(from, (from += length));
      if (parts === 2) w[name].forEach((value, i) => (w[name][i] = value + all[from++])); // the rest that 16 bits left
    }
    for (const name of Object.keys(w)) {
      // (O, C, 3, 3) -> (O, 3, 3, C): conv3 puts the channels of a pixel side by side.
      if (/head\.0|residual_blocks.*weight/.test(name)) {
        const C = w[name].length / HIDDEN / 9;
        const turned = Array.from({ length: HIDDEN }, (_, o) => [...transpose(w[name].subarray(o * C * 9, (o + 1) * C * 9), C, 9)]);
        w[name] = Float32Array.from(turned.flat());
      }
    }
    const deconv = "network.decoder.deconv.weight"; // (D, 64, 6, 6) -> (64 6 6, D)
    w[deconv] = transpose(w[deconv], D, HIDDEN * REACH * REACH);
    return { ...file, data: null, weights: w, layer: layers(w) };
  }

  function layers(w) { // (name, X (m, k)) -> (m, n): a linear layer by its name
    return (name, X, m, weight = `${name}.weight`) => {
      const bias = w[weight.replace(/weight$/, "bias")], n = bias.length;
      return product(X, w[weight], m, X.length / m, n, bias);
    };
  }

  // ---- "Video to tokens": (C, T, H, W) channels and their validity -> (T N, D) ----

  function encode(net, channels, known, { T, H, W }) {
    const C = channels.length, Hp = H / PATCH, Wp = W / PATCH, side = 2 * C * PATCH * PATCH;
    const patches = new Float32Array(T * Hp * Wp * side), heard = new Uint8Array(T * Hp * Wp);
    for (let t = 0; t < T; t++) for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) {
      const pixel = (t * H + y) * W + x;
      const token = (t * Hp + Math.floor(y / PATCH)) * Wp + Math.floor(x / PATCH);
      const at = token * side + (y % PATCH) * PATCH + (x % PATCH);
      for (let c = 0; c < C; c++) {
        if (!known[c][pixel]) continue;
        patches[at + c * PATCH * PATCH] = channels[c][pixel];
        patches[at + (C + c) * PATCH * PATCH] = 1;
        heard[token] = 1;
      }
    }
    const w = net.weights;
    const tokens = net.layer("network.encoder.proj", patches, T * Hp * Wp);
    const normed = layerNorm(tokens, T * Hp * Wp, D, w["network.encoder.norm.weight"], w["network.encoder.norm.bias"]);
    return { tokens: normed, heard };
  }

  // ---- "Telling time" and "Which days matter": (T N, D) -> (N, D), and the weights (N, T) ----

  function marks(net, asked) { // of the question: how far a day lies from those asked for
    if (!net.question) return asked.map(() => new Float32Array(D));
    const loud = net.weights["network.question.loudness"], days = [...asked.keys()].filter((t) => asked[t]);
    const middle = days.reduce((a, b) => a + b, 0) / Math.max(days.length, 1);
    return asked.map((one, t) => sincos(t - middle, D).map((far, d) => loud[d] * far + (one ? loud[D + d] : 0)));
  }

  function weigh(net, tokens, heard, asked, T, N) {
    const w = net.weights, heads = net.heads, share = D / heads, mark = marks(net, asked);
    const timed = new Float32Array(tokens), marked = new Float32Array(tokens);
    for (let t = 0, o = 0; t < T; t++) {
      const day = sincos(t, D);
      for (let n = 0; n < N; n++) for (let d = 0; d < D; d++, o++) {
        timed[o] += day[d];
        marked[o] = timed[o] + mark[t][d];
      }
    }
    const score = "network.temporal.scorer";
    let scores = layerNorm(marked, T * N, D, w[`${score}.0.weight`], w[`${score}.0.bias`]);
    scores = net.layer(`${score}.3`, gelu(net.layer(`${score}.1`, scores, T * N)), T * N); // (T N, heads)
    const out = new Float32Array(N * D), weights = new Float32Array(N * T);
    for (let n = 0; n < N; n++) {
      // A network without a question hears only the days asked for; of these, those that saw something.
      let days = [...Array(T).keys()].filter((t) => net.question || asked[t]);
      const saw = days.filter((t) => heard[t * N + n]);
      if (saw.length) days = saw;
      for (let h = 0; h < heads; h++) {
        const row = softmax(days.map((t) => scores[(t * N + n) * heads + h]));
        days.forEach((t, i) => {
          weights[n * T + t] += row[i] / heads;
          for (let d = h * share; d < (h + 1) * share; d++) out[n * D + d] += row[i] * timed[(t * N + n) * D + d];
        });
      }
    }
    return { x: out, weights };
  }

  // ---- "Telling place" ----

  function addPlaces(x, Hp, Wp) {
    for (let i = 0, o = 0; i < Hp; i++) for (let j = 0; j < Wp; j++) {
      for (const half of [sincos(i, D / 2), sincos(j, D / 2)]) for (const mark of half) x[o++] += mark;
    }
    return x;
  }

  // ---- "Looking across the ocean": (N, D) -> (N, D) ----

  function attend(net, name, x, N) {
    const qkv = net.layer(name, x, N, `${name}.in_proj_weight`); // (N, 3 D)
    const heads = net.spatialHeads, d = D / heads, out = new Float32Array(N * D);
    for (let h = 0; h < heads; h++) for (let i = 0; i < N; i++) {
      const row = new Array(N).fill(0), q = i * 3 * D + h * d;
      for (let j = 0; j < N; j++) {
        const k = j * 3 * D + D + h * d;
        for (let c = 0; c < d; c++) row[j] += qkv[q + c] * qkv[k + c];
        row[j] /= Math.sqrt(d);
      }
      softmax(row);
      for (let j = 0; j < N; j++) for (let c = 0; c < d; c++) out[i * D + h * d + c] += row[j] * qkv[j * 3 * D + 2 * D + h * d + c];
    }
    return net.layer(`${name}.out_proj`, out, N);
  }

  function lookAcross(net, x, N) {
    const add = (a, b) => a.map((value, i) => value + b[i]);
    for (let i = 0; i < net.depth; i++) {
      const name = `network.spatial_tr.enc.layers.${i}`;
      const norm = (y, k) => layerNorm(y, N, D, net.weights[`${name}.norm${k}.weight`], net.weights[`${name}.norm${k}.bias`]);
      x = norm(add(x, attend(net, `${name}.self_attn`, x, N)), 1);
      x = norm(add(x, net.layer(`${name}.linear2`, gelu(net.layer(`${name}.linear1`, x, N)), N)), 2);
    }
    return x;
  }

  // ---- "Back to pixels": (N, D) and the maps of the first guess -> (H, W) ----

  function unfold(net, x, Hp, Wp, chans) { // the transposed convolution: (H W, chans), 64 of them filled
    const name = "network.decoder.deconv", H = Hp * PATCH, W = Wp * PATCH, side = HIDDEN * REACH * REACH;
    const stamps = product(x, net.weights[`${name}.weight`], Hp * Wp, D, side); // (N, 64 6 6)
    const out = new Float32Array(H * W * chans), bias = net.weights[`${name}.bias`];
    for (let p = 0; p < H * W; p++) out.set(bias, p * chans);
    for (let i = 0; i < Hp; i++) for (let j = 0; j < Wp; j++) for (let c = 0, s = (i * Wp + j) * side; c < HIDDEN; c++) {
      for (let a = 0; a < REACH; a++) for (let b = 0; b < REACH; b++, s++) {
        const y = i * PATCH + a - 1, z = j * PATCH + b - 1;
        if (y >= 0 && y < H && z >= 0 && z < W) out[(y * W + z) * chans + c] += stamps[s];
      }
    }
    return out;
  }

  function decode(net, x, maps, ocean, { H, W }) {
    const w = net.weights, name = "network.decoder", pixels = H * W, chans = HIDDEN + maps.length;
    x = unfold(net, net.layer(`${name}.proj`, x, (H * W) / PATCH ** 2), H / PATCH, W / PATCH, chans);
    maps.forEach((map, s) => map.forEach((value, p) => (x[p * chans + HIDDEN + s] = value)));
    x = conv3(x, H, W, chans, w[`${name}.head.0.weight`], HIDDEN);
    const [gain, shift, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map((key) => w[`${name}.head.1.${key}`]);
    for (let i = 0; i < x.length; i++) {
      const c = i % HIDDEN;
      x[i] = ((x[i] - mean[c]) / Math.sqrt(variance[c] + 1e-5)) * gain[c] + shift[c];
    }
    gelu(x);
    for (let r = 0; r < net.residualBlocks; r++) {
      const block = `${name}.residual_blocks.${r}`;
      const wet = x.map((value, i) => (ocean[Math.floor(i / HIDDEN)] ? value : 0));
      let y = gelu(conv3(wet, H, W, HIDDEN, w[`${block}.0.weight`], HIDDEN, w[`${block}.0.bias`]));
      y = conv3(y, H, W, HIDDEN, w[`${block}.2.weight`], HIDDEN, w[`${block}.2.bias`]);
      for (let i = 0; i < x.length; i++) x[i] += y[i];
    }
    const last = net.layer(`${name}.head.3`, x, pixels);
    return last.map((value, p) => (ocean[p] ? value * w[`${name}.scale`][0] + w[`${name}.bias`][0] : 0));
  }

  // ---- "All together" ----

  // net from `load`; anomaly (T, H, W) in K; seen (T, H, W) and ocean (H, W), 1 or 0; asked: T booleans,
  // the days whose mean is asked. All T days exist; H and W are multiples of 4. Returns the maps (H, W)
  // in K, 0 on land: mean, the first guess of it, one Gaussian; and the weights of the days, (N, T).
  function reconstruct(net, anomaly, seen, ocean, asked, size) {
    const { T, H, W } = size, pixels = H * W, N = pixels / PATCH ** 2;
    const there = new Uint8Array(T * pixels), observed = new Float32Array(T * pixels), x = new Float32Array(T * pixels);
    for (let i = 0; i < x.length; i++) {
      there[i] = ocean[i % pixels];
      observed[i] = seen[i] && there[i] ? 1 : 0;
      if (observed[i]) x[i] = anomaly[i] / net.scale;
    }
    const onLand = (map) => map.map((value, p) => (ocean[p] ? value : 0));
    const guess = corrections(net, x, observed, ocean, size), n = net.iterations;
    const chosen = [Math.floor(n / 3), Math.floor((2 * n) / 3), n - 1].map((i) => guess.counts[i].map(Math.log1p));
    const { tokens: read, heard } = encode(net, [guess.misfit, guess.analysis, ...chosen], [observed, there, there, there, there], size);
    const grid = { T, Hp: H / PATCH, Wp: W / PATCH }, tokens = mix(net, read, heard, grid);
    const { x: days, weights } = weigh(net, tokens, heard, asked, T, N);
    const latent = lookAcross(net, addPlaces(days, H / PATCH, W / PATCH), N);
    const mean = onLand(meanOf(guess.analysis, asked, pixels));
    const ofDays = daily(net, tokens, asked, grid, PATCH), maps = guessMaps(guess, mean, observed, asked, pixels);
    const added = decode(net, latent, (ofDays ? [ofDays, ...maps] : maps).map(onLand), ocean, size);
    if (ofDays) ofDays.forEach((value, p) => (added[p] += ocean[p] ? value : 0));
    return {
      mean: mean.map((value, p) => net.scale * (value + added[p])),
      firstGuess: mean.map((value) => net.scale * value),
      gaussian: onLand(meanOf(oneGaussian(x, observed, size), asked, pixels)).map((value) => net.scale * value),
      weights,
    };
  }

  // What the decoder is told of each pixel beside the tokens: (H, W) each.
  function guessMaps({ increments, counts, misfit }, mean, observed, asked, pixels) {
    const maps = [], soFar = new Float32Array(pixels), number = new Float32Array(pixels), total = new Float32Array(pixels);
    for (const increment of increments.slice(0, -1)) {
      meanOf(increment, asked, pixels).forEach((value, p) => (soFar[p] += value));
      maps.push(soFar.map((value, p) => value - mean[p]));
    }
    observed.forEach((one, i) => {
      if (!asked[Math.floor(i / pixels)]) return;
      number[i % pixels] += one;
      total[i % pixels] += misfit[i];
    });
    return [...maps, mean, ...counts.map((count) => meanOf(count, asked, pixels).map(Math.log1p)),
      number.map(Math.log1p), total.map((value, p) => value / (number[p] + 1)), new Float32Array(pixels).fill(1)];
  }

  globalThis.oceanEngine = { load, reconstruct, bytes, halves };
})();
