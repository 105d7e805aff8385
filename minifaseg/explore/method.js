// FA-Seg's equations, as hard.py, ttf.py and labelling.py have them. Nothing here draws.
//
// A map on a grid of n cells is a Float32Array of n rows of K numbers: x[cell * K + k].
// One worker for each view keeps that view's attention and computes what needs it. What is left
// (minmax sums, merge, labels) is quick, and is done in the page.
"use strict";

// ---- arrays of the page ------------------------------------------------------------------------
async function openMaps(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const TYPES = { f4: Float32Array, u1: Uint8Array, u2: Uint16Array };

// begin: where the buffer begins among all arrays.
function arrayOf(arrays, buffer, name, begin = 0) {
  const { offset, shape, type } = arrays[name];
  return new TYPES[type](buffer, offset - begin, shape.reduce((a, b) => a * b));
}

// Codes of A_r: each row is stored as its difference to the row before (see pack.py).
function addUpRows(codes, n) {
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
    if (coarse) x = resizeBicubic(x, grid, full, K);
  }
  return x;
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
// The mean of both views, the mirror view turned back.
function merge(views, [, width], K) {
  if (views.length === 1) return views[0];
  const [S, mirrored] = views;
  return S.map((score, i) => {
    const cell = Math.floor(i / K), column = cell % width;
    const turned = cell - column + width - 1 - column;
    return (score + mirrored[turned * K + i % K]) / 2;
  });
}

// ---- labelling.py ------------------------------------------------------------------------------
// The four cells that each of `size` places takes, and their weights, as torch's bicubic has them.
function bicubicTaps(cells, size) {
  const a = -0.75;
  const near = (t) => ((a + 2) * t - (a + 3)) * t * t + 1;
  const far = (t) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  const index = new Int32Array(size * 4), weight = new Float32Array(size * 4);
  for (let i = 0; i < size; i++) {
    const place = (i + 0.5) * cells / size - 0.5;
    const first = Math.floor(place), t = place - first;
    [far(t + 1), near(t), near(1 - t), far(2 - t)].forEach((w, tap) => {
      index[i * 4 + tap] = Math.min(cells - 1, Math.max(0, first - 1 + tap));
      weight[i * 4 + tap] = w;
    });
  }
  return { index, weight };
}

// x (count, cells, K) -> (count, size, K).
function resizeAlong(x, count, cells, size, K) {
  const { index, weight } = bicubicTaps(cells, size), out = new Float32Array(count * size * K);
  for (let n = 0; n < count; n++) {
    for (let tap = 0; tap < size * 4; tap++) {
      const from = (n * cells + index[tap]) * K, to = (n * size + (tap >> 2)) * K;
      for (let k = 0; k < K; k++) out[to + k] += weight[tap] * x[from + k];
    }
  }
  return out;
}

// Maps (h * w, K) -> (H * W, K), bicubic: first along rows, then along columns.
function resizeBicubic(x, [h, w], [height, width], K) {
  const wide = resizeAlong(x, h, w, width, K);
  return resizeAlong(wide, 1, h, height, width * K);
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
  const perClass = Array.from(both, (hit, k) => hit / either[k]);
  const occurring = perClass.filter((iou) => !Number.isNaN(iou));
  const miou = occurring.reduce((a, b) => a + b, 0) / occurring.length;
  return { miou, perClass, wrong };
}

// ---- a view, in its worker ---------------------------------------------------------------------
// What needs a view's attention: {raw, fused, refined} of one view.
function computeView(maps, settings) {
  const { grids, K, captures } = maps;
  const { C, A } = captures[settings.capture];
  const fused = fuseCross(C, grids, settings.cross, K);
  const full = grids[grids.length - 1], x = withoutMean(fused, K);
  const refined = grids.map((grid, level) => {
    if (settings.tau === 0 || A[level] === null) return null;
    return minmax(refineLevel(A[level], grid, full, x, settings.tau, K), K);
  });
  return { raw: C, fused, refined };
}

// A_r[cell, :], where the cell looks, or A_r[:, cell], who looks at it.
function attentionOf({ codes, scale }, cell, direction) {
  const n = scale.length;
  return Float32Array.from({ length: n }, (_, other) => {
    const [i, j] = direction === "row" ? [cell, other] : [other, cell];
    return codes[i * n + j] ** 2 * scale[i];
  });
}

function mapsOfView(data, buffer, view) {
  const get = (name) => arrayOf(data.arrays, buffer, name, data.ends[view]);
  const selfAttention = (t, r) => {
    if (!data.refinable[r]) return null;
    const scale = get(`scale/${t}/${view}/${r}`);
    return { codes: addUpRows(get(`self/${t}/${view}/${r}`), scale.length), scale };
  };
  const captures = data.captures.map((_, t) => ({
    C: data.grids.map((_, r) => get(`cross/${t}/${view}/${r}`)),
    A: data.grids.map((_, r) => selfAttention(t, r)),
  }));
  return { grids: data.grids, K: data.classes.length, captures };
}

function serveView() {
  let maps = null;
  self.onmessage = ({ data: { id, act, input } }) => {
    if (act === "open") maps = mapsOfView(input.data, input.buffer, input.view);
    let output = null;
    if (act === "compute") output = computeView(maps, input);
    if (act === "attention") {
      const A = maps.captures[input.capture].A[input.level];
      output = A && attentionOf(A, input.cell, input.direction);
    }
    self.postMessage({ id, output });
  };
}

// ---- the whole method, in the page -------------------------------------------------------------
function startWorker(source, data, buffer, view) {
  const program = new Blob([source, "\nserveView();"], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(program));
  worker.onerror = ({ message }) => { throw new Error(message); };
  const waiting = new Map();
  let calls = 0;
  worker.onmessage = ({ data: { id, output } }) => {
    waiting.get(id)(output);
    waiting.delete(id);
  };
  const ask = (act, input, transfer = []) => new Promise((resolve) => {
    waiting.set(++calls, resolve);
    worker.postMessage({ id: calls, act, input }, transfer);
  });
  const { picture, ...facts } = data;                    // the worker needs no picture
  const own = buffer.slice(data.ends[view], data.ends[view + 1]);
  ask("open", { data: facts, buffer: own, view }, [own]);
  return ask;
}

function startMethod(data, buffer) {
  const source = document.getElementById("method").textContent;
  const K = data.classes.length, full = data.grids[data.grids.length - 1];
  const workers = Array.from({ length: data.views },
                             (_, view) => startWorker(source, data, buffer, view));
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
  const combineViews = keeping((views, { levels, tau, flip }) => {
    const combined = views.map((view) => combine(view.fused, view.refined, levels, tau, K));
    const scores = merge(flip ? combined : combined.slice(0, 1), full, K);
    const enlarged = resizeBicubic(scores, full, [data.height, data.width], K);
    return { combined, scores, enlarged };
  });

  async function run(settings) {
    const { cross, tau, levels, flip, threshold } = settings, capture = captureOf(settings);
    const attended = JSON.stringify([cross, tau, capture]);
    const views = await viewsFor(attended, { cross, tau, capture });
    const summed = JSON.stringify([attended, levels, flip]);
    const { combined, scores, enlarged } = combineViews(summed, views, settings);
    const [raw, fused, refined] = ["raw", "fused", "refined"].map((x) => views.map((v) => v[x]));
    const labels = label(enlarged, threshold, K);
    return { raw, fused, refined, combined, scores, enlarged, labels };
  }

  // Scores at a pixel of the picture, as the labels see them.
  function pixel({ enlarged }, x, y) {
    const from = (y * data.width + x) * K;
    return enlarged.slice(from, from + K);
  }

  const attention = (settings, view, level, cell, direction) =>
    workers[view]("attention", { capture: captureOf(settings), level, cell, direction });
  return { run, pixel, attention };
}
