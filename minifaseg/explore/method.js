// FA-Seg's equations, as hard.py, ttf.py and labelling.py have them. Nothing here draws.
//
// A map on a grid of n cells is a Float32Array of n rows of K numbers: x[cell * K + k].
// One worker for each view keeps that view's attention and computes what needs it. What is left
// (minmax sums, merge, labels) is quick, and is done in the page.
"use strict";

// ---- arrays of the page --------------------------------------------------------------------------
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

// ---- hard.py -------------------------------------------------------------------------------------
// Each class map to [0, 1] over its cells; a constant one to 0.
function minmax(y, K) {
  const out = new Float32Array(y.length);
  for (let k = 0; k < K; k++) {
    let low = Infinity, high = -Infinity;
    for (let i = k; i < y.length; i += K) {
      low = Math.min(low, y[i]);
      high = Math.max(high, y[i]);
    }
    const scale = high > low ? 1 / (high - low) : 0;
    for (let i = k; i < y.length; i += K) out[i] = (y[i] - low) * scale;
  }
  return out;
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
  const out = new Float32Array(x.length);
  for (let k = 0; k < K; k++) {
    let mean = 0;
    for (let i = k; i < x.length; i += K) mean += x[i];
    mean /= x.length / K;
    for (let i = k; i < x.length; i += K) out[i] = x[i] - mean;
  }
  return out;
}

// HARD: S = sum_r w'_r minmax(y_r). refined: minmax(A~_r^tau x) of each level, or null.
function combine(x, refined, weights, tau, K) {
  if (tau === 0) return minmax(x, K);
  const S = new Float32Array(x.length);
  refined.forEach((y, level) => {
    const weight = weights[level];
    if (y === null || weight === 0) return;
    for (let i = 0; i < S.length; i++) S[i] += weight * y[i];
  });
  return S;
}

// ---- ttf.py --------------------------------------------------------------------------------------
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

// ---- labelling.py --------------------------------------------------------------------------------
// For each of `size` places: the four cells of `cells` that bicubic interpolation takes, and their
// weights (Keys, a = -0.75, cells' middles aligned), as torch.nn.functional.interpolate has it.
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

// Maps (h * w, K) -> (H * W, K), bicubic: first along rows, then along columns.
function resizeBicubic(x, [h, w], [height, width], K) {
  const across = bicubicTaps(w, width), down = bicubicTaps(h, height);
  const wide = new Float32Array(h * width * K);
  for (let row = 0; row < h; row++) {
    for (let column = 0; column < width; column++) {
      const to = (row * width + column) * K;
      for (let tap = column * 4; tap < column * 4 + 4; tap++) {
        const from = (row * w + across.index[tap]) * K, weight = across.weight[tap];
        for (let k = 0; k < K; k++) wide[to + k] += weight * x[from + k];
      }
    }
  }
  const out = new Float32Array(height * width * K), line = width * K;
  for (let row = 0; row < height; row++) {
    for (let tap = row * 4; tap < row * 4 + 4; tap++) {
      const from = down.index[tap] * line, weight = down.weight[tap];
      for (let i = 0; i < line; i++) out[row * line + i] += weight * wide[from + i];
    }
  }
  return out;
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
  const both = new Float64Array(K + 1), ours = new Float64Array(K + 1);
  const theirs = new Float64Array(K + 1);
  let wrong = 0;
  for (let i = 0; i < labels.length; i++) {
    if (truth[i] === 255) continue;
    ours[labels[i]]++;
    theirs[truth[i]]++;
    if (labels[i] === truth[i]) both[labels[i]]++;
    else wrong++;
  }
  const perClass = [...both].map((hit, k) => hit / (ours[k] + theirs[k] - hit));
  const occurring = perClass.filter((iou) => !Number.isNaN(iou));
  const miou = occurring.reduce((a, b) => a + b, 0) / occurring.length;
  return { miou, perClass, wrong };
}

// ---- a view, in its worker -----------------------------------------------------------------------
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

// ---- the whole method, in the page ---------------------------------------------------------------
function startWorker(source, data, buffer, view) {
  const program = new Blob([source, "\nserveView();"], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(program));
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
  let known = { key: null, views: null }, last = 0, taps = null;

  // Both views' maps; computed anew only if cross, tau or the timestep is another.
  async function viewsFor(settings) {
    const { cross, tau } = settings, capture = captureOf(settings);
    const key = JSON.stringify([cross, tau, capture]);
    if (known.key !== key) {
      const views = Promise.all(workers.map((ask) => ask("compute", { cross, tau, capture })));
      known = { key, views };
    }
    return known.views;
  }

  async function run(settings) {
    const call = ++last, begun = performance.now();
    const views = await viewsFor(settings);
    if (call !== last) return null;
    const used = settings.flip ? views : views.slice(0, 1);
    const combined = views.map(({ fused, refined }) =>
      combine(fused, refined, settings.levels, settings.tau, K));
    const scores = merge(combined.slice(0, used.length), full, K);
    const labels = label(resizeBicubic(scores, full, [data.height, data.width], K),
                         settings.threshold, K);
    return {
      raw: views.map((view) => view.raw), fused: views.map((view) => view.fused),
      refined: views.map((view) => view.refined), combined, scores, labels,
      seconds: (performance.now() - begun) / 1000,
    };
  }

  // Scores at a pixel of the picture, as the labels see them.
  function pixel(scores, x, y) {
    taps = taps || { across: bicubicTaps(full[1], data.width),
                     down: bicubicTaps(full[0], data.height) };
    const { across, down } = taps, out = new Float32Array(K);
    for (let i = y * 4; i < y * 4 + 4; i++) {
      for (let j = x * 4; j < x * 4 + 4; j++) {
        const from = (down.index[i] * full[1] + across.index[j]) * K;
        const weight = down.weight[i] * across.weight[j];
        for (let k = 0; k < K; k++) out[k] += weight * scores[from + k];
      }
    }
    return out;
  }

  const attention = (settings, view, level, cell, direction) =>
    workers[view]("attention", { capture: captureOf(settings), level, cell, direction });
  return { run, pixel, attention };
}
