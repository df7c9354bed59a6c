// The timeline: when tasks ran, with one line per slot, on a canvas. 100,000 bars are drawn in some milliseconds, because
// bars that share a pixel are drawn as one.
"use strict";

const timeline = (() => {
  const scroll = byId("timeline-scroll");
  const canvas = byId("timeline-canvas");
  const AXIS = 26;
  // Most characters of a worker's name in the label of a slot.
  const WORKER_NAME = 5;
  const END = data.run.seconds || 1;
  // Of the bars that share a pixel, the one whose kind comes last here is shown.
  const KINDS = ["exec", "eval", "path", "again", "interrupted", "failed"];

  const FILLS = { exec: "exec-fill", eval: "eval-fill", path: "path", again: "failed-soft", interrupted: "interrupted",
    failed: "failed" };
  const EDGES = { exec: "exec", eval: "eval", again: "failed" };
  const TEXTS = { path: "on-path", interrupted: "on-failed", failed: "on-failed" };

  const lanes = makeLanes();
  const height = lanes.length <= 16 ? 24 : lanes.length <= 40 ? 18 : lanes.length <= 120 ? 10 : 6;
  let from = 0;
  let to = END;
  let hovered = null;
  let context = null;
  let chart = { setRange() {} };

  // Returns the slots with their bars in order of time: first commands, then snippets, then workers. A bar is an attempt.
  function makeLanes() {
    const found = new Map();
    const add = (row, slot, ready, began, ended, worker, kind) => {
      const type = tasks.type(row);
      const key = JSON.stringify([type, slot, worker]);
      if (!found.has(key)) found.set(key, { type, slot, worker, bars: [] });
      found.get(key).bars.push({ row, ready, began, ended, kind });
    };
    for (let row = 0; row < tasks.count; row++) {
      if (tasks.ran(row)) add(row, tasks.slot(row), tasks.ready(row), tasks.began(row), tasks.ended(row), tasks.worker(row), kindOf(row));
    }
    for (const [row, slot, ready, began, ended, worker] of data.earlier) {
      add(row, slot, ready / 1e6, began / 1e6, ended / 1e6, worker, "again");
    }
    const sorted = [...found.values()].sort((a, b) =>
      a.worker.localeCompare(b.worker) || b.type.localeCompare(a.type) || a.slot - b.slot);
    for (const lane of sorted) lane.bars.sort((a, b) => a.began - b.began);
    return sorted;
  }

  function kindOf(row) {
    const status = tasks.status(row);
    if (status === "failed" || status === "interrupted") return status;
    return tasks.onPath(row) ? "path" : tasks.type(row);
  }

  const xOf = (seconds) => GUTTER + (seconds - from) / (to - from) * (canvas.clientWidth - GUTTER);
  const moment = (x) => from + (x - GUTTER) / (canvas.clientWidth - GUTTER) * (to - from);

  // Returns the index of the first bar of a slot that ends at a moment or after it.
  function firstAfter(lane, seconds) {
    let low = 0;
    let high = lane.bars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lane.bars[middle].ended < seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function draw() {
    if (!context) return;
    const width = canvas.clientWidth;
    const tall = canvas.clientHeight;
    context.clearRect(0, 0, width, tall);
    drawGrid(width, tall);
    context.save();
    context.beginPath();
    context.rect(GUTTER, AXIS, width - GUTTER, tall - AXIS);
    context.clip();
    const matches = view.filtered() ? view.matches() : null;
    const first = Math.max(0, Math.floor(scroll.scrollTop / height));
    const last = Math.min(lanes.length, Math.ceil((scroll.scrollTop + tall - AXIS) / height) + 1);
    for (let lane = first; lane < last; lane++) drawLane(lanes[lane], AXIS + lane * height - scroll.scrollTop, matches);
    context.restore();
    drawNames(first, last);
  }

  function drawGrid(width, tall) {
    const step = niceStep((to - from) / Math.max(2, (width - GUTTER) / 110));
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "center";
    for (let seconds = Math.ceil(from / step) * step; seconds <= to; seconds += step) {
      const x = Math.round(xOf(seconds)) + 0.5;
      context.fillStyle = colours.grid;
      context.fillRect(x - 0.5, AXIS, 1, tall - AXIS);
      context.fillStyle = colours.muted;
      if (x > GUTTER + 12 && x < width - 24) context.fillText(clock(seconds, step), x, AXIS / 2);
    }
  }

  function niceStep(rough) {
    if (rough > 30) return [60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200].find((step) => step >= rough) || 86400;
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  }

  function drawLane(lane, y, matches) {
    const bars = lane.bars;
    const tall = height - (height > 8 ? 4 : 1);
    // Neighbouring bars that are each too narrow to be visible.
    let merged = null;
    const flush = () => {
      if (merged) drawBar(merged.left, Math.max(merged.right - merged.left, 1), y, tall, merged.kind, merged.dim);
      merged = null;
    };
    for (let index = firstAfter(lane, from); index < bars.length && bars[index].began <= to; index++) {
      const bar = bars[index];
      const left = Math.max(xOf(bar.began), GUTTER - 4);
      const right = Math.min(xOf(bar.ended), canvas.clientWidth + 4);
      const dim = matches !== null && !matches[bar.row] && bar.row !== view.state.selected;
      if (right - left >= 2) {
        flush();
        drawBar(left, right - left - (right - left > 4 ? 1 : 0), y, tall, bar.kind, dim);
        drawText(bar, left, right, y + tall / 2 + 1, dim);
      } else if (merged && left < merged.left + 1) {
        merged.right = Math.max(merged.right, right);
        merged.dim = merged.dim && dim;
        if (KINDS.indexOf(bar.kind) > KINDS.indexOf(merged.kind)) merged.kind = bar.kind;
      } else {
        flush();
        merged = { left, right, kind: bar.kind, dim };
      }
      if (bar === hovered || bar.row === view.state.selected) drawChosen(bar, left, right, y, tall);
    }
    flush();
  }

  function drawBar(left, width, y, tall, kind, dim) {
    context.globalAlpha = dim ? 0.18 : 1;
    context.fillStyle = colours[FILLS[kind]];
    context.fillRect(left, y + 1, width, tall);
    if (EDGES[kind]) {
      context.fillStyle = colours[EDGES[kind]];
      context.fillRect(left, y + 1, Math.min(width, 2), tall);
    }
    context.globalAlpha = 1;
  }

  function drawText(bar, left, right, y, dim) {
    const start = Math.max(left, GUTTER) + 6;
    const fitting = Math.floor((right - start - 4) / 6.6);
    if (height < 16 || dim || fitting < 3) return;
    const name = tasks.name(bar.row);
    context.fillStyle = colours[TEXTS[bar.kind] || "ink"];
    context.textAlign = "left";
    context.fillText(name.length > fitting ? `${name.slice(0, fitting - 1)}…` : name, start, y);
  }

  // Draws a frame around a bar, and a line for the time that the task was ready and waited.
  function drawChosen(bar, left, right, y, tall) {
    const ready = xOf(bar.ready);
    context.strokeStyle = colours.ink;
    context.lineWidth = 2;
    context.strokeRect(left, y + 1, Math.max(right - left, 2), tall);
    if (left - ready < 2) return;
    context.lineWidth = 1;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(ready, y + tall / 2 + 1);
    context.lineTo(left, y + tall / 2 + 1);
    context.stroke();
    context.setLineDash([]);
  }

  // Returns the label of a slot. Of a long worker's name it has the end, in which workers differ.
  function laneName(type, slot, worker) {
    if (!worker) return `${type} ${slot + 1}`;
    return `${worker.length > WORKER_NAME ? `…${worker.slice(-WORKER_NAME)}` : worker}:${slot + 1}`;
  }

  function drawNames(first, last) {
    const every = Math.ceil(16 / height);
    context.textAlign = "left";
    context.fillStyle = colours.muted;
    for (let lane = first; lane < last; lane++) {
      const y = AXIS + lane * height - scroll.scrollTop + height / 2;
      const { type, slot, worker } = lanes[lane];
      context.font = `${worker ? 10.5 : 12}px system-ui, sans-serif`;
      if (slot % every === 0 && y > AXIS + 4) context.fillText(laneName(type, slot, worker), 8, y);
    }
  }

  // Shows another range of time, within that of the run.
  function setRange(start, end) {
    const length = Math.min(Math.max(end - start, Math.min(END, 2e-5)), END);
    from = Math.min(Math.max(start, 0), END - length);
    to = from + length;
    chart.setRange(from, to);
    redraw();
  }

  function zoom(factor, x = (GUTTER + canvas.clientWidth) / 2) {
    const middle = moment(x);
    setRange(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  function barAt(x, y) {
    const lane = lanes[Math.floor((y - AXIS + scroll.scrollTop) / height)];
    if (!lane || x < GUTTER || y < AXIS) return null;
    // The pointer hits a bar from up to three pixels away.
    const near = (to - from) / (canvas.clientWidth - GUTTER) * 3;
    const seconds = moment(x);
    let found = null;
    for (let index = firstAfter(lane, seconds - near); index < lane.bars.length; index++) {
      const bar = lane.bars[index];
      if (bar.began > seconds + near || (found && bar.began > seconds)) break;
      found = bar;
    }
    return found;
  }

  function resize() {
    const all = AXIS + lanes.length * height + 4;
    const tall = Math.min(all, 480);
    scroll.style.height = `${tall}px`;
    context = sized(canvas, scroll.clientWidth, tall);
    byId("timeline-height").style.height = `${all - tall}px`;
    redraw();
  }

  function follow() {
    let dragged = null;
    canvas.addEventListener("pointerdown", (event) => {
      dragged = { x: event.clientX, y: event.clientY, from, to, top: scroll.scrollTop, moved: false };
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (dragged && event.buttons) {
        const moved = event.clientX - dragged.x;
        dragged.moved ||= Math.hypot(moved, event.clientY - dragged.y) > 4;
        if (dragged.moved) {
          const shift = -moved / (canvas.clientWidth - GUTTER) * (dragged.to - dragged.from);
          setRange(dragged.from + shift, dragged.to + shift);
          scroll.scrollTop = dragged.top - (event.clientY - dragged.y);
          tip.hide();
          return;
        }
      }
      hover(barAt(event.offsetX, event.offsetY), event);
    });
    canvas.addEventListener("pointerup", (event) => {
      const bar = barAt(event.offsetX, event.offsetY);
      if (dragged && !dragged.moved) view.change({ selected: bar && bar.row });
      dragged = null;
    });
    canvas.addEventListener("pointerleave", () => hover(null));
    canvas.addEventListener("dblclick", (event) => zoom(0.4, event.offsetX));
    scroll.addEventListener("scroll", redraw);
    scroll.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) zoom(Math.exp(Math.sign(event.deltaY) * 0.25), event.offsetX);
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / 1000);
      else return;
      event.preventDefault();
    }, { passive: false });
    scroll.addEventListener("keydown", (event) => {
      const actions = { ArrowLeft: () => pan(-0.1), ArrowRight: () => pan(0.1), "+": () => zoom(0.6), "=": () => zoom(0.6),
        "-": () => zoom(1.6), 0: () => setRange(0, END) };
      if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      actions[event.key]();
      event.preventDefault();
    });
    byId("timeline-in").addEventListener("click", () => zoom(0.5));
    byId("timeline-out").addEventListener("click", () => zoom(2));
    byId("timeline-fit").addEventListener("click", () => setRange(0, END));
  }

  function pan(share) {
    setRange(from + share * (to - from), to + share * (to - from));
  }

  function hover(bar, event) {
    if (bar !== hovered) {
      hovered = bar;
      canvas.style.cursor = bar === null ? "grab" : "pointer";
      redraw();
    }
    if (bar === null) tip.hide();
    else if (bar.kind !== "again") tip.show(event.clientX, event.clientY, tipLines(bar.row));
    else {
      tip.show(event.clientX, event.clientY, [tasks.name(bar.row), "an attempt that failed and was followed by another",
        `${duration(bar.ended - bar.began)}, from ${duration(bar.began)} to ${duration(bar.ended)}`]);
    }
  }

  // Brings a task into view that the user chose elsewhere on the page.
  function reveal(row) {
    if (row === null || !tasks.ran(row)) return;
    const lane = lanes.findIndex((other) =>
      other.type === tasks.type(row) && other.slot === tasks.slot(row) && other.worker === tasks.worker(row));
    const y = lane * height;
    if (y < scroll.scrollTop || y > scroll.scrollTop + canvas.clientHeight - AXIS - height) {
      scroll.scrollTop = y - (canvas.clientHeight - AXIS) / 2;
    }
    if (tasks.ended(row) < from || tasks.began(row) > to) {
      const middle = (tasks.began(row) + tasks.ended(row)) / 2;
      setRange(middle - (to - from) / 2, middle + (to - from) / 2);
    }
  }

  const redraw = framed(draw);

  function showKeys() {
    const kinds = new Set(lanes.flatMap((lane) => lane.bars.map((bar) => bar.kind)));
    const names = { exec: "command", eval: "snippet", path: "critical path", again: "failed attempt, tried again",
      interrupted: "interrupted", failed: "failed" };
    for (const kind of KINDS) {
      if (kinds.has(kind)) byId("timeline-keys").append(make("span", { class: `key ${kind}` }, names[kind]));
    }
  }

  return {
    start() {
      if (!lanes.length) {
        byId("timeline").querySelector(".card").replaceChildren(make("p", { class: "empty" }, "Nothing ran."));
        byId("timeline").querySelector(".buttons").remove();
        byId("timeline").querySelector(".hint").remove();
        return;
      }
      resize();
      chart = makeChart(setRange);
      showKeys();
      follow();
      onColours(redraw);
      new ResizeObserver(framed(resize)).observe(scroll);
      view.onChange((changes) => {
        if ("selected" in changes) reveal(changes.selected);
        redraw();
      });
    },
    // For tests: the shown range.
    range: () => [from, to],
  };
})();
