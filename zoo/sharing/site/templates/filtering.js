// Search, filters and order of the recipes, kept in the address so that a link leads to the same view.
(() => {
  const table = document.getElementById("recipes");
  if (!table) return;
  const form = document.getElementById("filters");
  const body = table.tBodies[0];
  const field = (id) => document.getElementById(id);
  const [search, model, data, metric, bound, order] = ["q", "model", "data", "metric", "bound", "sort"].map(field);
  const fields = { q: search, model, data, metric, min: bound, sort: order };
  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const recipes = [...body.rows].map((row) => ({
    row,
    ...row.dataset,
    text: folded(row.dataset.search),
    metrics: new Map(Object.entries(JSON.parse(row.dataset.metrics))),
  }));
  const inOrder = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }).compare;

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
    for (const { row, metrics } of recipes) {
      const cell = row.querySelector("td.metric");
      const found = metrics.get(name);
      cell.dataset.label = name;
      cell.querySelector(".value").textContent = found ? found.text : "–";
      cell.querySelector(".range").textContent = found ? found.range : "";
    }
  }

  function matches(recipe, words) {
    if (model.value && recipe.model !== model.value) return false;
    if (data.value && recipe.data !== data.value) return false;
    if (!words.every((word) => recipe.text.includes(word))) return false;
    if (!metric || bound.value === "") return true;
    const found = recipe.metrics.get(metric.value);
    if (!found) return false;
    const limit = Number(bound.value);
    // What is typed as 91.2 is to let through what is shown as 91.2 %.
    return lessIsBetter() ? found.value <= limit + 5e-5 * Math.abs(limit) : 100 * found.value >= limit - 0.05;
  }

  function sortRows() {
    const [key, direction] = order.value.split(" ");
    const sign = direction === "descending" ? -1 : 1;
    const value = (recipe) => (key === "metric" ? recipe.metrics.get(metric.value)?.value : recipe[key] || undefined);
    const ordered = [...recipes].sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      // What has no value stands last whichever way is sorted.
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined) || inOrder(one.name, other.name);
      const by = key === "metric" ? a - b : inOrder(a, b);
      return sign * by || inOrder(one.name, other.name);
    });
    body.append(...ordered.map(({ row }) => row));
    for (const head of table.tHead.querySelectorAll("th")) {
      head.setAttribute("aria-sort", head.classList.contains(key) ? direction : "none");
    }
  }

  function update() {
    const words = folded(search.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const recipe of recipes) {
      recipe.row.hidden = !matches(recipe, words);
      shown += !recipe.row.hidden;
    }
    const all = recipes.length;
    const noun = all === 1 ? "recipe" : "recipes";
    field("count").textContent = shown === all ? `${all} ${noun}` : `${shown} of ${all} ${noun}`;
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
  order.addEventListener("change", () => { sortRows(); remember(); });
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
      remember();
    });
  }
})();
