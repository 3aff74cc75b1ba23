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

  // Folded parts are opened by a click, by a link to them, and all at once.
  const parts = [...document.querySelectorAll("details.part")];
  const every = document.querySelector("[data-open]");
  if (every && parts.length) {
    every.hidden = false;
    const say = () => { every.textContent = parts.every((part) => part.open) ? "Fold all" : "Open all"; };
    every.addEventListener("click", () => {
      const open = !parts.every((part) => part.open);
      for (const part of parts) part.open = open;
    });
    for (const part of parts) part.addEventListener("toggle", say);
    say();
  }
  const reveal = () => {
    const named = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!named) return;
    const own = named.querySelector("details.part");
    for (let part = own || named.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    named.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  for (const link of document.querySelectorAll("nav a[href^='#']")) link.addEventListener("click", () => setTimeout(reveal));
  reveal();

  // A hint stands only above what scrolls.
  const weigh = () => {
    for (const hint of document.querySelectorAll(".hint")) {
      const table = hint.nextElementSibling;
      hint.classList.toggle("fits", table.clientWidth > 0 && table.scrollWidth <= table.clientWidth);
    }
  };
  addEventListener("resize", weigh);
  for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", weigh);
  weigh();

  // A click on an arm's name takes it out of the figures, another brings it back.
  const off = new Set();
  const entries = [...document.querySelectorAll("[data-arm]")];
  const dim = () => {
    for (const group of document.querySelectorAll("svg [class^='a']")) {
      const arm = group.getAttribute("class").match(/^a(\d+)/);
      if (arm) group.style.opacity = off.has(arm[1]) ? ".06" : "";
    }
    for (const button of document.querySelectorAll("button[data-arm]")) {
      button.setAttribute("aria-pressed", String(!off.has(button.dataset.arm)));
    }
  };
  for (const entry of entries) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.arm = entry.dataset.arm;
    button.title = "show or hide";
    button.append(...entry.childNodes);
    entry.replaceWith(button);
    button.addEventListener("click", () => {
      if (!off.delete(button.dataset.arm)) off.add(button.dataset.arm);
      dim();
    });
  }
  if (entries.length) dim();

  // Values under a pointer are read off the curves as they are drawn.
  const cornersOf = (group) => {
    const path = group.querySelector("path");
    if (!path) return [];
    const used = group.querySelector("use");
    const [dx, dy] = used ? [Number(used.getAttribute("x")), Number(used.getAttribute("y"))] : [0, 0];
    return [...path.getAttribute("d").matchAll(/([MLz])\s*(?:(-?[\d.]+)\s+(-?[\d.]+))?/g)]
      .filter((found) => found[2] !== undefined)
      .map((found) => [found[1], Number(found[2]) + dx, Number(found[3]) + dy]);
  };
  const crossings = (corners, x) => {
    const found = [];
    for (let place = 1; place < corners.length; place += 1) {
      const [, x1, y1] = corners[place - 1];
      const [step, x2, y2] = corners[place];
      if (step === "M" || x1 === x2 || (x - x1) * (x - x2) > 0) continue;
      found.push(y1 + (y2 - y1) * (x - x1) / (x2 - x1));
    }
    return found;
  };
  const valueAt = (panel, y) => {
    const [, foot, , top, , , low, high, log] = panel;
    const share = (y - foot) / (top - foot);
    return log ? low * (high / low) ** share : low + share * (high - low);
  };
  const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  const nameOf = (arm) => {
    const button = document.querySelector(`[data-arm="${arm}"]`);
    return button ? button.textContent + ": " : "";
  };
  const readings = (axes, panel, x, unit) => {
    const told = [];
    for (const group of axes.querySelectorAll("g.line")) {
      const arm = group.getAttribute("class").match(/^a(\d+)/)[1];
      const middle = crossings(cornersOf(group), x);
      if (off.has(arm) || !middle.length) continue;
      const band = axes.querySelector(`g.a${arm}.band`);
      const ends = band ? crossings(cornersOf(band), x) : [];
      const [low, high] = [Math.max(...ends), Math.min(...ends)].map((y) => short(valueAt(panel, y)));
      const span = ends.length > 1 ? ` (${low} to ${high})` : "";
      told.push(`${nameOf(arm)}${short(valueAt(panel, middle[0]))}${span}${unit ? " " + unit : ""}`);
    }
    return told;
  };
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  for (const figure of document.querySelectorAll("figure[data-reads]")) {
    const { units, panels } = JSON.parse(figure.dataset.reads);
    const svg = figure.querySelector("svg");
    const drawn = [...svg.querySelectorAll("g.axes")];
    const follow = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const place = panels.findIndex(([left, foot, right, top]) =>
        point.x >= left && point.x <= right && point.y <= foot && point.y >= top);
      const panel = panels[place];
      const told = panel && drawn[place] ? readings(drawn[place], panel, point.x, units[1]) : [];
      tip.hidden = !told.length;
      if (!told.length) return;
      const at = panel[4] + (point.x - panel[0]) / (panel[2] - panel[0]) * (panel[5] - panel[4]);
      tip.textContent = [`${short(at)} ${units[0]}`, ...told].join("\n");
      tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6) + "px";
      tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6) + "px";
    };
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
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
