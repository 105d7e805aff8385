// FA-Seg's equations, as hard.py, ttf.py and labelling.py have them. Nothing here draws.
//
// A map on a grid of n cells is a Float32Array of n rows of K numbers: x[cell * K + k].
// One worker for each view keeps that view's attention and computes what needs it. What is left
// (minmax sums, merge, labels) is quick, and is done in the page.
"use strict";

// ---- arrays of the page ------------------------------------------------------------------------
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

async function openMaps(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const TYPES = { f4: Float32Array, u1: Uint8Array, u2: Uint16Array };

// begin: where the buffer begins among all arrays.
function arrayOf(arrays, buffer, name, begin = 0) {
  const { offset, shape, type } = arrays[name];
  return new TYPES[type](buffer, offset - begin, shape.reduce((a, b) => a * b));
}

// Codes of A_r, which are stored as differences along columns and along rows (see pack.py).
function addUp(codes, n) {
  for (let i = 1; i < codes.length; i++) if (i % n) codes[i] += codes[i - 1];
  for (let i = n; i < codes.length; i++) codes[i] += codes[i - n];
  return codes;
}

// ---- hard.py -----------------------------------------------------------------------------------
// Each class map to [0, 1] over its cells; a constant one to 0.
function minmax(y, K) {
  const low = new Float32Array(K).fill(Infinity), high = new Float32Array(K).fill(-Infinity);
  y.forEach((value, i) => {
    low[i % K] = Math.min(low[i % K], value);
    high[i % K] = Math.max(high[i % K], value);
  });
  const scale = high.map((value, k) => value > low[k] ? 1 / (value - low[k]) : 0);
  return y.map((value, i) => (value - low[i % K]) * scale[i % K]);
}

// For each fine cell the coarse cell that it lies in.
function coarseCells([height, width], [h, w]) {
  return Int32Array.from({ length: height * width }, (_, cell) => {
    const row = Math.floor(cell / width), column = cell % width;
    return Math.floor(row * h / height) * w + Math.floor(column * w / width);
  });
}

// Cross fusion: x = sum_r w_r up(C_r), nearest neighbour, on the finest grid.
function fuseCross(C, grids, weights, K) {
  const full = grids[grids.length - 1];
  const x = new Float32Array(full[0] * full[1] * K);
  grids.forEach((grid, level) => {
    if (weights[level] === 0) return;
    coarseCells(full, grid).forEach((coarse, cell) => {
      for (let k = 0; k < K; k++) x[cell * K + k] += weights[level] * C[level][coarse * K + k];
    });
  });
  return x;
}

// R_r x: the sums over the f x f fine cells of each coarse cell.
function sumCells(x, full, grid, K) {
  const out = new Float32Array(grid[0] * grid[1] * K);
  coarseCells(full, grid).forEach((coarse, cell) => {
    for (let k = 0; k < K; k++) out[coarse * K + k] += x[cell * K + k];
  });
  return out;
}

// A x, with A[i, j] = codes[i, j]^2 * scale[i].
function applySelfAttention({ codes, scale }, x, K) {
  const n = scale.length;
  const y = new Float32Array(n * K);
  const sum = new Float64Array(K);
  for (let i = 0; i < n; i++) {
    sum.fill(0);
    for (let j = 0, at = i * n, from = 0; j < n; j++, at++, from += K) {
      const code = codes[at];
      if (code === 0) continue;
      const a = code * code;
      for (let k = 0; k < K; k++) sum[k] += a * x[from + k];
    }
    for (let k = 0; k < K; k++) y[i * K + k] = sum[k] * scale[i];
  }
  return y;
}

// A~_r^tau x on the finest grid: R_r sums keys, A_r is the level's own map, U_r is bicubic.
function refineLevel(A, grid, full, x, tau, K) {
  const coarse = grid[0] < full[0];
  for (let step = 0; step < tau; step++) {
    if (coarse) x = sumCells(x, full, grid, K);
    x = applySelfAttention(A, x, K);
    if (coarse) x = resize(x, grid, full, K);
  }
  return x;
}

// A_r^tau[cell, :]: where a walker that begins in this cell is after tau steps.
function walk({ codes, scale }, cell, tau) {
  const n = scale.length;
  let place = Float64Array.from({ length: n }, (_, other) => other === cell ? 1 : 0);
  for (let step = 0; step < tau; step++) {
    const next = new Float64Array(n);
    place.forEach((share, i) => {
      if (share === 0) return;
      const weight = share * scale[i];
      for (let j = 0, at = i * n; j < n; j++, at++) next[j] += weight * codes[at] * codes[at];
    });
    place = next;
  }
  return Float32Array.from(place);
}

// Without its mean a map keeps more digits; min-max drops the constant again (see hard.py).
function withoutMean(x, K) {
  const mean = new Float64Array(K);
  x.forEach((value, i) => { mean[i % K] += value * K / x.length; });
  return x.map((value, i) => value - mean[i % K]);
}

// HARD: S = sum_r w'_r minmax(y_r). refined: minmax(A~_r^tau x) of each level, or null.
function combine(x, refined, weights, tau, K) {
  if (tau === 0) return minmax(x, K);
  const S = new Float32Array(x.length);
  refined.forEach((y, level) => {
    if (y) y.forEach((value, i) => { S[i] += weights[level] * value; });
  });
  return S;
}

// ---- ttf.py ------------------------------------------------------------------------------------
function flip(x, [, width], K) {
  return x.map((_, i) => {
    const cell = Math.floor(i / K), column = cell % width;
    return x[(cell - column + width - 1 - column) * K + i % K];
  });
}

// The mean of both views, of which the mirror view is turned back.
const merge = ([S, turned]) => S.map((score, i) => (score + turned[i]) / 2);

// ---- labelling.py ------------------------------------------------------------------------------
// torch's interpolations: weights of four cells, for a place at t between the inner two.
const near = (t) => (1.25 * t - 2.25) * t * t + 1;          // a = -0.75
const far = (t) => ((-0.75 * t + 3.75) * t - 6) * t + 3;
const MODES = { "bicubic": (t) => [far(t + 1), near(t), near(1 - t), far(2 - t)],
                "bilinear": (t) => [0, 1 - t, t, 0],
                "nearest-exact": (t) => t < 0.5 ? [0, 1, 0, 0] : [0, 0, 1, 0] };

// The four cells that each of `size` places takes, and their weights.
function tapsOf(cells, size, mode) {
  const index = new Int32Array(size * 4), weight = new Float32Array(size * 4);
  for (let i = 0; i < size; i++) {
    const place = (i + 0.5) * cells / size - 0.5;
    const first = Math.floor(place), t = place - first;
    MODES[mode](t).forEach((w, tap) => {
      index[i * 4 + tap] = Math.min(cells - 1, Math.max(0, first - 1 + tap));
      weight[i * 4 + tap] = w;
    });
  }
  return { index, weight };
}

// x (count, cells, K) -> (count, size, K).
function resizeAlong(x, count, cells, size, K, mode) {
  const { index, weight } = tapsOf(cells, size, mode), out = new Float32Array(count * size * K);
  for (let n = 0; n < count; n++) {
    for (let tap = 0; tap < size * 4; tap++) {
      const from = (n * cells + index[tap]) * K, to = (n * size + (tap >> 2)) * K;
      for (let k = 0; k < K; k++) out[to + k] += weight[tap] * x[from + k];
    }
  }
  return out;
}

// Maps (h * w, K) -> (H * W, K): first along rows, then along columns.
function resize(x, [h, w], [height, width], K, mode = "bicubic") {
  const wide = resizeAlong(x, h, w, width, K, mode);
  return resizeAlong(wide, 1, h, height, width * K, mode);
}

// The best class of each pixel, 0 where its score is below the threshold.
function label(enlarged, threshold, K) {
  const labels = new Uint8Array(enlarged.length / K);
  for (let pixel = 0, i = 0; pixel < labels.length; pixel++) {
    let best = -Infinity, winner = 0;
    for (let k = 1; k <= K; k++, i++) {
      if (enlarged[i] > best) {
        best = enlarged[i];
        winner = k;
      }
    }
    labels[pixel] = best >= threshold ? winner : 0;
  }
  return labels;
}

// mIoU over the labels that occur, background first; a truth of 255 does not count.
function statistics(labels, truth, K) {
  const both = new Uint32Array(K + 1), either = new Uint32Array(K + 1);
  let wrong = 0;
  labels.forEach((label, i) => {
    if (truth[i] === 255) return;
    either[label]++;
    if (label === truth[i]) return both[label]++;
    either[truth[i]]++;
    wrong++;
  });
  const ious = Array.from(both, (hit, k) => hit / either[k]).filter((iou) => !Number.isNaN(iou));
  return { miou: ious.reduce((a, b) => a + b, 0) / ious.length, wrong };
}

// ---- a view, in its worker ---------------------------------------------------------------------
// Class maps C_r of one question, and A_r, of every level.
function mapsOfView(data, buffer, view) {
  const get = (name) => arrayOf(data.arrays, buffer, name, data.ends[view]);
  const classMaps = (t, question) => data.grids.map((_, r) => {
    const name = `cross/${question}/${t}/${view}/${r}`;
    return Float32Array.from(get(name), (code) => code * data.arrays[name].scale);
  });
  const selfAttention = (t, r) => {
    if (!data.refinable[r]) return null;
    const scale = get(`scale/${t}/${view}/${r}`);
    return { codes: addUp(get(`self/${t}/${view}/${r}`), scale.length), scale };
  };
  return data.captures.map((_, t) => ({
    C: Object.fromEntries(Object.keys(data.classes).map((name) => [name, classMaps(t, name)])),
    A: data.grids.map((_, r) => selfAttention(t, r)),
  }));
}

// What needs a view's attention: {raw, fused, refined} of one view.
function computeView(data, captures, { cross, tau, capture, question, uniform }) {
  const { grids } = data, full = grids[grids.length - 1], K = data.classes[question].length;
  const { C, A } = captures[capture], fused = fuseCross(C[question], grids, cross, K);
  const x = withoutMean(fused, K);
  const refined = grids.map((grid, level) => {
    if (tau === 0 || A[level] === null) return null;
    // Every cell gets the same mean, and min-max of a constant is 0.
    if (uniform) return new Float32Array(x.length);
    return minmax(refineLevel(A[level], grid, full, x, tau, K), K);
  });
  return { raw: C[question], fused, refined };
}

// A_r[:, cell], who looks at the cell.
function columnOf({ codes, scale }, cell) {
  const n = scale.length;
  return scale.map((s, i) => codes[i * n + cell] ** 2 * s);
}

function serveView() {
  let data = null, captures = null;
  const acts = {
    open: (input) => {
      data = input.data;
      captures = mapsOfView(data, input.buffer, input.view);
    },
    compute: (input) => computeView(data, captures, input),
    attention: ({ capture, level, cell, direction, tau }) => {
      const A = captures[capture].A[level];
      return A && (direction === "row" ? walk(A, cell, tau) : columnOf(A, cell));
    },
  };
  self.onmessage = ({ data: { act, input }, ports: [port] }) => port.postMessage(acts[act](input));
}

// ---- the whole method, in the page -------------------------------------------------------------
function startWorker(data, buffer, view) {
  const source = document.getElementById("method").textContent;
  const program = new Blob([source, "\nserveView();"], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(program));
  worker.onerror = ({ message }) => { throw new Error(message); };
  const ask = (act, input, transfer = []) => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data: output }) => resolve(output);
    worker.postMessage({ act, input }, [port2, ...transfer]);
  });
  const { picture, ...facts } = data;                    // the worker needs no picture
  const own = buffer.slice(data.ends[view], data.ends[view + 1]);
  ask("open", { data: facts, buffer: own, view }, [own]);
  return ask;
}

