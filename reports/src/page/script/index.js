// Hides the rows of the list that were not asked for.
"use strict";
const $ = (id) => document.getElementById(id);
const rows = [...$("runs").children].map((row) => [row, row.textContent.toLowerCase()]);
function filter() {
  const text = $("find").value.trim().toLowerCase(), outcome = $("outcome").value === "all" ? "" : $("outcome").value;
  let shown = 0;
  for (const [row, content] of rows) {
    row.hidden = (text !== "" && !content.includes(text)) || (outcome !== "" && row.dataset.outcome !== outcome);
    if (!row.hidden) shown++;
  }
  $("shown").textContent = shown + " of " + rows.length + " shown";
}
["find", "outcome"].forEach((id) => $(id).addEventListener("input", filter));
$("tools").hidden = false;
filter();
