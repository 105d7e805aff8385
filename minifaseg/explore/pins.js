// Pinned cells: where each looks, who looks at it, and the segment that it makes without any word.

// A pin is {number, cell, maps: [level][direction], row: of A_r^tau}, the last two a little later.
// Direction 0 is where it looks, a row of A_r; 1 is who looks at it, a column.

// labels: 1 where a pin's row, divided by its maximum, reaches the threshold; or the pin's number.
const segment = { level: data.refinable.lastIndexOf(true), tau: 2, threshold: 0.2, apart: false,
                  enlarged: null, labels: new Uint8Array(width * height) };

function addPin(cell, further) {
  const kept = further ? view.pins : [];
  return setPins([...kept, { number: 1 + (kept.at(-1)?.number ?? 0), cell }]);
}

function setPins(pins) {
  if (view.enlarged?.key.startsWith("pin/")) view.enlarged = null;
  if (pins.length === 0 && view.show === "pins") show("mask");
  look("pins", pins);
  return refreshPins();
}

let asked = "";                                             // for which pins and numbers
async function refreshPins() {
  const { level, tau } = segment, { pins } = view, grid = data.grids[level];
  const key = JSON.stringify([pins.map(({ cell }) => cell), settings.timestep, level, tau]);
  if (key === asked) return null;
  asked = key;
  const made = await Promise.all(pins.map(({ cell }) => mapsOf(cell, level, tau)));
  if (key !== asked) return null;                           // something moved meanwhile
  pins.forEach((pin, k) => Object.assign(pin, made[k]));
  const count = made.length, highs = made.map(({ row }) => Math.max(...row));
  const besides = Float32Array.from({ length: count * grid[0] * grid[1] }, (_, i) =>
    made[i % count].row[Math.floor(i / count)] / highs[i % count]);
  segment.enlarged = resize(besides, grid, [height, width], count);
  touch("pins");
  return labelSegment();
}

async function mapsOf(cell, segmentLevel, tau) {
  const ask = (level, direction, steps) =>
    method.attention(settings, 0, level, cellOn(data.grids[level], cell), direction, steps);
  const both = (level) => Promise.all(["row", "column"].map((direction) => ask(level, direction)));
  return { maps: await Promise.all(levels.map(both)), row: await ask(segmentLevel, "row", tau) };
}

function labelSegment() {
  const { enlarged, threshold, apart } = segment, { pins } = view;
  if (pins.length === 0 || enlarged?.length !== pins.length * width * height) return;
  segment.labels = label(enlarged, threshold, pins.length).map((winner) =>
    winner && (apart ? pins[winner - 1].number : 1));
  touch("segment");
}

function drawSegment() {
  const { labels } = segment, nothing = shareOf(labels, 0), part = labels.map((label) => label > 0);
  find("segment-said").replaceChildren(`${percent(1 - nothing)} of the picture; of it `,
                                       ...wordsUnder(part, [height, width]));
}

// "pin/number/level/direction" -> its heat map. The root makes small attention visible.
function pinHeat(key) {
  const [number, level, direction] = key.split("/").slice(1).map(Number);
  const values = view.pins.find((pin) => pin.number === number).maps[level][direction];
  const grid = data.grids[level];
  return values && { values, grid, low: 0, high: Math.max(...values), power: 0.5 };
}

function drawPins() {
  find("pins").hidden = find("show-pins").hidden = view.pins.length === 0;
  find("pin-cards").replaceChildren(...view.pins.filter(({ maps }) => maps).map(pinCard));
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
  card.querySelectorAll(".direction").forEach((place, direction) => {
    place.firstElementChild.append(...sharesOf(pin, direction));
    place.append(...levels.map((level) => pinFigure(pin, level, direction)));
  });
  return card;
}

function pinFigure(pin, level, direction) {
  const key = `pin/${pin.number}/${level}/${direction}`, heat = pinHeat(key);
  const name = gridName(data.grids[level]), who = direction ? "who looks at it" : "where it looks";
  const title = `Pin ${pin.number}: ${who}, ${name} (root scale)`;
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

const reference = () => truth ?? result.labels;             // the best that the page knows

// The words that most of a map lies on, at most three, as text: "69 % on cat, 13 % on background".
function wordsUnder(values, [rows, columns]) {
  const shares = new Float64Array(256);
  reference().forEach((word, pixel) => {
    const row = Math.floor(Math.floor(pixel / width) * rows / height);
    shares[word] += values[row * columns + Math.floor(pixel % width * columns / width)];
  });
  const total = shares.reduce((a, b) => a + b) || 1;
  const most = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, 3);
  return most.filter((word) => shares[word] > 0.0005 * total).flatMap((word, i) =>
    [`${i ? ", " : ""}${percent(shares[word] / total)} on `, nameOf(word)]);
}

// Of a pin, at the level that segments are made of.
function sharesOf({ maps }, direction) {
  const { level } = segment, grid = data.grids[level];
  return [`, at ${gridName(grid)}: `, ...wordsUnder(maps[level][direction], grid)];
}
