// The pictures of an anomaly: Ctrl with the wheel, + and − or a double click zoom, drag or arrows move, 0 shows
// all; what the pointer is on is told beside it. Without a script they are plain pictures whose titles tell.
for (const svg of document.querySelectorAll("#why figure.plot svg")) {
  const { width, height } = svg.viewBox.baseVal, figure = svg.parentElement, tip = element("div", "", "tip");
  if (!width || !height) continue;
  let view = { x: 0, y: 0, width }, drag = null, moved = false;
  // Told by us at once, so the browser need not tell it again later.
  const told = new Map();
  for (const title of svg.querySelectorAll("title")) {
    told.set(title.parentElement, title.textContent);
    // A link is read aloud by its own name, not by that of what it holds.
    (title.parentElement.closest("a") ?? title.parentElement).setAttribute("aria-label", title.textContent);
    title.remove();
  }
  const look = (x, y, wide) => {
    wide = Math.max(width / 40, Math.min(width, wide));
    const high = wide * height / width;
    view = { x: Math.max(0, Math.min(width - wide, x)), y: Math.max(0, Math.min(height - high, y)), width: wide };
    svg.setAttribute("viewBox", view.x + " " + view.y + " " + wide + " " + high);
    svg.style.cursor = wide < width ? "grab" : "";
  };
  // Where the pointer is, as a share of what is seen.
  const share = (e) => {
    const box = svg.getBoundingClientRect();
    return [(e.clientX - box.left) / (box.width || 1), (e.clientY - box.top) / (box.height || 1)];
  };
  const zoom = (factor, [sx, sy]) => {
    const wide = Math.max(width / 40, Math.min(width, view.width * factor)), less = view.width - wide;
    look(view.x + less * sx, view.y + less * height / width * sy, wide);
  };
  const middle = [0.5, 0.5];
  const move = (x, y) => look(view.x + x * view.width, view.y + y * view.width * height / width, view.width);
  const what = (target) => {
    const link = target.closest("a[href^='#op=']"), i = link ? placeOf(Number(link.getAttribute("href").slice(4))) : -1;
    if (i >= 0) {
      const where = nodeOf(i), told = note(i);
      return "#" + index[i] + " " + call(i) + " · " + OUTCOMES[data.outcome[i]] + " · at " + (start[i] / 1e6).toFixed(6) + " s · " + length(took[i]) +
        " · process " + data.process[i] + (where ? ", " + where : "") + (told ? " · " + told : "");
    }
    for (let e = target; e && e !== svg; e = e.parentElement) if (told.has(e)) return told.get(e);
    return "";
  };

  figure.classList.add("live");
  tip.hidden = true;
  figure.append(tip);
  svg.tabIndex = 0;
  svg.addEventListener("pointerdown", (e) => { drag = { x: e.clientX, y: e.clientY, view: { ...view } }; moved = false; });
  svg.addEventListener("pointermove", (e) => {
    if (drag && e.buttons) {
      const box = svg.getBoundingClientRect(), unit = view.width / (box.width || 1);
      if (Math.hypot(e.clientX - drag.x, e.clientY - drag.y) > 3 && view.width < width) moved = true;
      if (moved) look(drag.view.x - (e.clientX - drag.x) * unit, drag.view.y - (e.clientY - drag.y) * unit, view.width);
      tip.hidden = true;
      return;
    }
    const text = what(e.target), box = figure.getBoundingClientRect();
    tip.hidden = text === "";
    if (text === "") return;
    tip.textContent = text;
    tip.style.left = Math.max(0, Math.min(e.clientX - box.left + 12, box.width - tip.offsetWidth - 4)) + "px";
    tip.style.top = e.clientY - box.top + 16 + "px";
  });
  svg.addEventListener("pointerup", () => { drag = null; });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; drag = null; });
  // A drag that ends on a bar does not follow its link.
  svg.addEventListener("click", (e) => { if (moved) { e.preventDefault(); moved = false; } }, true);
  svg.addEventListener("dragstart", (e) => e.preventDefault());
  svg.addEventListener("dblclick", (e) => { zoom(0.4, share(e)); e.preventDefault(); });
  // A plain wheel scrolls the page: only a wheel that means the picture is taken.
  svg.addEventListener("wheel", (e) => {
    if (!e.ctrlKey && !e.metaKey) return;
    zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) / 120), share(e));
    e.preventDefault();
  }, { passive: false });
  svg.addEventListener("keydown", (e) => {
    const act = {
      ArrowLeft: () => move(-0.2, 0), ArrowRight: () => move(0.2, 0), ArrowUp: () => move(0, -0.2), ArrowDown: () => move(0, 0.2),
      "+": () => zoom(0.5, middle), "=": () => zoom(0.5, middle), "-": () => zoom(2, middle), "0": () => look(0, 0, width),
    }[e.key];
    // Arrows that would move nothing scroll the page as ever.
    if (!act || e.ctrlKey || e.metaKey || e.key.startsWith("Arrow") && view.width >= width) return;
    act();
    e.preventDefault();
  });
  const tools = element("p", undefined, "soft tools");
  for (const [label, title, act] of [["+", "Zoom in", () => zoom(0.5, middle)], ["−", "Zoom out", () => zoom(2, middle)], ["All", "Show all", () => look(0, 0, width)]]) {
    const button = element("button", label);
    button.type = "button";
    button.setAttribute("aria-label", title + " in this picture");
    button.addEventListener("click", act);
    tools.append(button, " ");
  }
  tools.append("Ctrl with the wheel zooms, dragging moves; with the keyboard + − 0 and the arrows.");
  svg.after(tools);
}
