// Sorting and filtering of the report's tables. Without it the page is complete, only still.
"use strict";

const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);

const words = (cell) => cell.textContent.replace(/\s+/g, " ").replace(/ [↑↓]$/, "").trim();

// -- sorting: a click sorts all families together, the third click groups them again -------------

function key(row, column) {
  const cell = row.cells[column];
  if (cell.classList.contains("over")) return null;
  const value = cell.dataset.value ?? (column === 0 ? cell.textContent : "");
  return value === "" ? null : isNaN(value) ? value.toLowerCase() : Number(value);
}

function compare(a, b) {
  return typeof a === "string" || typeof b === "string"
    ? String(a).localeCompare(String(b), "en", { numeric: true })
    : a - b;
}

function makeSortable(table) {
  const groups = [...table.tBodies];
  const order = groups.map((group) => [...group.rows]);
  const flat = document.createElement("tbody");
  flat.className = "flat";

  function sort(head, column) {
    const lines = order.flatMap((rows) => rows.slice(1)); // each begins with the family's name
    const numbers = column > 0 && lines.some((row) => typeof key(row, column) === "number");
    const first = head.dataset.first ?? (numbers ? "descending" : "ascending");
    const second = first === "ascending" ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort");
    const next = now === first ? second : now === second ? null : first;
    each("thead [aria-sort]", (other) => other.removeAttribute("aria-sort"), table);
    groups.forEach((group, g) => group.replaceChildren(...order[g]));
    flat.remove();
    if (!next) {
      table.append(...groups);
      return filter(); // headings were away while rows were hidden and shown
    }
    head.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    lines.sort((a, b) => {
      const [x, y] = [key(a, column), key(b, column)];
      return x === null || y === null ? (x === null) - (y === null) : sign * compare(x, y);
    });
    flat.replaceChildren(...lines);
    groups.forEach((group) => group.remove());
    table.append(flat);
  }

  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(head, column));
  });
}

// -- filtering: by learner, family, device and time, in all tables at once ------------------------

// Whether a row or a cell answers within a limit; what was not timed does not.
const answers = (element, limit) => limit === "" || Number(element.dataset.seconds) <= Number(limit);

// The cells of a matrix that take longer are emptied; returns whether anything is left of a row.
function inTime(row, limit) {
  const cells = [...row.cells].filter((cell) => (cell.dataset.value ?? "") !== "");
  cells.forEach((cell) => cell.classList.toggle("over", !answers(cell, limit)));
  return limit === "" || cells.some((cell) => !cell.classList.contains("over"));
}

// Who is the best of what is left, marked in the columns and said in words.
function bestWithin(table, limit) {
  const rows = [...table.querySelectorAll("tr[data-learner]")];
  table.classList.toggle("limited", limit !== "");
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells].slice(1);
  const said = heads.map((head, column) => {
    const left = [];
    for (const row of rows) {
      const cell = row.cells[column + 1];
      cell.dataset.first ??= cell.classList.contains("best") ? "best" : "";
      const there = limit === "" ? cell.dataset.first !== "" : false;
      cell.classList.toggle("best", there);
      const shown = !row.hidden && cell.dataset.value !== "" && !cell.classList.contains("over");
      if (shown) left.push({ row, cell, value: Number(cell.dataset.value) });
    }
    if (limit === "" || !left.length) return "";
    const sign = head.dataset.first === "ascending" ? -1 : 1;
    left.sort((a, b) => sign * (b.value - a.value));
    const { cell, value } = left[0];
    const unranked = "unranked" in head.dataset; // cells or seeds are missing: no best among them
    const equal = left.filter((own) => own.value === value);
    if (!unranked) equal.forEach((own) => own.cell.classList.add("best"));
    const families = [...new Set(equal.map((own) => own.row.dataset.family))].join(", ");
    const about = `(${families}${unranked ? ", not ranked" : ""})`;
    const names = equal.map((own) => own.row.dataset.learner).join(", ");
    return `${head.dataset.name}: ${names} ${words(cell)} ${about}`;
  });
  return said.filter((text) => text !== "");
}

function filter() {
  if (!document.querySelector("#filter")) return;
  const wanted = document.querySelector("#learner").value.trim().toLowerCase();
  const device = document.querySelector("#device")?.value ?? "";
  const limits = document.querySelector("#limit");
  const limit = limits?.value ?? "";
  const families = new Set();
  each("#families-shown input:checked", (box) => families.add(box.value));
  const shown = new Set();
  const all = new Set();
  each("tr[data-learner]", (row) => {
    const { learner, family, devices } = row.dataset;
    row.hidden =
      !learner.toLowerCase().includes(wanted) ||
      !families.has(family) ||
      (device !== "" && !JSON.parse(devices).includes(device)) ||
      !(row.closest(".matrix") ? inTime(row, limit) : answers(row, limit));
    all.add(learner);
    if (!row.hidden) shown.add(learner);
  });
  each("tr.family", (row) => {
    row.hidden = [...row.parentElement.rows].slice(1).every((other) => other.hidden);
  });
  each("[data-device]", (cell) => {
    cell.hidden = device !== "" && cell.dataset.device !== device;
  });
  const best = [];
  each("table.matrix", (table) => best.push(...bestWithin(table, limit)));
  const within = document.querySelector("#within");
  within.hidden = limit === "";
  if (limit !== "") {
    const time = `Within ${limits.selectedOptions[0].textContent} on ${limits.dataset.place}`;
    const none = document.querySelector("table.matrix") ? `${time} nobody answers.` : "";
    within.textContent = best.length ? `${time} the best figure is, in ${best.join("; in ")}.` : none;
  }
  document.querySelector("#shown").textContent = `${shown.size} of ${all.size} learners`;
}

