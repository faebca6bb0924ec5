"use strict";
// A photo goes to /predict of the server that this page is from; what it answers is text, and is put in as such.
(() => {
  const FEW = 5;
  const part = (id) => document.getElementById(id);
  const [about, asking, drop, model, status, fault, result] =
    ["about", "asking", "drop", "model", "status", "fault", "result"].map(part);
  const state = { models: null, photo: null, address: "", classes: [], explanation: null, asked: 0 };

  class Refused extends Error {}

  function token() {
    try {
      return sessionStorage.getItem("token") ?? "";
    } catch {
      return state.token ?? ""; // a browser that keeps nothing
    }
  }

  function keep(text) {
    state.token = text;
    try {
      sessionStorage.setItem("token", text);
    } catch {
      // It is typed again next time.
    }
  }

  async function ask(path, options = {}) {
    const headers = token() ? { Authorization: `Bearer ${token()}`, ...options.headers } : options.headers;
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Error("The server does not answer; it may have been stopped.");
    }
    const text = await answer.text();
    let document_;
    try {
      document_ = JSON.parse(text);
    } catch {
      throw new Error(`The server answered with status ${answer.status}.`);
    }
    if (answer.status === 401) throw new Refused(document_.error);
    return { ok: answer.ok, status: answer.status, document: document_, again: answer.headers.get("Retry-After") };
  }

  function percent(share) {
    return `${(100 * share).toFixed(1)} %`;
  }

  // A name that is written from right to left, so that what stands around it keeps its place.
  function own(name) {
    return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(name) ? `\u2068${name}\u2069` : name;
  }

  function show(text) {
    fault.hidden = true;
    status.textContent = text;
  }

  function showFault(text) {
    status.textContent = "";
    fault.textContent = text;
    fault.hidden = false;
  }

  function askForToken(wasWrong) {
    asking.hidden = true;
    part("token-form").hidden = false;
    about.textContent = "A token is needed.";
    if (wasWrong) showFault("The token is not the server's.");
    part("token").focus();
  }

  async function start() {
    try {
      const { document: found } = await ask("models");
      state.models = found;
      part("token-form").hidden = true;
      asking.hidden = false;
      fault.hidden = true;
      model.replaceChildren(...found.models.map((one) => new Option(one.name)));
      part("model-field").hidden = found.models.length < 2;
      showModel();
    } catch (problem) {
      if (problem instanceof Refused) askForToken(token() !== "");
      else {
        about.textContent = "";
        showFault(problem.message);
      }
    }
  }

  function chosen() {
    return state.models.models[Math.max(model.selectedIndex, 0)];
  }

  function showModel() {
    const one = chosen();
    const noun = one.classes.length === 1 ? "class" : "classes";
    about.textContent = `${one.name} tells ${one.classes.length.toLocaleString("en-US")} ${noun} apart.`;
    part("made").textContent = `Served by zoo with ${one.runtime}. This page loads nothing from elsewhere.`;
  }

  function address(path, extra = {}) {
    return `${path}?${new URLSearchParams({ model: chosen().name, ...extra })}`;
  }

  function sent(photo) {
    return { method: "POST", headers: { "Content-Type": photo.type || "application/octet-stream" }, body: photo };
  }

  async function classify(photo) {
    const asked = ++state.asked;
    state.photo = photo;
    state.explanation = null;
    result.hidden = true;
    if (photo.size > state.models.max_bytes) {
      const [is, most] = [photo.size, state.models.max_bytes].map((bytes) => (bytes / 2 ** 20).toFixed(1));
      showFault(`The photo has ${is} MiB; the server takes ${most} MiB at most.`);
      return;
    }
    show("Looking at the photo …");
    try {
      const { ok, document: found, again } = await ask(address("predict"), sent(photo));
      if (asked !== state.asked) return; // another photo was chosen meanwhile
      if (again) throw new Error(`The server is busy; try again in ${again} s.`);
      const prediction = found.predictions?.[0];
      if (!ok || !prediction || prediction.error) throw new Error(prediction?.error ?? found.error);
      showPrediction(prediction, found.unknown_below);
    } catch (problem) {
      if (asked !== state.asked) return;
      if (problem instanceof Refused) askForToken(true);
      else showFault(problem.message);
    }
  }

  function showPrediction(prediction, below) {
    const isUnknown = prediction.unknown === true;
    state.classes = Object.entries(prediction.probabilities).sort((one, other) => other[1] - one[1]);
    part("answer").textContent = isUnknown ? "Unknown" : own(prediction.label);
    part("doubt").hidden = !isUnknown;
    if (isUnknown) {
      part("doubt").textContent =
        `The likeliest class, ${own(prediction.label)}, has ${percent(prediction.probability)}; an answer needs ${percent(below)}.`;
    }
    result.classList.toggle("unsure", isUnknown);
    if (state.address) URL.revokeObjectURL(state.address);
    state.address = URL.createObjectURL(state.photo);
    state.isShowable = true;
    part("photo").src = state.address;
    showHeat(false);
    part("explain").disabled = false;
    drawBars(false);
    result.hidden = false;
    show(isUnknown ? "Done: unknown." : `Done: ${own(prediction.label)}, ${percent(prediction.probability)}.`);
    part("answer").focus();
  }

  function drawBars(all) {
    const few = all ? state.classes : state.classes.slice(0, FEW);
    part("bars").replaceChildren(...few.map(barOf));
    part("more").hidden = state.classes.length <= FEW;
    part("more").textContent = all ? `Show the first ${FEW}` : `Show all ${state.classes.length.toLocaleString("en-US")} classes`;
    part("more").onclick = () => drawBars(!all);
  }

  function barOf([name, share]) {
    const make = (kind, made, ...inner) => {
      const one = document.createElement(kind);
      one.className = made;
      one.append(...inner);
      return one;
    };
    const fill = make("div", "fill");
    fill.style.width = `${100 * share}%`;
    return make(
      "li",
      "",
      make("div", "class", make("bdi", "", name), make("span", "share", percent(share))),
      make("div", "trough", fill),
    );
  }

  async function explain() {
    const button = part("explain");
    if (!part("heat").hidden) {
      showHeat(false);
      return;
    }
    const asked = state.asked;
    button.disabled = true;
    try {
      if (!state.explanation) {
        show("Covering one part of the photo after the other …");
        const { ok, document: found, again } = await ask(address("explain"), sent(state.photo));
        if (asked !== state.asked) return;
        if (!ok) throw new Error(again ? `The server is busy; try again in ${again} s.` : found.error);
        state.explanation = { ...found, image: await loaded(found.seen) };
      }
      drawHeat(state.explanation);
      showHeat(true);
    } catch (problem) {
      if (asked !== state.asked) return;
      if (problem instanceof Refused) askForToken(true);
      else showFault(problem.message);
    } finally {
      button.disabled = false;
    }
  }

  async function loaded(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
  }

  // The photo as the model sees it in grey, and over it in colour how far each part counts.
  function drawHeat({ image, heat, label }) {
    const canvas = part("heat");
    const scale = Math.max(1, Math.ceil(448 / Math.max(image.width, image.height)));
    [canvas.width, canvas.height] = [image.width * scale, image.height * scale];
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = scale < 8;
    pen.filter = "grayscale(1)";
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    pen.filter = "none";
    const most = Math.max(...heat.flat(), 0);
    const cells = document.createElement("canvas");
    [cells.width, cells.height] = [heat[0].length, heat.length];
    const dots = cells.getContext("2d");
    heat.forEach((row, y) => row.forEach((drop, x) => {
      dots.fillStyle = `rgb(255 110 0 / ${most > 0 ? 0.75 * Math.max(drop, 0) / most : 0})`;
      dots.fillRect(x, y, 1, 1);
    }));
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(cells, 0, 0, canvas.width, canvas.height);
    canvas.style.setProperty("--shape", `${image.width} / ${image.height}`);
    const said = most >= 0.001
      ? `Orange: where covering the photo lowers the probability of ${own(label)} most, by up to ${(100 * most).toFixed(1)} points.`
      : `Covering no part of the photo lowers the probability of ${own(label)}.`;
    canvas.setAttribute("aria-label", said);
    state.said = said;
  }

  function showHeat(on) {
    part("heat").hidden = !on;
    part("photo").hidden = on || !state.isShowable;
    part("explain").setAttribute("aria-pressed", String(on));
    part("explain").textContent = on ? "Show the photo" : "Show what mattered";
    const missing = state.isShowable ? "" : "This browser cannot show photos of this kind; the server has read it.";
    part("caption").textContent = on ? `${state.said} This is what the model sees of the photo.` : missing;
    if (on) show("Done.");
  }

  function takeFirst(files) {
    const photo = [...(files ?? [])][0];
    if (photo && !asking.hidden) classify(photo);
  }

  for (const id of ["choose", "take"]) {
    part(id).addEventListener("change", (event) => {
      takeFirst(event.target.files);
      event.target.value = ""; // the same photo may be chosen again
    });
  }
  // Where there is no camera to hold, the two buttons would do the same.
  part("take-label").hidden = !matchMedia("(pointer: coarse)").matches;
  addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    takeFirst(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => takeFirst(event.clipboardData.files));
  model.addEventListener("change", () => {
    showModel();
    if (state.photo) classify(state.photo);
  });
  part("photo").addEventListener("error", () => { // a HEIC photo, for most browsers
    state.isShowable = false;
    showHeat(!part("heat").hidden);
  });
  part("explain").addEventListener("click", explain);
  part("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    keep(part("token").value.trim());
    part("token").value = "";
    start();
  });
  start();
})();
