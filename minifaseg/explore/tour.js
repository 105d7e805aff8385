// The guided tour. Its texts stand in page.html; here is what each step does to the page.

const canAct = { mirror: data.views > 1, control: "absent" in data.classes };
const steps = findAll("#tour li").filter(({ dataset: { act } }) => canAct[act] ?? true);
let step = -1, before = null;             // -1: no tour. before: the settings that it began with

const strongest = () => best(settings.cross);               // the level that counts most
const ACTS = {
  cross: () => enlarge(`raw/${strongest()}`, "Cross-attention"),
  self: async () => {
    await pinPixel(data.tour.best);
    enlarge(`pin/1/${segment.level}/0`, "Where the pinned cell looks (root scale)");
  },
  without: () => set({ tau: 0 }),
  much: () => set({ tau: 8 }),
  mirror: () => set({ flip: false }),
  control: () => pressNow("absent"),
  wrong: explain,
};

function goTo(number) {
  if (!steps[number]) return;
  step = number;
  for (const place of findAll("#tour li")) place.hidden = place !== steps[step];
  write({ step: `${step + 1} of ${steps.length}`,
          question: steps[step + 1]?.dataset.question ?? "" });
  inTurn(() => step === number && enter(steps[step].dataset));        // unless the reader went on
}

async function enter({ act, at }) {
  await clear(original);
  await ACTS[act]?.();
  highlight(at);
}

// Nothing pressed, pinned or enlarged, at these settings.
async function clear(numbers) {
  setPins([]);
  seeMethod(null);
  show("mask");
  await set(numbers);
}

function highlight(selector) {
  document.querySelector(".toured")?.classList.remove("toured");
  if (!selector) return;
  const place = document.querySelector(selector);
  place.classList.add("toured");
  requestAnimationFrame(() => place.scrollIntoView());      // when all is drawn
}

function startTour() {
  before = structuredClone({ ...settings, ...pressed?.before });
  find("tour").hidden = false;
  find("tour").focus();
  goTo(0);
}

const leaveTour = () => inTurn(async () => {
  step = -1;
  find("tour").hidden = true;
  highlight(null);
  await clear(before);
  find("start-tour").focus();
});

function tourKey(event) {
  const onward = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step < 0 || !onward || event.target.closest("input, select, #stage, pre")) return;
  event.preventDefault();
  goTo(step + onward);
}

const pinPixel = ([x, y]) => addPin(look("cell", cellAt(x, y)));

// The last question's answer: who wins at the pixel, and what cross-attention and refinement mix.
async function explain() {
  await pinPixel(data.tour.why);
  const { x, y } = view.cell, scores = method.pixel(result, x, y);
  const grid = data.grids[strongest()], cell = cellOn(grid, view.cell);
  const alone = new Float32Array(grid[0] * grid[1]).fill(1, cell, cell + 1);
  look("word", best(scores));
  find("answer").replaceChildren(...whoWins(scores), ...whoTurnedIt(scores), ...truthHere(),
    ` Its cell of cross-attention, at ${gridName(grid)}, lies `, ...wordsUnder(alone, grid),
    ". Refinement takes the mean over what it looks at", ...sharesOf(view.pins[0], 0), ".");
}
