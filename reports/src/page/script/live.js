// Follows a run: asks for what changed each second until it has ended.
"use strict";
const now = document.getElementById("now");
async function look() {
  try {
    const answer = await fetch(location.pathname + "?part=now");
    // The server escapes whatever came from a target; the fragment has no script.
    if (answer.ok) now.innerHTML = await answer.text();
  } catch {
    // The server may be gone for a moment.
  }
  if (!now.querySelector("[data-ended]")) setTimeout(look, 1000);
}
setTimeout(look, 1000);
