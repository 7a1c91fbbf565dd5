"use strict";
const element = (id) => document.getElementById(id);
const settings = JSON.parse(element("settings").textContent);
const SHOWN = 6;
const side = settings.size[0];
const spans = (array) => Math.sqrt(array.reduce((sum, one) => sum + one * one, 0));

// What a <script> of this page holds: compressed, and written as text.
async function unpacked(id) {
  const text = element(id).textContent.trim();
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Everything that is seen at the moment; also for whoever looks from the console.
const demo = { input: null, upright: null, answers: null, ready: null, busy: Promise.resolve(), visited: [new Map(), new Map()], own: -1 };
globalThis.demo = demo;

async function start() {
  const script = new Blob([await unpacked("runtime")], { type: "text/javascript" });
  const runtime = await import(URL.createObjectURL(script));
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.proxy = false;
  runtime.env.wasm.wasmBinary = (await unpacked("program")).buffer;
  const sessions = [];
  for (const number of [0, 1]) {
    sessions.push(await runtime.InferenceSession.create(await unpacked(`network-${number}`), { executionProviders: ["wasm"] }));
  }
  return async (input) => {
    const images = new runtime.Tensor("float32", input, [1, 3, side, side]);
    const found = [];
    for (const session of sessions) {
      const out = await session.run({ images });
      found.push(Object.fromEntries(Object.entries(out).map(([name, tensor]) => [name, tensor.data])));
    }
    return found;
  };
}

// Drawings whose values are replaced as the picture turns.
const base = { width: "container", autosize: { type: "fit", contains: "padding" }, config: settings.config };
const options = { mode: "vega-lite", renderer: "svg", actions: false };
const heat = {
  ...base,
  description: "Features as a field of colours, one cell a feature",
  height: 150,
  mark: { type: "rect", tooltip: true, aria: false },
  encoding: {
    x: { field: "x", type: "ordinal", axis: null },
    y: { field: "y", type: "ordinal", axis: null },
    color: { field: "value", type: "quantitative", scale: { scheme: "blues" }, legend: null },
  },
};
const curve = {
  ...base,
  description: "How far features are from those of the upright picture, over the angle",
  height: 240,
  mark: { type: "line", point: true },
  encoding: {
    x: { field: "angle", type: "quantitative", title: "angle, degrees", scale: { domain: [0, 360] }, axis: { values: [0, 45, 90, 135, 180, 225, 270, 315, 360] } },
    y: { field: "change", type: "quantitative", title: "change of the features", scale: { domainMin: 0 } },
    color: { field: "network", type: "nominal", sort: null, scale: { domain: settings.names } },
  },
};
const drawings = [...document.querySelectorAll(".features")].map((place) => ({ place, spec: heat }));
drawings.push({ place: element("curve"), spec: curve });
async function draw(number, values) {
  const drawing = drawings[number];
  if (drawing.view) {
    await drawing.view.data("values", values).runAsync();
  } else {
    const spec = { ...drawing.spec, data: { name: "values", values } };
    drawing.view = (await vegaEmbed(drawing.place, spec, options)).view;
  }
}

function showSeen(input) {
  const context = element("seen").getContext("2d");
  const image = context.createImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = 255 * (input[c * side * side + i] * settings.deviation[c] + settings.mean[c]);
    }
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const nearest = (answer) =>
  [...answer.similarities.keys()]
    .filter((number) => number !== demo.own)
    .sort((one, other) => answer.similarities[other] - answer.similarities[one])
    .slice(0, SHOWN);

function likely(scores) {
  const top = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - top));
  const total = powers.reduce((sum, one) => sum + one, 0);
  return powers
    .map((power, number) => ({ name: settings.classes[number], share: power / total }))
    .sort((one, other) => other.share - one.share)
    .slice(0, 3);
}

