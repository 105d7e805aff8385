// Pointer and keys, and how the page begins.

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
                Home: [0, -Infinity], End: [0, Infinity] };

const cellAt = (x, y) => ({ x, y, row: Math.floor(y * gridRows / height),
                            column: Math.floor(x * gridColumns / width) });
const moveTo = (x, y) => look("cell", cellAt(x, y));

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
  const middle = (cell, cells, size) =>
    Math.floor((clamp(cell, 0, cells - 1) + 0.5) * size / cells);
  const x = middle(from.column + right, gridColumns, width);
  moveTo(x, middle(from.row + down, gridRows, height));
  announce();
}

function escape() {
  if (step >= 0) return leaveTour();
  return view.enlarged ? enlarge(view.enlarged.key) : setPins([]);
}

let visits = 0;                               // each goes to another wrong pixel, far from the last

function toWrongPixel() {
  const wrong = [...result.labels.keys()].filter(isWrong), { length } = wrong;
  if (length === 0) return;
  const pixel = wrong[Math.floor(length * (0.5 + 0.618 * visits++)) % length];
  moveTo(pixel % width, Math.floor(pixel / width));
  announce();
}

function listen() {
  const on = (place, event, act) => place.addEventListener(event, act);
  const clicks = { "close": () => enlarge(view.enlarged.key), "release": () => press(pressed.id),
                   "reset": () => inTurn(() => set(original)), "next-error": toWrongPixel,
                   "save-mask": () => saveMask(shownLabels(), "mask"),
                   "save-segment": () => saveMask(segment.labels, "segment"), "save-view": saveView,
                   "start-tour": startTour, "leave": leaveTour,
                   "back": () => goTo(step - 1), "next": () => goTo(step + 1) };
  for (const [id, act] of Object.entries(clicks)) on(find(id), "click", act);
  for (const place of findAll("[data-copy]")) on(place, "click", copy);
  for (const radio of findAll("[name=show]")) on(radio, "change", () => show(radio.value));
  on(find("contour"), "change", () => touch("show"));
  on(find("stage"), "pointermove", moveToPointer);
  on(find("stage"), "click", (event) => {
    moveToPointer(event);
    addPin(view.cell, event.shiftKey);
    if (step >= 0) find("tour").focus();                    // so that arrow keys stay the tour's
  });
  on(find("stage"), "keydown", stageKey);
  on(document, "keydown", (event) => event.key === "Escape" ? escape() : tourKey(event));
}

function showWhatThereIs() {
  if (data.views === 1) findAll("[data-flip]").forEach((place) => place.remove());
  for (const place of findAll(data.truth ? "[data-no-truth]" : "[data-truth]")) place.hidden = true;
  document.documentElement.style.setProperty("--aspect", width / height);
  putPixels(find("ramp"), 256, HEAT);
}

function build() {
  const most = Math.max(...Object.values(data.classes).map((classes) => classes.length));
  for (let label = 1; label <= most; label++) addWordRow(label);
  addWordRow(0);
  find("levels").append(...data.grids.map((grid) => element("th", "", gridName(grid))));
  findAll("tr[data-maps]").forEach(addValueCells);
  for (const stage of findAll(".stage")) keysOf(stage).forEach((key) => addThumb(stage, key));
  find("timestep").append(...data.captures.map(({ timestep }) => new Option(timestep)));
  findAll("[data-setting]").forEach((place) => bind(place, () => settings, place.dataset.setting));
  bind(find("opacity"), () => view, "opacity");
  find("segment-level").append(...levels.filter((level) => data.refinable[level])
    .map((level) => new Option(gridName(data.grids[level]), level)));
  findAll("[data-segment]").forEach((place) => bind(place, () => segment, place.dataset.segment));
  buildMethods();
  buildClaims();
  sliders.forEach((showValue) => showValue());
}

async function start() {
  showWhatThereIs();
  find("picture").src = data.picture;
  await find("picture").decode();
  const buffer = await openMaps(find("maps").textContent);
  if (data.truth) truth = arrayOf(data.arrays, buffer, "truth");
  window.explorer.method = method = startMethod(data, buffer);
  build();
  await compute();
  touch("settings", "pins");
  listen();
  if (location.hash === "#tour") startTour();
  find("main").setAttribute("aria-busy", "false");
}

start().catch(({ message }) => {
  write({ trouble: `The page could not start: ${message}. It needs a newer browser?` });
  find("trouble").hidden = false;
});
