// What the page shows, and what pointer and keys do. method.js computes, this file draws.
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
const K = data.classes.length;
const levels = [...data.grids.keys()];
const finest = data.grids[levels.length - 1], [gridRows, gridColumns] = finest;

// The method's own numbers; a level whose self-attention is not in the page has weight 0.
const own = structuredClone(data.own);
own.levels = own.levels.map((weight, level) => data.refinable[level] ? weight : 0);
if (!own.levels.some(Boolean)) own.levels[data.refinable.lastIndexOf(true)] = 1;

const settings = structuredClone(own);
const view = {
  word: 0,                  // index of the class that the stage pictures show
  cell: null,               // {row, column} on the finest grid, {x, y} in the picture
  pins: [],                 // {number, cell, maps: [level][direction]}
  enlarged: null,           // {key, title} of the map that lies over the picture
  show: "mask",             // or "truth" or "errors"
  opacity: 0.65,
  hidden: new Set([0]),     // labels without colour; 0 is the background
};
let method = null, result = null, truth = null, ownMiou = null;
window.explorer = { data, method, settings, result };

// ---- small helpers ----------------------------------------------------------------------------
const clone = (id) => find(id).content.firstElementChild.cloneNode(true);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const short = (number) => String(Number(number.toFixed(4)));
const setSize = (canvas, across, down) => Object.assign(canvas, { width: across, height: down });
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const gridName = ([rows, columns]) => `${rows}×${columns}`;
const subscript = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
const best = (scores) => scores.indexOf(Math.max(...scores));

function element(kind, className, ...content) {
  const made = document.createElement(kind);
  made.className = className;
  made.append(...content);
  return made;
}

// The name of a label; <bdi> keeps its own writing direction.
function nameOf(label) {
  const made = element("bdi", "word-name", label === 0 ? "background" : data.classes[label - 1]);
  made.title = made.textContent;
  return made;
}

// ---- colours: one for each label, and for each of 256 steps of a heat map ----------------------
const WRONG = "#ff2d55", RIGHT = "#141418";
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const packed = ([red, green, blue], alpha = 255) => alpha << 24 | blue << 16 | green << 8 | red;
const PALETTE = Uint32Array.from(data.palette, (hex) => packed(rgb(hex)));
const HEAT = Uint32Array.from(data.heat, (hex) => packed(rgb(hex)));