async function show(number, answer, upright) {
  const part = document.querySelector(`[data-network="${number}"]`);
  const change = spans(answer.features.map((one, i) => one - upright.features[i])) / spans(upright.features);
  part.querySelector(".changed").textContent = change < 1e-3 ? change.toExponential(1) : `${(100 * change).toFixed(1)}%`;
  part.querySelector(".classes").replaceChildren(
    ...likely(answer.scores).map(({ name, share }) => {
      const line = document.createElement("li");
      line.textContent = `${name}, ${(100 * share).toFixed(1)}%`;
      return line;
    }),
  );
  const [found, before] = [nearest(answer), new Set(nearest(upright))];
  part.querySelector(".same").textContent = `${found.filter((one) => before.has(one)).length} of ${SHOWN} are those of the upright picture:`;
  part.querySelector(".neighbours").replaceChildren(
    ...found.map((one) => {
      const [figure, tile, words] = ["figure", "span", "figcaption"].map((name) => document.createElement(name));
      figure.setAttribute("role", "listitem");
      tile.className = "tile";
      tile.style.setProperty("--x", one % settings.columns);
      tile.style.setProperty("--y", Math.floor(one / settings.columns));
      words.textContent = settings.classes[settings.labels[one]];
      figure.append(tile, words);
      return figure;
    }),
  );
  demo.visited[number].set(Number(element("angle").value), change);
  await draw(number, Array.from(answer.features, (value, i) => ({ x: i % 32, y: Math.floor(i / 32), value })));
}

async function look() {
  const degrees = Number(element("angle").value);
  element("degrees").textContent = `${degrees}°`;
  element("angle").setAttribute("aria-valuetext", `${degrees} degrees`);
  const input = preprocessing.turned(demo.input, side, degrees);
  showSeen(input);
  demo.answers = await (await demo.ready)(input);
  for (const [number, answer] of demo.answers.entries()) await show(number, answer, demo.upright[number]);
  const points = demo.visited.flatMap((known, number) =>
    [...known].map(([angle, change]) => ({ angle, change, network: settings.names[number] })),
  );
  await draw(2, points.sort((one, other) => one.angle - other.angle));
}

// One thing at a time, in the order in which it was asked for; angles that were passed by meanwhile are left out.
let asked = 0;
function later(work) {
  const number = ++asked;
  demo.busy = demo.busy.then(() => (number === asked ? work() : undefined)).catch(fail);
  return demo.busy;
}
function fail(error) {
  element("state").textContent = `That did not work: ${error.message}`;
  console.warn(error);
}

async function take(picture, words, own = -1) {
  demo.input = preprocessing.transform(picture, settings);
  demo.own = own;
  demo.visited.forEach((known) => known.clear());
  element("angle").value = 0;
  document.querySelectorAll("[data-sample]").forEach((button) => button.setAttribute("aria-pressed", Number(button.dataset.sample) === own));
  demo.upright = await (await demo.ready)(preprocessing.turned(demo.input, side, 0));
  element("state").textContent = words;
  await look();
}
async function takeFile(file) {
  let picture;
  try {
    picture = await preprocessing.pixels(file);
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read`);
  }
  await take(picture, `${file.name}. Now turn it.`);
}

const sheet = createImageBitmapOf(document.querySelector(".tile"));
async function createImageBitmapOf(tile) {
  const picture = new Image();
  picture.src = getComputedStyle(tile).backgroundImage.slice(5, -2);
  await picture.decode();
  return createImageBitmap(picture);
}
async function takeSample(number) {
  const [tile, columns] = [settings.tile, settings.columns];
  const picture = preprocessing.fromBitmap(await sheet, (number % columns) * tile, Math.floor(number / columns) * tile, tile, tile);
  await take(picture, "A picture of the gallery. Now turn it.", number);
}

element("file").addEventListener("change", ({ target }) => target.files[0] && later(() => takeFile(target.files[0])));
element("angle").addEventListener("input", () => later(look));
element("samples").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button) later(() => takeSample(Number(button.dataset.sample)));
});
element("around").addEventListener("click", async () => {
  const slider = element("angle");
  for (let degrees = 0; degrees <= Number(slider.max); degrees += 3 * Number(slider.step)) {
    slider.value = degrees;
    await later(look);
  }
  slider.value = 0;
  await later(look);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) later(() => takeFile(file));
});

demo.ready = start();
later(() => takeSample(settings.samples[0]));
