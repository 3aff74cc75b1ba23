"use strict";
(() => {
  const root = document.documentElement;
  // Where a browser keeps nothing for files, the page asks again each time.
  const keep = (key, value) => {
    try { localStorage.setItem("vtrial-" + key, value); } catch { /* not kept */ }
  };
  const kept = (key) => {
    try { return localStorage.getItem("vtrial-" + key); } catch { return null; }
  };

  const groups = [...document.querySelectorAll("[data-switch]")];
  for (const key of new Set(groups.map((group) => group.dataset.switch))) {
    const mine = groups.filter((group) => group.dataset.switch === key);
    const buttons = mine.flatMap((group) => [...group.querySelectorAll("button")]);
    const choose = (value) => {
      root.dataset[key] = value;
      for (const button of buttons) {
        button.setAttribute("aria-pressed", String(button.value === value));
      }
    };
    const before = kept(key);
    choose(buttons.some((button) => button.value === before) ? before : buttons[0].value);
    for (const button of buttons) {
      button.addEventListener("click", () => { choose(button.value); keep(key, button.value); });
    }
    for (const group of mine) group.hidden = false;
  }

  // "−3.4 × 10⁻⁵ mg", "1,234", "38.1 %": the number that the words begin with.
  const raised = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const numberOf = (words) => {
    const plain = words.replace(/−/g, "-").replace(/,(?=\d)/g, "");
    const found = plain.match(/-?\d+(?:\.\d+)?/);
    if (!found) return NaN;
    const power = plain.match(/× 10(⁻?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)/);
    const digits = power ? [...power[2]].map((letter) => raised.indexOf(letter)).join("") : "0";
    return Number(found[0]) * 10 ** (Number(digits) * (power && power[1] ? -1 : 1));
  };
  const less = (a, b, numeric) => {
    if (!numeric) return a.localeCompare(b);
    const [x, y] = [numberOf(a), numberOf(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return x - y;
  };

  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length < 2 || rows.some((row) => row.className === "more")) continue;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const next = !now ? "ascending" : now === "ascending" ? "descending" : "";
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
        const numeric = head.classList.contains("n");
        const words = (row) => row.cells[place].textContent.trim();
        const sorted = !next ? rows : [...rows].sort((a, b) =>
          less(words(a), words(b), numeric) * (next === "ascending" ? 1 : -1));
        body.append(...sorted);
      });
    });
  }

  // What is folded on a screen is printed, too, but for single subjects' courses.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded.push(...document.querySelectorAll("details:not([open], .ondemand)"));
    for (const part of folded) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
    folded = [];
  });
})();
