// The table of operations: only the rows in sight exist in the page. Everything is set as text, never as HTML.
const ROW = 27;
const cells = (i) => ["#" + index[i], (start[i] / 1e6).toFixed(6), length(took[i]), data.process[i], nodeOf(i), call(i), OUTCOMES[data.outcome[i]], note(i)];
let rows = Array.from({ length: n }, (_, i) => i), chosen = -1;
const box = $("ops"), body = $("ops-body");
const spacer = (height) => { const tr = element("tr", undefined, "spacer"), td = element("td"); td.colSpan = 8; td.style.height = height + "px"; tr.append(td); tr.setAttribute("aria-hidden", "true"); return tr; };
function draw() {
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 8);
  const last = Math.min(rows.length, first + Math.ceil(box.clientHeight / ROW) + 16);
  const all = document.createDocumentFragment();
  all.append(spacer(first * ROW));
  for (let r = first; r < last; r++) {
    const i = rows[r], tr = element("tr", undefined, i === chosen ? "chosen" : "");
    tr.setAttribute("aria-rowindex", r + 2);
    cells(i).forEach((text, c) => {
      const td = element("td", c === 0 ? undefined : text, c === 6 ? "o-" + text : c < 4 ? "num" : "");
      if (c === 0) { const a = element("a", text); a.href = "#op=" + index[i]; td.append(a); if (proof.has(index[i])) td.append(" ◆"); }
      else td.title = text;
      tr.append(td);
    });
    tr.addEventListener("click", () => { location.hash = "op=" + index[i]; });
    all.append(tr);
  }
  all.append(spacer((rows.length - last) * ROW));
  body.replaceChildren(all);
}
function filter() {
  const text = $("find").value.trim().toLowerCase(), outcome = $("outcome").value, f = $("function").value;
  rows = [];
  for (let i = 0; i < n; i++) {
    if (outcome === "proof" ? !proof.has(index[i]) : outcome !== "" && data.outcome[i] !== +outcome) continue;
    if (f !== "" && data.f[i] !== +f) continue;
    if (text !== "" && !cells(i).join(" ").toLowerCase().includes(text)) continue;
    rows.push(i);
  }
  $("shown").textContent = group(rows.length) + " shown";
  $("ops-table").setAttribute("aria-rowcount", rows.length + 1);
  draw();
}
// Times of faults and reigns are in microseconds, too.
const describe = (i) => {
  const end = took[i] < 0 ? Infinity : start[i] + took[i];
  const on = data.faults.filter(([from, to]) => from <= end && (to < 0 || start[i] < to)).map((f) => f[2]);
  const reign = data.reigns.filter(([from]) => from <= start[i]).pop();
  return [["operation", call(i)], ["outcome", OUTCOMES[data.outcome[i]] + (note(i) ? ": " + note(i) : "")],
    ["when", (start[i] / 1e6).toFixed(6) + " s, " + length(took[i])], ["process", data.process[i] + (nodeOf(i) ? " on " + nodeOf(i) : "")],
    ["leader then", reign ? reign[1] : "not known"], ["faults on", on.length ? on.join("; ") : "none"]];
};
function goto() {
  const match = /^#op=(\d+)$/.exec(location.hash);
  document.querySelectorAll("[data-op]").forEach((e) => e.classList.toggle("chosen", match !== null && e.dataset.op === match[1]));
  if (!match) { chosen = -1; $("chosen").hidden = true; draw(); return; }
  const wanted = +match[1], panel = $("chosen");
  const place = placeOf(wanted);
  panel.hidden = false;
  if (place >= 0) {
    chosen = place;
    timeline.show(place);
    let r = rows.indexOf(place);
    if (r < 0) { $("find").value = ""; $("outcome").value = ""; $("function").value = ""; filter(); r = rows.indexOf(place); }
    box.scrollTop = Math.max(0, r * ROW - box.clientHeight / 2);
    const list = element("dl", undefined, "meta");
    describe(place).forEach(([k, v]) => { const d = element("div"); d.append(element("dt", k), element("dd", v)); list.append(d); });
    panel.replaceChildren(element("strong", "Operation #" + wanted), list);
  } else {
    chosen = -1;
    panel.replaceChildren(element("p", wanted < data.total
      ? "Operation #" + wanted + " ended ok and was left out of this page, which holds a sample of those; the run's history has it."
      : "This run has no operation #" + wanted + "."));
  }
  draw();
  $("operations").scrollIntoView({ block: "start" });
}
data.functions.forEach((f, i) => { const o = element("option", f); o.value = i; $("function").append(o); });
$("tools").hidden = false;
let pending = 0;
box.addEventListener("scroll", () => { if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); }); });
["find", "outcome", "function"].forEach((id) => $(id).addEventListener("input", filter));
addEventListener("hashchange", goto);
filter();
if (location.hash.startsWith("#op=")) goto();