each("table.board", makeSortable);
const form = document.querySelector("#filter");
if (form) {
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("change", filter); // what assistive tools and test drivers send
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  filter(); // a reloaded page keeps what stood in the fields
}

// -- what is wider than the page goes on under a fading edge ----------------------------------------

function edge(part) {
  part.classList.toggle("more", part.scrollLeft + part.clientWidth < part.scrollWidth - 1);
}

const sizes = new ResizeObserver((changed) => changed.forEach(({ target }) => edge(target.closest(".scroll"))));
each(".scroll", (part) => {
  part.addEventListener("scroll", () => edge(part), { passive: true });
  [part, part.firstElementChild].forEach((element) => sizes.observe(element));
});

// -- folds: a link into one opens it, and paper shows them all -------------------------------------

function unfold() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  for (let fold = target && target.closest("details"); fold; ) {
    fold.open = true;
    fold = fold.parentElement.closest("details");
  }
  if (target) target.scrollIntoView();
}

addEventListener("hashchange", unfold);
unfold();

let folded = [];
let unwrapped = []; // a heading that is repeated on each sheet shows text, and no button
addEventListener("beforeprint", () => {
  unwrapped = [...document.querySelectorAll("thead button")].map((button) => [button, button.parentElement]);
  unwrapped.forEach(([button, head]) => head.replaceChildren(...button.childNodes));
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((fold) => (fold.open = true));
});
addEventListener("afterprint", () => {
  folded.forEach((fold) => (fold.open = false));
  unwrapped.forEach(([button, head]) => {
    button.append(...head.childNodes);
    head.append(button);
  });
});

// -- copying and keeping: tables as they are shown now, figures as files ---------------------------

const latexOf = {
  "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "%": "\\%",
  "_": "\\_", "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "\\textless{}",
  ">": "\\textgreater{}", "|": "\\textbar{}", "±": "$\\pm$", "≈": "$\\approx$", "µ": "\\textmu{}",
  "–": "--", "…": "\\ldots{}", "−": "$-$", "·": "$\\cdot$", "†": "\\textdagger{}",
  "‡": "\\textdaggerdbl{}", "§": "\\textsection{}", "°": "\\textdegree{}",
};
const asLatex = (text) => text.replace(/[\\{}$&#%_^~<>|±≈µ–…−·†‡§°]/g, (c) => latexOf[c]);
const asMarkdown = (text) => text.replace(/[|<>\\`_*~[\]]/g, "\\$&");

// Rows of cells {text, span, right, strong}, the head first; what is hidden is left out.
function grid(table) {
  const shown = (element) => element.closest("[hidden]") === null;
  return [...table.rows].filter(shown).map((row) => ({
    head: row.parentElement.tagName === "THEAD",
    family: row.classList.contains("family"),
    cells: [...row.cells].filter(shown).map((cell) => ({
      text: cell.classList.contains("over") ? "" : words(cell),
      span: cell.colSpan,
      right: getComputedStyle(cell).textAlign === "right",
      strong: Number(getComputedStyle(cell).fontWeight) > 600 && cell.tagName === "TD",
    })),
  }));
}

function markdown(table) {
  const rows = grid(table).filter((row) => row.head || !row.family);
  const head = rows.filter((row) => row.head).pop();
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const cell = ({ text, strong }) => (strong ? `**${asMarkdown(text)}**` : asMarkdown(text));
  const body = rows.filter((row) => !row.head).map((row) => line(row.cells.map(cell)));
  const rule = head.cells.map(({ right }) => (right ? "--:" : "---"));
  return [line(head.cells.map(cell)), line(rule), ...body].join("\n") + "\n";
}

function latex(table) {
  const rows = grid(table);
  const shape = rows.filter((row) => row.head).pop().cells.map(({ right }) => (right ? "r" : "l"));
  const cell = ({ text, span, strong }) => {
    const own = strong ? `\\textbf{${asLatex(text)}}` : asLatex(text);
    return span > 1 ? `\\multicolumn{${span}}{c}{${own}}` : own;
  };
  const line = (row) =>
    row.family
      ? `\\midrule\n\\multicolumn{${shape.length}}{l}{\\emph{${asLatex(row.cells[0].text)}}} \\\\`
      : `${row.cells.map(cell).join(" & ")} \\\\`;
  const head = rows.filter((row) => row.head).map(line);
  const body = rows.filter((row) => !row.head).map(line);
  if (!body[0]?.startsWith("\\midrule")) head.push("\\midrule");
  const begin = `\\begin{tabular}{${shape.join("")}}\n\\toprule`;
  return [begin, ...head, ...body, "\\bottomrule\n\\end{tabular}\n"].join("\n");
}

async function copy(text, button) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea"); // where a page may not use the clipboard
    field.value = text;
    button.after(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = said), 1500);
}

function tool(text, label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => act(button));
  return button;
}

each("figure", (figure) => {
  const table = figure.querySelector("table");
  const image = figure.querySelector("img");
  const name = figure.querySelector("figcaption b").textContent.replace(".", "");
  const tools = document.createElement("p");
  tools.className = "tools";
  if (table) {
    for (const [text, write] of [["Markdown", markdown], ["LaTeX", latex]]) {
      tools.append(tool(text, `Copy ${name} as ${text}`, (button) => copy(write(table), button)));
    }
  } else if (image) {
    tools.append(
      tool("SVG", `Save ${name} as SVG`, () => {
        const link = document.createElement("a");
        link.href = image.src;
        link.download = `${image.dataset.name}.svg`;
        link.target = "_blank"; // a page that is itself a file may not save others: it opens them
        link.click();
      })
    );
  }
  figure.append(tools);
});
