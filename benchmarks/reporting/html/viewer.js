"use strict";
// Tables that sort, and the viewer of what was said of each test example. Nothing is fetched: all is in the page.

function sortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const number = /^(?:UNEQUAL epochs: |< )?([+-]?\d[\d,]*(?:\.\d+)?)(?![\d:-])/;
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: "none" }[heading.getAttribute("aria-sort")] ?? "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", next);
      const text = (row) => row.cells[column].textContent.trim();
      const filled = original.filter((row) => text(row) !== "-");
      const numeric = filled.every((row) => number.test(text(row)));
      const value = (row) => Number(number.exec(text(row))[1].replaceAll(",", ""));
      const compare = numeric
        ? (one, other) => value(one) - value(other)
        : (one, other) => text(one).localeCompare(text(other), "en", { numeric: true });
      const sign = next === "descending" ? -1 : 1;
      const sorted = filled.sort((one, other) => sign * compare(one, other));
      const empty = original.filter((row) => text(row) === "-"); // last in either order
      body.append(...(next === "none" ? original : [...sorted, ...empty]));
    });
  });
}

function reachable(frames) {
  // Only what scrolls is a stop for the keyboard.
  const watch = new ResizeObserver((changed) => changed.forEach(({ target }) => {
    target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  }));
  frames.forEach((frame) => watch.observe(frame));
}

function unfold() {
  // A link may lead into what is folded up.
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  target?.scrollIntoView();
}

async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function viewer() {
  const part = (name) => document.getElementById(`viewer-${name}`);
  const notice = (text) => { part("notice").textContent = text; part("notice").hidden = !text; };
  const trials = [...document.querySelectorAll("script.trial")].map((one) => ({
    ...JSON.parse(one.textContent),
    packed: one.dataset.packed,
  }));
  if (!trials.length) return;
  if (typeof DecompressionStream === "undefined") {
    notice("This browser cannot unpack the captions and transcripts (it lacks DecompressionStream); the files in outputs/ hold them.");
    return;
  }
  const rows = [...new Set(trials.map((one) => `${one.row}: ${one.group}`))];
  let trial, content, matches = [], position = 0, asked = 0;

  const option = (text, value) => Object.assign(document.createElement("option"), { textContent: text, value });
  const text = (cell) => (cell === null ? "" : Array.isArray(cell) ? cell[0] : cell);
  const same = (cells) => cells.every((cell) => JSON.stringify(cell) === JSON.stringify(cells[0]));

  function words(reference, cell) {
    // Marked words as elements, and how many are wrong.
    if (!Array.isArray(cell)) return { nodes: [cell === null ? "(not recorded)" : cell || "(empty)"], wrong: 0 };
    const tags = { s: "mark", i: "ins", d: "del" };
    const nodes = [];
    cell[0].split(" ").forEach((word, k) => {
      const tag = tags[cell[1][k]];
      nodes.push(tag ? Object.assign(document.createElement(tag), { textContent: word }) : word, " ");
    });
    return { nodes, wrong: [...cell[1]].filter((kind) => kind !== "e").length };
  }

  function show() {
    const [name, reference, ...said] = matches.length ? content.examples[matches[position]] : ["", ""];
    part("position").textContent = matches.length ? `${position + 1} of ${matches.length}` : "no example matches";
    // Not disabled: a disabled button loses the focus, and with it the keys.
    part("previous").ariaDisabled = String(position <= 0);
    part("next").ariaDisabled = String(position >= matches.length - 1);
    part("example").value = String(position);
    part("name").textContent = name || "No example";
    const lines = [];
    const add = (label, nodes, count) => {
      const term = Object.assign(document.createElement("dt"), { textContent: label });
      const place = document.createElement("dd");
      place.append(...nodes);
      if (count) place.append(" ", Object.assign(document.createElement("span"), { className: "count", textContent: count }));
      lines.push(term, place);
    };
    if (matches.length) {
      add("Reference", [reference || "(empty)"]);
      const length = reference.split(/\s+/).filter(Boolean).length;
      said.forEach((cell, k) => {
        const { nodes, wrong } = words(reference, cell);
        const errors = `${wrong} ${wrong === 1 ? "error" : "errors"}, ${length} ${length === 1 ? "word" : "words"}`;
        add(content.arms[k], nodes, trial.marked && cell !== null ? `(${errors})` : "");
      });
    }
    part("said").replaceChildren(...lines);
  }

  function select(opening = false) {
    const wanted = part("search").value.trim().toLowerCase();
    const differ = part("which").value === "differ";
    matches = [];
    content.examples.forEach((one, k) => {
      const found = one.some((cell) => text(cell).toLowerCase().includes(wanted));
      if (found && !(differ && same(one.slice(2)))) matches.push(k);
    });
    if (opening === true && differ && !matches.length && !wanted) {
      part("which").value = "all"; // the arms agree on every example
      return select();
    }
    part("example").replaceChildren(...matches.map((k, at) => option(content.examples[k][0], at)));
    position = 0;
    show();
  }

  async function load() {
    trial = trials.find((one) => one.id === part("trial").value);
    const mine = ++asked;
    const found = await unpacked(trial.packed);
    if (mine !== asked) return; // another was chosen meanwhile
    content = found;
    part("legend").hidden = !trial.marked;
    part("no-legend").hidden = trial.marked;
    notice(trial.whole ? "" : `Of this trial there is no file of outputs: these are the ${trial.count} samples in its record.`);
    select(true);
  }

  function choose(id) {
    const chosen = trials.filter((one) => `${one.row}: ${one.group}` === rows[Number(part("row").value)]);
    part("trial").replaceChildren(...chosen.map((one) => option(`seed ${one.seed}: ${one.count} ${one.example}s`, one.id)));
    if (typeof id === "string") part("trial").value = id;
    return load();
  }

  function step(by) {
    const next = position + by;
    if (next < 0 || next >= matches.length) return;
    position = next;
    show();
  }

  part("row").replaceChildren(...rows.map((name, k) => option(name, k)));
  part("row").addEventListener("change", choose);
  part("trial").addEventListener("change", load);
  part("search").addEventListener("input", select);
  part("which").addEventListener("change", select);
  part("example").addEventListener("change", () => { position = Number(part("example").value); show(); });
  part("previous").addEventListener("click", () => step(-1));
  part("next").addEventListener("click", () => step(1));
  part("form").addEventListener("submit", (event) => event.preventDefault());
  part("body").addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.altKey || event.metaKey) return;
    const by = { n: 1, ArrowRight: 1, p: -1, ArrowLeft: -1 }[event.key];
    if (by) { event.preventDefault(); step(by); }
  });
  part("body").hidden = false;
  const opening = trials.find((one) => one.whole) ?? trials[0]; // the first with every test example
  part("row").value = String(rows.indexOf(`${opening.row}: ${opening.group}`));
  choose(opening.id).catch((error) => notice(`The captions and transcripts cannot be unpacked: ${error.message}`));
}

document.querySelectorAll("table").forEach(sortable);
reachable(document.querySelectorAll(".scroll"));
addEventListener("hashchange", unfold);
unfold();
viewer();