function startMethod(data, buffer) {
  const full = data.grids[data.grids.length - 1], size = [data.height, data.width];
  const workers = Array.from({ length: data.views }, (_, view) => startWorker(data, buffer, view));
  const captureOf = ({ timestep }) =>
    Math.max(0, data.captures.findIndex((capture) => capture.timestep === timestep));
  // Computes anew only for another key.
  const keeping = (compute) => {
    let known = {};
    return (key, ...input) => {
      if (known.key !== key) known = { key, output: compute(...input) };
      return known.output;
    };
  };
  const viewsFor = keeping((input) => Promise.all(workers.map((ask) => ask("compute", input))));
  const combineViews = keeping((views, { levels, tau, flip: both }, K) => {
    const combined = views.map((view) => combine(view.fused, view.refined, levels, tau, K));
    if (combined.length > 1) combined[1] = flip(combined[1], full, K);
    const scores = both ? merge(combined) : combined[0];
    const enlarged = resize(scores, full, size, K);
    return { combined, scores, enlarged };
  });

  // question: a key of data.classes. uniform: self-attention that looks everywhere alike.
  async function run(settings) {
    const { cross, tau, levels, flip, threshold, question = "own", uniform = false } = settings;
    const classes = data.classes[question], K = classes.length;
    const input = { cross, tau, capture: captureOf(settings), question, uniform };
    const attended = JSON.stringify(input);
    const views = await viewsFor(attended, input);
    const summed = JSON.stringify([attended, levels, flip]);
    const { combined, scores, enlarged } = combineViews(summed, views, settings, K);
    const [raw, fused, refined] = ["raw", "fused", "refined"].map((x) => views.map((v) => v[x]));
    const labels = label(enlarged, threshold, K);
    return { classes, threshold, raw, fused, refined, combined, scores, enlarged, labels };
  }

  // Another method's finished maps, as `run` gives FA-Seg's: {classes, enlarged, labels}.
  function finished(other) {
    const { spec, mode, low, high } = other, [h, w, K] = data.arrays[`scores/${spec}`].shape;
    const codes = arrayOf(data.arrays, buffer, `scores/${spec}`);
    const scores = Float32Array.from(codes, (code) => low + code / 255 * (high - low));
    return { ...other, classes: data.classes.own, enlarged: resize(scores, [h, w], size, K, mode),
             labels: arrayOf(data.arrays, buffer, `labels/${spec}`) };
  }

  // Scores at a pixel of the picture, as the labels see them.
  function pixel({ classes, enlarged }, x, y) {
    const K = classes.length, from = (y * data.width + x) * K;
    return enlarged.slice(from, from + K);
  }

  // "row": A_r^tau[cell, :], where the cell looks. "column": A_r[:, cell], who looks at it. Null:
  // not in the page.
  const attention = (settings, view, level, cell, direction, tau = 1) => workers[view]("attention",
    { capture: captureOf(settings), level, cell, direction, tau });
  return { run, finished, pixel, attention };
}
