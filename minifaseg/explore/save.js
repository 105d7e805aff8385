// The same setting as a command, and files to keep.

function drawCalls() {
  const { numbers: fixed, recommended } = data.call;       // given before; of the bare command
  const differs = ([field, value]) => JSON.stringify(value) !== JSON.stringify(recommended[field]);
  const { question, uniform, ...now } = settings;
  const numbers = Object.entries({ ...fixed, ...now }).filter(differs)
    .map(([field, value]) => `${field}=${python(value)}`);
  const spec = numbers.length ? ` --method "faseg:${numbers.join(";")}"` : "";
  write({ command: data.call.command + spec,
          python: `${[data.call.python.slice(0, -1), ...numbers].join(", ")})` });
  for (const place of findAll("[data-copy]")) place.textContent = "copy";
  const none = (weights) => !weights.some(Boolean);
  find("warning").hidden = !none(settings.cross) && !(none(settings.levels) && settings.tau > 0);
  find("beyond").hidden = question === "own" && !uniform;
}

// JSON as Python writes it.
const python = (value) => JSON.stringify(value).replace("true", "True").replace("false", "False")
  .replace("[", "(").replace("]", value.length === 1 ? ",)" : ")");

// Where the clipboard is closed to the page, the text is at least selected.
async function copy({ target }) {
  const source = find(target.dataset.copy);
  getSelection().selectAllChildren(source);
  const writing = navigator.clipboard?.writeText(source.textContent) ?? Promise.reject();
  target.textContent = await writing.then(() => "copied", () => "selected");
}

function download(blob, ending) {
  const stem = data.name.replace(/\.\w+$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 80);
  const href = URL.createObjectURL(blob);
  Object.assign(element("a", ""), { href, download: `${stem}_${ending}.png` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 1000);
}

// The mask as the command writes it: a PNG of VOC's colours, whose values are the labels.
async function saveMask(labels, ending) {
  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) {                        // each row begins with its filter, 0
    rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  }
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const body = new Uint8Array(await new Response(stream).arrayBuffer());
  const parts = [bytesOf(data.mask), chunk("IDAT", body), chunk("IEND", [])];
  download(new Blob(parts, { type: "image/png" }), ending);
}

// A chunk of a PNG: its length, its name, what it holds, and a checksum.
function chunk(name, content) {
  const four = (number) => [24, 16, 8, 0].map((shift) => number >>> shift & 255);
  const body = [...new TextEncoder().encode(name), ...content];
  return Uint8Array.from([...four(content.length), ...body, ...four(crc32(body))]);
}

function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

// What is seen, with cursor and pins.
function saveView() {
  const canvas = element("canvas", ""), context = canvas.getContext("2d");
  drawLayers(canvas, width * SHARP, ...findAll("#stage > .layer:not([hidden])"));
  const across = canvas.width / gridColumns, down = canvas.height / gridRows;
  Object.assign(context, { globalAlpha: 1, strokeStyle: "white", fillStyle: "white",
                           lineWidth: across / 8, shadowColor: "black", shadowBlur: across / 4,
                           font: `bold ${down}px sans-serif`, textAlign: "center",
                           textBaseline: "middle" });
  for (const { cell: { row, column }, number = "" } of marks()) {
    context.strokeRect(column * across, row * down, across, down);
    context.fillText(number, (column + 0.5) * across, (row + 0.5) * down);
  }
  canvas.toBlob((blob) => download(blob, "view"));
}
