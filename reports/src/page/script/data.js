// What the other parts read: the columns of operations, decoded, and how an operation is written.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const n = data.process.length, OUTCOMES = ["ok", "fail", "info"];
const index = new Int32Array(n), start = new Float64Array(n), took = Float64Array.from(data.took);
for (let i = 0, at = 0, t = 0; i < n; i++) { at += data.index[i]; t += data.start[i]; index[i] = at; start[i] = t; }
const processes = new Map(data.processes.map(([p, node, worker]) => [p, { node, worker }]));
const proof = new Set(data.proof);
const $ = (id) => document.getElementById(id);
const value = (v) => v === null ? "nil" : String(v);
const group = (x) => x.toLocaleString("en-US");
const length = (us) => us < 0 ? "still open" : us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 1e3 ? (us / 1e3).toFixed(2) + " ms" : us + " µs";
const nodeOf = (i) => data.asked[index[i]] ?? data.nodes[processes.get(data.process[i])?.node] ?? "";
const call = (i) => {
  const shown = [data.key[i], data.input[i]].filter((v) => v !== null).map(value).join(", ");
  const answer = data.outcome[i] === 0 && data.output[i] !== 0 ? " → " + value(data.output[i][0]) : "";
  return data.functions[data.f[i]] + "(" + shown + ")" + answer;
};
const note = (i) => data.notes[data.note[i]];
const element = (tag, text, cls) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return e;
};
// The place of an operation in the columns, or -1 if this page does not hold it.
const placeOf = (wanted) => {
  let low = 0, high = n;
  while (low < high) { const mid = (low + high) >> 1; if (index[mid] < wanted) low = mid + 1; else high = mid; }
  return low < n && index[low] === wanted ? low : -1;
};
