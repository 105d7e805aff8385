// What the page shows. method.js computes, this file draws.
//
// `view` is what the reader looks at, `settings` are the method's numbers, `result` is what they
// give. Whoever changes one of them says so by `touch`; `render` then draws what depends on it.
// Names come from outside: they go into the page as text, never as markup.
"use strict";

// ---- what the page knows ----------------------------------------------------------------------
const find = (id) => document.getElementById(id);
const findAll = (selector) => [...document.querySelectorAll(selector)];
const data = JSON.parse(find("data").textContent);
const { width, height } = data;
const levels = [...data.grids.keys()];
const finest = data.grids[levels.length - 1], [gridRows, gridColumns] = finest;

// The method's own numbers, and what the controls change (controls.js).
const original = { ...data.own, question: "own", uniform: false };
const settings = structuredClone(original);
const view = {
  word: 0,                  // index of the class that the stage pictures show
  cell: null,               // {row, column} on the finest grid, {x, y} in the picture
  pins: [],                 // see pins.js
  enlarged: null,           // {key, title} of the map that lies over the picture
  show: "mask",             // or "truth", "errors" or "pins"
  other: null,              // another method's result (of controls.js), if that is seen
  opacity: 0.65,
  hidden: new Set([0]),     // labels without colour; 0 is the background
};
let method = null, result = null, truth = null, ownMiou = null;
window.explorer = { data, method, settings, result };

const clone = (id) => find(id).content.firstElementChild.cloneNode(true);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const short = (number) => String(Number(number.toFixed(4)));
const setSize = (canvas, across, down) => Object.assign(canvas, { width: across, height: down });
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const gridName = ([rows, columns]) => `${rows}×${columns}`;
const shareOf = (labels, label) =>
  labels.reduce((count, other) => other === label ? count + 1 : count, 0) / labels.length;
const best = (scores) => scores.indexOf(Math.max(...scores));

// Texts into the elements with these ids.
function write(texts) {
  for (const [id, text] of Object.entries(texts)) find(id).textContent = text;
}

function element(kind, className, ...content) {
  const made = Object.assign(document.createElement(kind), { className });
  made.append(...content);
  return made;
}

const shown = () => view.other ?? result;                   // another method's, or FA-Seg's

// The name of a label; <bdi> keeps its own writing direction.
function nameOf(label) {
  const name = ["background", ...result.classes][label] ?? "unknown";
  return Object.assign(element("bdi", "word-name", name), { title: name });
}

// ---- colours: one for each label, and for each of 256 steps of a heat map ----------------------
function packed(hex, alpha = 255) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return alpha << 24 | blue << 16 | green << 8 | red;
}
const WRONG = packed("#ff2d55"), RIGHT = packed("#141418", 190);
const PALETTE = Uint32Array.from(data.palette, (hex) => packed(hex));
const HEAT = Uint32Array.from(data.heat, (hex) => packed(hex));

// ---- the stages and their maps ----------------------------------------------------------------
// "raw/2" is a key: a stage, and its level where it has one. A stage has x, (n, K) on a grid; unit:
// its values are 0 to 1. Null: it has no map here.
function stageOf(key) {
  const [kind, level] = key.split("/"), { raw, fused, refined, combined, scores } = result;
  const x = { raw: raw[0][level], fused: fused[0], refined: refined[0][level],
              combined: combined[0], mirror: combined[1], mean: scores }[kind];
  const grid = kind === "raw" ? data.grids[level] : finest;
  return x && { x, grid, unit: kind !== "raw" && kind !== "fused" };
}

// The keys of an element with data-maps="raw", or "mirror mean".
function keysOf({ dataset: { maps } }) {
  const perLevel = maps === "raw" || maps === "refined";
  return perLevel ? levels.map((level) => `${maps}/${level}`) : maps.split(" ");
}

// Whether the mask depends on it.
function isUsed(key) {
  const [kind, level] = key.split("/");
  if (kind === "raw") return settings.cross[level] !== 0;
  if (kind === "refined") return settings.levels[level] !== 0 && settings.tau > 0;
  return kind !== "mirror" || settings.flip;
}

// The cell of a level in which a cell of the finest grid lies.
const cellOn = ([rows, columns], { row, column }) =>
  Math.floor(row * rows / gridRows) * columns + Math.floor(column * columns / gridColumns);

// All words' values at a cell of the finest grid.
function valuesAt({ x, grid }, cell) {
  const K = result.classes.length, from = cellOn(grid, cell) * K;
  return x.subarray(from, from + K);
}

