// Search, filters and order of the recipes, kept in the address so that a link leads to the same view.
(() => {
  const table = document.getElementById("recipes");
  if (!table) return;
  const form = document.getElementById("filters");
  const body = table.tBodies[0];
  const field = (id) => document.getElementById(id);
  const [search, model, data, metric, bound, order] = ["q", "model", "data", "metric", "bound", "sort"].map(field);
  const fields = { q: search, model, data, metric, min: bound, sort: order };
  const more = field("more");
  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const listed = JSON.parse(field("listed").textContent);
  const classes = listed.classes.map(folded);
  const recipes = listed.recipes.map((one) => ({
    ...one,
    text: folded([one.name, one.searched || one.about, one.model, one.data].join(" ")),
    classes: one.classes === null ? "" : classes[one.classes],
  }));
  const inOrder = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }).compare;
  const pattern = body.rows[0].cloneNode(true);
  // The recipes in the order that is chosen, those of them that match, and how many of these have a row.
  let [ordered, matched, drawn] = [recipes, recipes, 0];

  function written(count) {
    return count.toLocaleString("en-US");
  }

  function keepIn(state, key, value) {
    if (value) state.set(key, value);
  }

  function lessIsBetter() {
    return Boolean(metric) && metric.selectedOptions[0].dataset.less === "1";
  }

  function showMetric() {
    if (!metric) return;
    const name = metric.value;
    const less = lessIsBetter();
    field("bound-says").textContent = less ? "At most" : "At least";
    field("bound-unit").hidden = less;
    table.querySelector("th.metric .says").textContent = name;
    for (const option of order.querySelectorAll("option[data-of='metric']")) {
      option.textContent = `${name}, ${option.dataset.says}`;
    }
  }

  function rowOf(recipe) {
    const row = pattern.cloneNode(true);
    const part = (selector) => row.querySelector(selector);
    const [, figure, range] = figureOf(recipe) ?? [0, "–", ""];
    part("a").href = recipe.href;
    part("a bdi").textContent = recipe.name;
    part(".about bdi").textContent = recipe.about;
    part(".about").hidden = !recipe.about;
    part(".badge").hidden = !recipe.fault;
    part(".model bdi").textContent = recipe.model || "–";
    part(".data bdi").textContent = recipe.data || "–";
    if (metric) part(".metric").dataset.label = metric.value;
    part(".value").textContent = figure;
    part(".range").textContent = range;
    part("time").dateTime = recipe.published;
    part("time").textContent = recipe.when;
    part(".version").textContent = `version ${recipe.version}`;
    part(".signed bdi").textContent = recipe.signer || "–";
    return row;
  }

  // Rows are made as they are asked for: of ten thousand at once a browser shows none for seconds.
  function drawMore() {
    body.append(...matched.slice(drawn, drawn + listed.drawn).map(rowOf));
    drawn = Math.min(drawn + listed.drawn, matched.length);
    const left = matched.length - drawn;
    more.hidden = left === 0;
    more.querySelector("button").textContent = `Show ${written(Math.min(left, listed.drawn))} more of ${written(left)}`;
  }

  // The first of the new rows has the focus, so that a keyboard goes on from there.
  function showMore() {
    const before = drawn;
    drawMore();
    body.rows[before].querySelector("a").focus();
  }

  function figureOf(recipe) {
    return metric ? recipe.metrics[metric.selectedIndex] : null;
  }

  function matches(recipe, words) {
    if (model.value && recipe.model !== model.value) return false;
    if (data.value && recipe.data !== data.value) return false;
    if (!words.every((word) => recipe.text.includes(word) || recipe.classes.includes(word))) return false;
    if (!metric || bound.value === "") return true;
    const found = figureOf(recipe);
    if (!found) return false;
    const limit = Number(bound.value);
    // What is typed as 91.2 is to let through what is shown as 91.2 %.
    return lessIsBetter() ? found[0] <= limit + 5e-5 * Math.abs(limit) : 100 * found[0] >= limit - 0.05;
  }

  function sortRows() {
    const [key, direction] = order.value.split(" ");
    const sign = direction === "descending" ? -1 : 1;
    const value = (recipe) => (key === "metric" ? figureOf(recipe)?.[0] : recipe[key === "signed" ? "signer" : key] || undefined);
    ordered = [...recipes].sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      // What has no value stands last whichever way is sorted.
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined) || inOrder(one.name, other.name);
      const by = key === "metric" ? a - b : inOrder(a, b);
      return sign * by || inOrder(one.name, other.name);
    });
    for (const head of table.tHead.querySelectorAll("th")) {
      head.setAttribute("aria-sort", head.classList.contains(key) ? direction : "none");
    }
  }

  function update() {
    const words = folded(search.value).split(/\s+/).filter(Boolean);
    matched = ordered.filter((recipe) => matches(recipe, words));
    body.replaceChildren();
    drawn = 0;
    drawMore();
    const shown = matched.length;
    const all = recipes.length;
    const noun = all === 1 ? "recipe" : "recipes";
    field("count").textContent = shown === all ? `${written(all)} ${noun}` : `${written(shown)} of ${written(all)} ${noun}`;
    field("none").hidden = shown > 0;
    table.hidden = shown === 0;
    remember();
  }

  function remember() {
    const state = new URLSearchParams();
    for (const [key, one] of Object.entries(fields)) {
      if (one && one.value !== one.dataset.first) keepIn(state, key, one.value);
    }
    const text = state.toString();
    try {
      history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    } catch {
      // Some browsers keep no state for files.
    }
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const [key, one] of Object.entries(fields)) {
      if (!one || !state.has(key)) continue;
      const before = one.value;
      one.value = state.get(key);
      if (one.selectedIndex === -1) one.value = before;
    }
  }

  function refresh() {
    showMetric();
    sortRows();
    update();
  }

  for (const one of Object.values(fields)) {
    if (one) one.dataset.first = one.value;
  }
  recall();
  form.hidden = false;
  refresh();
  form.addEventListener("submit", (event) => event.preventDefault());
  field("all").addEventListener("click", () => { form.reset(); refresh(); });
  field("clear").addEventListener("click", () => { form.reset(); refresh(); search.focus(); });
  search.addEventListener("input", update);
  if (bound) bound.addEventListener("input", update);
  for (const one of [model, data]) one.addEventListener("change", update);
  order.addEventListener("change", () => { sortRows(); update(); });
  more.querySelector("button").addEventListener("click", showMore);
  if (metric) metric.addEventListener("change", () => { bound.value = ""; refresh(); });
  addEventListener("hashchange", () => {
    if (location.hash && !location.hash.includes("=")) return; // a place on this page
    form.reset();
    recall();
    refresh();
  });

  for (const button of table.tHead.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const [key, direction] = order.value.split(" ");
      const { sort, first } = button.dataset;
      const turned = direction === "ascending" ? "descending" : "ascending";
      order.value = `${sort} ${key === sort ? turned : first}`;
      sortRows();
      update();
    });
  }
})();
