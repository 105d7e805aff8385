// Sliders and switches, and the controls that can show a claim to be false.

// ---- sliders and switches ---------------------------------------------------------------------
const sliders = [];                                         // functions that show their values

// Ties the input in `place` to holder()[key]: a setting, the opacity, a number of the segment.
function bind(place, holder, key) {
  const [input, output] = place.querySelectorAll("input, select, output");
  const begin = holder()[key], field = input.type === "checkbox" ? "checked" : "value";
  input.min = Math.min(input.min, begin);                   // which may lie outside
  input.max = Math.max(input.max, begin);
  const share = (value) => (value - input.min) / (input.max - input.min);
  place.style.setProperty("--own", share(begin));
  sliders.push(() => {
    input[field] = holder()[key];
    place.style.setProperty("--at", share(holder()[key]));
    if (output) output.textContent = short(holder()[key]);
    if (key === "tau") input.setAttribute("aria-valuetext", `${holder()[key]} times`);
  });
  input.addEventListener("input", () => {
    holder()[key] = field === "checked" ? input.checked : Number(input.value);
    moved(holder());
  });
}

function moved(holder) {
  sliders.forEach((showValue) => showValue());
  if (holder === view) return touch("show");
  if (holder === segment) {
    show("pins");
    touch("pins");
    labelSegment();                                         // its own threshold may have moved
    return refreshPins();
  }
  touch("settings");
  return compute();
}

function addWeight(figure, field, letter, level) {
  const slider = clone("weight-template"), [label, input] = slider.querySelectorAll("label, input");
  const where = field === "cross" ? "cross fusion" : "refinement", grid = data.grids[level];
  label.prepend(letter, element("sub", "", grid[0]));
  input.setAttribute("aria-label", `weight of level ${gridName(grid)} in ${where}`);
  input.disabled = field === "levels" && !data.refinable[level];    // not in the page
  figure.append(slider);
  bind(slider, () => settings[field], level);
}

// nowPressed: the control that is pressed by that, see below.
function set(changes, nowPressed = null) {
  pressed = nowPressed;
  Object.assign(settings, structuredClone(changes));
  drawClaims();
  return moved(settings);
}

// As if this button of "Show" had been pressed.
function show(what) {
  document.querySelector(`[name=show][value=${what}]`).checked = true;
  view.enlarged = null;
  look("show", what);
}

// Another method's mask, or with null FA-Seg's.
function seeMethod(other) {
  find("method-own").checked = !other;
  look("other", other && method.finished(other));
}

function buildMethods() {
  for (const other of data.others) {
    const choice = clone("method-template"), [input, name] = choice.querySelectorAll("input, bdi");
    name.textContent = other.spec;
    input.addEventListener("change", () => seeMethod(other));
    find("methods").append(choice);
  }
  find("method-own").addEventListener("change", () => seeMethod(null));
}

// ---- what would show that a claim is false ----------------------------------------------------
// What a control changes while its button is down. If the claim is true, another question changes
// no label, and the other controls do change some.
const HALF = levels.length >> 1;                            // from here on levels are fine
const CONTROLS = {
  absent: () => ({ question: "absent" }),
  twice: () => ({ question: "twice" }),
  reversed: () => ({ question: "reversed" }),
  uniform: () => ({ uniform: true }),
  coarse: () => ({ levels: weightsOf((level) => level >= HALF) }),
  fine: () => ({ levels: weightsOf((level) => level < HALF) }),
};
const NEARLY = 0.005;                                       // a smaller share of pixels is none
let pressed = null;                                         // {id, before: the settings it changed}

// Weights of these levels alone, with the sum that all had, so that the threshold means the same.
// They are alike where the method uses none of them.
function weightsOf(isKept) {
  const sum = (weights) => weights.reduce((a, b) => a + b);
  let kept = settings.levels.map((weight, level) => isKept(level) ? weight : 0);
  if (sum(kept) === 0) kept = levels.map((level) => Number(isKept(level) && data.refinable[level]));
  return kept.map((weight) => weight && weight * sum(settings.levels) / sum(kept));
}

// What takes time is done in turn, so that each act begins where the last one ended.
let last = Promise.resolve();
const inTurn = (act) => last = last.then(act);
const press = (id) => inTurn(() => pressNow(id));

async function pressNow(id) {
  const again = pressed?.id === id;
  await set(pressed?.before ?? {});
  if (again) return;
  const plain = result, changes = CONTROLS[id](), keys = Object.keys(changes);
  const before = Object.fromEntries(keys.map((key) => [key, settings[key]]));
  seeMethod(null);
  show("mask");
  await set(changes, { id, before });
  requestAnimationFrame(() => drawOutcome(id, plain));
}

// What came out, and what it says about the claim.
function drawOutcome(id, plain) {
  const { scores, classes } = result, K = classes.length, twice = id === "twice";
  const claim = document.querySelector(`[data-control=${id}]`);
  const labels = result.labels.map((label) => twice && label === K ? 1 : label);    // the same word
  const changed = shareOf(labels.map((label, i) => Number(label !== plain.labels[i])), 1);
  const facts = [`${percent(changed)} of the pixels change their label. `];
  if (id === "absent") facts.push(`The new word has ${percent(shareOf(labels, K))}. `);
  const apart = scores.map((score, i) => i % K ? 0 : Math.abs(score - scores[i + K - 1]));
  if (twice) facts.push(`Their scores differ by at most ${Math.max(...apart).toFixed(3)}. `);
  if (truth) {
    const [was, is] = [plain.labels, labels].map((one) => statistics(one, truth, K).miou);
    facts.push(`mIoU ${was.toFixed(3)} → ${is.toFixed(3)}. `);
  }
  const holds = "question" in CONTROLS[id]() ? changed < NEARLY : changed >= NEARLY;
  const verdict = holds ? element("span", "is-right", "The claim holds here.")
                        : element("span", "is-wrong", "The claim is false here.");
  claim.querySelector("output").replaceChildren(...facts, verdict);
  drawLayers(claim.querySelector("canvas"), SMALL, find("picture"), find("mask"));
}

function drawClaims() {
  find("pressed").hidden = !pressed;
  for (const claim of findAll("#claims li")) {
    claim.firstElementChild.setAttribute("aria-pressed", claim.dataset.control === pressed?.id);
  }
}

function buildClaims() {
  for (const claim of findAll("#claims li")) {
    const { control } = claim.dataset, { question, levels: kept } = CONTROLS[control]();
    const words = data.classes[question], name = claim.querySelector("bdi");
    claim.hidden = question ? !words : kept?.every((weight) => !weight);   // not in the page
    claim.querySelector("button").addEventListener("click", () => press(control));
    if (name && words) name.textContent = words.at(-1);
  }
}
