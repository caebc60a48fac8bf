// The timeline: a lane a worker, its processes one after the other. Drag or arrows move it; + and −, Ctrl with
// the wheel, or two fingers zoom. It draws what the page holds; what would cover each other is drawn as one.
const timeline = (() => {
  const canvas = $("timeline"), tip = $("tip");
  let context = canvas.getContext("2d");
  const LEFT = 64, RIGHT = 12, TOP = 20, BOTTOM = 22, LANES = 240;
  const STRUCK = 4;
  const end = (i) => took[i] < 0 ? data.end : start[i] + took[i];

  // Lanes, those of a node together.
  const lanes = [], known = new Map();
  let beyond = 0;
  for (let i = 0; i < n; i++) {
    const p = processes.get(data.process[i]), id = p ? p.worker : data.process[i];
    let lane = known.get(id);
    if (lane === undefined) {
      if (known.size >= LANES) { beyond++; continue; }
      lane = { node: p ? p.node : -1, name: p ? data.nodes[p.node] : "process " + id, id, ops: [], longest: 0 };
      known.set(id, lane);
      lanes.push(lane);
    }
    lane.ops.push(i);
    lane.longest = Math.max(lane.longest, end(i) - start[i]);
  }
  lanes.sort((a, b) => a.node - b.node || a.id - b.id);
  const lane_height = Math.max(6, Math.min(20, Math.floor(420 / Math.max(1, lanes.length))));
  const height = TOP + lanes.length * lane_height + BOTTOM;
  canvas.style.height = height + "px";
  if (beyond) $("timeline-note").textContent = group(beyond) + " operations of further processes are not drawn here.";

  const all = { from: data.begin, to: Math.max(data.end, data.begin + 1000) };
  let view = { ...all }, chosen = -1, colours = {}, width = 0, pending = 0;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const read_colours = () => {
    const style = getComputedStyle(document.body);
    for (const name of ["ok", "fail", "info", "ink", "soft", "line", "invalid", "card"]) colours[name] = style.getPropertyValue("--" + name).trim();
    colours.faults = data.colours.map((pair) => pair[dark.matches ? 1 : 0]);
  };
  const x = (t) => LEFT + (t - view.from) / (view.to - view.from) * (width - LEFT - RIGHT);
  const time = (px) => view.from + (px - LEFT) / (width - LEFT - RIGHT) * (view.to - view.from);
  const first = (lane, t) => {
    let low = 0, high = lane.ops.length;
    while (low < high) { const mid = (low + high) >> 1; if (start[lane.ops[mid]] < t) low = mid + 1; else high = mid; }
    return low;
  };

  function draw() {
    pending = 0;
    const scale = devicePixelRatio || 1;
    width = canvas.clientWidth;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    draw_faults(); draw_axis(); draw_leaders();
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width - LEFT - RIGHT, height);
    context.clip();
    const held = strip(scale), across = (held.to - held.from) / (view.to - view.from) * (width - LEFT - RIGHT);
    context.drawImage(held.canvas, x(held.from), 0, across, height);
    lanes.forEach(draw_labels);
    context.restore();
    draw_names();
  }
  // The operations of the view and of as much again on either side, drawn once: moving only shifts them.
  let kept = null;
  function strip(scale) {
    const span = view.to - view.from, key = [span, width, scale, chosen, colours.ok, colours.card].join();
    if (kept && kept.key === key && kept.from <= view.from && kept.to >= view.to) return kept;
    const from = Math.max(all.from, view.from - span), to = Math.min(all.to, view.to + span);
    const across = Math.ceil((to - from) / span * (width - LEFT - RIGHT));
    const onto = kept?.canvas ?? document.createElement("canvas"), outer = [context, view, width];
    onto.width = Math.max(1, Math.round(across * scale));
    onto.height = Math.round(height * scale);
    context = onto.getContext("2d");
    context.setTransform(scale, 0, 0, scale, -LEFT * scale, 0);
    view = { from, to };
    width = LEFT + across + RIGHT;
    lanes.forEach(draw_lane);
    [context, view, width] = outer;
    return kept = { canvas: onto, from, to, key };
  }
  function draw_faults() {
    for (const [from, to, , kind, nodes] of data.faults) {
      const a = Math.max(LEFT, x(from)), b = Math.min(width - RIGHT, x(to < 0 ? data.end : to));
      if (b <= a) continue;
      context.fillStyle = colours.faults[kind];
      lanes.forEach((lane, row) => {
        const struck = nodes.length === 0 || nodes.includes(lane.node), y = TOP + row * lane_height;
        context.globalAlpha = struck ? 0.22 : 0.07;
        context.fillRect(a, y, b - a, lane_height);
        // Operations cover the band, so a lane that is struck also keeps a line below them.
        if (struck) { context.globalAlpha = 1; context.fillRect(a, y + lane_height - STRUCK, b - a, STRUCK - 1); }
      });
    }
    context.globalAlpha = 1;
  }
  function draw_axis() {
    const wanted = (view.to - view.from) / 9, decade = 10 ** Math.floor(Math.log10(wanted));
    const step = Math.max(1, [1, 2, 5, 10].map((m) => m * decade).find((s) => s >= wanted));
    const digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(step) + 1e-9)));
    context.textAlign = "center";
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
      context.fillStyle = colours.line;
      context.fillRect(x(t), TOP, 1, height - TOP - BOTTOM);
      context.fillStyle = colours.soft;
      context.fillText((t / 1e6).toFixed(digits) + " s", x(t), height - 7);
    }
  }
  function draw_leaders() {
    context.textAlign = "left";
    data.reigns.forEach(([from, name], i) => {
      const to = i + 1 < data.reigns.length ? data.reigns[i + 1][0] : data.end;
      const a = Math.max(LEFT, x(from)), b = Math.min(width - RIGHT, x(to));
      if (b <= a) return;
      context.fillStyle = colours.ink;
      context.globalAlpha = 0.7;
      context.fillRect(a, TOP - 6, Math.max(1, b - a - 1), 3);
      context.globalAlpha = 1;
      context.fillStyle = colours.soft;
      if (context.measureText(name).width + 6 < b - a) context.fillText(name, a + 2, TOP - 9);
    });
  }
  function draw_names() {
    context.textAlign = "right";
    lanes.forEach((lane, row) => {
      const y = TOP + row * lane_height;
      if (row > 0 && lanes[row - 1].node === lane.node && lane.node >= 0) return;
      context.fillStyle = colours.line;
      context.fillRect(0, y, width, 1);
      context.fillStyle = colours.ink;
      context.fillText(lane.name.slice(0, 9), LEFT - 8, y + 12);
    });
  }
  function draw_lane(lane, row) {
    const y = TOP + row * lane_height + 1, h = Math.max(2, lane_height - STRUCK - 1), paths = [null, null, null], late = [];
    const one = (outcome, a, b) => { (paths[outcome] ??= new Path2D()).rect(a, y, Math.max(1, b - a), h); };
    let from = 0, to = -1;
    for (let k = first(lane, view.from - lane.longest); k < lane.ops.length; k++) {
      const i = lane.ops[k];
      if (start[i] > view.to) break;
      const a = x(start[i]), b = x(end(i));
      if (b < LEFT) continue;
      if (proof.has(index[i]) || i === chosen) late.push([i, a, b]);
      if (data.outcome[i] !== 0) { one(data.outcome[i], a, b); continue; }
      if (to >= from && a - to < 0.8 && b - a < 6) { to = Math.max(to, b); continue; }
      if (to >= from) one(0, from, to);
      from = a;
      to = b;
    }
    if (to >= from) one(0, from, to);
    for (const [outcome, name] of [[0, "ok"], [2, "info"], [1, "fail"]]) {
      if (!paths[outcome]) continue;
      context.fillStyle = colours[name];
      context.globalAlpha = outcome === 0 ? 0.6 : 0.95;
      context.fill(paths[outcome]);
    }
    context.globalAlpha = 1;
    for (const [i, a, b] of late) {
      context.strokeStyle = i === chosen ? colours.ink : colours.invalid;
      context.lineWidth = 2;
      context.strokeRect(a - 1, y - 1, Math.max(3, b - a + 2), h + 2);
    }
  }
  function draw_labels(lane, row) {
    const h = Math.max(2, lane_height - STRUCK - 1), baseline = TOP + row * lane_height + 1 + h - 3;
    // Where not even the longest has room there is nothing to look for.
    if (h < 10 || x(view.from + lane.longest) - LEFT < 40) return;
    context.textAlign = "left";
    context.fillStyle = colours.ink;
    for (let k = first(lane, view.from - lane.longest), drawn = 0; k < lane.ops.length && drawn < 40; k++) {
      const i = lane.ops[k];
      if (start[i] > view.to) break;
      const a = Math.max(LEFT, x(start[i])), b = x(end(i));
      if (b - a < 40) continue;
      const label = call(i);
      if (context.measureText(label).width < b - a - 6) { context.fillText(label, a + 3, baseline); drawn++; }
    }
  }

  const later = () => { if (!pending) pending = requestAnimationFrame(draw); };
  function look(from, to) {
    const span = Math.max(20, Math.min(all.to - all.from, to - from));
    from = Math.max(all.from, Math.min(all.to - span, from));
    view = { from, to: from + span };
    later();
  }
  const zoom = (factor, at) => look(at - (at - view.from) * factor, at + (view.to - at) * factor);
  const middle = () => (view.from + view.to) / 2;
  const move = (share) => { const by = (view.to - view.from) * share; look(view.from + by, view.to + by); };
  function hit(event) {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left;
    const lane = lanes[Math.floor((event.clientY - box.top - TOP) / lane_height)];
    if (!lane || px < LEFT) return -1;
    const slack = (view.to - view.from) / width * 2, t = time(px);
    let best = -1;
    for (let k = first(lane, t - lane.longest - slack); k < lane.ops.length && start[lane.ops[k]] <= t + slack; k++) {
      if (end(lane.ops[k]) >= t - slack) best = lane.ops[k];
    }
    return best;
  }

  let drag = null;
  canvas.addEventListener("pointerdown", (e) => { drag = { at: e.clientX, view: { ...view }, moved: false }; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointermove", (e) => {
    if (drag) {
      const by = (e.clientX - drag.at) / (width - LEFT - RIGHT) * (drag.view.to - drag.view.from);
      drag.moved ||= Math.abs(e.clientX - drag.at) > 3;
      if (drag.moved) look(drag.view.from - by, drag.view.to - by);
      return;
    }
    const i = hit(e);
    canvas.style.cursor = i < 0 ? "grab" : "pointer";
    tip.hidden = i < 0;
    if (i < 0) return;
    tip.textContent = "#" + index[i] + " " + call(i) + " · " + OUTCOMES[data.outcome[i]] + " · " + length(took[i]) + (note(i) ? " · " + note(i) : "");
    const box = canvas.parentElement.getBoundingClientRect();
    tip.style.left = Math.min(e.clientX - box.left + 12, box.width - tip.offsetWidth - 4) + "px";
    tip.style.top = e.clientY - box.top + 16 + "px";
  });
  canvas.addEventListener("pointerup", (e) => { const i = drag && !drag.moved ? hit(e) : -1; drag = null; if (i >= 0) location.hash = "op=" + index[i]; });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("dblclick", (e) => zoom(0.4, time(e.clientX - canvas.getBoundingClientRect().left)));
  // A plain wheel scrolls the page: only a wheel that means the picture is taken.
  canvas.addEventListener("wheel", (e) => {
    if (e.ctrlKey || e.metaKey) zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) / 120), time(e.clientX - canvas.getBoundingClientRect().left));
    else if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) move(e.deltaX / width);
    else return;
    e.preventDefault();
  }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const act = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "+": () => zoom(0.5, middle()), "=": () => zoom(0.5, middle()), "-": () => zoom(2, middle()), "0": () => look(all.from, all.to) }[e.key];
    if (act && !e.ctrlKey && !e.metaKey) { act(); e.preventDefault(); }
  });
  $("zoom-in").addEventListener("click", () => zoom(0.5, middle()));
  $("zoom-out").addEventListener("click", () => zoom(2, middle()));
  $("zoom-all").addEventListener("click", () => look(all.from, all.to));
  new ResizeObserver(later).observe(canvas);
  dark.addEventListener("change", () => { read_colours(); later(); });
  $("timeline-tools").hidden = false;
  read_colours();
  draw();

  // Brings an operation into sight, with some of what is around it.
  function show(i) {
    chosen = i;
    const around = Math.max(20000, (end(i) - start[i]) * 6);
    if (x(end(i)) - x(start[i]) < 12 || start[i] < view.from || end(i) > view.to) look(start[i] - around, end(i) + around);
    else later();
  }
  return { show, draw, look };
})();