// A heat map {values, grid, low, high, power}: what a key names, for the chosen word.
function heatOf(key) {
  if (key.startsWith("pin/")) return pinHeat(key);
  const stage = stageOf(key), K = result.classes.length;
  if (!stage) return null;
  const values = stage.x.filter((_, i) => i % K === view.word);
  const [low, high] = stage.unit ? [0, 1] : [Math.min(...values), Math.max(...values)];
  return { values, grid: stage.grid, low, high, power: 1 };
}

// Where a value lies on its map's colour scale, 0 to 1.
const onScale = ({ low, high, power }, value) =>
  high > low ? clamp((value - low) / (high - low), 0, 1) ** power : 0;

// One pixel for each cell; they are enlarged where they are shown.
function drawCells(canvas, heat) {
  const colour = (value) => HEAT[Math.round(255 * onScale(heat, value))];
  if (heat) putPixels(canvas, heat.grid[1], Uint32Array.from(heat.values, colour));
  else setSize(canvas, 1, 1);
}

function putPixels(canvas, across, pixels) {
  setSize(canvas, across, pixels.length / across);
  const image = new ImageData(new Uint8ClampedArray(pixels.buffer), across);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// ---- rendering: what changed is drawn, once a frame -------------------------------------------
const changed = new Set();

function touch(...things) {
  if (changed.size === 0) requestAnimationFrame(render);
  things.forEach((thing) => changed.add(thing));
}

// Changes what the reader looks at, and gives it back.
function look(at, value) {
  touch(at);
  return view[at] = value;
}

function render() {
  const any = (...things) => things.some((thing) => changed.has(thing));
  if (any("result", "show", "other", "segment")) drawMask();
  if (any("result", "show", "other")) drawShares();
  if (any("result", "show", "other", "segment", "word")) drawStrip();
  if (any("result", "other", "word", "cell")) drawHere();
  if (any("pins")) drawPins();
  if (any("result", "show", "segment") && view.pins.length > 0) drawSegment();
  if (any("pins", "cell")) drawMarks();
  if (any("result", "show", "word", "cell", "pins", "enlarged")) drawEnlarged();
  if (any("settings")) drawCalls();
  return changed.clear();
}

// One computation at a time; what is set meanwhile is computed after it.
let computing = null, stale = false;

function compute() {
  stale = true;
  return computing ??= computeLatest();
}

async function computeLatest() {
  for (; stale; touch("result")) {
    stale = false;
    window.explorer.result = result = await method.run(structuredClone(settings));
    view.word = Math.min(view.word, result.classes.length - 1);
    refreshPins();
  }
  computing = null;
}

// ---- the picture and its mask -----------------------------------------------------------------
const SHARP = Math.max(1, Math.ceil(900 / width));         // lines are finer than pixels
const isWrong = (pixel) => truth[pixel] !== 255 && truth[pixel] !== shown().labels[pixel];
const wordLabels = () => view.show === "truth" ? truth : shown().labels;
const shownLabels = () => view.show === "pins" ? segment.labels : wordLabels();

function drawMask() {
  const isHidden = (label) => view.show === "pins" ? label === 0 : view.hidden.has(label);
  const colours = PALETTE.map((colour, label) => isHidden(label) ? 0 : colour);
  const errors = (_, pixel) => isWrong(pixel) ? WRONG : RIGHT, labels = shownLabels();
  const colour = view.show === "errors" ? errors : (label) => colours[label];
  putPixels(find("mask"), width, new Uint32Array(labels).map(colour));
  find("mask").style.opacity = view.opacity;
  drawOutline(labels.map((label) => colours[label] === 0 ? 0 : label));
}

// A line, white on dark, along every side of a pixel whose neighbour has another label.
function drawOutline(labels) {
  const canvas = find("outline"), context = canvas.getContext("2d"), path = new Path2D();
  setSize(canvas, width * SHARP, height * SHARP);
  if (!find("contour").checked) return;
  labels.forEach((label, i) => {
    const x = i % width, y = Math.floor(i / width);
    if (x > 0 && label !== labels[i - 1]) path.rect(x, y, 0, 1);
    if (y > 0 && label !== labels[i - width]) path.rect(x, y, 1, 0);
  });
  context.scale(SHARP, SHARP);
  for (const [strokeStyle, thickness] of [["rgb(0 0 0 / 0.6)", 3], ["white", 1.4]]) {
    Object.assign(context, { strokeStyle, lineWidth: thickness * width / 600 }).stroke(path);
  }
}

// Cursor and pins: {cell, number}, without a number for the cursor.
const marks = () => [...view.cell ? [{ cell: view.cell }] : [], ...view.pins];

function drawMarks() {
  find("marks").replaceChildren(...marks().map(({ cell, number }) =>
    markOf(cell, finest, ...number ? [element("b", "number", number)] : [])));
  if (view.cell) find("hint").dataset.now = view.pins.length > 0 ? "pinned" : "after";
}

// A frame around a cell.
function markOf({ row, column }, [rows, columns], ...content) {
  const made = element("i", "mark", ...content);
  Object.assign(made.style, { inset: `${100 * row / rows}% auto auto ${100 * column / columns}%`,
                              width: `${100 / columns}%`, height: `${100 / rows}%` });
  return made;
}

// ---- the pipeline -----------------------------------------------------------------------------
const SMALL = 320;                                          // pixels across a small picture
const thumbs = [];                                          // {key, figure, canvas}

function addThumb(stage, key) {
  const [kind, level] = key.split("/"), title = stage.querySelector("h3").textContent;
  const part = level ? gridName(data.grids[level]) : stage.hasAttribute("data-flip") ? kind : "";
  const thumb = makeMap(key, part, `${title} ${part}`);
  if (kind === "raw") addWeight(thumb.figure, "cross", "w", level);
  if (kind === "refined") addWeight(thumb.figure, "levels", "w′", level);
  stage.querySelector(".maps").append(thumb.figure);
  thumbs.push(thumb);
}

// A small map that a click brings over the picture.
function makeMap(key, caption, title) {
  const figure = clone("map-template");
  const [open, canvas, name] = figure.querySelectorAll("button, canvas, figcaption");
  name.textContent = caption;
  open.dataset.key = key;
  open.setAttribute("aria-label", `${title}: show over the picture`);
  open.addEventListener("click", () => enlarge(key, title));
  return { key, figure, canvas, open };
}

// A map over the picture; once more, or the mask, takes it away.
function enlarge(key, title) {
  look("enlarged", key === "mask" || key === view.enlarged?.key ? null : { key, title });
  find("stage").scrollIntoView({ block: "nearest" });
}

function drawStrip() {
  for (const { key, figure, canvas } of thumbs) {
    if (key === "picture") drawLayers(canvas, SMALL, find("picture"));
    else if (key === "mask") drawLayers(canvas, SMALL, find("picture"), find("mask"));
    else drawCells(canvas, heatOf(key));
    figure.classList.toggle("unused", !isUsed(key));
  }
}

// Canvases one over the other, each with its opacity; cells stay sharp.
function drawLayers(canvas, across, ...layers) {
  setSize(canvas, across, Math.max(1, Math.round(across * height / width)));
  const context = canvas.getContext("2d");
  for (const layer of layers) {
    context.imageSmoothingEnabled = !layer.classList.contains("cells");
    context.globalAlpha = Number(layer.style.opacity || 1);
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
  }
}

function drawEnlarged() {
  const { key, title } = view.enlarged ?? { key: "mask" };
  const heat = key === "mask" || key === "picture" ? null : heatOf(key);
  find("enlarged").hidden = key === "mask";
  find("mask").hidden = key !== "mask";
  find("outline").hidden = key === "picture";
  find("heat").hidden = find("scale").hidden = !heat;
  find("enlarged-title").textContent = title;
  for (const open of findAll(".map")) open.setAttribute("aria-pressed", open.dataset.key === key);
  if (!heat) return;
  drawCells(find("heat"), heat);
  find("heat").style.opacity = 0.5 + 0.5 * view.opacity;
  write({ low: short(heat.low), high: short(heat.high) });
  const value = view.cell ? heat.values[cellOn(heat.grid, view.cell)] : heat.low;
  find("here").style.left = `${100 * onScale(heat, value)}%`;
}

// ---- the words, and what is at the cursor -----------------------------------------------------
const wordRows = [];                                        // by label; 0 is the background
const valueCells = [];                                      // {key, box} of the table

function addWordRow(label) {
  const row = clone("word-template");
  const [box, pick, bar, score, share] = row.querySelectorAll("input, .pick, .bar i, output");
  row.style.setProperty("--colour", data.palette[label]);
  box.checked = !view.hidden.has(label);
  box.addEventListener("change", () => {
    view.hidden[box.checked ? "delete" : "add"](label);
    touch("show");
  });
  pick.disabled = label === 0;
  pick.addEventListener("click", () => look("word", label - 1));
  find("words").append(row);
  wordRows[label] = { row, box, pick, bar, score, share };
}

function drawShares() {
  const labels = wordLabels();
  wordRows.forEach(({ share }, label) => { share.textContent = percent(shareOf(labels, label)); });
  if (!truth) return;
  const { miou, wrong } = statistics(shown().labels, truth, shown().classes.length);
  ownMiou = ownMiou ?? miou;                                // the first result is the method's own
  write({ "whose": view.other?.spec ?? "yours", "miou": miou.toFixed(3),
          "miou-own": ownMiou.toFixed(3), "wrong": `${percent(wrong / labels.length)}` });
  find("score").classList.toggle("beaten", miou > ownMiou);
}

function addValueCells(row) {
  keysOf(row).forEach((key, _, { length }) => {
    const box = element("td", "", "–");
    box.colSpan = length === 1 ? levels.length : 1;
    row.append(box);
    valueCells.push({ key, box });
  });
}

function drawHere() {
  const { low = 0, threshold } = shown(), range = { low: Math.min(0, low), high: 1, power: 1 };
  const scores = view.cell ? method.pixel(shown(), view.cell.x, view.cell.y) : [];
  for (const place of findAll(".chosen")) place.replaceChildren(nameOf(view.word + 1));
  find("words").style.setProperty("--threshold", onScale(range, threshold));
  wordRows.forEach(({ row, box, pick, bar, score }, label) => {
    const value = scores[label - 1], name = nameOf(label).textContent;
    row.hidden = label > result.classes.length;             // a word that a control may ask for
    row.classList.toggle("best", label > 0 && label === best(scores) + 1);
    box.setAttribute("aria-label", `colour of ${name}`);
    pick.firstElementChild.textContent = pick.title = name;
    pick.setAttribute("aria-pressed", label === view.word + 1);
    bar.style.width = `${100 * onScale(range, value ?? range.low)}%`;
    score.textContent = value?.toFixed(2) ?? "";
  });
  if (!view.cell) return;
  for (const { key, box } of valueCells) drawValue(box, key);
  find("verdict").replaceChildren(...whoWins(scores), ...whoTurnedIt(scores), ...truthHere());
}

// The chosen word's value, and a dot in the colour of the word that leads.
function drawValue(box, key) {
  const stage = stageOf(key);
  box.classList.toggle("unused", !isUsed(key));
  if (!stage) return box.replaceChildren("–");
  const values = valuesAt(stage, view.cell), leader = best(values) + 1, dot = element("i", "dot");
  dot.style.background = data.palette[leader];
  dot.title = nameOf(leader).textContent;
  return box.replaceChildren(values[view.word].toFixed(stage.unit ? 2 : 3), dot);
}

// Why this pixel has its label: three short sentences, as lists of text and elements.
function whoWins(scores) {
  const winner = best(scores), top = scores[winner], name = nameOf(winner + 1);
  const others = scores.map((score, k) => k === winner ? -Infinity : score);
  const lead = (top - Math.max(...others)).toFixed(2), few = top.toFixed(2);
  if (top < shown().threshold) return ["Background: the best word, ", name, `, has only ${few}. `];
  if (scores.length === 1) return [name, " wins. "];
  return [name, ` wins, ${lead} ahead of `, nameOf(best(others) + 1), ". "];
}

function whoTurnedIt(scores) {
  const winner = best(scores), leaderOf = (key) => best(valuesAt(stageOf(key), view.cell));
  const [crossed, refined, mean] = ["fused", "combined", "mean"].map(leaderOf);
  if (view.other || scores[winner] < settings.threshold) return [];
  if (mean !== winner) return ["Its cell alone says ", nameOf(mean + 1), ". "];
  if (refined !== winner) return ["Only the mirror view says so, not the picture alone. "];
  if (crossed === winner) return ["It already leads in cross-attention. "];
  return ["Cross-attention alone says ", nameOf(crossed + 1), "; refinement turns it. "];
}

function truthHere() {
  const pixel = view.cell.y * width + view.cell.x;
  if (!truth || truth[pixel] === 255) return [];
  const [is, says] = isWrong(pixel) ? ["is-wrong", "Wrong"] : ["is-right", "Right"];
  return [element("span", is, `${says}. Truth: `, nameOf(truth[pixel]), ".")];
}

// For a screen reader, after a key has moved the cursor.
function announce() {
  const { row, column, x, y } = view.cell, scores = method.pixel(shown(), x, y);
  const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, 5);
  const list = order.map((k) => `${shown().classes[k]} ${scores[k].toFixed(2)}`).join(", ");
  find("said").textContent = `cell ${row}, ${column}: ${list}`;
}

