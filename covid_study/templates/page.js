// Sorts and saves tables, saves figures, lets the contents follow the reader, opens what is folded for a link or for print.
// Nothing is fetched: it works on a page that was opened from a disk.
const all = (where, from = document) => [...from.querySelectorAll(where)];
const words = cell => cell.textContent.replace(/\s+/g, " ").trim();
const stem = location.pathname.split("/").pop().replace(/\.html$/, "") || "page";

// The cells of some rows as a grid of lines and columns, each repeated where it spans several.
function grid(rows) {
  const found = rows.map(() => []);
  rows.forEach((row, i) => [...row.cells].forEach(cell => {
    let column = 0;
    while (found[i][column]) column++;
    for (let down = 0; down < cell.rowSpan && i + down < rows.length; down++)
      for (let right = 0; right < cell.colSpan; right++) found[i + down][column + right] = cell;
  }));
  return found;
}

// A number, minutes and seconds, or the text itself; null for a cell that says nothing.
function value(text) {
  if (/^[–—-]?$/.test(text)) return null;
  if (/^\d+(:\d\d)+\b/.test(text)) return text.match(/^[\d:]+/)[0].split(":").reduce((sum, part) => 60 * sum + +part, 0);
  const number = text.replace(/,(?=\d{3})/g, "").replace(/−/g, "-").match(/^[<>±≈+~ ]*(-?\d*\.?\d+(e[-+]?\d+)?)/i);
  return number ? +number[1] : text;
}

// Lines that a spanning cell holds together move together. A third click brings back the order that the page came with.
function sortable(table) {
  const body = table.tBodies[0], came = [...body.rows], lines = grid(came), groups = [];
  came.forEach((row, i) => {
    if (!i || ![...lines[i]].some(cell => cell && lines[i - 1].includes(cell))) groups.push({ rows: [], cells: lines[i] });
    groups.at(-1).rows.push(row);
  });
  if (groups.length < 2) return false;
  const heads = grid([...table.tHead.rows]);
  for (const head of all("th", table.tHead).filter(head => head.colSpan === 1 && words(head))) {
    const column = heads.find(line => line.includes(head)).indexOf(head), button = document.createElement("button");
    button.append(...head.childNodes);
    button.className = "sort";
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort"), next = { ascending: "descending", descending: "" }[now] ?? "ascending";
      all("[aria-sort]", table.tHead).forEach(other => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      const keyed = groups.map(group => ({ group, key: value(words(group.cells[column])) }));
      const plain = keyed.every(({ key }) => key === null || typeof key === "number");
      const order = (a, b) => plain ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      const sign = next === "descending" ? -1 : 1;
      if (next) keyed.sort((a, b) => (a.key === null) - (b.key === null) || (a.key === null ? 0 : sign * order(a.key, b.key)));
      body.append(...keyed.flatMap(({ group }) => group.rows));
    });
  }
  return true;
}

function csv(table) {
  const quoted = text => /[",]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  return grid([...table.rows]).map(line => line.map(cell => quoted(words(cell))).join(",")).join("\n") + "\n";
}

all("main table").filter(table => table.tHead && table.tBodies[0]).forEach((table, i) => {
  const sorts = sortable(table), link = document.createElement("a"), line = document.createElement("p");
  Object.assign(link, { href: "#", download: stem + "-table-" + (i + 1) + ".csv", textContent: "CSV of this table" });
  link.addEventListener("click", () => { link.href = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" })); });
  line.className = "save";
  line.append(...(sorts ? ["A click on a heading sorts. "] : []), link);
  table.after(line);
});
all("a.picture").forEach(link => { link.href = link.closest("figure").querySelector("img").src; });

// What scrolls sideways can be scrolled with the keys.
const SCROLLERS = "pre, .output_subarea, .drawing, .wide-table, .sections ol, .text_cell_render table, math[display=block]";
const reachable = () => all(SCROLLERS).forEach(part => {
  if (part.scrollWidth > part.clientWidth || part.scrollHeight > part.clientHeight) part.setAttribute("tabindex", "0");
  else part.removeAttribute("tabindex");
});
addEventListener("resize", reachable);
addEventListener("toggle", reachable, true);
reachable();

// Links into what is folded unfold it; so does print.
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", unfold);
if (location.hash) unfold();
let folded = [];
addEventListener("beforeprint", () => { folded = all("details:not([open])"); folded.forEach(part => { part.open = true; }); });
addEventListener("afterprint", () => folded.forEach(part => { part.open = false; }));

// The contents: open beside the text where there is room, else a line above it; the section that is read is marked.
const contents = document.querySelector(".sections details");
if (contents) {
  const room = matchMedia("(min-width: 68rem)"), fit = () => { contents.open = room.matches; };
  room.addEventListener("change", fit);
  fit();
  const links = all("a", contents), heads = links.map(link => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  const now = contents.querySelector(".now");
  const follow = () => {
    const read = heads.findLastIndex(head => head.getClientRects().length && head.getBoundingClientRect().top < 120);
    links.forEach((link, i) => i === read ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"));
    now.textContent = read < 0 ? "" : links[read].textContent;
  };
  addEventListener("scroll", () => requestAnimationFrame(follow), { passive: true });
  contents.addEventListener("click", event => { if (event.target.closest("a") && !room.matches) contents.open = false; });
  follow();
}
