"use strict";
(() => {
  const one = (query, from = document) => from.querySelector(query);
  const all = (query, from = document) => [...from.querySelectorAll(query)];

  // Light and dark; a file that may keep nothing forgets it, and that is all.
  const root = document.documentElement;
  const memory = { get: () => null, set: () => {} };
  try {
    memory.get = () => localStorage.getItem("modelchecks-theme");
    memory.set = (value) => localStorage.setItem("modelchecks-theme", value);
    memory.get();
  } catch { memory.get = () => null; memory.set = () => {}; }
  const known = memory.get();
  if (known === "light" || known === "dark") root.dataset.theme = known;
  const theme = one("#theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { memory.set(root.dataset.theme); } catch { /* full or forbidden */ }
  });

  // What is folded is printed too.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((found) => { found.open = true; });
  });
  addEventListener("afterprint", () => { folded.forEach((found) => { found.open = false; }); });

  // A link to a case inside something folded opens it.
  const reveal = () => {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    for (let box = target && target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  const matrix = one("#matrix");
  if (!matrix) return;
  const body = one("tbody", matrix);
  const rows = all("tr", body);

  // Filter.
  const form = one("#filter");
  form.hidden = false;
  const filter = () => {
    const words = one("#filter-words").value.trim().toLowerCase();
    const severity = one("#filter-severity").value;
    const boxes = all("input[name=status]", form);
    const wanted = boxes.filter((box) => box.checked).map((box) => box.value);
    let count = 0;
    rows.forEach((row) => {
      const seen = row.dataset.check.toLowerCase().includes(words)
        && (!severity || row.dataset.severity === severity)
        && row.dataset.status.split(" ").some((status) => wanted.includes(status));
      row.hidden = !seen;
      count += seen;
    });
    one("#filter-found").textContent = `${count} of ${rows.length} checks`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  // Sort: by the suite's order or, of a variant, the worst first.
  const heads = all("thead th", matrix);
  const rank = (row, key) => {
    if (key === "order") return Number(row.dataset.order);
    const ranks = row.dataset.ranks.trim().split(" ").map(Number);
    return ranks.length > Number(key) ? ranks[key] : ranks[0];
  };
  heads.forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      const sorted = [...rows].sort((a, b) =>
        sign * (rank(a, head.dataset.key) - rank(b, head.dataset.key))
        || Number(a.dataset.order) - Number(b.dataset.order));
      body.append(...sorted);
    });
  });
})();