// ---- the stages and their maps ----------------------------------------------------------------
// "raw/2" is a key: a stage, and its level where it has one. A stage has x, (n, K) on a grid; unit:
// its values are 0 to 1; mirrored: it lies as the mirror image does. Null: it has no map here.
function stageOf(key) {
  const [kind, level] = key.split("/"), { raw, fused, refined, combined, scores } = result;
  const x = { raw: raw[0][level], fused: fused[0], refined: refined[0][level],
              combined: combined[0], mirror: combined[1], mean: scores }[kind];
  const grid = kind === "raw" ? data.grids[level] : finest;
  return x && { x, grid, unit: kind !== "raw" && kind !== "fused", mirrored: kind === "mirror" };
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
function valuesAt(stage, { row, column }) {
  const there = { row, column: stage.mirrored ? gridColumns - 1 - column : column };
  const from = cellOn(stage.grid, there) * K;
  return stage.x.subarray(from, from + K);
}

// A heat map {values, grid, low, high, power}: what a key names, for the chosen word.
function heatOf(key) {
  if (key.startsWith("pin/")) return pinHeat(key);
  const stage = stageOf(key);
  if (!stage) return null;
  const [rows, columns] = stage.grid;
  const values = Float32Array.from({ length: rows * columns }, (_, cell) => {
    const column = cell % columns, turned = cell - column + columns - 1 - column;
    return stage.x[(stage.mirrored ? turned : cell) * K + view.word];
  });
  const [low, high] = stage.unit ? [0, 1] : [Math.min(...values), Math.max(...values)];
  return { values, grid: stage.grid, low, high, power: 1 };
}

// Where a value lies on its map's colour scale, 0 to 1.
const onScale = ({ low, high, power }, value) =>
  high > low ? clamp((value - low) / (high - low), 0, 1) ** power : 0;

// One pixel for each cell; they are enlarged where they are shown.
function drawCells(canvas, heat) {
  if (!heat) return setSize(canvas, 1, 1);
  const colour = (value) => HEAT[Math.round(255 * onScale(heat, value))];
  return putPixels(canvas, heat.grid[1], Uint32Array.from(heat.values, colour));
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

// Changes what the reader looks at.
function look(at, value) {
  view[at] = value;
  touch(at);
}

function render() {
  if (result === null) return requestAnimationFrame(render);
  const any = (...things) => things.some((thing) => changed.has(thing));
  if (any("result", "show")) drawMask();
  if (any("result", "show")) drawShares();
  if (any("result", "show", "word")) drawStrip();
  if (any("result", "word", "cell")) drawHere();
  if (any("pins")) drawPins();
  if (any("pins", "cell")) drawMarks();
  if (any("result", "show", "word", "cell", "pins", "enlarged")) drawEnlarged();
  if (any("settings")) drawCalls();
  return changed.clear();
}

// One computation at a time; what is set meanwhile is computed after it.
let computing = false, stale = false;

async function compute() {
  stale = true;
  if (computing) return;
  for (computing = true; stale; touch("result")) {
    stale = false;
    window.explorer.result = result = await method.run(structuredClone(settings));
    view.pins.filter((pin) => pin.timestep !== settings.timestep).forEach(fetchMaps);
  }
  computing = false;
}

// ---- the picture and its mask -----------------------------------------------------------------
const SHARP = Math.max(1, Math.ceil(900 / width));         // lines are finer than pixels

async function drawPicture() {
  const image = new Image();
  image.src = data.picture;
  await image.decode();
  setSize(find("picture"), width, height);
  find("picture").getContext("2d").drawImage(image, 0, 0, width, height);
}

const isWrong = (pixel) => truth[pixel] !== 255 && truth[pixel] !== result.labels[pixel];
const shownLabels = () => view.show === "truth" ? truth : result.labels;

function drawMask() {
  const colours = PALETTE.map((colour, label) => view.hidden.has(label) ? 0 : colour);
  const wrong = packed(rgb(WRONG)), right = packed(rgb(RIGHT), 190), labels = shownLabels();
  const errors = (_, pixel) => isWrong(pixel) ? wrong : right;
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
  for (const [colour, thickness] of [["rgb(0 0 0 / 0.6)", 3], ["white", 1.4]]) {
    context.strokeStyle = colour;
    context.lineWidth = thickness * width / 600;
    context.stroke(path);
  }
}

// Cursor and pins, and the hint for what to do next.
function drawMarks() {
  const pins = view.pins.map(({ cell, number }) =>
    markOf(cell, finest, element("b", "number", number)));
  find("marks").replaceChildren(...view.cell ? [markOf(view.cell, finest)] : [], ...pins);
  if (view.cell) find("hint").dataset.now = view.pins.length > 0 ? "pinned" : "after";
}

// A frame around a cell.
function markOf({ row, column }, [rows, columns], ...content) {
  const made = element("i", "mark", ...content);
  made.style.inset = `${100 * row / rows}% auto auto ${100 * column / columns}%`;
  Object.assign(made.style, { width: `${100 / columns}%`, height: `${100 / rows}%` });
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
  find("strip-word").replaceChildren(nameOf(view.word + 1));
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
  find("low").textContent = short(heat.low);
  find("high").textContent = short(heat.high);
  if (!view.cell) return;
  const value = heat.values[cellOn(heat.grid, view.cell)];
  find("here").style.left = `${100 * onScale(heat, value)}%`;
}

// ---- the words, and what is at the cursor -----------------------------------------------------
const wordRows = [];                                        // by label; 0 is the background
const valueCells = [];                                      // {key, box} of the table

function addWordRow(label) {
  const row = clone("word-template"), name = nameOf(label).textContent;
  const [box, pick, bar, score, share] = row.querySelectorAll("input, .pick, .bar i, output");
  row.style.setProperty("--colour", data.palette[label]);
  row.classList.toggle("background", label === 0);
  box.checked = !view.hidden.has(label);
  box.setAttribute("aria-label", `colour of ${name}`);
  box.addEventListener("change", () => {
    view.hidden[box.checked ? "delete" : "add"](label);
    touch("show");
  });
  pick.firstElementChild.textContent = pick.title = name;
  pick.disabled = label === 0;
  pick.addEventListener("click", () => look("word", label - 1));
  find("words").append(row);
  wordRows[label] = { row, pick, bar, score, share };
}

function drawShares() {
  const labels = shownLabels(), counts = new Uint32Array(256);
  for (const label of labels) counts[label]++;
  wordRows.forEach(({ share }, label) => {
    share.textContent = percent(counts[label] / labels.length);
  });
  if (!truth) return;
  const { miou, wrong } = statistics(result.labels, truth, K);
  ownMiou = ownMiou ?? miou;                                // the first result is the method's own
  find("miou").textContent = miou.toFixed(3);
  find("miou-own").textContent = ownMiou.toFixed(3);
  find("wrong").textContent = `${percent(wrong / labels.length)} of the pixels are wrong.`;
  find("score").classList.toggle("beaten", miou > ownMiou);
}

function addValueCells(row) {
  const keys = keysOf(row);
  for (const key of keys) {
    const box = element("td", "", "–");
    box.colSpan = keys.length === 1 ? levels.length : 1;
    row.append(box);
    valueCells.push({ key, box });
  }
}

function drawHere() {
  find("table-word").replaceChildren(nameOf(view.word + 1));
  find("words").style.setProperty("--threshold", clamp(settings.threshold, 0, 1));
  wordRows.forEach(({ pick }, label) => {
    pick.setAttribute("aria-pressed", label === view.word + 1);
  });
  if (!view.cell) return;
  const scores = method.pixel(result, view.cell.x, view.cell.y), winner = best(scores);
  scores.forEach((value, k) => {
    const { row, bar, score } = wordRows[k + 1];
    bar.style.width = `${100 * clamp(value, 0, 1)}%`;
    score.textContent = value.toFixed(2);
    row.classList.toggle("best", k === winner);
  });
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
  if (top < settings.threshold) {
    return ["Background: the best word, ", name, `, has only ${top.toFixed(2)}. `];
  }
  const lead = (top - Math.max(...others)).toFixed(2);
  return K === 1 ? [name, " wins. "]
                 : [name, ` wins, ${lead} ahead of `, nameOf(best(others) + 1), ". "];
}

function whoTurnedIt(scores) {
  const winner = best(scores), leaderOf = (key) => best(valuesAt(stageOf(key), view.cell));
  const [crossed, refined, mean] = ["fused", "combined", "mean"].map(leaderOf);
  if (scores[winner] < settings.threshold) return [];
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
  const { row, column, x, y } = view.cell, scores = method.pixel(result, x, y);
  const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, 5);
  const list = order.map((k) => `${data.classes[k]} ${scores[k].toFixed(2)}`).join(", ");
  find("said").textContent = `cell ${row}, ${column}: ${list}`;
}

// ---- pins -------------------------------------------------------------------------------------
const DIRECTIONS = [["row", "looks at"], ["column", "is looked at by"]];

function addPin(cell, further) {
  const kept = further ? view.pins : [];
  const number = 1 + (kept.at(-1)?.number ?? 0);
  const pin = { number, cell, maps: null, timestep: null };
  setPins([...kept, pin]);
  fetchMaps(pin);
}

function setPins(pins) {
  if (view.enlarged?.key.startsWith("pin/")) view.enlarged = null;
  look("pins", pins);
}

async function fetchMaps(pin) {
  pin.timestep = settings.timestep;
  const ask = (level, direction) => data.refinable[level]
    ? method.attention(settings, 0, level, cellOn(data.grids[level], pin.cell), direction) : null;
  pin.maps = await Promise.all(levels.map((level) =>
    Promise.all(DIRECTIONS.map(([direction]) => ask(level, direction)))));
  touch("pins");
}

// "pin/number/level/direction" -> its heat map. The root makes small attention visible.
function pinHeat(key) {
  const [number, level, direction] = key.split("/").slice(1).map(Number);
  const { maps } = view.pins.find((pin) => pin.number === number);
  const values = maps && maps[level][direction];
  const grid = data.grids[level];
  return values && { values, grid, low: 0, high: Math.max(...values), power: 0.5 };
}

function drawPins() {
  find("pins").hidden = view.pins.length === 0;
  find("pins").replaceChildren(...view.pins.map(pinCard));
}

function pinCard(pin) {
  const card = clone("pin-template");
  const [number, place, remove] = card.querySelectorAll("b, span, button");
  number.textContent = pin.number;
  place.textContent = `cell ${pin.cell.row}, ${pin.cell.column}`;
  remove.addEventListener("click", () => {
    setPins(view.pins.filter((other) => other !== pin));
    find("stage").focus();
  });
  for (const [direction, [, title]] of DIRECTIONS.entries()) {
    const maps = levels.map((level) => pinFigure(pin, level, direction));
    card.append(element("div", "direction", element("p", "", title), ...maps));
  }
  return card;
}

function pinFigure(pin, level, direction) {
  const key = `pin/${pin.number}/${level}/${direction}`, heat = pinHeat(key);
  const name = gridName(data.grids[level]), what = DIRECTIONS[direction][1];
  const title = `Pin ${pin.number} ${what}, ${name} (root scale)`;
  const { figure, canvas, open } = makeMap(key, name, title);
  open.disabled = !heat;
  if (!heat) return figure;
  const cells = element("canvas", "cells"), cell = cellOn(heat.grid, pin.cell);
  drawCells(cells, heat);
  cells.style.opacity = 0.8;
  drawLayers(canvas, SMALL, find("picture"), cells);
  const columns = heat.grid[1], row = Math.floor(cell / columns);
  open.append(markOf({ row, column: cell % columns }, heat.grid));
  return figure;
}

// ---- sliders and switches ---------------------------------------------------------------------
const controls = [];                                        // {show, reset} of each

// Ties the control in `place` to holder()[key]: a setting, or the opacity.
function bind(place, holder, key) {
  const [input, output] = place.querySelectorAll("input, select, output");
  const begin = holder()[key], field = input.type === "checkbox" ? "checked" : "value";
  input.min = Math.min(input.min, begin);                   // which may lie outside
  input.max = Math.max(input.max, begin);
  const share = (value) => (value - input.min) / (input.max - input.min);
  const show = () => {
    input[field] = holder()[key];
    place.style.setProperty("--at", share(holder()[key]));
    if (output) output.textContent = short(holder()[key]);
    if (key === "tau") input.setAttribute("aria-valuetext", `refined ${holder()[key]} times`);
  };
  place.style.setProperty("--own", share(begin));
  input.addEventListener("input", () => {
    holder()[key] = field === "checked" ? input.checked : Number(input.value);
    controlMoved(holder());
  });
  controls.push({ show, reset: () => { holder()[key] = begin; } });
}

function controlMoved(holder) {
  controls.forEach(({ show }) => show());
  if (holder === view) return touch("show");
  touch("settings");
  return compute();
}

function addWeight(figure, field, letter, level) {
  const slider = clone("weight-template"), [label, input] = slider.querySelectorAll("label, input");
  const where = field === "cross" ? "cross fusion" : "refinement", grid = data.grids[level];
  label.prepend(letter + subscript(grid[0]));
  input.setAttribute("aria-label", `weight of level ${gridName(grid)} in ${where}`);
  input.disabled = field === "levels" && !data.refinable[level];    // not in the page
  figure.append(slider);
  bind(slider, () => settings[field], level);
}

function resetAll() {
  controls.forEach(({ reset }) => reset());
  controlMoved(view);
  controlMoved(settings);
}

// ---- the same setting as a command, and files to keep -----------------------------------------
function drawCalls() {
  const { numbers: fixed, recommended } = data.call;       // given before; of the bare command
  const differs = ([field, value]) => JSON.stringify(value) !== JSON.stringify(recommended[field]);
  const numbers = Object.entries({ ...fixed, ...settings }).filter(differs)
    .map(([field, value]) => `${field}=${python(value)}`);
  const spec = numbers.length ? ` --method "faseg:${numbers.join(";")}"` : "";
  find("command").textContent = data.call.command + spec;
  find("python").textContent = `${[data.call.python.slice(0, -1), ...numbers].join(", ")})`;
  for (const place of findAll("[data-copy]")) place.textContent = "copy";
  const none = (weights) => !weights.some(Boolean);
  find("warning").hidden = !none(settings.cross) && !(none(settings.levels) && settings.tau > 0);
}

// JSON as Python writes it.
const python = (value) => JSON.stringify(value).replace("true", "True").replace("false", "False")
  .replace("[", "(").replace("]", value.length === 1 ? ",)" : ")");

// Where the clipboard is closed to the page, the text is at least selected.
async function copy({ target }) {
  const source = find(target.dataset.copy);
  getSelection().selectAllChildren(source);
  const writing = navigator.clipboard ? navigator.clipboard.writeText(source.textContent)
                                      : Promise.reject();
  target.textContent = await writing.then(() => "copied", () => "selected");
}

function download(canvas, ending) {
  const stem = data.name.replace(/\.\w+$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 80);
  canvas.toBlob((blob) => {
    const href = URL.createObjectURL(blob);
    Object.assign(element("a", ""), { href, download: `${stem}_${ending}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  });
}

function saveMask() {
  const canvas = element("canvas", "");
  putPixels(canvas, width, new Uint32Array(result.labels).map((label) => PALETTE[label]));
  download(canvas, "mask");
}

function saveView() {
  const canvas = element("canvas", "");
  drawLayers(canvas, width * SHARP, ...findAll("#stage canvas:not([hidden])"));
  download(canvas, "view");
}

// ---- pointer and keys -------------------------------------------------------------------------
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
                Home: [0, -Infinity], End: [0, Infinity] };

function moveTo(x, y) {
  const row = Math.floor(y * gridRows / height), column = Math.floor(x * gridColumns / width);
  look("cell", { x, y, row, column });
}

function moveToPointer({ offsetX, offsetY }) {
  const { clientWidth, clientHeight } = find("stage");
  moveTo(clamp(Math.floor(offsetX * width / clientWidth), 0, width - 1),
         clamp(Math.floor(offsetY * height / clientHeight), 0, height - 1));
}

// The first arrow key shows the cursor in the middle; the next ones move it.
function stageKey(event) {
  if (event.key === "Enter" && view.cell) addPin(view.cell, event.shiftKey);
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  const from = view.cell ?? { row: gridRows >> 1, column: gridColumns >> 1 };
  const [down, right] = view.cell ? STEPS[event.key] : [0, 0];
  const row = clamp(from.row + down, 0, gridRows - 1);
  const column = clamp(from.column + right, 0, gridColumns - 1);
  moveTo(Math.floor((column + 0.5) * width / gridColumns),
         Math.floor((row + 0.5) * height / gridRows));
  announce();
}

const escape = () => view.enlarged ? enlarge(view.enlarged.key) : setPins([]);

// Every time another wrong pixel, far from the last one.
let visits = 0;

function toWrongPixel() {
  const wrong = [...result.labels.keys()].filter(isWrong);
  if (wrong.length === 0) return;
  const pixel = wrong[Math.floor(wrong.length * (0.5 + 0.618 * visits++)) % wrong.length];
  moveTo(pixel % width, Math.floor(pixel / width));
  announce();
}

function listen() {
  const on = (place, event, act) => place.addEventListener(event, act);
  const clicks = { close: escape, reset: resetAll, "next-error": toWrongPixel,
                   "save-mask": saveMask, "save-view": saveView };
  for (const [id, act] of Object.entries(clicks)) on(find(id), "click", act);
  for (const place of findAll("[data-copy]")) on(place, "click", copy);
  for (const radio of findAll("[name=show]")) on(radio, "change", () => {
    view.enlarged = null;
    look("show", radio.value);
  });
  on(find("contour"), "change", () => touch("show"));
  on(find("stage"), "pointermove", moveToPointer);
  on(find("stage"), "click", (event) => {
    moveToPointer(event);
    addPin(view.cell, event.shiftKey);
  });
  on(find("stage"), "keydown", stageKey);
  on(document, "keydown", ({ key }) => { if (key === "Escape") escape(); });
}

// ---- beginning --------------------------------------------------------------------------------
function showFacts() {
  const facts = { ...data, full: data.full.join(" × "), size: `${width} × ${height}`,
                  bits: [...new Set(data.bits)].join(" or ") };
  for (const place of findAll("[data-fact]")) place.textContent = facts[place.dataset.fact] ?? "";
  if (data.views === 1) findAll("[data-flip]").forEach((place) => place.remove());
  if (!data.truth) findAll("[data-truth]").forEach((place) => { place.hidden = true; });
  document.documentElement.style.setProperty("--aspect", width / height);
  putPixels(find("ramp"), 256, HEAT);
}

function build() {
  for (const word of data.classes.keys()) addWordRow(word + 1);
  addWordRow(0);
  find("levels").append(...data.grids.map((grid) => element("th", "", gridName(grid))));
  findAll("tr[data-maps]").forEach(addValueCells);
  for (const stage of findAll(".stage")) keysOf(stage).forEach((key) => addThumb(stage, key));
  find("timestep").append(...data.captures.map(({ timestep }) => new Option(timestep)));
  find("timestep").parentElement.hidden = data.captures.length === 1;
  findAll("[data-setting]").forEach((place) => bind(place, () => settings, place.dataset.setting));
  bind(find("opacity"), () => view, "opacity");
  controls.forEach(({ show }) => show());
}

async function start() {
  showFacts();
  await drawPicture();
  const buffer = await openMaps(find("maps").textContent);
  if (data.truth) truth = arrayOf(data.arrays, buffer, "truth");
  window.explorer.method = method = startMethod(data, buffer);
  build();
  await compute();
  touch("settings", "pins");
  listen();
  find("main").setAttribute("aria-busy", "false");
}

start().catch(({ message }) => {
  find("trouble").textContent = `The page could not start: ${message}. It needs a newer browser?`;
  find("trouble").hidden = false;
});
